//! Variables of a request by name, as APISIX's `vars`, `_meta.filter` and `chash` name them: nginx's, with APISIX's own
//! ways of reading arguments and cookies.
//!
//! A name is read once, when the configuration is compiled. A name that nothing is known of has no value, as in APISIX.

use super::address;
use super::facts::RequestFacts;
use super::uri::{self, BadTarget, Uri};
use std::borrow::Cow;

/// A name, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// `arg_NAME`: the first argument of that name, decoded.
    Argument(Box<[u8]>),
    /// `http_NAME`: a header, by its name with `_` for `-`.
    Header(Box<[u8]>),
    /// `cookie_NAME`.
    Cookie(Box<[u8]>),
    /// `uri`: the normalised path.
    Uri,
    /// `request_uri`: APISIX puts the normalised path into it, with the query.
    RequestUri,
    /// `real_request_uri`: the target as sent.
    RealRequestUri,
    /// `args`, `query_string`
    Arguments,
    /// `is_args`: a question mark, or nothing.
    IsArguments,
    /// `request_method`, `method`
    Method,
    /// `host`
    Host,
    /// `remote_addr`
    ClientAddress,
    /// `remote_port`
    ClientPort,
    /// `server_addr`
    ServerAddress,
    /// `server_port`
    ServerPort,
    /// `server_name`: APISIX's is `_`.
    ServerName,
    /// `server_protocol`
    Protocol,
    /// `scheme`
    Scheme,
    /// Anything else.
    Unknown,
}

impl Variable {
    /// Reads a name. nginx's names have no case; those of arguments and cookies have.
    pub fn of(name: &str) -> Self {
        let boxed = |text: &str| text.as_bytes().into();
        if let Some(name) = name.strip_prefix("arg_") {
            return Self::Argument(boxed(name));
        }
        if let Some(name) = name.strip_prefix("cookie_") {
            return Self::Cookie(boxed(name));
        }
        let name = name.to_ascii_lowercase();
        if let Some(name) = name.strip_prefix("http_") {
            return Self::Header(boxed(&name.replace('-', "_")));
        }
        match name.as_str() {
            "uri" | "document_uri" => Self::Uri,
            "request_uri" => Self::RequestUri,
            "real_request_uri" => Self::RealRequestUri,
            "args" | "query_string" => Self::Arguments,
            "is_args" => Self::IsArguments,
            "request_method" | "method" => Self::Method,
            "host" => Self::Host,
            "remote_addr" => Self::ClientAddress,
            "remote_port" => Self::ClientPort,
            "server_addr" => Self::ServerAddress,
            "server_port" => Self::ServerPort,
            "server_name" => Self::ServerName,
            "server_protocol" => Self::Protocol,
            "scheme" => Self::Scheme,
            "content_type" | "content_length" => Self::Header(boxed(&name)),
            _ => Self::Unknown,
        }
    }
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, [u8]>),
    /// An argument that stands in the query without `=`.
    Flag,
}

/// A request whose variables can be read.
#[derive(Debug, Clone)]
pub struct Variables<'a> {
    /// The request.
    pub facts: &'a RequestFacts<'a>,
    /// Its target.
    pub uri: Uri<'a>,
    /// nginx's `$host`.
    pub host: Vec<u8>,
}

impl<'a> Variables<'a> {
    /// Those of a request, unless its target is none.
    pub fn of(facts: &'a RequestFacts<'a>) -> Result<Self, BadTarget> {
        let uri = uri::parse(facts.target)?;
        let host = facts.host(uri.authority);
        Ok(Self { facts, uri, host })
    }

    /// The value of a variable, if the request has one.
    pub fn get(&self, variable: &Variable) -> Option<Value<'_>> {
        let facts = self.facts;
        let text = |text: String| Cow::Owned(text.into_bytes());
        Some(Value::Text(match variable {
            Variable::Argument(name) => return self.argument(name),
            Variable::Header(name) => self.header(name)?,
            Variable::Cookie(name) => Cow::Borrowed(self.cookie(name)?),
            Variable::Uri => Cow::Borrowed(&self.uri.path),
            Variable::RequestUri => match self.uri.query {
                Some(query) if !query.is_empty() => Cow::Owned([&self.uri.path[..], b"?", query].concat()),
                _ => Cow::Borrowed(&self.uri.path),
            },
            Variable::RealRequestUri => Cow::Borrowed(facts.target),
            Variable::Arguments => Cow::Borrowed(self.uri.query?),
            Variable::IsArguments => match self.uri.query {
                Some(query) if !query.is_empty() => Cow::Borrowed(b"?"),
                _ => Cow::Borrowed(b""),
            },
            Variable::Method => Cow::Borrowed(facts.method),
            Variable::Host => Cow::Borrowed(&self.host),
            Variable::ClientAddress => Cow::Owned(address::text(facts.client).into()),
            Variable::ClientPort => text(facts.client_port.to_string()),
            Variable::ServerAddress => Cow::Owned(address::text(facts.server).into()),
            Variable::ServerPort => text(facts.server_port.to_string()),
            Variable::ServerName => Cow::Borrowed(b"_"),
            Variable::Protocol => match facts.protocol {
                "HTTP/2" => Cow::Borrowed(b"HTTP/2.0"),
                other => Cow::Borrowed(other.as_bytes()),
            },
            Variable::Scheme => Cow::Borrowed(facts.scheme),
            Variable::Unknown => return None,
        }))
    }

    fn argument(&self, name: &[u8]) -> Option<Value<'_>> {
        let arguments = self.uri.query?.split(|byte| *byte == b'&');
        for argument in arguments.filter(|argument| !argument.is_empty()) {
            let (key, value) = match argument.iter().position(|byte| *byte == b'=') {
                Some(at) => (argument.get(..at).unwrap_or_default(), argument.get(at + 1..)),
                None => (argument, None),
            };
            if *decode(key) == *name {
                return Some(value.map_or(Value::Flag, |value| Value::Text(decode(value))));
            }
        }
        None
    }

    /// All headers of a name, as one.
    fn header(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let same = |key: &[u8]| {
            key.len() == name.len()
                && key.iter().zip(name).all(|(key, name)| match key {
                    b'-' => *name == b'_',
                    key => key.to_ascii_lowercase() == *name,
                })
        };
        let mut values = self.facts.headers.iter().filter(|(key, _)| same(key)).map(|(_, value)| value);
        let Some(first) = values.next() else {
            return (name == b"host" && !self.facts.authority.is_empty()).then_some(self.facts.authority.into());
        };
        let separator: &[u8] = if name == b"cookie" { b"; " } else { b", " };
        let mut all = Cow::Borrowed(&first[..]);
        for value in values {
            let all = all.to_mut();
            all.extend_from_slice(separator);
            all.extend_from_slice(value);
        }
        Some(all)
    }

    /// The last cookie of a name, as it stands.
    fn cookie(&self, name: &[u8]) -> Option<&[u8]> {
        let pairs = self.facts.headers.get_all(b"cookie").flat_map(|value| value.split(|byte| *byte == b';'));
        let mut found = None;
        for pair in pairs {
            let pair = pair.trim_ascii();
            if let Some(at) = pair.iter().position(|byte| *byte == b'=')
                && pair.get(..at) == Some(name)
            {
                found = pair.get(at + 1..);
            }
        }
        found
    }
}

/// A part of a query, decoded; an escape that is none stays as it is.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let escaped = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                uri::hex(high).zip(uri::hex(low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        match (escaped, first) {
            (Some((byte, after)), _) => {
                decoded.push(byte);
                rest = after;
            }
            (None, b'+') => decoded.push(b' '),
            (None, byte) => decoded.push(*byte),
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::{facts, headers};
    use super::*;

    fn text(variables: &Variables<'_>, name: &str) -> Option<String> {
        match variables.get(&Variable::of(name))? {
            Value::Text(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            Value::Flag => Some("(flag)".to_owned()),
        }
    }

    /// Section 4.2's names, and 7.3's for `vars`.
    #[test]
    fn variables_of_a_request() {
        let headers = headers(&[
            ("Host", "Foo.com:9080"),
            ("X-Api", "a"),
            ("x-api", "b"),
            ("Cookie", "k=v; session=1=2"),
            ("cookie", "k=w"),
        ]);
        let facts = facts("PUT", "/a//b%20c?x=1&y=%41+b&x=2&flag&z=%4", "Foo.com:9080", &headers);
        let variables = Variables::of(&facts).expect("a target");
        for (name, value) in [
            ("arg_x", Some("1")),
            ("arg_y", Some("A b")),
            ("arg_z", Some("%4")),
            ("arg_flag", Some("(flag)")),
            ("arg_X", None),
            ("http_x_api", Some("a, b")),
            ("http_X-Api", Some("a, b")),
            ("http_cookie", Some("k=v; session=1=2; k=w")),
            ("http_host", Some("Foo.com:9080")),
            ("http_none", None),
            ("cookie_session", Some("1=2")),
            ("cookie_k", Some("w")),
            ("uri", Some("/a/b c")),
            ("request_uri", Some("/a/b c?x=1&y=%41+b&x=2&flag&z=%4")),
            ("args", Some("x=1&y=%41+b&x=2&flag&z=%4")),
            ("request_method", Some("PUT")),
            ("host", Some("foo.com")),
            ("remote_addr", Some("127.0.0.1")),
            ("remote_port", Some("50000")),
            ("server_addr", Some("127.0.0.1")),
            ("server_port", Some("9080")),
            ("scheme", Some("http")),
            ("server_protocol", Some("HTTP/1.1")),
            ("nonsense", None),
        ] {
            assert_eq!(text(&variables, name).as_deref(), value, "{name}");
        }
    }
}
