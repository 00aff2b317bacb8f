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
struct Pattern(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Exact(Box<[u8]>),
    /// `:name`: one part, of characters that a URL has.
    One,
    /// `*`: anything, slashes too.
    Any,
}

/// What `:name` in a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parameters {
    /// Text like any other.
    #[default]
    AreText,
    /// Any part of a path.
    AreParts,
}

impl Paths {
    /// Adds a path of a route.
    pub fn add(&mut self, path: &str, parameters: Parameters, priority: i64, route: usize) {
        let (bytes, length) = (path.as_bytes(), path.len());
        // A parameter counts before a wildcard, wherever they stand.
        let parameter = path.find(':').filter(|_| parameters == Parameters::AreParts);
        let entries = match parameter.or(path.find('*')) {
            None => self.exact.entry(bytes.into()).or_default(),
            Some(at) => self.prefixes.entry(bytes.get(..at).unwrap_or_default()),
        };
        let inner = parameter.is_some() || path.find('*').is_some_and(|at| at + 1 < length);
        let pattern = inner.then(|| Pattern::of(path, parameters)).flatten();
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
    fn of(path: &str, parameters: Parameters) -> Option<Self> {
        let part = |part: &str| match part.bytes().next() {
            Some(b'*') => Part::Any,
            Some(b':') if parameters == Parameters::AreParts => Part::One,
            _ => Part::Exact(part.as_bytes().into()),
        };
        let parts: Vec<_> = path.split('/').map(part).collect();
        let exact = parts.iter().all(|part| matches!(part, Part::Exact(_)));
        // With parameters the whole path is compared even where it has none after all.
        (!exact || parameters == Parameters::AreParts).then_some(Self(parts))
    }

    /// Whether it is all of a path. A wildcard may go on over slashes; so few are written that stepping back to the
    /// last one is all it takes.
    fn matches(&self, path: &[u8]) -> bool {
        let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let (mut at, mut part) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while part < parts.len() {
            match self.0.get(at) {
                Some(Part::Any) => {
                    back = Some((at, part + 1));
                    at += 1;
                    part += 1;
                    continue;
                }
                Some(Part::Exact(exact)) if parts.get(part).is_some_and(|part| **part == **exact) => {
                    at += 1;
                    part += 1;
                    continue;
                }
                Some(Part::One) if parts.get(part).is_some_and(|part| is_parameter(part)) => {
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

/// RFC 1738's characters of a part, as lua-resty-radixtree has them for a parameter.
fn is_parameter(part: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_%!$&'()*+,;:@=.~".contains(byte);
    !part.is_empty() && part.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(paths: &[(&str, i64)], path: &str) -> Vec<usize> {
        found_with(paths, Parameters::AreText, path)
    }

    fn found_with(paths: &[(&str, i64)], parameters: Parameters, path: &str) -> Vec<usize> {
        let mut all = Paths::default();
        for (route, (path, priority)) in paths.iter().enumerate() {
            all.add(path, parameters, *priority, route);
        }
        all.of(path.as_bytes()).collect()
    }

    /// What t/router/radixtree-uri-with-parameter.t asks for; other routers take a colon as it is.
    #[test]
    fn a_parameter_is_a_part() {
        let matches = |pattern, path| !found_with(&[(pattern, 0)], Parameters::AreParts, path).is_empty();
        assert!(matches("/name/:name/bar", "/name/json/bar"));
        assert!(matches("/name/:name/id/:id", "/name/a.b-c~/id/7"));
        assert!(matches("/:name/*", "/a/b/c"));
        assert!(matches("/file:list", "/file:list"));
        assert!(!matches("/name/:name/bar", "/name/json/b"));
        assert!(!matches("/name/:name/bar", "/name/json/foo/bar"));
        assert!(!matches("/name/:name", "/name/"));
        assert!(!matches("/name/:name", "/name/a b"));
        assert!(!matches("/file:list", "/file:other"));
        assert!(found(&[("/name/:name/bar", 0)], "/name/json/bar").is_empty());
        assert!(!found(&[("/file:list", 0)], "/file:list").is_empty());
        let both = [("/name/:name", 5), ("/name/json", 0)];
        assert_eq!(found_with(&both, Parameters::AreParts, "/name/json"), [1, 0], "exact paths come first");
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
