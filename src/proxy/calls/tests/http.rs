//! HTTP calls.

use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn call(upstream: &str, pairs: &[(&'static str, &'static str)], body: &'static str, timeout_ms: u32) -> Arc<HttpCall> {
    Arc::new(HttpCall {
        id: CallId(4),
        upstream: Bytes::from(upstream.to_owned()),
        headers: headers(pairs),
        body: Bytes::from(body),
        trailers: headers(&[("x-end", "1")]),
        timeout_ms,
    })
}

const GET: [(&str, &str); 3] = [(":method", "GET"), (":path", "/check"), (":authority", "authz")];

/// A request as it came, whose head and body have to be all there.
async fn read(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a number")) {
                return text;
            }
        }
        let mut buffer = [0; 4096];
        let count = stream.read(&mut buffer).await.expect("more of the request");
        assert_ne!(count, 0, "the request ends in the middle: {text}");
        all.extend_from_slice(&buffer[..count]);
    }
}

/// How an origin ends its answer.
enum End {
    Keep,
    Close,
    Reset,
}

/// An origin that answers one request on one connection. Gives what it was asked.
async fn origin(answer: Vec<u8>, end: End) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let (listener, address) = listener().await;
    let origin = spawn_local(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let request = read(&mut stream).await;
        stream.write_all(&answer).await.expect("it takes the answer");
        match end {
            End::Keep => drop(stream.read(&mut [0; 1]).await),
            End::Close => {}
            End::Reset => {
                // What was written has to be there first: a reset overtakes it.
                tokio::time::sleep(Duration::from_millis(100)).await;
                stream.set_zero_linger().expect("a socket");
            }
        }
        request
    });
    (address, origin)
}

async fn made(calls: &Calls, came: &mut UnboundedReceiver<(CallId, Came)>, call: Arc<HttpCall>) -> CallResult {
    calls.http(CallId(9), call);
    let (id, Came::Http(result)) = came.recv().await.expect("an answer") else { panic!("not an HTTP call") };
    assert_eq!((id, calls.under_way()), (CallId(9), 0));
    result
}

async fn answered(profile: &'static Profile, answer: &[u8], end: End) -> CallResult {
    let (address, _origin) = origin(answer.to_vec(), end).await;
    let (calls, mut came) = calls(profile, address);
    let upstream = if profile.knows_upstreams { "origin".to_owned() } else { address.to_string() };
    made(&calls, &mut came, call(&upstream, &GET, "", 20_000)).await
}

// abi.md 8.1: content-length for a non-empty body, in place of the plugin's; ENVOY.md 9: the head as it is written.
#[test]
fn what_goes_out() {
    run(async {
        let (address, origin) = origin(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), End::Keep).await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        let pairs = [
            (":method", "POST"),
            (":path", "/a?b=c"),
            (":authority", "authz.test"),
            ("host", "other"),
            ("X-A", "1"),
            ("content-length", "99"),
            ("transfer-encoding", "chunked"),
            ("x-a", "2"),
        ];
        let result = made(&calls, &mut came, call("origin", &pairs, "abc", 20_000)).await;
        assert!(matches!(result, CallResult::Response { .. }), "{result:?}");
        drop(calls);
        let request = origin.await.expect("a request");
        assert_eq!(
            request,
            "POST /a?b=c HTTP/1.1\r\nhost: authz.test\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 3\r\n\r\nabc"
        );
    });
}

// apisix.md 4.3: a slash goes before a path that has none.
#[test]
fn a_path_begins_with_a_slash() {
    run(async {
        for (path, target) in [("a", "/a"), ("a?b=c", "/a?b=c"), ("", "/"), ("http://b/c", "/http://b/c")] {
            let (address, origin) = origin(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), End::Keep).await;
            let (calls, mut came) = calls(&profile::APISIX, address);
            let pairs = [(":method", "GET"), (":path", path), (":authority", "a")];
            let result = made(&calls, &mut came, call(&address.to_string(), &pairs, "", 20_000)).await;
            assert!(matches!(result, CallResult::Response { .. }), "{path}: {result:?}");
            drop(calls);
            let request = origin.await.expect("a request");
            assert_eq!(request, format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"));
        }
    });
}

// ENVOY.md 9: `:status` first, then the headers as they came, then the milliseconds it took.
#[test]
fn a_response_is_handed_over_whole() {
    run(async {
        let answer = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nx-a: 2\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\nX-T: z\r\n\r\n";
        let CallResult::Response { headers, body, trailers } = answered(&profile::ENVOY, answer, End::Keep).await
        else {
            panic!("no response")
        };
        let headers = text(&headers);
        let (last, first) = headers.split_last().expect("headers");
        assert_eq!(first, [":status: 200", "x-a: 1", "x-a: 2", "transfer-encoding: chunked"]);
        assert!(last.starts_with("x-envoy-upstream-service-time: "), "{last}");
        assert_eq!(body, "hi!");
        assert_eq!(text(&trailers), ["x-t: z"]);
    });
}

#[test]
fn a_response_that_ends_with_its_connection() {
    run(async {
        let result = answered(&profile::APISIX, b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nnothing", End::Close).await;
        let CallResult::Response { headers, body, .. } = result else { panic!("{result:?}") };
        assert_eq!(text(&headers), [":status: 404", "a: b"]);
        assert_eq!(body, "nothing");
    });
}

// The bound that is documented: 32 MiB.
#[test]
fn large_responses() {
    run(async {
        let answer = |size: usize| {
            let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n").into_bytes();
            answer.resize(answer.len() + size, b'x');
            answer
        };
        let result = answered(&profile::ENVOY, &answer(8 << 20), End::Keep).await;
        let CallResult::Response { body, .. } = result else { panic!("no response") };
        assert_eq!(body.len(), 8 << 20);
        let (address, _origin) =
            origin(b"HTTP/1.1 200 OK\r\ncontent-length: 33554433\r\n\r\n".to_vec(), End::Keep).await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        let result = made(&calls, &mut came, call("origin", &GET, "", 20_000)).await;
        assert!(matches!(result, CallResult::ResetInResponse), "{result:?}");
    });
}

// The rows of abi.md 8.1's table of failures.
#[test]
fn failures() {
    run(async {
        let envoy = &profile::ENVOY;
        let result = answered(envoy, b"this is no HTTP, whatever it is\r\n\r\n", End::Keep).await;
        assert!(matches!(result, CallResult::Garbage), "{result:?}");
        let result = answered(envoy, b"", End::Close).await;
        assert!(matches!(result, CallResult::ResetBeforeResponse), "{result:?}");
        let result = answered(envoy, b"HTTP/1.1 200 OK\r\nx-", End::Reset).await;
        assert!(matches!(result, CallResult::ResetBeforeResponse), "{result:?}");
        let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        let result = answered(envoy, begun, End::Close).await;
        assert!(matches!(result, CallResult::ResetInResponse), "{result:?}");
        let result = answered(envoy, begun, End::Reset).await;
        assert!(matches!(result, CallResult::ResetInResponse), "{result:?}");

        let (calls, mut came) = calls(envoy, nobody().await);
        let result = made(&calls, &mut came, call("origin", &GET, "", 20_000)).await;
        assert!(matches!(result, CallResult::Refused), "{result:?}");
        // The host core refuses these at once; nobody is called by chance.
        let result = made(&calls, &mut came, call("127.0.0.1:80", &GET, "", 20_000)).await;
        assert!(matches!(result, CallResult::Refused), "{result:?}");
        let unwritable = [(":method", "GET"), (":path", "/"), (":authority", "a"), ("x", "a\r\nb: c")];
        let result = made(&calls, &mut came, call("origin", &unwritable, "", 20_000)).await;
        assert!(matches!(result, CallResult::ResetBeforeResponse), "{result:?}");
    });
}

// abi.md 8.1: milliseconds over all of the call; ENVOY.md 9: after the head it is a reset. apisix.md 4.3: for each step.
#[test]
fn timeouts() {
    run(async {
        let timed = |profile: &'static Profile, answer: &'static [u8]| async move {
            let (address, _origin) = origin(answer.to_vec(), End::Keep).await;
            let (calls, mut came) = calls(profile, address);
            let upstream = if profile.knows_upstreams { "origin".to_owned() } else { address.to_string() };
            made(&calls, &mut came, call(&upstream, &GET, "", 50)).await
        };
        let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
        assert!(matches!(timed(&profile::ENVOY, b"").await, CallResult::TimedOut));
        assert!(matches!(timed(&profile::ENVOY, half).await, CallResult::ResetInResponse));
        assert!(matches!(timed(&profile::APISIX, b"").await, CallResult::TimedOut));
        assert!(matches!(timed(&profile::APISIX, half).await, CallResult::TimedOut));
    });
}

#[test]
fn a_connection_is_used_again_until_it_is_closed() {
    run(async {
        let (listener, address) = listener().await;
        let origin = spawn_local(async move {
            let mut served = Vec::new();
            for most in [2, 1] {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                for _ in 0..most {
                    read(&mut stream).await;
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it is taken");
                }
                served.push(most);
            }
            served
        });
        let (calls, mut came) = calls(&profile::ENVOY, address);
        for _ in 0..3 {
            let result = made(&calls, &mut came, call("origin", &GET, "", 20_000)).await;
            assert!(matches!(result, CallResult::Response { .. }), "{result:?}");
            // The connection is kept, or found closed, by tasks of their own.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(origin.await.expect("it served"), [2, 1]);
    });
}

// A call whose exchange or VM is gone is broken off: the origin sees its connection end.
#[test]
fn what_nobody_waits_for_is_broken_off() {
    run(async {
        let (listener, address) = listener().await;
        let origin = spawn_local(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            read(&mut stream).await;
            stream.read(&mut [0; 1]).await.unwrap_or(0)
        });
        let (calls, mut came) = calls(&profile::ENVOY, address);
        calls.http(CallId(9), call("origin", &GET, "", 0));
        let mut world = World::default();
        calls.stop_given_up(&world);
        assert_eq!(calls.under_way(), 1);
        // Time for the request to come through.
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.calls_given_up += 1;
        calls.stop_given_up(&world);
        assert_eq!(calls.under_way(), 0);
        assert_eq!(origin.await.expect("it served"), 0);
        assert!(came.try_recv().is_err());
    });
}

#[test]
fn there_is_an_end_to_calls_at_once() {
    run(async {
        let (_listener, address) = listener().await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        for id in 0..=MOST {
            calls.http(CallId(id as u32), call("origin", &GET, "", 0));
        }
        let (id, Came::Http(CallResult::Refused)) = came.recv().await.expect("an answer") else {
            panic!("not refused")
        };
        assert_eq!((id, calls.under_way()), (CallId(MOST as u32), MOST));
    });
}
