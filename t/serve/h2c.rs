//! HTTP/2 without TLS, by clients that know beforehand.

use super::ends::{Heard, Origin, PATIENCE, Peer, eventually, plain, plugin, settings, start, upstream};
use super::{holds, named, same};
use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use pwtest::host::profile::ENVOY;
use pwtest::proxy::{Access, Observer, Running};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    named(&[
        ("HTTP/2 without TLS", one_stream),
        ("HTTP/2: streams side by side, bodies and trailers", streams),
        ("HTTP/2: responses have a date", dated),
        ("HTTP/2: what is refused is answered, and heard of", refused),
        ("HTTP/2: a stream that is broken off takes its contexts with it", reset),
        ("HTTP/2: who takes nothing of a response is given up", takes_nothing),
        ("HTTP/2: who asks for nothing more is sent away", says_nothing),
        ("HTTP/2: responses come to their end while the server stops", stops),
        ("HTTP/2: what is left of a request does not reset its answer", left_over),
    ])
}

fn run<T>(test: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await? })
}

async fn connect(server: &Running) -> Result<h2::client::SendRequest<Bytes>, Failed> {
    let io = tokio::net::TcpStream::connect(server.listening()[0]).await?;
    let (client, connection) = h2::client::handshake(io).await?;
    tokio::spawn(connection);
    Ok(client.ready().await?)
}

fn request(method: &str, path: &str) -> http::Request<()> {
    let uri = format!("http://app.test{path}");
    http::Request::builder().method(method).uri(uri).header("x-one", "1").body(()).expect("a request")
}

async fn body(mut stream: h2::RecvStream) -> Result<(Vec<u8>, Option<http::HeaderMap>), Failed> {
    let mut all = Vec::new();
    while let Some(bytes) = stream.data().await {
        let bytes = bytes?;
        stream.flow_control().release_capacity(bytes.len())?;
        all.extend_from_slice(&bytes);
    }
    Ok((all, stream.trailers().await?))
}

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nX-Origin: a\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n";

fn one_stream() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let plugins = vec![plugin("rust/header.wasm", &ENVOY, "hello")];
    let server = start(settings(), &ENVOY, plugins, upstream(&[origin.address]));
    run(async {
        let mut client = connect(&server).await?;
        let (response, _) = client.send_request(request("GET", "/a?b"), true)?;
        let response = response.await?;
        same(response.status().as_u16(), 200)?;
        same(response.headers().get("x-origin").map(|value| value.as_bytes()), Some(&b"a"[..]))?;
        same(response.headers().get("x-done").map(|value| value.as_bytes()), Some(&b"1"[..]))?;
        holds(!response.headers().contains_key("transfer-encoding"), "HTTP/2 has no such header")?;
        let (bytes, trailers) = body(response.into_body()).await?;
        same(bytes, b"hello".to_vec())?;
        same(trailers.and_then(|t| t.get("x-sum").cloned()).map(|v| v.as_bytes().to_vec()), Some(b"7".to_vec()))
    })?;
    let (head, _) = seen.lock().expect("requests").pop().ok_or("the origin should have seen it")?;
    holds(head.starts_with("GET /a?b HTTP/1.1\r\nhost: app.test\r\nx-one: 1\r\n"), &head)
}

fn streams() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        loop {
            let head = peer.until("\r\n\r\n");
            if head.is_empty() {
                return;
            }
            let chunks = peer.until("\r\n0\r\n\r\n");
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{chunks}", chunks.len()));
        }
    });
    let server = start(settings(), &ENVOY, Vec::new(), upstream(&[origin.address]));
    run(async {
        let mut client = connect(&server).await?;
        let mut waiting = Vec::new();
        for at in 0..20 {
            client = client.ready().await?;
            let (response, mut sender) = client.send_request(request("POST", "/"), false)?;
            sender.send_data(Bytes::from(format!("body {at:02}")), true)?;
            waiting.push(response);
        }
        for (at, response) in waiting.into_iter().enumerate() {
            let (bytes, _) = body(response.await?.into_body()).await?;
            same(String::from_utf8_lossy(&bytes).into_owned(), format!("7\r\nbody {at:02}\r\n0\r\n\r\n"))?;
        }
        Ok(())
    })
}

/// RFC 9110 6.6.1, as in HTTP/1.1: one that comes from the origin stays.
fn dated() -> Result<(), Failed> {
    const UNDATED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    const DATED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: Mon, 01 Jan 2001 00:00:00 GMT\r\n\r\n";
    for (answer, expected) in [(UNDATED, None), (DATED, Some("Mon, 01 Jan 2001 00:00:00 GMT"))] {
        let (origin, _) = Origin::answering(answer);
        let server = plain(&origin);
        run(async {
            let mut client = connect(&server).await?;
            let response = client.send_request(request("GET", "/"), true)?.0.await?;
            let dates: Vec<_> =
                response.headers().get_all("date").iter().map(|date| date.to_str().unwrap_or("")).collect();
            same(dates.len(), 1)?;
            holds(dates[0].ends_with(" GMT") && expected.is_none_or(|expected| dates[0] == expected), dates[0])
        })?;
    }
    Ok(())
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short one");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Kind, flags and payload of the frame at a place, if all of it has come.
fn frame_at(read: &[u8], at: usize) -> Option<(u8, u8, &[u8])> {
    let &[high, middle, low, kind, flags, ..] = read.get(at..at + 9)? else { return None };
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    Some((kind, flags, read.get(at + 9..at + 9 + length)?))
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// GET, http, /, and an authority.
const GET: &[u8] = b"\x82\x86\x84\x41\x01a";

/// nginx's `send_timeout`: a window that stays closed holds no plugin and no upstream for ever, pings or not.
fn takes_nothing() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n{}", "a".repeat(10_000_000)));
    });
    let heard = Arc::new(Heard::default());
    let mut settings = settings();
    settings.observer = heard.clone();
    settings.timeouts.send = Duration::from_millis(200);
    let plugins = vec![plugin("rust/header.wasm", &ENVOY, "hello")];
    let server = start(settings, &ENVOY, plugins, upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    client.send([PREFACE, &frame(4, 0, 0, b"\0\x04\0\0\0\0"), &frame(1, 5, 1, GET)].concat());
    holds(eventually(|| server.population()[0].exchanges == 1), "the request should be under way")?;
    holds(eventually(|| server.population()[0].exchanges == 0), "the request should end")?;
    let heard = heard.accesses.lock().expect("accesses").pop();
    holds(matches!(heard, Some((Some(200), 0..100_000, true))), &format!("{heard:?}"))?;
    // Room for the rest comes too late, and the connection goes on.
    client.send(frame(8, 0, 1, b"\0\0\xff\xff"));
    let reset = "\0\0\x04\x03\0\0\0\0\x01";
    holds(client.until(reset).ends_with(reset), "the stream should be reset")?;
    client.send(frame(6, 0, 0, b"ping-one"));
    holds(client.until("ping-one").ends_with("ping-one"), "the connection should go on")
}

/// nginx's `keepalive_timeout`: it counts requests, not bytes.
fn says_nothing() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let mut settings = settings();
    settings.timeouts.idle = Duration::from_millis(200);
    settings.timeouts.send = Duration::from_millis(200);
    let server = start(settings, &ENVOY, Vec::new(), upstream(&[origin.address]));
    let beginnings = [
        // Nothing but the preface.
        PREFACE.to_vec(),
        [PREFACE, &frame(4, 0, 0, b"")].concat(),
        // Half a request.
        [PREFACE, &frame(4, 0, 0, b""), &frame(1, 1, 1, GET)].concat(),
        [PREFACE, &frame(4, 0, 0, b""), &frame(1, 5, 1, GET)].concat(),
    ];
    let clients = beginnings.map(|begins| {
        let mut client = Peer::to(&server);
        client.send(&begins);
        (client, begins)
    });
    for (mut client, begins) in clients {
        while client.fill() {}
        holds(client.ends(), &format!("{:?}", begins.escape_ascii().to_string()))?;
    }
    Ok(())
}

/// RFC 9113 8.1 lets a server reset what comes behind its answer. curl 7.88 takes the answer for lost then, so that little
/// is read for nothing, as in HTTP/1.1, and only much is reset.
fn left_over() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let answers = vec![plugin("rust/fault-injection.wasm", &ENVOY, r#"{"http_status":401,"body":"no"}"#)];
    let server = start(settings(), &ENVOY, answers, upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    let reset = "\0\0\x04\x03\0\0\0\0";
    let post = [b"\x83", &GET[1..]].concat();
    client.send([PREFACE, &frame(4, 0, 0, b""), &frame(1, 4, 1, &post)].concat());
    holds(client.until("no").ends_with("no"), "the answer should come before the body")?;
    client.send([frame(0, 0, 1, b"body"), frame(6, 0, 0, b"ping-one"), frame(0, 1, 1, b"end")].concat());
    let until = client.until("ping-one");
    holds(until.ends_with("ping-one") && !until.contains(reset), "the rest should be taken")?;
    client.send([frame(1, 4, 3, &post), frame(0, 0, 3, &[b'a'; 255]).repeat(1100)].concat());
    holds(client.until(reset).ends_with(reset), "much should be reset")?;
    holds(eventually(|| server.population()[0].exchanges == 0), "no request should be left")?;
    same(seen.lock().expect("requests").len(), 0)
}

/// All of the response is on its way when the connection ends, and the client, which reads slowly, says so all the time:
/// that does not make the end a reset.
fn stops() -> Result<(), Failed> {
    const SIZE: usize = 8_000_000;
    let origin = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n{}", "a".repeat(SIZE)));
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    let wide = [frame(4, 0, 0, b"\0\x04\x3f\xff\xff\xff"), frame(8, 0, 0, b"\x3f\0\0\0")].concat();
    client.send([PREFACE, &wide, &frame(1, 5, 1, GET)].concat());
    holds(client.fill(), "the response should have begun")?;
    let stopped = std::thread::spawn(move || server.stop(PATIENCE));
    let (mut size, mut at) = (0, 0);
    loop {
        if let Some((kind, flags, payload)) = frame_at(&client.read, at) {
            size += if kind == 0 { payload.len() } else { 0 };
            let pong = (kind == 6 && flags == 0).then(|| frame(6, 1, 0, payload));
            at += 9 + payload.len();
            client.send(pong.unwrap_or_default());
            continue;
        }
        client.read.drain(..std::mem::take(&mut at));
        std::thread::sleep(Duration::from_millis(1));
        // A byte more of room.
        client.send(frame(8, 0, 1, b"\0\0\0\x01"));
        if !client.fill() {
            break;
        }
    }
    drop(client);
    same(size, SIZE)?;
    holds(stopped.join().is_ok(), "the server should stop")
}

/// As in HTTP/1.1 (`wire`): a status of its own, and a line in the access log.
fn refused() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let heard = Arc::new(Targets::default());
    let mut settings = settings();
    settings.observer = heard.clone();
    let server = start(settings, &ENVOY, Vec::new(), upstream(&[origin.address]));
    let long = "a".repeat(100_000);
    let with = |name: &str, value: &str| {
        let mut request = request("GET", "/with");
        request
            .headers_mut()
            .insert(http::HeaderName::from_bytes(name.as_bytes()).expect("a name"), value.parse().expect("a value"));
        request
    };
    let connect_to = http::Request::builder().method("CONNECT").uri("app.test:443").body(()).expect("a request");
    let mut many = request("GET", "/many");
    for at in 0..1001 {
        many.headers_mut().append("x-many", at.into());
    }
    let mut hosts = request("GET", "/hosts");
    hosts.headers_mut().append("host", "app.test".parse()?);
    hosts.headers_mut().append("host", "app.test".parse()?);
    for (request, status, target) in [
        (connect_to, 405, "app.test:443".to_owned()),
        (many, 431, "/many".to_owned()),
        (with("x-long", &long), 431, "/with".to_owned()),
        (request("GET", &format!("/{}", &long[..20_000])), 414, format!("/{}", &long[..20_000])),
        (http::Request::get("http://user@app.test/").body(())?, 400, "/".to_owned()),
        // RFC 9113 8.2.1 and 8.3.1.
        (with("x-blank", " a"), 400, "/with".to_owned()),
        (with("x-blank", "a\t"), 400, "/with".to_owned()),
        (with("host", "other.test"), 400, "/with".to_owned()),
        (hosts, 400, "/hosts".to_owned()),
    ] {
        run(async {
            let mut client = connect(&server).await?;
            let response = client.send_request(request, true)?.0.await?;
            same(response.status().as_u16(), status)?;
            holds(!body(response.into_body()).await?.0.is_empty(), "it should say what is wrong")
        })?;
        let last = heard.0.lock().expect("targets").pop();
        same(last, Some((Some(status), target, "HTTP/2.0")))?;
    }
    same(seen.lock().expect("requests").len(), 0)
}

/// Keeps status, target and protocol of requests that have ended.
#[derive(Default)]
struct Targets(Mutex<Vec<(Option<u16>, String, &'static str)>>);

impl Observer for Targets {
    fn access(&self, access: &Access<'_>) {
        let target = String::from_utf8_lossy(access.target).into_owned();
        self.0.lock().expect("targets").push((access.status, target, access.protocol));
    }
}

fn reset() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.ends();
    });
    let server = plain(&origin);
    run(async {
        let mut client = connect(&server).await?;
        let (response, mut sender) = client.send_request(request("GET", "/"), true)?;
        while server.population()[0].exchanges == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sender.send_reset(h2::Reason::CANCEL);
        drop(response);
        while server.population()[0].exchanges > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        Ok(())
    })
}
