//! Section 7.4 (to the upstream) and 3.5, 7.4 (to the client).

use super::super::config::samples::{node, upstream};
use super::super::facts::tests::{facts, headers};
use super::*;

fn to<'a>(upstream: &'a Upstream, node: &'a Node) -> Destination<'a> {
    Destination { upstream, node, websocket: Websocket::Refused, passed_host: PassedHost::AsSent }
}

fn text(headers: &Headers) -> Vec<String> {
    let utf8 = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| format!("{}: {}", utf8(name), utf8(value))).collect()
}

/// 7.4: the tutorial's request; `pass_host` is `pass`.
#[test]
fn a_request_says_who_sent_it() {
    let pairs = [
        (":method", "GET"),
        (":path", "/anything"),
        (":authority", "127.0.0.1:9080"),
        (":scheme", "http"),
        ("host", "127.0.0.1:9080"),
        ("accept", "*/*"),
    ];
    let headers = headers(&pairs);
    let facts = facts("GET", "/anything", "127.0.0.1:9080", &headers);
    let (upstream, node) = (upstream(None, 80), node("httpbin.org", 80, 1));
    let expected = [
        ":method: GET",
        ":path: /anything",
        ":scheme: http",
        ":authority: 127.0.0.1:9080",
        "host: 127.0.0.1:9080",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: 127.0.0.1",
        "x-forwarded-port: 9080",
        "accept: */*",
    ];
    assert_eq!(text(&request(&headers, &facts, &to(&upstream, &node))), expected);
}

/// 7.4: `X-Forwarded-For` is appended to; what the client says of the rest stays.
#[test]
fn what_proxies_before_said_is_kept() {
    let headers = headers(&[
        ("X-Forwarded-For", "10.0.0.1"),
        ("x-forwarded-for", "10.0.0.2, 10.0.0.3"),
        ("x-real-ip", "10.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "Front.com:1"),
        ("x-forwarded-port", "443"),
    ]);
    let facts = facts("GET", "/", "foo.com", &headers);
    let (upstream, node) = (upstream(None, 80), node("n", 80, 1));
    let expected = [
        ":authority: foo.com",
        "host: foo.com",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-for: 10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: Front.com:1",
        "x-forwarded-port: 443",
    ];
    assert_eq!(text(&request(&headers, &facts, &to(&upstream, &node))), expected);
}

/// 7.4: `pass_host` is pass, node or rewrite. A node's port is left out where it is the scheme's.
#[test]
fn the_host_that_the_upstream_sees() {
    let headers = headers(&[("host", "changed.by.plugin")]);
    let facts = facts("GET", "/", "Foo.com:9080", &headers);
    let host = |pass_host: PassHost, node: Node| {
        let upstream = Upstream { pass_host, ..upstream(None, 80) };
        let sent = request(&headers, &facts, &to(&upstream, &node));
        assert_eq!(sent.get(b":authority"), sent.get(b"host"));
        assert_eq!(sent.get_all(b"host").count(), 1);
        String::from_utf8_lossy(sent.get(b"host").expect("a host")).into_owned()
    };
    assert_eq!(host(PassHost::Pass, node("n", 80, 1)), "Foo.com:9080");
    assert_eq!(host(PassHost::Node, node("n", 80, 1)), "n");
    assert_eq!(host(PassHost::Node, node("n", 1980, 1)), "n:1980");
    assert_eq!(host(PassHost::Node, node("::1", 1980, 1)), "[::1]:1980");
    assert_eq!(host(PassHost::Rewrite("bar.com".to_owned()), node("n", 80, 1)), "bar.com");
}

/// 7.4: `Connection` is empty unless websocket; so is what belongs to the client's connection (RFC 9110, 7.6.1).
#[test]
fn headers_of_one_connection_stay_behind() {
    let headers = headers(&[
        ("connection", "keep-alive, X-Mine"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip, Trailers"),
        ("expect", "100-continue"),
        ("x-mine", "1"),
        ("content-length", "5"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("x-last", "1"),
    ]);
    let facts = facts("POST", "/", "h", &headers);
    let (upstream, node) = (upstream(None, 80), node("n", 80, 1));
    let sent = request(&headers, &facts, &to(&upstream, &node));
    assert_eq!(text(&sent)[7..], ["te: trailers", "content-length: 5", "x-last: 1", "cookie: a=1; b=2"]);
    let enabled = Destination { websocket: Websocket::Enabled, ..to(&upstream, &node) };
    let sent = request(&headers, &facts, &enabled);
    assert_eq!(sent.get(b"upgrade").map(|v| &v[..]), Some(&b"websocket"[..]));
    assert_eq!(sent.get(b"connection").map(|v| &v[..]), Some(&b"keep-alive, X-Mine"[..]));
}

/// A client of HTTP/1.0 may say no host.
#[test]
fn no_host_is_no_host() {
    let headers = Headers::new();
    let facts = facts("GET", "/", "", &headers);
    let (upstream, node) = (upstream(None, 80), node("n", 80, 1));
    let sent = request(&headers, &facts, &to(&upstream, &node));
    assert!(sent.get(b"host").is_none() && sent.get(b":authority").is_none());
    assert_eq!(sent.get(b"x-forwarded-host").map(|v| &v[..]), Some(&b"_"[..]));
}

/// gRPC goes through a location of its own in APISIX's nginx.conf: it sets host, content type and `TE`, and adds no
/// client.
#[test]
fn grpc_is_sent_as_grpc() {
    let headers = headers(&[("content-type", "application/grpc+proto"), ("x-a", "1")]);
    let facts = facts("POST", "/", "h", &headers);
    let upstream = Upstream { scheme: Scheme::Grpc, ..upstream(None, 80) };
    let node = node("n", 80, 1);
    let expected = [":authority: h", "host: h", "content-type: application/grpc", "te: trailers", "x-a: 1"];
    assert_eq!(text(&request(&headers, &facts, &to(&upstream, &node))), expected);
}

/// 3.5: `Server: APISIX/VERSION` always; what nginx and the connection had among themselves is dropped.
#[test]
fn a_response_says_which_server_it_is() {
    let mut answer = headers(&[
        ("server", "upstream"),
        ("connection", "x-mine"),
        ("x-mine", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("x-accel-redirect", "/x"),
        ("date", "d"),
    ]);
    response(&mut answer, &[200], UpstreamStatus::OnError);
    assert_eq!(text(&answer), ["server: APISIX/3.11.0", "date: d"]);
    let mut own = Headers::new();
    response(&mut own, &[], UpstreamStatus::Always);
    assert_eq!(text(&own), ["server: APISIX/3.11.0"]);
}

/// 7.4: a 5xx of the upstream is told; with several tries each is, if the last one failed (APISIX's
/// t/node/upstream-status-5xx.t).
#[test]
fn the_status_of_the_upstream() {
    let status = |tries: &[u16], show| {
        let mut answer = Headers::new();
        response(&mut answer, tries, show);
        answer.get(b"x-apisix-upstream-status").map(|value| String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(status(&[200], UpstreamStatus::OnError), None);
    assert_eq!(status(&[404], UpstreamStatus::OnError), None);
    assert_eq!(status(&[500], UpstreamStatus::OnError).as_deref(), Some("500"));
    assert_eq!(status(&[504], UpstreamStatus::OnError).as_deref(), Some("504"));
    assert_eq!(status(&[502, 502, 502], UpstreamStatus::OnError).as_deref(), Some("502, 502, 502"));
    assert_eq!(status(&[502, 200], UpstreamStatus::OnError), None);
    assert_eq!(status(&[200], UpstreamStatus::Always).as_deref(), Some("200"));
}
