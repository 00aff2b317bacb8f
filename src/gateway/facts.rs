//! What is known of a request when its route is looked for: what the client sent and over which connection.
//!
//! Nothing here is derived; the path that routes are compared with is `uri`'s, variables are `variables`'.

use crate::message::Headers;
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// `GET`.
    pub method: &'a [u8],
    /// The target as sent, with its query: `/anything?a=1`, or a whole URL.
    pub target: &'a [u8],
    /// `Host` or `:authority` as sent, with its port; empty where there was none.
    pub authority: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// All headers; pseudo headers may be among them.
    pub headers: &'a Headers,
    /// The client's address.
    pub client: IpAddr,
    /// The client's port.
    pub client_port: u16,
    /// The address that it reached.
    pub server: IpAddr,
    /// The port that it reached.
    pub server_port: u16,
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: &'a str,
}

impl<'a> RequestFacts<'a> {
    /// nginx's `$host`: lower case, without port and without the dot of a full name; `_` where nothing was said.
    /// A target that is a whole URL has the last word.
    pub fn host(&self, of_target: Option<&'a [u8]>) -> Vec<u8> {
        let said = of_target.filter(|host| !host.is_empty()).unwrap_or(self.authority);
        let host = without_port(said);
        let host = host.strip_suffix(b".").unwrap_or(host);
        if host.is_empty() { b"_".to_vec() } else { host.to_ascii_lowercase() }
    }
}

/// What is known of a request, kept as long as it is under way; where a part comes from stands at [`RequestFacts`].
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`.
    pub method: Bytes,
    /// The target as sent.
    pub target: Bytes,
    /// `Host` or `:authority`.
    pub authority: Bytes,
    /// `http` or `https`.
    pub scheme: Bytes,
    /// All headers as they came.
    pub headers: Headers,
    /// The client.
    pub client: SocketAddr,
    /// The address that it reached.
    pub server: SocketAddr,
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: &'static str,
}

impl Asked {
    /// What a gateway decides by.
    pub fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            method: &self.method,
            target: &self.target,
            authority: &self.authority,
            scheme: &self.scheme,
            headers: &self.headers,
            client: self.client.ip(),
            client_port: self.client.port(),
            server: self.server.ip(),
            server_port: self.server.port(),
            protocol: self.protocol,
        }
    }
}

/// The name or address of an authority; an IPv6 address keeps its brackets.
pub fn without_port(authority: &[u8]) -> &[u8] {
    let authority = match authority.iter().rposition(|byte| *byte == b'@') {
        Some(at) => authority.get(at + 1..).unwrap_or_default(),
        None => authority,
    };
    let end = match authority.first() {
        Some(b'[') => authority.iter().position(|byte| *byte == b']').map(|at| at + 1),
        _ => authority.iter().position(|byte| *byte == b':'),
    };
    end.and_then(|end| authority.get(..end)).unwrap_or(authority)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// A request from 127.0.0.1:50000 to 127.0.0.1:9080.
    pub fn facts<'a>(method: &'a str, target: &'a str, authority: &'a str, headers: &'a Headers) -> RequestFacts<'a> {
        RequestFacts {
            method: method.as_bytes(),
            target: target.as_bytes(),
            authority: authority.as_bytes(),
            scheme: b"http",
            headers,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            client_port: 50_000,
            server: IpAddr::V4(Ipv4Addr::LOCALHOST),
            server_port: 9080,
            protocol: "HTTP/1.1",
        }
    }

    /// Headers of names and values.
    pub fn headers(pairs: &[(&'static str, &'static str)]) -> Headers {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    /// Section 4.2: `host` is lower case and has no port; the rest is nginx's rule for `$host`.
    #[test]
    fn the_host_is_lower_case_and_has_no_port() {
        let none = Headers::new();
        for (authority, host) in [
            ("Foo.COM:9080", "foo.com"),
            ("foo.com.", "foo.com"),
            ("127.0.0.1:9080", "127.0.0.1"),
            ("[::1]:9080", "[::1]"),
            ("[::1", "[::1"),
            ("", "_"),
            (":80", "_"),
        ] {
            assert_eq!(facts("GET", "/", authority, &none).host(None), host.as_bytes(), "{authority}");
        }
        assert_eq!(facts("GET", "/", "a.com", &none).host(Some(b"b.com:1")), b"b.com");
    }
}
