//! Which route a request takes: the order of APISIX's router `radixtree_host_uri` (7.3), and of the others, which have all
//! routes under every host.
//!
//! Hosts first, the most specific one first, then the routes of every host; within each, paths as `paths` has them.
//! What else a route asks for (methods, addresses, expressions) is asked of the routes that are left, one by one.

mod paths;
mod radix;

use super::model::RouterKind;
use paths::{Parameters, Paths};
use radix::Radix;
use std::collections::HashMap;

/// Routes by host and path. A route is known by its place.
#[derive(Debug, Clone, Default)]
pub struct Router {
    parameters: Parameters,
    hosts: HashMap<Box<[u8]>, Paths>,
    /// `*.foo.com`, from its end.
    wildcards: Radix<Paths>,
    every_host: Paths,
}

impl Router {
    /// Without routes.
    pub fn new(kind: RouterKind) -> Self {
        let parameters = match kind {
            RouterKind::HostUri | RouterKind::Uri => Parameters::AreText,
            RouterKind::UriWithParameter => Parameters::AreParts,
        };
        Self { parameters, ..Self::default() }
    }

    /// Adds a route. No hosts are every host.
    pub fn add(&mut self, hosts: &[String], paths: &[String], priority: i64, route: usize) {
        let parameters = self.parameters;
        let add = |into: &mut Paths| paths.iter().for_each(|path| into.add(path, parameters, priority, route));
        for host in hosts {
            let host = host.to_ascii_lowercase();
            match host.strip_prefix('*') {
                Some(end) => add(self.wildcards.entry(&reversed(end.as_bytes()))),
                None => add(self.hosts.entry(host.as_bytes().into()).or_default()),
            }
        }
        if hosts.is_empty() {
            add(&mut self.every_host);
        }
    }

    /// The first route for a host (lower case, no port) and a path (normalised) of which the rest holds, too.
    pub fn find(&self, host: &[u8], path: &[u8], mut holds: impl FnMut(usize) -> bool) -> Option<usize> {
        let mut first = |paths: &Paths| paths.of(path).find(|route| holds(*route));
        if let Some(found) = self.hosts.get(host).and_then(&mut first) {
            return Some(found);
        }
        if !self.wildcards.is_empty()
            && let Some(found) = self.wildcards.prefixes_of(&reversed(host)).find_map(&mut first)
        {
            return Some(found);
        }
        first(&self.every_host)
    }
}

fn reversed(host: &[u8]) -> Vec<u8> {
    host.iter().rev().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[(&[&str], &[&str], i64)]) -> Router {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let mut router = Router::default();
        for (route, (hosts, paths, priority)) in routes.iter().enumerate() {
            router.add(&owned(hosts), &owned(paths), *priority, route);
        }
        router
    }

    /// Section 7.3: host first, then routes without host; the most specific host.
    #[test]
    fn the_host_comes_first() {
        let router = router(&[
            (&[], &["/hello"], 100),
            (&["*.foo.com"], &["/*"], 0),
            (&["a.foo.com"], &["/*"], 0),
            (&["*.b.foo.com", "other.com"], &["/hello", "/bye"], 0),
        ]);
        let find = |host: &str, path: &str| router.find(host.as_bytes(), path.as_bytes(), |_| true);
        assert_eq!(find("a.foo.com", "/hello"), Some(2));
        assert_eq!(find("c.foo.com", "/hello"), Some(1));
        assert_eq!(find("c.b.foo.com", "/hello"), Some(3));
        assert_eq!(find("c.b.foo.com", "/else"), Some(1));
        assert_eq!(find("other.com", "/bye"), Some(3));
        assert_eq!(find("other.com", "/else"), None);
        assert_eq!(find("foo.com", "/hello"), Some(0));
        assert_eq!(find("", "/hello"), Some(0));
    }

    /// Section 7.3: what does not hold is passed over, up to the routes of every host.
    #[test]
    fn the_next_route_is_tried_where_the_rest_does_not_hold() {
        let router = router(&[
            (&[], &["/*"], 0),
            (&["foo.com"], &["/hello"], 1),
            (&["foo.com"], &["/hello"], 2),
            (&["*.com"], &["/h*"], 0),
        ]);
        let mut tried = Vec::new();
        let found = router.find(b"foo.com", b"/hello", |route| {
            tried.push(route);
            false
        });
        assert_eq!((found, tried), (None, vec![2, 1, 3, 0]));
    }
}
