//! Where calls go: clusters that the configuration names, or the address that a plugin gives.

use crate::host::Upstreams;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

/// The upstreams that plugins can call by name, on hosts where upstreams have names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clusters(BTreeMap<String, Address>);

/// A host, which may have to be looked up, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// A name or an IP address; of IPv6 without the brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// What is wrong with a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// No `=` in it.
    #[error("`{0}` is no cluster, write NAME=HOST:PORT")]
    Shape(String),
    /// An empty name.
    #[error("a cluster needs a name, write NAME=HOST:PORT")]
    Name,
    /// Not an address.
    #[error("`{0}` is no address, write HOST:PORT")]
    Address(String),
    /// The same name again.
    #[error("the cluster `{0}` is there twice")]
    Twice(String),
}

impl Clusters {
    /// Adds one from `NAME=HOST:PORT`.
    pub fn add(&mut self, text: &str) -> Result<(), ClusterError> {
        let (name, address) = text.split_once('=').ok_or_else(|| ClusterError::Shape(text.to_owned()))?;
        self.insert(name.trim(), address.trim())
    }

    /// Adds one.
    pub fn insert(&mut self, name: &str, address: &str) -> Result<(), ClusterError> {
        if name.is_empty() {
            return Err(ClusterError::Name);
        }
        if self.0.contains_key(name) {
            return Err(ClusterError::Twice(name.to_owned()));
        }
        self.0.insert(name.to_owned(), address.parse()?);
        Ok(())
    }

    /// These, and those of a configuration, `host:port` each, that are not among them.
    pub fn with(&self, configured: &BTreeMap<String, String>) -> Result<Self, ClusterError> {
        let mut all = self.clone();
        for (name, address) in configured.iter().filter(|(name, _)| !self.0.contains_key(*name)) {
            all.insert(name, address)?;
        }
        Ok(all)
    }

    /// The address of a cluster.
    pub fn get(&self, name: &[u8]) -> Option<&Address> {
        self.0.get(std::str::from_utf8(name).ok()?)
    }

    /// Their names, for the host core to refuse others.
    pub fn known(&self) -> Upstreams {
        Upstreams::Named(Arc::new(self.0.keys().map(|name| Bytes::from(name.clone())).collect()))
    }
}

impl Address {
    /// `host`, `host:port` or `[IPv6]:port`. Without a port it is `default`, and without one of these it is none.
    pub fn parse(text: &str, default: Option<u16>) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None => default?,
        };
        let plain = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
        plain.then(|| Self { host: host.to_owned(), port })
    }
}

impl FromStr for Address {
    type Err = ClusterError;

    fn from_str(text: &str) -> Result<Self, ClusterError> {
        Self::parse(text, None).ok_or_else(|| ClusterError::Address(text.to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_names_with_addresses() {
        let mut clusters = Clusters::default();
        for good in ["authz=127.0.0.1:9000", "a=b.test:1", "v6 = [::1]:80"] {
            clusters.add(good).expect(good);
        }
        assert_eq!(clusters.get(b"v6").map(ToString::to_string).as_deref(), Some("[::1]:80"));
        assert_eq!(clusters.get(b"authz").map(|address| address.port), Some(9000));
        assert!(clusters.known().knows(b"a"));
        assert!(!clusters.known().knows(b"b.test"));
        assert_eq!(clusters.add("authz=127.0.0.1:1"), Err(ClusterError::Twice("authz".to_owned())));
        assert_eq!(clusters.add("authz"), Err(ClusterError::Shape("authz".to_owned())));
        assert_eq!(clusters.add("=a:1"), Err(ClusterError::Name));
        for bad in ["x=", "x=a", "x=a:", "x=a:0", "x=a:65536", "x=:1", "x=[::1", "x=[a]:1", "x=[::1]1", "x=a b:1"] {
            assert!(matches!(clusters.add(bad), Err(ClusterError::Address(_))), "{bad}");
        }
    }

    // apisix.md 4.3: `host[:port]`.
    #[test]
    fn addresses_that_plugins_give() {
        let parse = |text| Address::parse(text, Some(80)).map(|address| address.to_string());
        assert_eq!(parse("web_service").as_deref(), Some("web_service:80"));
        assert_eq!(parse("127.0.0.1:1980").as_deref(), Some("127.0.0.1:1980"));
        assert_eq!(parse("[::1]").as_deref(), Some("[::1]:80"));
        assert_eq!(parse("a/b"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text: String) {
            let _ = Address::parse(&text, Some(80));
            let _ = Clusters::default().add(&text);
        }
    }
}
