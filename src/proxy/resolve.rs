//! Where hosts really are, for those that somebody has said it of: what curl's `--resolve` says, and its `--connect-to`.
//!
//! An entry holds for one host and port as a configuration or a plugin writes them, whoever connects: for a node of an
//! upstream, a cluster, a call. Nothing is looked up for it, and the other end gets to see the same request: `Host` and
//! everything else stay.

use super::calls::Address;
use std::net::{IpAddr, SocketAddr};

/// Hosts whose place is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolve(Vec<(Address, SocketAddr)>);

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Not all of it is there, or it is not what it should be.
    #[error("`{0}` says of no host where it is, write HOST:PORT:ADDRESS or HOST:PORT:ADDRESS:PORT with an IP address")]
    Shape(String),
    /// The same host and port again.
    #[error("`{0}` is resolved twice")]
    Twice(Address),
}

impl Resolve {
    /// Adds one from `HOST:PORT:ADDRESS[:PORT]`; IPv6 addresses stand in brackets. Without the second port it is the
    /// first.
    pub fn add(&mut self, text: &str) -> Result<(), ResolveError> {
        let (host, address) = parse(text).ok_or_else(|| ResolveError::Shape(text.to_owned()))?;
        self.insert(host, address)
    }

    /// Adds one.
    pub fn insert(&mut self, host: Address, address: SocketAddr) -> Result<(), ResolveError> {
        if self.given(&host.host, host.port).is_some() {
            return Err(ResolveError::Twice(host));
        }
        self.0.push((host, address));
        Ok(())
    }

    /// Where a host is, if nobody has to be asked: it has been said, or it is an address.
    pub fn known(&self, host: &str, port: u16) -> Option<SocketAddr> {
        let literal = || host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        self.given(host, port).or_else(literal)
    }

    fn given(&self, host: &str, port: u16) -> Option<SocketAddr> {
        // There are few, and mostly none.
        let entry = self.0.iter().find(|(of, _)| of.port == port && is_same(&of.host, host))?;
        Some(entry.1)
    }
}

/// Names don't care for case (RFC 4343), and an address can be written in more than one way.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || one.parse::<IpAddr>().is_ok_and(|ip| other.parse::<IpAddr>().is_ok_and(|other| ip == other))
}

fn parse(text: &str) -> Option<(Address, SocketAddr)> {
    // The host, with the colons that brackets hold.
    let end = if text.starts_with('[') { text.find(']')? } else { 0 };
    let colon = end + text.get(end..)?.find(':')?;
    let (port, address) = text.get(colon + 1..)?.split_once(':')?;
    let host = Address::parse(&format!("{}:{port}", text.get(..colon)?), None)?;
    let to = Address::parse(address, Some(host.port))?;
    let ip = to.host.parse::<IpAddr>().ok()?;
    Some((host, SocketAddr::new(ip, to.port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let mut resolve = Resolve::default();
        for good in ["app.test:80:127.0.0.1", "app.test:81:127.0.0.1:1980", "[::1]:80:[::2]:9", "10.0.0.1:80:[::1]"] {
            resolve.add(good).expect(good);
        }
        let known = |host, port| resolve.known(host, port).map(|address| address.to_string());
        assert_eq!(known("App.Test", 80).as_deref(), Some("127.0.0.1:80"));
        assert_eq!(known("app.test", 81).as_deref(), Some("127.0.0.1:1980"));
        assert_eq!(known("app.test", 82), None);
        assert_eq!(known("0::1", 80).as_deref(), Some("[::2]:9"));
        assert_eq!(known("10.0.0.1", 80).as_deref(), Some("[::1]:80"));
        assert_eq!(known("10.0.0.1", 81).as_deref(), Some("10.0.0.1:81"));
        let twice = Resolve::add(&mut resolve.clone(), "APP.test:80:127.0.0.2");
        assert_eq!(twice.map_err(|error| error.to_string()), Err("`APP.test:80` is resolved twice".to_owned()));
        let wrong = [
            "",
            "a",
            "a:80",
            "a:80:",
            ":80:127.0.0.1",
            "a:0:127.0.0.1",
            "a::127.0.0.1",
            "a:80:b",
            "a:80:127.0.0.1:",
            "a:80:127.0.0.1:0",
            "a:80:127.0.0.1:x",
            "a:80:::1",
            "a:80:[::1",
            "[::1:80:127.0.0.1",
            "[a]:80:127.0.0.1",
            "a b:80:127.0.0.1",
            "a:80:127.0.0.1,127.0.0.2",
            "[::1]80:127.0.0.1",
            "é]:1",
        ];
        for text in wrong {
            assert_eq!(Resolve::default().add(text), Err(ResolveError::Shape(text.to_owned())), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = Resolve::default().add(&text);
        }
    }
}
