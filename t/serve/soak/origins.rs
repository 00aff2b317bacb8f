//! What stands behind the server: an upstream that says what it got, and a service that plugins ask.

use super::message::read;
use crate::serve::ends::{Origin, Peer, header};

/// Bytes that `/big` has: more than any client of these tests takes.
const BIG: usize = 64 << 20;

/// Answers with the request's body, or a text where there is none, and with what it saw of the headers. Never answers
/// `/slow`, and never comes to the end of `/big`.
pub fn upstream() -> Origin {
    Origin::new(|peer| {
        peer.waits();
        while let Some((head, body)) = read(peer) {
            match head.split(' ').nth(1).unwrap_or_default() {
                "/slow" => {
                    peer.ends();
                    return;
                }
                "/big" => return big(peer),
                path => {
                    let answer = answer(path, &head, body);
                    peer.send(answer);
                }
            }
        }
    })
}

fn answer(path: &str, head: &str, body: String) -> String {
    let body = if body.is_empty() { "a secret".to_owned() } else { body };
    let mut answer = "HTTP/1.1 200 OK\r\n".to_owned();
    for name in ["x-id", "x-pwtest", "x-version", "x-user"] {
        if let Some(value) = header(head, name) {
            answer += &format!("{name}: {value}\r\n");
        }
    }
    if path == "/echo/chunked" {
        answer += "Transfer-Encoding: chunked\r\n\r\n";
        for chunk in body.as_bytes().chunks(1000) {
            answer += &format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
        }
        answer + "0\r\n\r\n"
    } else {
        answer + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }
}

fn big(peer: &mut Peer) {
    peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n"));
    let piece = [b'a'; 16 << 10];
    while peer.sends(&piece) {}
}

/// Lets everybody pass, as somebody. Never answers who is called `slow`, or asks for it by that host.
pub fn service() -> Origin {
    Origin::new(|peer| {
        peer.waits();
        while let Some((head, _)) = read(peer) {
            if header(&head, "authorization") == Some("slow") {
                peer.ends();
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nX-User: anna\r\nContent-Length: 0\r\n\r\n");
        }
    })
}

/// Takes what comes, and never says a word.
pub fn silent() -> Origin {
    Origin::new(|peer| {
        peer.waits();
        while peer.fill() {}
    })
}
