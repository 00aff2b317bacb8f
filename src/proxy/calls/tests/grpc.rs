//! gRPC calls and streams.

use super::*;
use crate::host::grpc::head;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt as _;

fn request(kind: GrpcKind) -> (Arc<GrpcCall>, Headers) {
    let call = GrpcCall {
        id: CallId(5),
        upstream: Bytes::from("origin"),
        service: Bytes::from("check.Authz"),
        method: Bytes::from("Check"),
        metadata: headers(&[("x-client", "pwtest"), ("raw-bin", "\u{1}")]),
        kind,
    };
    let head = head(&call, &profile::ENVOY);
    (Arc::new(call), head)
}

fn unary(timeout_ms: u32) -> (Arc<GrpcCall>, Headers) {
    request(GrpcKind::Unary { message: Bytes::from("ask"), timeout_ms })
}

/// A service that takes one connection, and what it does with each stream.
async fn service<F, D>(serve: F) -> SocketAddr
where
    F: Fn(http_::Request<RecvStream>, SendResponse<Bytes>) -> D + 'static,
    D: Future<Output = ()> + 'static,
{
    let (listener, address) = listener().await;
    spawn_local(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = server::handshake(stream).await.expect("HTTP/2");
        while let Some(Ok((request, respond))) = connection.accept().await {
            spawn_local(serve(request, respond));
        }
    });
    address
}

use ::http as http_;

fn ok() -> http_::Response<()> {
    http_::Response::builder().header("content-type", "application/grpc").body(()).expect("a response")
}

fn status(code: &'static str) -> http_::HeaderMap {
    let status = (http_::HeaderName::from_static("grpc-status"), http_::HeaderValue::from_static(code));
    [status].into_iter().collect()
}

/// All that the plugin sent, to its end.
async fn all(body: &mut RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.expect("a piece");
        let _ = body.flow_control().release_capacity(piece.len());
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// One line for each piece.
async fn next(came: &mut UnboundedReceiver<(CallId, Came)>) -> String {
    let (id, what) = came.recv().await.expect("an answer");
    assert_eq!(id, CallId(7));
    let Came::Grpc(input) = what else { return "not gRPC".to_owned() };
    match input {
        GrpcInput::Headers { headers, end_of_stream } => {
            format!("headers {} {end_of_stream}", text(&headers).join(", "))
        }
        GrpcInput::Data { bytes, end_of_stream } => {
            format!("data {:?} {end_of_stream}", String::from_utf8_lossy(&bytes))
        }
        GrpcInput::Trailers(trailers) => format!("trailers {}", text(&trailers).join(", ")),
        GrpcInput::Failed(failure) => format!("{failure:?}"),
    }
}

const HEAD: &str = "headers :status: 200, content-type: application/grpc false";

// abi.md 8.2, and ENVOY.md 30 for what is on the wire.
#[test]
fn a_call() {
    run(async {
        let address = service(|request, mut respond| async move {
            let (head, mut body) = request.into_parts();
            assert_eq!(
                (head.method.as_str(), head.uri.to_string().as_str()),
                ("POST", "http://origin/check.Authz/Check")
            );
            let sent: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            let expected: [(&str, &[u8]); 5] = [
                ("te", b"trailers"),
                ("grpc-timeout", b"20000m"),
                ("content-type", b"application/grpc"),
                ("x-client", b"pwtest"),
                ("raw-bin", b"AQ=="),
            ];
            assert_eq!(sent, expected);
            assert_eq!(all(&mut body).await, b"\0\0\0\0\x03ask");
            let mut out = respond.send_response(ok(), false).expect("taken");
            out.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), false).expect("taken");
            out.send_trailers(status("0")).expect("taken");
        })
        .await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        // The second one goes by the same connection: the service takes only one.
        for _ in 0..2 {
            let (call, head) = unary(20_000);
            calls.grpc(CallId(7), call, head);
            assert_eq!(next(&mut came).await, HEAD);
            assert_eq!(next(&mut came).await, "data \"\\0\\0\\0\\0\\u{2}hi\" false");
            assert_eq!(next(&mut came).await, "trailers grpc-status: 0");
            assert_eq!(calls.under_way(), 0);
        }
    });
}

#[test]
fn a_stream() {
    run(async {
        let address = service(|request, mut respond| async move {
            let mut body = request.into_body();
            let mut out = respond.send_response(ok(), false).expect("taken");
            let first = body.data().await.expect("a message").expect("whole");
            assert_eq!(first, "\0\0\0\0\u{3}one");
            out.send_data(Bytes::from_static(b"\0\0\0\0\x01"), false).expect("taken");
            assert_eq!(all(&mut body).await, b"\0\0\0\0\x03two");
            out.send_data(Bytes::from_static(b"a"), false).expect("taken");
            out.send_trailers(status("5")).expect("taken");
        })
        .await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        let (call, head) = request(GrpcKind::Stream);
        assert!(head.get(b"grpc-timeout").is_none());
        calls.grpc(CallId(7), call, head);
        assert_eq!(next(&mut came).await, HEAD);
        calls.grpc_send(CallId(7), Some(b"one"), false);
        assert_eq!(next(&mut came).await, "data \"\\0\\0\\0\\0\\u{1}\" false");
        calls.grpc_send(CallId(7), Some(b"two"), false);
        calls.grpc_send(CallId(7), None, true);
        assert_eq!(next(&mut came).await, "data \"a\" false");
        assert_eq!(next(&mut came).await, "trailers grpc-status: 5");
        // What comes too late is dropped.
        calls.grpc_send(CallId(7), Some(b"late"), false);
        calls.grpc_cancel(CallId(7));
    });
}

#[test]
fn messages_larger_than_the_window() {
    const SIZE: usize = 1 << 20;
    run(async {
        let address = service(|request, mut respond| async move {
            let sent = all(&mut request.into_body()).await;
            let mut out = respond.send_response(ok(), false).expect("taken");
            out.send_data(sent.into(), false).expect("taken");
            out.send_trailers(status("0")).expect("taken");
        })
        .await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        let (call, head) = request(GrpcKind::Unary { message: vec![b'x'; SIZE].into(), timeout_ms: 0 });
        calls.grpc(CallId(7), call, head);
        let mut back = 0;
        loop {
            match came.recv().await.expect("an answer").1 {
                Came::Grpc(GrpcInput::Headers { end_of_stream: false, .. }) => {}
                Came::Grpc(GrpcInput::Data { bytes, .. }) => back += bytes.len(),
                Came::Grpc(GrpcInput::Trailers(_)) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(back, SIZE + 5);
    });
}

// ENVOY.md 30: trailers only, and an answer without them.
#[test]
fn ends() {
    run(async {
        let address = service(|_, mut respond| async move {
            let mut response = ok();
            response.headers_mut().extend(status("7"));
            respond.send_response(response, true).expect("taken");
        })
        .await;
        let (denied, mut came) = calls(&profile::ENVOY, address);
        let (call, head) = unary(0);
        denied.grpc(CallId(7), call, head);
        assert_eq!(next(&mut came).await, "headers :status: 200, content-type: application/grpc, grpc-status: 7 true");

        let address = service(|_, mut respond| async move {
            let mut out = respond.send_response(ok(), false).expect("taken");
            out.send_data(Bytes::new(), true).expect("taken");
        })
        .await;
        let (silent, mut came) = calls(&profile::ENVOY, address);
        let (call, head) = unary(0);
        silent.grpc(CallId(7), call, head);
        assert_eq!(next(&mut came).await, HEAD);
        // The end may come with a piece of its own before.
        let mut last = next(&mut came).await;
        if last == "data \"\" false" {
            last = next(&mut came).await;
        }
        assert_eq!(last, "data \"\" true");
    });
}

#[test]
fn failures() {
    run(async {
        let failed = |address: SocketAddr, timeout_ms: u32| async move {
            let (calls, mut came) = calls(&profile::ENVOY, address);
            let (call, head) = unary(timeout_ms);
            calls.grpc(CallId(7), call, head);
            next(&mut came).await
        };
        assert_eq!(failed(nobody().await, 20_000).await, "Refused");
        let mute = service(|_, respond| async move {
            let _open = respond;
            std::future::pending::<()>().await;
        })
        .await;
        assert_eq!(failed(mute, 50).await, "TimedOut");
        let resets = service(|_, mut respond| async move { respond.send_reset(Reason::INTERNAL_ERROR) }).await;
        assert_eq!(failed(resets, 20_000).await, "Reset");

        let (listener, garbage) = listener().await;
        spawn_local(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(b"this is no HTTP/2, whatever it is\r\n\r\n").await.expect("taken");
            std::future::pending::<()>().await;
        });
        assert_eq!(failed(garbage, 20_000).await, "Garbage");
    });
}

// abi.md 8.2: a cancel resets, and no callback follows.
#[test]
fn a_cancel_is_a_reset() {
    run(async {
        let (told, mut seen) = unbounded_channel();
        let address = service(move |request, mut respond| {
            let told = told.clone();
            async move {
                let _request = request;
                let mut out = respond.send_response(ok(), false).expect("taken");
                let reason = poll_reset(&mut out).await;
                told.send(reason).expect("somebody listens");
            }
        })
        .await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        let (call, head) = request(GrpcKind::Stream);
        calls.grpc(CallId(7), call, head);
        assert_eq!(next(&mut came).await, HEAD);
        calls.grpc_cancel(CallId(7));
        assert_eq!(calls.under_way(), 0);
        assert_eq!(seen.recv().await, Some(Reason::CANCEL));
        assert!(came.try_recv().is_err());
    });
}

async fn poll_reset(out: &mut h2::SendStream<Bytes>) -> Reason {
    std::future::poll_fn(|cx| out.poll_reset(cx)).await.expect("a reset")
}

// A service that takes nothing must not make the proxy keep everything.
#[test]
fn a_stream_that_nobody_reads_breaks() {
    run(async {
        let address = service(|request, mut respond| async move {
            let _request = request;
            let _out = respond.send_response(ok(), false).expect("taken");
            std::future::pending::<()>().await;
        })
        .await;
        let (calls, mut came) = calls(&profile::ENVOY, address);
        let (call, head) = request(GrpcKind::Stream);
        calls.grpc(CallId(7), call, head);
        assert_eq!(next(&mut came).await, HEAD);
        let message = vec![b'x'; 1 << 20];
        for _ in 0..=MOST_WAITING >> 20 {
            calls.grpc_send(CallId(7), Some(&message), false);
        }
        assert_eq!(next(&mut came).await, "Reset");
        assert_eq!(calls.under_way(), 0);
    });
}
