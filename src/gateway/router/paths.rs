//! Routes by path: exact ones in a hash map, prefixes in a radix tree.

use super::radix::Radix;
use std::collections::HashMap;

/// The paths of some routes, each with the place of its route.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    exact: HashMap<Box<[u8]>, Vec<Entry>>,
    prefixes: Radix<Vec<Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    route: usize,
    priority: i64,
    /// Of the path as it is written: of two routes of one prefix and priority, the longer is tried first.
    length: usize,
    /// What has to match beside the prefix, where more follows the first `*`.
    pattern: Option<Pattern>,
}

/// A path with a `*` that is not its end: parts between slashes that are exact, or stand for anything.
#[derive(Debug, Clone)]
struct Pattern(Vec<Option<Box<[u8]>>>);

impl Paths {
    /// Adds a path of a route.
    pub fn add(&mut self, path: &str, priority: i64, route: usize) {
        let (bytes, length) = (path.as_bytes(), path.len());
        let entries = match path.find('*') {
            None => self.exact.entry(bytes.into()).or_default(),
            Some(at) => self.prefixes.entry(bytes.get(..at).unwrap_or_default()),
        };
        let pattern = path.find('*').filter(|at| at + 1 < length).and_then(|_| Pattern::of(path));
        // The first of equals stays the first.
        let at = entries.partition_point(|entry| (entry.priority, entry.length) >= (priority, length));
        entries.insert(at, Entry { route, priority, length, pattern });
    }

    /// The routes of a path, in the order in which they are tried: exact before prefixes, long prefixes before short
    /// ones, and among those of one path by priority (7.3).
    pub fn of<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let exact = self.exact.get(path).into_iter().flatten();
        let prefixes = self.prefixes.prefixes_of(path).flatten();
        let matches = |entry: &&Entry| entry.pattern.as_ref().is_none_or(|pattern| pattern.matches(path));
        exact.chain(prefixes.filter(matches)).map(|entry| entry.route)
    }
}

impl Pattern {
    /// A `*` stands for anything where it begins a part; elsewhere the prefix before it is all that counts.
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<_> =
            path.split('/').map(|part| (!part.starts_with('*')).then(|| part.as_bytes().into())).collect();
        parts.iter().any(Option::is_none).then_some(Self(parts))
    }

    /// Whether it is all of a path. A wildcard may go on over slashes; so few are written that stepping back to the
    /// last one is all it takes.
    fn matches(&self, path: &[u8]) -> bool {
        let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let (mut at, mut part) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while part < parts.len() {
            match self.0.get(at) {
                Some(None) => {
                    back = Some((at, part + 1));
                    at += 1;
                    part += 1;
                    continue;
                }
                Some(Some(exact)) if parts.get(part).is_some_and(|part| **part == **exact) => {
                    at += 1;
                    part += 1;
                    continue;
                }
                _ => {}
            }
            // The last wildcard takes one part more.
            let Some((wildcard, next)) = back else { return false };
            back = Some((wildcard, next + 1));
            at = wildcard + 1;
            part = next + 1;
            if next >= parts.len() {
                return false;
            }
        }
        at == self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[(&str, i64)], path: &str) -> Vec<usize> {
        let mut all = Paths::default();
        for (route, (path, priority)) in paths.iter().enumerate() {
            all.add(path, *priority, route);
        }
        all.of(path.as_bytes()).collect()
    }

    /// Section 7.3: exact beats prefix, the longest prefix wins, priority where the path is equal.
    #[test]
    fn the_order_of_trial() {
        let paths = [("/*", 9), ("/blog/*", 0), ("/blog/bar*", 0), ("/blog/bar", 0), ("/blog/bar", 5), ("/blog/*", 1)];
        assert_eq!(found(&paths, "/blog/bar"), [4, 3, 2, 5, 1, 0]);
        assert_eq!(found(&paths, "/blog/barn"), [2, 5, 1, 0]);
        assert_eq!(found(&paths, "/blog"), [0]);
        assert_eq!(found(&paths, "/blog/"), [5, 1, 0]);
        assert_eq!(found(&paths, ""), [] as [usize; 0]);
        assert_eq!(found(&[("/a", 0), ("/a", 0)], "/a"), [0, 1]);
    }

    /// lua-resty-radixtree's rule for a `*` within a path.
    #[test]
    fn a_wildcard_within_a_path() {
        let matches = |pattern, path| !found(&[(pattern, 0)], path).is_empty();
        assert!(matches("/a/*/c", "/a/b/c"));
        assert!(matches("/a/*/c", "/a/b/b/c"));
        assert!(matches("/a/*/c/*", "/a/b/c/d/c"));
        assert!(!matches("/a/*/c", "/a/b/d"));
        assert!(!matches("/a/*/c", "/a/b/c/d"));
        assert!(!matches("/a/*/c", "/a/c"));
        assert!(matches("/a*b", "/ac"));
    }
}
