//! `request` and `upstream`: what the client sends and what the origin does.

use super::context::{Cx, quote};
use super::file::wanted;
use super::headers::{self, Part};
use super::keys::{REQUEST, UPSTREAM};
use super::read::Fields;
use super::{body, callout};
use crate::diagnostic::Diagnostic;
use crate::scenario::model::{Abort, Failure, Reply, Request, Upstream};
use crate::scenario::yaml::{Node, Value};
use bytes::Bytes;

const FAILURES: &[(&str, Failure)] = &[
    ("reset", Failure::Reset),
    ("timeout", Failure::Timeout),
    ("refused", Failure::Refused),
    ("garbage", Failure::Garbage),
];
/// How an answer that has begun can fail.
const BREAKS: &[(&str, Failure)] = &[("reset", Failure::Reset), ("timeout", Failure::Timeout)];
const ABORTS: &[(&str, Abort)] = &[("request", Abort::Request), ("wait", Abort::Wait), ("response", Abort::Response)];
const SEND: &str = "it is written `GET http://app.test/path`";

/// A request, and the answer that stands beside it.
pub(super) fn request(cx: &mut Cx, node: &Node, upstream_node: Option<&Node>) -> Option<Request> {
    let upstream = match upstream_node {
        Some(node) => upstream(cx, node),
        None => Some(Upstream::Reply(Reply::default())),
    };
    let early = upstream_node.and_then(|node| node.as_map()).and_then(|entries| {
        let (_, node) = entries.iter().find(|(key, _)| key.text == "early")?;
        Some(cx.flag(node, "`early`"))
    });
    let (send, headers, body, trailers, metadata, abort) = if node.as_text().is_some() {
        (send(cx, node), Some(Vec::new()), Some(None), Some(Vec::new()), Some(Vec::new()), Some(None))
    } else if node.as_map().is_none() {
        cx.expected(node, "`request`", "`METHOD URL` or a mapping");
        return None;
    } else {
        let fields = cx.fields(node, "`request`", &REQUEST)?;
        let send = cx.required(&fields, "send", SEND).and_then(|node| send(cx, node));
        let headers = headers::of(cx, &fields, "headers", Part::Request);
        let body = fields.get("body").map(|node| body::body(cx, node));
        let abort = wanted(fields.get("abort").map(|node| abort(cx, node, body.is_some())));
        let metadata = metadata(cx, &fields, body.is_some());
        (send, headers, wanted(body), headers::of(cx, &fields, "trailers", Part::Trailers), metadata, abort)
    };
    let Target { method, scheme, authority, path } = send?;
    Some(Request {
        method,
        scheme,
        authority,
        path,
        headers: headers?,
        body: body?,
        trailers: trailers?,
        metadata: metadata?,
        abort: abort?,
        upstream: upstream?,
        early: wanted(early)?.unwrap_or(false),
    })
}

fn abort(cx: &mut Cx, node: &Node, has_body: bool) -> Option<Abort> {
    let abort = cx.one_of(node, "`abort`", ABORTS)?;
    if abort == Abort::Request && !has_body {
        let problem = cx.at(&node.span, "`abort: request` needs a body");
        cx.push(problem.hint("a request without one ends with its head; `abort: wait` goes away after that"));
        return None;
    }
    Some(abort)
}

/// A map for each METADATA frame. They stand between the head and the rest of a message, so there has to be a rest.
fn metadata(cx: &mut Cx, fields: &Fields, has_body: bool) -> Option<Vec<Vec<(Bytes, Bytes)>>> {
    let Some((key, node)) = fields.entry("metadata") else { return Some(Vec::new()) };
    if cx.http1 {
        let problem = cx.at(&key.span, "`metadata` is of HTTP/2");
        cx.push(problem.hint("write `protocol: h2` at the top of the file"));
        return None;
    }
    if !has_body {
        cx.push(cx.at(&key.span, "`metadata` needs a body").hint("frames can't follow the end of a message"));
        return None;
    }
    let items = cx.items(node, "`metadata`")?;
    let frames: Vec<_> =
        items.iter().filter_map(|item| headers::of_node(cx, item, "metadata", Part::Trailers)).collect();
    (frames.len() == items.len()).then_some(frames)
}

/// What a `METHOD URL` says.
struct Target {
    method: Bytes,
    scheme: Bytes,
    authority: Bytes,
    path: Bytes,
}

fn send(cx: &mut Cx, node: &Node) -> Option<Target> {
    let text = cx.text(node, "`send`")?;
    match target(text) {
        Ok(target) => Some(target),
        Err((piece, title, hint)) => {
            let problem: Diagnostic = cx.at(&cx.piece(&node.span, piece), title);
            cx.push(problem.hint(hint));
            None
        }
    }
}

/// Reads `METHOD URL`. The error is the piece that is wrong, what is wrong with it, and what to do.
fn target(text: &str) -> Result<Target, (&str, String, String)> {
    let wrong = |piece, title: String, hint: &str| Err((piece, title, hint.to_string()));
    let text = text.trim();
    let Some((method, url)) = text.split_once(' ') else {
        if text.contains("://") {
            return wrong(text, "the method is missing".to_string(), &format!("write `GET {text}`"));
        }
        return wrong(text, format!("{} is not `METHOD URL`", quote(text)), SEND);
    };
    if !headers::is_token(method.as_bytes()) {
        return wrong(method, format!("{} is not a method", quote(method)), SEND);
    }
    let url = url.trim_start();
    if let Some((_, version)) = url.split_once(' ').filter(|(_, rest)| rest.trim_start().starts_with("HTTP/")) {
        return wrong(
            version,
            "a request has no version here".to_string(),
            "`protocol` at the top of the file says it",
        );
    }
    if let Some(bad) = url.chars().find(|c| c.is_whitespace() || c.is_control()) {
        let title = format!(
            "a URL can't hold {}",
            if bad == ' ' { "a space".to_string() } else { bad.escape_unicode().to_string() }
        );
        return wrong(url, title, "write it percent-encoded: `%20`");
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        let hint = match url.starts_with('/') {
            true => format!("a URL has a scheme and a host: `{method} http://app.test{url}`"),
            false => format!("a URL has a scheme: `{method} http://{url}`"),
        };
        return wrong(url, format!("{} is not a URL", quote(url)), &hint);
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return wrong(url, format!("{} is not a scheme", quote(&scheme)), "a URL begins with `http://` or `https://`");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('#') {
        return wrong(
            url,
            "a client never sends a fragment".to_string(),
            "remove `#` and what follows, or write `%23`",
        );
    }
    if let Err(why) = check_authority(authority) {
        return wrong(
            url,
            format!("{} is not a host: {why}", quote(authority)),
            "a URL is written `http://app.test:8080/path`",
        );
    }
    let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
    Ok(Target {
        method: Bytes::copy_from_slice(method.as_bytes()),
        scheme: Bytes::from(scheme),
        authority: Bytes::copy_from_slice(authority.as_bytes()),
        path: Bytes::from(path),
    })
}

fn check_authority(authority: &str) -> Result<(), &'static str> {
    if authority.contains('@') {
        return Err("user names are not sent in requests");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or("`]` is missing")?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| "not an IPv6 address")?;
            (address, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    if host.is_empty() {
        return Err("it is empty");
    }
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok(()),
        Some(port) if port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        Some(_) | None => Err("the port is a number up to 65535"),
    }
}

fn upstream(cx: &mut Cx, node: &Node) -> Option<Upstream> {
    match &node.value {
        Value::Text(text) if text.text == "never" => Some(Upstream::Never(node.span.clone())),
        Value::Map(_) => {
            let fields = cx.fields(node, "`upstream`", &UPSTREAM)?;
            match fields.get("fail").filter(|_| !begins(&fields)) {
                Some(fail) => cx.one_of(fail, "`fail`", FAILURES).map(Upstream::Fail),
                None => reply(cx, &fields).map(Upstream::Reply),
            }
        }
        Value::Text(text) if text.text.parse::<u64>().is_err() => {
            let problem = cx.at(&node.span, format!("`upstream` can't be {}", quote(&text.text)));
            let hint = "it is a status, `never`, or a mapping with `status`, `headers`, `body`, `trailers` or `fail`";
            cx.push(problem.hint(hint));
            None
        }
        Value::Nothing | Value::Null | Value::Text(_) | Value::List(_) => {
            callout::status(cx, node).map(|status| Upstream::Reply(Reply { status, ..Reply::default() }))
        }
    }
}

/// Whether there is an answer beside `fail`, which then breaks off.
pub(super) fn begins(fields: &Fields) -> bool {
    !fields.present(&["status", "headers", "body", "trailers"]).is_empty()
}

/// The keys of an answer.
pub(super) fn reply(cx: &mut Cx, fields: &Fields) -> Option<Reply> {
    let status = fields.get("status").map(|node| callout::status(cx, node));
    let headers = headers::of(cx, fields, "headers", Part::Response);
    let body = fields.get("body").map(|node| body::body(cx, node));
    let trailers = headers::of(cx, fields, "trailers", Part::Trailers);
    let metadata = metadata(cx, fields, body.is_some());
    let fail = fields.get("fail").map(|node| breaks(cx, node, fields));
    Some(Reply {
        status: wanted(status)?.unwrap_or(200),
        headers: headers?,
        body: wanted(body)?,
        trailers: trailers?,
        metadata: metadata?,
        fail: wanted(fail)?,
    })
}

fn breaks(cx: &mut Cx, node: &Node, fields: &Fields) -> Option<Failure> {
    let failure = cx.one_of(node, "`fail` of an answer that has begun", BREAKS)?;
    if let Some((key, _)) = fields.entry("trailers") {
        let problem = cx.at(&key.span, "`trailers` of an answer that breaks off");
        cx.push(problem.label("never come").also(node.span.clone(), "it ends here"));
        return None;
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        for (text, scheme, authority, path) in [
            ("GET http://app.test/hello?a=b", "http", "app.test", "/hello?a=b"),
            ("GET https://app.test:8443", "https", "app.test:8443", "/"),
            ("GET HTTP://[::1]:80?x", "http", "[::1]:80", "/?x"),
            ("GET http://app.test/ü%zz", "http", "app.test", "/ü%zz"),
        ] {
            let target = target(text).unwrap_or_else(|(_, title, _)| panic!("{text}: {title}"));
            assert_eq!(
                (&target.scheme[..], &target.authority[..], &target.path[..]),
                (scheme.as_bytes(), authority.as_bytes(), path.as_bytes())
            );
        }
    }
}
