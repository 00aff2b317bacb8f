//! Headers on their way through the gateway: what nginx makes of a request for the upstream when the plugins have seen
//! it (7.4), and of a response before they see it (3.5, 7.4).
//!
//! Pure functions, the same for the runner and the proxy. Headers of one connection only are dropped; how a body is
//! framed is the connection's business.

use super::facts::RequestFacts;
use super::model::{Node, PassHost, Scheme, Upstream};
use super::target::Websocket;
use super::uri;
use crate::message::Headers;
use bytes::Bytes;

/// `Server` of every answer: the version whose behaviour the gateway has.
pub const SERVER: &str = "APISIX/3.11.0";

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The upstream.
    pub upstream: &'a Upstream,
    /// The node of it that was chosen.
    pub node: &'a Node,
    /// Whether `Upgrade` passes.
    pub websocket: Websocket,
}

impl Destination<'_> {
    /// What `Host` says; nothing where the client said nothing.
    pub fn host(&self, facts: &RequestFacts<'_>) -> Bytes {
        match &self.upstream.pass_host {
            // As the client sent it, whatever plugins made of it since: nginx keeps it before they run.
            PassHost::Pass => Bytes::copy_from_slice(facts.authority),
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
    let host = to.host(facts);
    let mut out = Headers::new();
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with(b":")) {
        match &name[..] {
            b":authority" => {}
            b":scheme" => out.append(name.clone(), "http"),
            _ => out.append(name.clone(), value.clone()),
        }
    }
    if !host.is_empty() {
        out.append(":authority", host.clone());
        out.append("host", host);
    }
    match to.upstream.scheme {
        Scheme::Http => add_client(&mut out, headers, facts),
        Scheme::Grpc => {
            out.append("content-type", "application/grpc");
            out.append("te", "trailers");
        }
    }
    let upgrade = match to.websocket {
        Websocket::Enabled => headers.get(b"upgrade"),
        Websocket::Refused => None,
    };
    if let Some(upgrade) = upgrade {
        out.append("upgrade", upgrade.clone());
        out.append("connection", headers.get(b"connection").cloned().unwrap_or_else(|| "upgrade".into()));
    }
    let of_connection = Named::by(headers);
    let mut cookies = Vec::new();
    for (name, value) in headers.iter() {
        let keep = match kind(name) {
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
            let value = if kind(name) == Kind::Te { Bytes::from_static(b"trailers") } else { value.clone() };
            out.append(name.clone(), value);
        }
    }
    match cookies[..] {
        [] => {}
        [one] => out.append("cookie", one.clone()),
        // HTTP/2 may send them apart; HTTP/1.1 may not.
        _ => out.append("cookie", cookies.iter().map(|cookie| &cookie[..]).collect::<Vec<_>>().join(&b"; "[..])),
    }
    out
}

/// `X-Real-IP` and `X-Forwarded-*`: the client's address is added, the rest stays as the client had it.
fn add_client(out: &mut Headers, headers: &Headers, facts: &RequestFacts<'_>) {
    let address = facts.client.to_canonical().to_string();
    let said = |name: &'static [u8]| headers.get(name).filter(|value| !value.is_empty()).cloned();
    let mut path: Vec<u8> = Vec::new();
    for earlier in headers.get_all(b"x-forwarded-for") {
        path.extend_from_slice(earlier);
        path.extend_from_slice(b", ");
    }
    path.extend_from_slice(address.as_bytes());
    out.append("x-real-ip", address);
    out.append("x-forwarded-for", path);
    let scheme = || Bytes::copy_from_slice(facts.scheme);
    out.append("x-forwarded-proto", said(b"x-forwarded-proto").unwrap_or_else(scheme));
    let host = || facts.host(uri::parse(facts.target).ok().and_then(|uri| uri.authority)).into();
    out.append("x-forwarded-host", said(b"x-forwarded-host").unwrap_or_else(host));
    let port = || facts.server_port.to_string().into();
    out.append("x-forwarded-port", said(b"x-forwarded-port").unwrap_or_else(port));
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
    const KINDS: [(&[u8], Kind); 17] = [
        (b"te", Kind::Te),
        (b"host", Kind::Host),
        (b"cookie", Kind::Cookie),
        (b"expect", Kind::Expect),
        (b"upgrade", Kind::Upgrade),
        (b"connection", Kind::Hop),
        (b"keep-alive", Kind::Hop),
        (b"proxy-connection", Kind::Hop),
        (b"transfer-encoding", Kind::Hop),
        (b"http2-settings", Kind::Hop),
        (b"x-real-ip", Kind::Forwarded),
        (b"x-forwarded-for", Kind::Forwarded),
        (b"x-forwarded-proto", Kind::Forwarded),
        (b"x-forwarded-host", Kind::Forwarded),
        (b"x-forwarded-port", Kind::Forwarded),
        (b"content-type", Kind::ContentType),
        (b"content-length", Kind::ContentLength),
    ];
    let found = KINDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
    found.map_or(Kind::Other, |(_, kind)| *kind)
}

/// Headers that a message says are of its connection.
struct Named<'a>(Vec<&'a [u8]>);

impl<'a> Named<'a> {
    fn by(headers: &'a Headers) -> Self {
        let names = headers.get_all(b"connection").flat_map(|value| value.split(|byte| *byte == b','));
        Self(names.map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()).collect())
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|named| named.eq_ignore_ascii_case(name))
    }
}

fn asks_for_trailers(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

#[cfg(test)]
mod tests;
