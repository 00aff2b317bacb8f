//! How messages flow: connections that stay, bodies in both directions, and who goes away when.

use super::ends::{Heard, Origin, Peer, eventually, header, plain, plugin, settings, start, undated, upstream};
use super::{holds, named, same};
use libtest_mimic::{Failed, Trial};
use pwtest::host::profile::{APISIX, ENVOY};
use pwtest::proxy::Generation;
use std::sync::Arc;
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    named(&[
        ("a request and its response", one_request),
        ("connections stay on both sides", keep_alive),
        ("requests that come together are answered in order", pipelining),
        ("chunks and trailers pass in both directions", chunked),
        ("a response is passed on before it has come to its end", streaming),
        ("a request is passed on before it has come to its end", streaming_up),
        ("100 Continue comes when the body is wanted", continues),
        ("a client that goes away takes its contexts with it", abort),
        ("a client that says nothing more gets its answers", says_nothing_more),
        ("a plugin sees the request and changes the response", with_plugin),
        ("a reload loses nothing, and contexts end", reload),
        ("stopping lets requests end", stop),
        ("who has connected before the stop is served", late),
    ])
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Origin: a\r\nX-Origin: b\r\n\r\nhello";

fn one_request() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    client.send("GET /a?b=c HTTP/1.1\r\nHost: app.test:81\r\nX-One: 1\r\nX-Two: 2\r\nX-One: 3\r\n\r\n");
    let (head, body) = client.message();
    same(undated(&head).as_str(), "HTTP/1.1 200 OK\r\nx-origin: a\r\nx-origin: b\r\ncontent-length: 5\r\n\r\n")?;
    same(body.as_str(), "hello")?;
    let seen = seen.lock().expect("requests");
    same(seen.len(), 1)?;
    same(seen[0].0.as_str(), "GET /a?b=c HTTP/1.1\r\nhost: app.test:81\r\nx-one: 1\r\nx-two: 2\r\nx-one: 3\r\n\r\n")
}

fn keep_alive() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        same(client.message().1.as_str(), "hello")?;
    }
    same(*origin.accepted.lock().expect("a count"), 1)?;
    // HTTP/1.0 says so where it stays, and HTTP/1.1 where it does not.
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    same(header(&client.message().0, "connection"), Some("keep-alive"))?;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    same(header(&client.message().0, "connection"), Some("close"))?;
    holds(client.ends(), "the connection should end")?;
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.0\r\n\r\n");
    same(header(&client.message().0, "connection"), Some("close"))?;
    holds(client.ends(), "the connection should end")
}

fn pipelining() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        loop {
            let head = peer.until("\r\n\r\n");
            let Some(path) = head.split(' ').nth(1) else { return };
            peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
        }
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    let requests: String = (0..50).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests);
    for at in 0..50 {
        same(client.message().1, format!("/{at}"))?;
    }
    Ok(())
}

fn chunked() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        let request = peer.until("\r\n0\r\n") + &peer.until("\r\n\r\n");
        assert!(!request.is_empty());
        let escaped = request.replace("\r\n", "|");
        let size = escaped.len();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
        peer.send(format!("{size:x};why=not\r\n{escaped}\r\n0\r\nX-Sum: 7\r\n\r\n"));
    });
    // Envoy passes trailers on, nginx does not.
    let server = start(settings(), &ENVOY, Vec::new(), upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n");
    client.send("0004;x\r\ndefg\r\n0\r\nX-Check: 9\r\nContent-Length: 7\r\n\r\n");
    let head = client.until("\r\n\r\n");
    same(header(&head, "transfer-encoding"), Some("chunked"))?;
    same(header(&head, "content-length"), None)?;
    let body = client.until("\r\n0\r\n") + &client.until("\r\n\r\n");
    holds(body.ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"), &format!("a trailer should come: {body}"))?;
    holds(body.contains("|3|abc|4|defg|0|x-check: 9||"), &format!("chunks and trailer should go up: {body}"))?;
    let server = start(settings(), &APISIX, Vec::new(), upstream(&[Origin::answering(OK).0.address]));
    let mut client = Peer::to(&server);
    client.send("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
    same(client.message().1.as_str(), "hello")
}

/// The first bytes are there before the origin, which waits for the client, sends the last.
fn streaming() -> Result<(), Failed> {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        let _ = wait.lock().expect("a channel").recv_timeout(super::ends::PATIENCE);
        peer.send("last.");
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.until("\r\n\r\n");
    same(client.exactly(5).as_str(), "first")?;
    go.send(())?;
    same(client.exactly(5).as_str(), "last.")
}

/// The same for a request: the origin answers what it has got so far.
fn streaming_up() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        let first = peer.exactly(5);
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{first}"));
        let last = peer.exactly(5);
        peer.send(last);
    });
    let server = start(settings(), &ENVOY, Vec::new(), upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst");
    client.until("\r\n\r\n");
    same(client.exactly(5).as_str(), "first")?;
    client.send("last.");
    same(client.exactly(5).as_str(), "last.")
}

fn continues() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    same(client.until("\r\n\r\n").as_str(), "HTTP/1.1 100 Continue\r\n\r\n")?;
    client.send("abc");
    same(client.message().1.as_str(), "hello")?;
    same(seen.lock().expect("requests")[0].1.as_str(), "abc")?;
    same(header(&seen.lock().expect("requests")[0].0, "expect"), None)?;
    // A client that does not wait is not told to go on.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc");
    same(client.message().1.as_str(), "hello")?;
    // RFC 9110 10.1.1: nor one that has nothing to send. The connection goes on.
    client.send("GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    let (head, body) = client.message();
    same((header(&head, "connection"), body.as_str()), (None, "hello"))?;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: a miracle\r\nContent-Length: 3\r\n\r\nabc");
    holds(client.until("\r\n").starts_with("HTTP/1.1 417 "), "an unknown expectation is refused")
}

fn abort() -> Result<(), Failed> {
    let (gone, left) = std::sync::mpsc::channel::<bool>();
    let origin = Origin::new(move |peer| {
        peer.until("\r\n\r\n");
        let _ = gone.send(peer.ends());
    });
    let heard = Arc::new(Heard::default());
    let mut settings = settings();
    settings.observer = heard.clone();
    let server = start(settings, &APISIX, Vec::new(), upstream(&[origin.address]));
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(50));
    drop(client);
    holds(left.recv_timeout(super::ends::PATIENCE)?, "the upstream's connection should end, too")?;
    holds(eventually(|| heard.accesses.lock().expect("accesses").len() == 1), "the request should have ended")?;
    same(heard.accesses.lock().expect("accesses")[0], (None, 0, true))
}

/// RFC 9112 does not say what half a connection is worth. nginx and Envoy drop it; scripts that pipe requests count on it.
fn says_nothing_more() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        while let head @ 1.. = peer.until("\r\n\r\n").len() {
            std::thread::sleep(Duration::from_millis(100));
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nX-Head: {head}\r\n\r\n{}",
                "a".repeat(1_000_000)
            ));
        }
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2));
    client.half_close();
    for _ in 0..2 {
        same(client.message().1.len(), 1_000_000)?;
    }
    holds(client.ends(), "there is nothing more to come")?;
    // Who is half a request behind has gone away.
    let mut client = Peer::to(&server);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    client.half_close();
    holds(client.ends(), "half a request has no answer")
}

fn with_plugin() -> Result<(), Failed> {
    for profile in [&APISIX, &ENVOY] {
        let (origin, seen) = Origin::answering(OK);
        let plugins = vec![plugin("rust/header.wasm", profile, "hello")];
        let server = start(settings(), profile, plugins, upstream(&[origin.address]));
        let mut client = Peer::to(&server);
        client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, body) = client.message();
        same(body.as_str(), "hello")?;
        same(header(&head, "x-done"), Some("1"))?;
        same(header(&seen.lock().expect("requests")[0].0, "x-pwtest"), Some("1"))?;
        server.stop(Duration::from_secs(1));
    }
    Ok(())
}

/// New requests meet the new plugins; what is under way ends with the old ones.
fn reload() -> Result<(), Failed> {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |peer| {
        loop {
            let head = peer.until("\r\n\r\n");
            if head.is_empty() {
                return;
            }
            if head.starts_with("GET /slow ") {
                let _ = wait.lock().expect("a channel").recv_timeout(super::ends::PATIENCE);
            }
            peer.send(OK);
        }
    });
    let to = upstream(&[origin.address]);
    let plugins = vec![plugin("rust/header.wasm", &APISIX, "hello")];
    let server = start(settings(), &APISIX, plugins, to.clone());
    let (mut slow, mut quick) = (Peer::to(&server), Peer::to(&server));
    quick.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    same(header(&quick.message().0, "x-done"), Some("1"))?;
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    holds(eventually(|| server.population().iter().any(|all| all.exchanges == 1)), "a request should be under way")?;
    server.reload(Generation::chain(&APISIX, Vec::new(), Arc::new(to)))?;
    quick.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    same(header(&quick.message().0, "x-done"), None)?;
    same(server.population()[0].plugin_contexts, 1)?;
    go.send(())?;
    same(header(&slow.message().0, "x-done"), Some("1"))?;
    server.stop(Duration::from_secs(1));
    Ok(())
}

/// A request that is under way gets its answer; nobody new is accepted.
fn stop() -> Result<(), Failed> {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |peer| {
        peer.until("\r\n\r\n");
        let _ = wait.lock().expect("a channel").recv_timeout(super::ends::PATIENCE);
        peer.send(OK);
    });
    let server = plain(&origin);
    let address = server.listening()[0];
    let (mut idle, mut client) = (Peer::to(&server), Peer::to(&server));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    holds(eventually(|| server.population()[0].exchanges == 1), "a request should be under way")?;
    let stopping = std::thread::spawn(move || server.stop(super::ends::PATIENCE));
    holds(idle.ends(), "an idle connection should end")?;
    holds(eventually(|| std::net::TcpStream::connect(address).is_err()), "nobody new should be accepted")?;
    go.send(())?;
    let (head, body) = client.message();
    same(body.as_str(), "hello")?;
    same(header(&head, "connection"), Some("close"))?;
    drop(client);
    holds(eventually(|| stopping.is_finished()), "the server should have stopped")
}

/// nginx closes connections without a request under way when it stops, but not those that have never had one.
fn late() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    for _ in 0..20 {
        let server = plain(&origin);
        let mut clients: Vec<_> = (0..4).map(|_| Peer::to(&server)).collect();
        clients.iter_mut().for_each(|client| client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let stopping = std::thread::spawn(move || server.stop(super::ends::PATIENCE));
        for mut client in clients.drain(..) {
            same(client.message().1.as_str(), "hello")?;
        }
        stopping.join().map_err(|_| "the server panicked")?;
    }
    Ok(())
}
