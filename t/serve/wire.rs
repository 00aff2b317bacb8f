//! What is not a request, or could be read as two: refused, and nothing of it reaches the upstream.

use super::ends::{Origin, Peer, eventually, header, plain, plugin, settings, start, undated, upstream};
use super::{holds, named, same};
use libtest_mimic::{Failed, Trial};
use pwtest::abi::LogLevel;
use pwtest::host::profile::{APISIX, ENVOY};
use pwtest::proxy::{Access, Generation, LogLine, Observer, Server};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    named(&[
        ("what could be read in two ways is refused", refused),
        ("chunks that are none are refused", bad_chunks),
        ("what is too large is refused", too_large),
        ("what is legal and seldom passes", legal),
        ("clients that take too long are sent away", slow),
        ("who is held by a plugin is told", held),
        ("a plugin's headers can't split a response", answers_stay_whole),
        ("responses without a body", bodiless),
        ("what can't become a request is refused before more of it comes", refused_at_once),
        ("what is refused under way leaves no context", refused_under_way),
        ("what is no request is heard of", heard_of),
    ])
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Each is answered with its status, the connection ends, and the origin sees nothing.
fn refused() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let server = plain(&origin);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let cases: &[(&str, u16)] = &[
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\x0b: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX(A): b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        // RFC 9112 3.2: what is no host has another one for each reader.
        ("GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a[::1]\r\n\r\n", 400),
        ("GET http://a:80:80/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTX/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 501),
    ];
    for (request, status) in cases {
        let mut client = Peer::to(&server);
        client.send(format!("{request}{smuggled}"));
        let (head, body) = client.message();
        holds(head.starts_with(&format!("HTTP/1.1 {status} ")), &format!("{request:?}: {head}{body}"))?;
        same(header(&head, "connection"), Some("close"))?;
        holds(!body.is_empty(), "it should say what is wrong")?;
        holds(client.ends(), &format!("{request:?}: the connection should end"))?;
    }
    same(seen.lock().expect("requests").len(), 0)
}

/// The body's beginning may have gone up by then; what comes behind it has not.
fn bad_chunks() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let server = plain(&origin);
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
        "11111111111111111\r\n",
        "ffffffffffffffff\r\n",
        "5;a\x01b\r\nhello\r\n0\r\n\r\n",
        "\r\n",
        "5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: b\n\r\n",
    ] {
        let mut client = Peer::to(&server);
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"));
        client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, body) = client.message();
        holds(head.starts_with("HTTP/1.1 400 "), &format!("{chunks:?}: {head}{body}"))?;
        holds(client.ends(), &format!("{chunks:?}: the connection should end"))?;
    }
    same(seen.lock().expect("requests").len(), 0)
}

fn too_large() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let server = plain(&origin);
    let long = "a".repeat(100_000);
    let many: String = (0..2000).map(|at| format!("X-{at}: 1\r\n")).collect();
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..8192]), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
        (long.clone(), 400),
        (format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: {long}\r\n\r\n"), 431),
    ] {
        let mut client = Peer::to(&server);
        client.send(&request);
        let (head, _) = client.message();
        holds(head.starts_with(&format!("HTTP/1.1 {status} ")), &format!("{}...: {head}", &request[..40]))?;
    }
    same(seen.lock().expect("requests").len(), 0)
}

fn legal() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let server = plain(&origin);
    for (request, first) in [
        ("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a HTTP/1.1\r\nhost: a\r\n"),
        ("GET /b HTTP/1.1\nHost: a\nX-A: b\n\n", "GET /b HTTP/1.1\r\nhost: a\r\nx-a: b\r\n"),
        ("GET http://b.test:81/c?d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /c?d HTTP/1.1\r\nhost: b.test:81\r\n"),
        ("GET HTTP://b.test HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: b.test\r\n"),
        // RFC 9110 2.5.
        ("GET /v HTTP/1.2\r\nHost: a\r\n\r\n", "GET /v HTTP/1.1\r\nhost: a\r\n"),
        ("GET /p HTTP/1.1\r\nHost: a_b-1.test:\r\n\r\n", "GET /p HTTP/1.1\r\nhost: a_b-1.test:\r\n"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nhost: a\r\n"),
        (
            "GET /d HTTP/1.1\r\nHost: [::1]:80\r\nX-A:\t b \t\r\nX-B:\r\n\r\n",
            "GET /d HTTP/1.1\r\nhost: [::1]:80\r\nx-a: b\r\nx-b: \r\n",
        ),
        // An offer that may be ignored.
        (
            "GET /e HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, X-Hop\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n",
            "GET /e HTTP/1.1\r\nhost: a\r\nx-end: 2\r\n",
        ),
        (
            "POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST /f HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n",
        ),
    ] {
        let mut client = Peer::to(&server);
        client.send(request);
        same(client.message().1.as_str(), "hello")?;
        let (head, _) = seen.lock().expect("requests").pop().ok_or("the origin should have seen it")?;
        same(head, format!("{first}\r\n"))?;
    }
    // Byte by byte.
    let mut client = Peer::to(&server);
    for byte in
        b"\r\nPOST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\nX-A: 1\r\n\r\n"
    {
        client.send([*byte]);
    }
    same(client.message().1.as_str(), "hello")?;
    same(seen.lock().expect("requests").pop().map(|(_, body)| body).as_deref(), Some("ab"))
}

fn slow() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let mut settings = settings();
    settings.timeouts.head = Duration::from_millis(200);
    settings.timeouts.body = Duration::from_millis(200);
    settings.timeouts.idle = Duration::from_millis(200);
    let server = start(settings, &APISIX, Vec::new(), upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHos");
    holds(client.message().0.starts_with("HTTP/1.1 408 "), "a head that does not come")?;
    holds(client.ends(), "the connection should end")?;
    let mut client = Peer::to(&server);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    holds(client.message().0.starts_with("HTTP/1.1 408 "), "a body that does not come")?;
    holds(client.ends(), "the connection should end")?;
    let mut client = Peer::to(&server);
    holds(client.ends(), "who says nothing should be left")?;
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    same(client.message().1.as_str(), "hello")?;
    holds(client.ends(), "who has said enough should be left")?;
    holds(server.population()[0].exchanges == 0, "no request should be left over")
}

/// Envoy 1.40 (ENVOY.md 32): a plugin that never resumes holds nobody for ever, and the connection goes on.
fn held() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let mut settings = settings();
    settings.timeouts.stream = Duration::from_millis(200);
    let holds_it = plugin("wat/portable.wat", &ENVOY, "");
    let server = start(settings, &ENVOY, vec![holds_it], upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    for phase in ["request_headers", "response_headers"] {
        client.send(format!("GET /{phase}:/pause HTTP/1.1\r\nHost: a\r\n\r\n"));
        let (head, body) = client.message();
        holds(head.starts_with("HTTP/1.1 504 "), &format!("{phase}: {head}"))?;
        same(header(&head, "content-type"), Some("text/plain"))?;
        same(body.as_str(), "stream timeout")?;
    }
    same(seen.lock().expect("requests").len(), 1)?;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    same(client.message().1.as_str(), "hello")?;
    holds(server.population()[0].exchanges == 0, "no request should be left over")
}

/// What an upstream or a plugin puts into a header comes as one header.
fn answers_stay_whole() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\rContent-Length: 9\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
    );
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    holds(client.message().0.starts_with("HTTP/1.1 502 "), "a response with a bare CR is none")
}

fn bodiless() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        loop {
            let head = peer.until("\r\n\r\n");
            peer.send(match head.split(' ').nth(1) {
                Some("/head") => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: a\r\n\r\n",
                Some("/empty") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                Some("/hints") => {
                    "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                }
                _ => return,
            });
        }
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    for (request, head) in [
        ("HEAD /head", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        ("GET /204", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET /304", "HTTP/1.1 304 Not Modified\r\netag: a\r\ncontent-length: 5\r\n\r\n"),
        ("GET /empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        ("GET /hints", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    ] {
        client.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n"));
        same(undated(&client.until("\r\n\r\n")).as_str(), head)?;
    }
    Ok(())
}

/// Plugins have seen the head, and one waits for a call (APISIX) or for the body (Envoy, where a head that waits holds
/// the body back): what comes then is refused, and nothing of the request is left.
fn refused_under_way() -> Result<(), Failed> {
    for profile in [&APISIX, &ENVOY] {
        let silent = Origin::new(|peer| while peer.fill() {});
        let heard = Arc::new(Contexts::default());
        let mut settings = settings();
        settings.observer = heard.clone();
        settings.bounds.held_bytes = 1000;
        settings.timeouts.head = Duration::from_millis(300);
        settings.timeouts.body = Duration::from_millis(300);
        let (waits, config, target) = match profile.knows_upstreams {
            true => ("wat/portable.wat", String::new(), "/request_body:/pause"),
            false => ("rust/http-call.wasm", silent.address.to_string(), "/"),
        };
        let plugins = vec![plugin("../t/serve/soak/probe.wat", profile, "x"), plugin(waits, profile, config)];
        let chain = Generation::chain(profile, plugins, Arc::new(upstream(&[silent.address])));
        let server = Server::start(settings, chain)?;
        for (request, status, contexts) in refusals(target) {
            let before = heard.counts();
            let mut client = Peer::to(&server);
            client.send(&request);
            let (head, _) = client.message();
            let what = format!("{}: {}... {head}", profile.name, &request[..80.min(request.len())]);
            holds(head.starts_with(&format!("HTTP/1.1 {status} ")), &what)?;
            let none = || server.population()[0].exchanges == 0 && server.population()[0].stream_contexts == 0;
            holds(eventually(none), &what)?;
            same(heard.counts().1 - before.1, contexts)?;
        }
        server.stop(Duration::from_secs(1));
        same(heard.counts().1, heard.counts().0)?;
    }
    Ok(())
}

/// Requests with what they are answered with, and how many contexts of one plugin they have had.
fn refusals(target: &str) -> Vec<(String, u16, usize)> {
    let long = "a".repeat(100_000);
    let (head, body) = (format!("POST {target} HTTP/1.1\r\nHost: a\r\n"), &long[..5000]);
    let (chunks, length) = ("Transfer-Encoding: chunked\r\n\r\n", "Content-Length: 5000\r\n\r\n");
    vec![
        (format!("{head}{chunks}5\r\nhello\r\nx\r\n"), 400, 1),
        (format!("{head}{chunks}5\r\nhello\r\n0\r\nX-A: {long}\r\n\r\n"), 431, 1),
        (format!("{head}{chunks}1388\r\n{body}\r\n"), 413, 1),
        (format!("{head}{length}{body}"), 413, 1),
        (format!("{head}{length}hello"), 408, 1),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"), 431, 0),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, 0),
        (format!("{head}Content-Length: 5, 6\r\n\r\n"), 400, 0),
        ("GET / HTTP/1.1\r\nHos".to_owned(), 408, 0),
    ]
}

/// Counts what the probe says of contexts.
#[derive(Default)]
struct Contexts(Mutex<(usize, usize)>);

impl Contexts {
    fn counts(&self) -> (usize, usize) {
        *self.0.lock().expect("counts")
    }
}

impl Observer for Contexts {
    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Warn)
    }

    fn log(&self, line: &LogLine<'_>) {
        let mut counts = self.0.lock().expect("counts");
        counts.0 += usize::from(line.message == b"context created");
        counts.1 += usize::from(line.message == b"context deleted");
    }
}

/// nginx answers a TLS handshake on a port without TLS with 400 at once; a client of that kind says nothing more before.
fn refused_at_once() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    // Its time for a head is a minute, and the peer's patience less.
    let server = plain(&origin);
    for begun in [
        &b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..],
        b"\x80\x2e\x01",
        b"\r\n\r\n{",
        b" GET",
        b"GET /hello\r\n",
        b"GET /hello HTTP/1.1 x\r\nHost: a\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let mut client = Peer::to(&server);
        client.send(begun);
        holds(client.message().0.starts_with("HTTP/1.1 400 "), &format!("{:?}", begun.escape_ascii().to_string()))?;
        holds(client.ends(), "the connection should end")?;
    }
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/3.0\r\n");
    holds(client.message().0.starts_with("HTTP/1.1 505 "), "a version by itself")?;
    same(seen.lock().expect("requests").len(), 0)
}

/// nginx's access log has a line for each of them, with what came of the first line.
fn heard_of() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let heard = Arc::new(FirstLines::default());
    let mut settings = settings();
    settings.observer = heard.clone();
    settings.timeouts.head = Duration::from_millis(200);
    let server = start(settings, &APISIX, Vec::new(), upstream(&[origin.address]));
    let long = "a".repeat(100_000);
    for (request, status, line) in [
        ("GET / a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400, "GET / a HTTP/1.1"),
        ("POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_owned(), 400, "POST /b HTTP/1.1"),
        (format!("GET /c HTTP/1.1\r\nHost: a\r\nX-A: {long}\r\n\r\n"), 431, "GET /c HTTP/1.1"),
        ("GET /d HTTP/1.1\r\nHost:".to_owned(), 408, "GET /d HTTP/1.1"),
        // These were requests, and have their target for themselves.
        ("GET /e HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(), 501, "/e"),
    ] {
        let mut client = Peer::to(&server);
        client.send(request);
        client.message();
        let last = || heard.0.lock().expect("lines").pop();
        same(last(), Some((Some(status), line.to_owned())))?;
    }
    Ok(())
}

/// Keeps the status and the first line of what never was a request.
#[derive(Default)]
struct FirstLines(Mutex<Vec<(Option<u16>, String)>>);

impl Observer for FirstLines {
    fn access(&self, access: &Access<'_>) {
        let line = String::from_utf8_lossy(access.target).into_owned();
        self.0.lock().expect("lines").push((access.status, line));
    }
}
