//! The access log: one line for each request that was answered, in APISIX's format, or an object of JSON.
//!
//! The format is APISIX's `access_log_format` as it is without a configuration, with nginx's escapes, so a line can't
//! be forged by what a client sends.

use super::log::{Destination, ErrorLog, Form, Format, Object, Severity, Sink, now, put};
use super::{Access, Try};
use std::cell::RefCell;
use std::io;
use std::time::Duration;

/// The access log.
#[derive(Clone)]
pub struct AccessLog {
    sink: Sink,
    format: Format,
}

thread_local! {
    /// The line that is being made.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl AccessLog {
    /// Opens it. How many lines were dropped is told to the error log: here are records only.
    pub fn start(destination: Destination, format: Format, errors: ErrorLog) -> io::Result<Self> {
        let dropped = move |count: u64, _: &mut Vec<u8>| {
            let message =
                format!("{count} lines of the access log were dropped: they came faster than they could be written");
            errors.say(Severity::Alert, &message);
        };
        Ok(Self { sink: Sink::start("access", destination, Box::new(dropped))?, format })
    }

    /// Writes a line.
    pub fn write(&self, access: &Access<'_>) {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            match self.format {
                Format::Text => text(access, scratch),
                Format::Json => json(access, scratch),
            }
            self.sink.write(scratch);
        });
    }

    /// Where it goes.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Writes what is there; `false` when there was no time for it.
    pub fn stop(&self, within: Duration) -> bool {
        self.sink.stop(within)
    }
}

/// `$remote_addr - $remote_user [$time_local] $http_host "$request" $status $body_bytes_sent $request_time "$http_referer"
/// "$http_user_agent" $upstream_addr $upstream_status $upstream_response_time
/// "$upstream_scheme://$upstream_host$upstream_uri"`, where APISIX's `$upstream_uri` is empty unless something rewrote it,
/// and `$remote_user` is never known here.
fn text(access: &Access<'_>, out: &mut Vec<u8>) {
    put(out, format_args!("{} - - [", access.client.ip()));
    now(Form::AccessLog, out);
    out.extend_from_slice(b"] ");
    optional(Some(access.authority), out);
    out.extend_from_slice(b" \"");
    if access.method.is_empty() {
        escaped(access.target, out);
    } else {
        for (part, end) in [(access.method, " "), (access.target, " "), (access.protocol.as_bytes(), "")] {
            escaped(part, out);
            out.extend_from_slice(end.as_bytes());
        }
    }
    out.extend_from_slice(b"\" ");
    put(out, format_args!("{} {} {} \"", status(access), access.sent, Seconds(access.took)));
    optional(header(access, b"referer"), out);
    out.extend_from_slice(b"\" \"");
    optional(header(access, b"user-agent"), out);
    out.extend_from_slice(b"\" ");
    each(access.tries, out, |tried, out| put(out, format_args!("{}", tried.address)));
    out.push(b' ');
    each(access.tries, out, |tried, out| match tried.status {
        Some(status) => put(out, format_args!("{status}")),
        None => out.push(b'-'),
    });
    out.push(b' ');
    each(access.tries, out, |tried, out| put(out, format_args!("{}", Seconds(tried.time))));
    out.extend_from_slice(b" \"http://");
    escaped(if access.upstream_host.is_empty() { access.authority } else { access.upstream_host }, out);
    out.extend_from_slice(b"\"\n");
}

fn json(access: &Access<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.time();
    object.text("client", access.client.ip().to_string().as_bytes());
    object.text("host", access.authority);
    let (method, target) = (String::from_utf8_lossy(access.method), String::from_utf8_lossy(access.target));
    object.text("request", format!("{method} {target} {}", access.protocol).trim().as_bytes());
    object.number("status", status(access));
    object.number("body_bytes_sent", access.sent);
    object.number("body_bytes_received", access.received);
    object.number("request_time", Seconds(access.took));
    for (name, value) in [("referrer", header(access, b"referer")), ("user_agent", header(access, b"user-agent"))] {
        if let Some(value) = value {
            object.text(name, value);
        }
    }
    let tried = |tried: &Try| {
        let time = (tried.time.as_secs_f64() * 1e3).floor() / 1e3;
        serde_json::json!({ "address": tried.address.to_string(), "status": tried.status, "time": time })
    };
    let tries: Vec<_> = access.tries.iter().map(tried).collect();
    object.raw("upstreams", &serde_json::Value::from(tries).to_string());
    object.close();
}

/// nginx's 499 stands for a client that did not wait.
fn status(access: &Access<'_>) -> u16 {
    access.status.unwrap_or(499)
}

fn header<'a>(access: &'a Access<'_>, name: &[u8]) -> Option<&'a [u8]> {
    access.headers.get(name).map(|value| &value[..])
}

/// `0.004`
struct Seconds(Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0.as_secs(), self.0.subsec_millis())
    }
}

fn each(tries: &[Try], out: &mut Vec<u8>, write: impl Fn(&Try, &mut Vec<u8>)) {
    if tries.is_empty() {
        out.push(b'-');
    }
    for (nth, tried) in tries.iter().enumerate() {
        if nth > 0 {
            out.extend_from_slice(b", ");
        }
        write(tried, out);
    }
}

fn optional(value: Option<&[u8]>, out: &mut Vec<u8>) {
    match value {
        Some(value) if !value.is_empty() => escaped(value, out),
        Some(_) | None => out.push(b'-'),
    }
}

/// nginx's `escape=default`.
fn escaped(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        match byte {
            b'"' | b'\\' | 0..=0x1f | 0x7f..=0xff => put(out, format_args!("\\x{byte:02X}")),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Headers;
    use std::net::SocketAddr;

    fn headers() -> Headers {
        let mut headers = Headers::new();
        headers.append("User-Agent", &b"curl/8\n\\\xe9"[..]);
        headers
    }

    fn access<'a>(headers: &'a Headers, tries: &'a [Try]) -> Access<'a> {
        Access {
            worker: 0,
            host: crate::host::store::HostId(0),
            exchange: crate::abi::ExchangeId(1),
            client: SocketAddr::from(([172, 19, 0, 1], 5000)),
            server: SocketAddr::from(([127, 0, 0, 1], 9080)),
            method: b"GET",
            target: b"/anything?a=\"b",
            protocol: "HTTP/1.1",
            authority: b"127.0.0.1:9080",
            headers,
            status: Some(200),
            sent: 12,
            received: 3,
            took: Duration::from_micros(4_900),
            tries,
            upstream_host: b"",
            aborted: false,
        }
    }

    /// A line without its time.
    fn timeless(text: &[u8]) -> String {
        let pattern = regex::Regex::new(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]").expect("a pattern");
        let text = String::from_utf8(text.to_vec()).expect("ASCII");
        assert!(pattern.is_match(&text), "{text}");
        pattern.replace(&text, "[T]").into_owned()
    }

    // APISIX's format, nginx's escapes.
    #[test]
    fn a_line_of_apisix() {
        let address = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let tries = [
            Try { address: address(1), status: Some(502), time: Duration::ZERO },
            Try { address: address(2), status: Some(200), time: Duration::from_millis(1_003) },
        ];
        let mut out = Vec::new();
        text(&access(&headers(), &tries), &mut out);
        assert_eq!(
            timeless(&out),
            "172.19.0.1 - - [T] 127.0.0.1:9080 \"GET /anything?a=\\x22b HTTP/1.1\" 200 12 0.004 \"-\" \
             \"curl/8\\x0A\\x5C\\xE9\" 10.0.0.1:1, 10.0.0.1:2 502, 200 0.000, 1.003 \"http://127.0.0.1:9080\"\n"
        );
        out.clear();
        text(&access(&headers(), &[]), &mut out);
        assert!(timeless(&out).contains("\\xE9\" - - - \"http://"));
    }

    #[test]
    fn an_object_of_json() {
        let tries =
            [Try { address: SocketAddr::from(([10, 0, 0, 1], 1)), status: None, time: Duration::from_millis(7) }];
        let mut out = Vec::new();
        json(&access(&headers(), &tries), &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(value["status"], 200);
        assert_eq!(value["request_time"], 0.004);
        assert_eq!(value["user_agent"], "curl/8\n\\\u{fffd}");
        assert_eq!(value["upstreams"][0]["address"], "10.0.0.1:1");
        assert_eq!(value["upstreams"][0]["status"], serde_json::Value::Null);
        assert_eq!(value["upstreams"][0]["time"], 0.007);
    }
}
