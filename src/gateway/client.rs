//! Who the client of a request is: the one that the connection comes from or, where that is a proxy that is trusted, the
//! one that the proxy names. nginx's `real_ip` module, with APISIX's defaults: 127.0.0.1 is trusted, in `X-Real-IP`.

use super::address::Addresses;
use crate::message::Headers;
use std::net::{IpAddr, SocketAddr};

/// `nginx_config.http.real_ip_*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealIp {
    /// `real_ip_header`.
    pub header: Box<str>,
    /// `real_ip_from`: who is trusted.
    pub from: Addresses,
    /// `real_ip_recursive`
    pub walk: Walk,
}

/// Which address of several is the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Walk {
    /// The last one.
    #[default]
    Last,
    /// The last one that is not trusted.
    PastTrusted,
}

impl Default for RealIp {
    fn default() -> Self {
        let from = Addresses::parse(["127.0.0.1"]).unwrap_or_default();
        Self { header: "X-Real-IP".into(), from, walk: Walk::Last }
    }
}

impl RealIp {
    /// The client of a request that came over a connection.
    pub fn client(&self, connection: SocketAddr, headers: &Headers) -> SocketAddr {
        if !self.from.contains(connection.ip()) {
            return connection;
        }
        let name = self.header.as_bytes();
        let mut named = None;
        match name.eq_ignore_ascii_case(b"x-forwarded-for") {
            // Only of this header nginx reads every line.
            true => headers.get_all(name).for_each(|line| named = Some(line)),
            false => named = headers.get(name),
        }
        let Some(text) = named.and_then(|value| std::str::from_utf8(value).ok()) else { return connection };
        let mut client = connection;
        for entry in text.rsplit([',', ' ']).filter(|entry| !entry.is_empty()) {
            let Some(address) = address(entry) else { break };
            client = address;
            if self.walk == Walk::Last || !self.from.contains(address.ip()) {
                break;
            }
        }
        client
    }
}

/// An address, with or without a port; where there is none, the port is 0.
fn address(text: &str) -> Option<SocketAddr> {
    let bare = || text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse::<IpAddr>();
    text.parse().ok().or_else(|| Some(SocketAddr::new(bare().ok()?, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> Headers {
        lines.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn client(of: &RealIp, connection: &str, lines: &[(&'static str, &'static str)]) -> String {
        of.client(connection.parse().expect("an address"), &headers(lines)).to_string()
    }

    /// `real_ip_header: X-Real-IP` and `real_ip_from: 127.0.0.1` of APISIX's default configuration.
    #[test]
    fn a_proxy_on_this_machine_is_believed() {
        let usual = RealIp::default();
        for (connection, value, expected) in [
            ("127.0.0.1:5000", "10.1.2.3", "10.1.2.3:0"),
            ("127.0.0.1:5000", "10.1.2.3:99", "10.1.2.3:99"),
            ("127.0.0.1:5000", "::1", "[::1]:0"),
            ("127.0.0.1:5000", "[::1]:7", "[::1]:7"),
            ("127.0.0.1:5000", "8.8.8.8, 10.1.2.3", "10.1.2.3:0"),
            ("127.0.0.1:5000", "nobody", "127.0.0.1:5000"),
            ("127.0.0.1:5000", "", "127.0.0.1:5000"),
            ("127.0.0.2:5000", "10.1.2.3", "127.0.0.2:5000"),
            ("[::1]:5000", "10.1.2.3", "[::1]:5000"),
        ] {
            assert_eq!(client(&usual, connection, &[("x-real-ip", value)]), expected, "{value}");
        }
        assert_eq!(client(&usual, "127.0.0.1:5000", &[("x-forwarded-for", "10.1.2.3")]), "127.0.0.1:5000");
    }

    /// nginx's documentation of `real_ip_recursive`.
    #[test]
    fn trusted_proxies_can_be_passed_over() {
        let from = Addresses::parse(["127.0.0.1", "10.0.0.0/8"]).expect("addresses");
        let last = RealIp { header: "X-Forwarded-For".into(), from, walk: Walk::Last };
        let past = RealIp { walk: Walk::PastTrusted, ..last.clone() };
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2, 8.8.8.8, 10.0.0.1")];
        assert_eq!(client(&last, "127.0.0.1:1", &lines), "10.0.0.1:0");
        assert_eq!(client(&past, "127.0.0.1:1", &lines), "8.8.8.8:0");
        assert_eq!(client(&past, "127.0.0.1:1", &[("x-forwarded-for", "10.0.0.2, 10.0.0.1")]), "10.0.0.2:0");
    }
}
