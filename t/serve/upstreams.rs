//! Upstreams that fail, and what the client gets then.

use super::ends::{Origin, Peer, plain, settings, start, undated, upstream};
use super::{holds, named, same};
use libtest_mimic::{Failed, Trial};
use pwtest::host::profile::{APISIX, ENVOY};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};

pub fn trials() -> Vec<Trial> {
    named(&[
        ("an upstream that fails is answered for as the host does it", failures),
        ("an upstream that is slow is answered for", timeouts),
        ("a connection that was closed while idle costs no request", stale),
        ("a request that may have been done is not sent twice", not_twice),
        ("another node is asked where one does not answer", next_node),
        ("no other node is asked when it is too late for that", too_late),
        ("a response that breaks off breaks off for the client", broken_off),
        ("a response that ends with its connection", until_close),
        ("what follows a response is not taken for the next one", left_over),
    ])
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// An address that nobody listens on.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

/// apisix.md 7.4: 502 for both. Envoy 1.40: 503 with its words.
fn failures() -> Result<(), Failed> {
    let hangs_up = Origin::new(|peer| {
        peer.until("\r\n\r\n");
    });
    let garbage = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.send("SSH-2.0-nothing\r\n");
    });
    let two_lengths = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
    });
    let cases = [
        (&APISIX, nobody(), "HTTP/1.1 502 ", "<title>502 Bad Gateway</title>"),
        (&APISIX, hangs_up.address, "HTTP/1.1 502 ", "<title>502 Bad Gateway</title>"),
        (&APISIX, garbage.address, "HTTP/1.1 502 ", "<title>502 Bad Gateway</title>"),
        (&APISIX, two_lengths.address, "HTTP/1.1 502 ", "<title>502 Bad Gateway</title>"),
        (&ENVOY, nobody(), "HTTP/1.1 503 ", "reset reason: remote connection failure"),
        (&ENVOY, hangs_up.address, "HTTP/1.1 503 ", "reset reason: connection termination"),
        (&ENVOY, garbage.address, "HTTP/1.1 502 ", "reset reason: protocol error"),
    ];
    for (profile, address, status, words) in cases {
        let server = start(settings(), profile, Vec::new(), upstream(&[address]));
        let mut client = Peer::to(&server);
        for _ in 0..2 {
            client.send(GET);
            let (head, body) = client.message();
            holds(head.starts_with(status), &format!("{}: {head}", profile.name))?;
            holds(body.contains(words), &format!("{}: {body}", profile.name))?;
        }
    }
    Ok(())
}

fn timeouts() -> Result<(), Failed> {
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let origin = Origin::new(move |peer| {
        peer.until("\r\n\r\n");
        let _ = wait.lock().expect("a channel").recv_timeout(super::ends::PATIENCE);
    });
    for (profile, words) in [(&APISIX, "504 Gateway Time-out"), (&ENVOY, "upstream request timeout")] {
        let mut to = upstream(&[origin.address]);
        to.timeout.read_ms = 100;
        let server = start(settings(), profile, Vec::new(), to);
        let mut client = Peer::to(&server);
        client.send(GET);
        let (head, body) = client.message();
        holds(head.starts_with("HTTP/1.1 504 "), &head)?;
        holds(body.contains(words), &body)?;
        let _ = release.send(());
    }
    Ok(())
}

/// The origin closes every connection behind its first answer, without having said so.
fn stale() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.send(OK);
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    for _ in 0..20 {
        client.send(GET);
        same(client.message().1.as_str(), "hello")?;
    }
    same(*origin.accepted.lock().expect("a count"), 20)
}

/// A POST that has been sent on a connection which then breaks off may have been done.
fn not_twice() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        loop {
            let (head, _) = peer.message();
            if !head.starts_with("GET") {
                return;
            }
            peer.send(OK);
        }
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    client.send(GET);
    same(client.message().1.as_str(), "hello")?;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
    holds(client.message().0.starts_with("HTTP/1.1 502 "), "it should fail")?;
    same(*origin.accepted.lock().expect("a count"), 1)
}

fn next_node() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let hits = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = hits.clone();
    let hangs_up = Origin::new(move |peer| {
        peer.until("\r\n\r\n");
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let server = start(settings(), &APISIX, Vec::new(), upstream(&[nobody(), hangs_up.address, origin.address]));
    for at in 0..6 {
        let mut client = Peer::to(&server);
        client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
        same(client.message().1.as_str(), "hello")?;
        same(seen.lock().expect("requests").len(), at + 1)?;
    }
    holds(seen.lock().expect("requests").iter().all(|(_, body)| body == "ab"), "the body should come whole")?;
    holds(hits.load(Ordering::SeqCst) > 0, "the node that hangs up should have been asked")
}

fn broken_off() -> Result<(), Failed> {
    for head in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let origin = Origin::new(move |peer| {
            peer.until("\r\n\r\n");
            peer.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nab"));
        });
        let server = plain(&origin);
        let mut client = Peer::to(&server);
        client.send(GET);
        holds(client.until("\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"), "the head should come")?;
        let rest = client.until("never");
        holds(!rest.contains("0\r\n\r\n"), "no end should come")?;
    }
    Ok(())
}

fn until_close() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        peer.send("HTTP/1.0 200 OK\r\n\r\nhello");
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    for _ in 0..2 {
        client.send(GET);
        same(undated(&client.until("\r\n\r\n")).as_str(), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        holds(client.until("0\r\n\r\n").replace("\r\n", "").contains("hello"), "the body should come")?;
    }
    Ok(())
}

fn left_over() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        loop {
            if peer.until("\r\n\r\n").is_empty() {
                return;
            }
            peer.send(format!("{OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"));
        }
    });
    let server = plain(&origin);
    let mut client = Peer::to(&server);
    for _ in 0..5 {
        client.send(GET);
        same(client.message().1.as_str(), "hello")?;
    }
    Ok(())
}

/// `retry_timeout`: seconds from the first node on, after which a failure is a 502 and no node is asked any more.
fn too_late() -> Result<(), Failed> {
    let slow = Origin::new(|peer| {
        peer.until("\r\n\r\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
    });
    for (retry_timeout, status, asked) in [(Some(0.1), "HTTP/1.1 502 ", 0), (Some(60.0), "HTTP/1.1 200 ", 1)] {
        let (other, seen) = Origin::answering(OK);
        let mut to = upstream(&[slow.address, other.address]);
        to.retry_timeout = retry_timeout;
        let server = start(settings(), &APISIX, Vec::new(), to);
        let mut client = Peer::to(&server);
        client.send(GET);
        let (head, _) = client.message();
        holds(head.starts_with(status), &format!("{retry_timeout:?}: {head}"))?;
        same(seen.lock().expect("requests").len(), asked)?;
    }
    Ok(())
}
