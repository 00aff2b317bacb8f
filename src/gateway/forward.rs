//! Headers on their way through the gateway: what nginx makes of a request for the upstream when the plugins have seen
//! it (7.4), and of a response before they see it (3.5, 7.4).
//!
//! Pure functions, the same for the runner and the proxy. Headers of one connection only are dropped; how a body is
//! framed is the connection's business.

use super::address;
use super::facts::RequestFacts;
use super::model::{Node, PassHost, Scheme, Upstream};
use super::target::Websocket;
use super::uri;
use crate::message::{Headers, same_name};
use bytes::Bytes;

/// `Server` of every answer: the version whose behaviour the gateway has.
pub const SERVER: &str = "APISIX/3.11.0";

/// What `pass_host: pass` passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedHost {
    /// What the client sent, whatever plugins made of it since: nginx keeps it before they run.
    AsSent,
    /// What the plugins left of it.
    AsLeft,
}

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The upstream.
    pub upstream: &'a Upstream,
    /// The node of it that was chosen.
    pub node: &'a Node,
    /// Whether `Upgrade` passes.
    pub websocket: Websocket,
    /// Whose `Host` passes, if any does.
    pub passed_host: PassedHost,
}

impl Destination<'_> {
    /// What `Host` says; nothing where the client, or a plugin, said nothing. `headers` are what the plugins left.
    pub fn host(&self, headers: &Headers, facts: &RequestFacts<'_>) -> Bytes {
        match &self.upstream.pass_host {
            PassHost::Pass => match self.passed_host {
                PassedHost::AsSent => Bytes::copy_from_slice(facts.authority),
                PassedHost::AsLeft => headers.get(b":authority").cloned().unwrap_or_default(),
            },
            PassHost::Rewrite(host) => Bytes::copy_from_slice(host.as_bytes()),
            PassHost::Node => {
                let Node { host, port, .. } = self.node;
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
                let standard = match self.upstream.scheme {
                    Scheme::Http | Scheme::Grpc => 80,
                };
                if *port == standard { host.into() } else { format!("{host}:{port}").into() }
            }
        }
    }
}

/// The headers of a request as the upstream gets them. `headers` are what the plugins left, `facts` what the client
/// sent.
pub fn request(headers: &Headers, facts: &RequestFacts<'_>, to: &Destination<'_>) -> Headers {
    let host = to.host(headers, facts);
    let of_connection = Named::by(headers);
    // Pseudo headers stay in front; `host` and five of the client's come to what there is.
    let mut out: Vec<(Bytes, Bytes)> = Vec::with_capacity(headers.len() + 7);
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with(b":")) {
        match &name[..] {
            b":authority" => {}
            b":scheme" => out.push((name.clone(), Bytes::from_static(b"http"))),
            _ => out.push((name.clone(), value.clone())),
        }
    }
    if !host.is_empty() {
        out.push((Bytes::from_static(b":authority"), host.clone()));
        out.push((Bytes::from_static(b"host"), host));
    }
    match to.upstream.scheme {
        Scheme::Http => add_client(&mut out, headers, facts),
        Scheme::Grpc => {
            out.push((Bytes::from_static(b"content-type"), Bytes::from_static(b"application/grpc")));
            out.push((Bytes::from_static(b"te"), Bytes::from_static(b"trailers")));
        }
    }
    let upgrade = match to.websocket {
        Websocket::Enabled => headers.get(b"upgrade"),
        Websocket::Refused => None,
    };
    if let Some(upgrade) = upgrade {
        let connection = headers.get(b"connection").cloned().unwrap_or_else(|| "upgrade".into());
        out.push((Bytes::from_static(b"upgrade"), upgrade.clone()));
        out.push((Bytes::from_static(b"connection"), connection));
    }
    let mut cookies = Vec::new();
    for (name, value) in headers.iter() {
        let kind = kind(name);
        let keep = match kind {
            Kind::Pseudo | Kind::Host | Kind::Hop | Kind::Upgrade => false,
            Kind::Forwarded => to.upstream.scheme == Scheme::Grpc,
            Kind::ContentType => to.upstream.scheme == Scheme::Http,
            // nginx has answered it.
            Kind::Expect => false,
            Kind::Te => to.upstream.scheme == Scheme::Http && asks_for_trailers(value),
            Kind::Cookie => {
                cookies.push(value);
                false
            }
            Kind::ContentLength => true,
            Kind::Other => !of_connection.has(name),
        };
        if keep {
            let value = if kind == Kind::Te { Bytes::from_static(b"trailers") } else { value.clone() };
            out.push((name.clone(), value));
        }
    }
    match cookies[..] {
        [] => {}
        [one] => out.push((Bytes::from_static(b"cookie"), one.clone())),
        // HTTP/2 may send them apart; HTTP/1.1 may not.
        _ => {
            let all = cookies.iter().map(|cookie| &cookie[..]).collect::<Vec<_>>().join(&b"; "[..]);
            out.push((Bytes::from_static(b"cookie"), all.into()));
        }
    }
    out.into_iter().collect()
}

/// `X-Real-IP` and `X-Forwarded-*`: the client's address is added, the rest stays as the client had it.
fn add_client(out: &mut Vec<(Bytes, Bytes)>, headers: &Headers, facts: &RequestFacts<'_>) {
    let address = address::text(facts.client);
    let said = |name: &'static [u8]| headers.get(name).filter(|value| !value.is_empty()).cloned();
    let mut path = headers.get_all(b"x-forwarded-for").peekable();
    let path = match path.peek() {
        None => address.clone(),
        Some(_) => {
            path.flat_map(|earlier| [&earlier[..], b", "]).chain([&address[..]]).collect::<Vec<_>>().concat().into()
        }
    };
    let scheme = || match facts.scheme {
        b"http" => Bytes::from_static(b"http"),
        other => Bytes::copy_from_slice(other),
    };
    let host = || facts.host(uri::parse(facts.target).ok().and_then(|uri| uri.authority)).into();
    let port = || facts.server_port.to_string().into();
    for (name, value) in [
        ("x-real-ip", address),
        ("x-forwarded-for", path),
        ("x-forwarded-proto", said(b"x-forwarded-proto").unwrap_or_else(scheme)),
        ("x-forwarded-host", said(b"x-forwarded-host").unwrap_or_else(host)),
        ("x-forwarded-port", said(b"x-forwarded-port").unwrap_or_else(port)),
    ] {
        out.push((Bytes::from_static(name.as_bytes()), value));
    }
}

/// When the client is told of the upstream's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UpstreamStatus {
    /// When the last one was 5xx.
    #[default]
    OnError,
    /// Always: `apisix.show_upstream_status_in_response_header`.
    Always,
}

/// The headers of a response as the plugins of the gateway get to see them first. `tries` has a status for each node
/// that was asked, the last one last: what it answered, 502 where there was no answer, 504 where it came too late; none
/// where the gateway answers by itself.
pub fn response(headers: &mut Headers, tries: &[u16], show: UpstreamStatus) {
    let drops = headers.iter().any(|(name, _)| matches!(kind(name), Kind::Hop | Kind::Te) || of_nginx(name));
    if drops {
        let of_connection = Named::by(headers);
        let switching = tries.last() == Some(&101);
        let keeps = |name: &Bytes| match kind(name) {
            Kind::Hop if switching => name.eq_ignore_ascii_case(b"connection"),
            Kind::Hop | Kind::Te => false,
            Kind::Other => !of_nginx(name) && !of_connection.has(name),
            _ => true,
        };
        let kept = headers.iter().filter(|(name, _)| keeps(name));
        *headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    }
    headers.put("server", SERVER);
    let failed = tries.last().is_some_and(|status| (500..=599).contains(status));
    if failed || (show == UpstreamStatus::Always && !tries.is_empty()) {
        let all: Vec<String> = tries.iter().map(u16::to_string).collect();
        headers.put("x-apisix-upstream-status", all.join(", "));
    }
}

/// What upstreams say to nginx and not to clients.
fn of_nginx(name: &[u8]) -> bool {
    [&b"x-accel-"[..], b"x-pad"].iter().any(|word| name.get(..word.len()).is_some_and(|n| n.eq_ignore_ascii_case(word)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pseudo,
    Host,
    /// About one connection only.
    Hop,
    Upgrade,
    /// Set by the gateway.
    Forwarded,
    ContentType,
    ContentLength,
    Expect,
    Te,
    Cookie,
    Other,
}

fn kind(name: &[u8]) -> Kind {
    if name.first() == Some(&b':') {
        return Kind::Pseudo;
    }
    // By length first: most names are none of these.
    let same = |known: &[u8]| same_name(name, known);
    match name.len() {
        2 if same(b"te") => Kind::Te,
        4 if same(b"host") => Kind::Host,
        6 if same(b"cookie") => Kind::Cookie,
        6 if same(b"expect") => Kind::Expect,
        7 if same(b"upgrade") => Kind::Upgrade,
        9 if same(b"x-real-ip") => Kind::Forwarded,
        10 if same(b"connection") || same(b"keep-alive") => Kind::Hop,
        12 if same(b"content-type") => Kind::ContentType,
        14 if same(b"content-length") => Kind::ContentLength,
        14 if same(b"http2-settings") => Kind::Hop,
        15 if same(b"x-forwarded-for") => Kind::Forwarded,
        16 if same(b"proxy-connection") => Kind::Hop,
        16 if same(b"x-forwarded-host") || same(b"x-forwarded-port") => Kind::Forwarded,
        17 if same(b"transfer-encoding") => Kind::Hop,
        17 if same(b"x-forwarded-proto") => Kind::Forwarded,
        _ => Kind::Other,
    }
}

/// Headers that a message says are of its connection.
struct Named<'a>(Vec<&'a [u8]>);

impl<'a> Named<'a> {
    fn by(headers: &'a Headers) -> Self {
        let names = headers.get_all(b"connection").flat_map(|value| value.split(|byte| *byte == b','));
        Self(names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).collect())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|named| same_name(named, name))
    }
}

fn asks_for_trailers(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests;
