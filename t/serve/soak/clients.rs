//! Clients that stay to the end, and know what they have to get.

use super::Stage;
use super::message::Answer;
use super::served::Shape;
use crate::serve::ends::{PATIENCE, Peer};
use bytes::Bytes;
use libtest_mimic::Failed;
use std::fmt::Write as _;

/// A request.
pub struct Ask {
    id: usize,
    kind: Kind,
    /// What is sent; `secret` is in it, or it is empty.
    body: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Length,
    Chunked,
    Log,
    Call,
    Trap,
    /// Without credentials, or without a route.
    Refused,
}

impl Ask {
    /// The requests of a client, in some order that has everything soon. Few of them are Go's.
    pub fn nth(shape: Shape, id: usize) -> Self {
        let kind = match (shape, id % 23) {
            (Shape::Gateway, 3) => Kind::Log,
            (Shape::Gateway, 7 | 15) => Kind::Call,
            (Shape::Gateway, 11) => Kind::Trap,
            (_, 13) => Kind::Refused,
            (_, other) if other % 2 == 0 => Kind::Length,
            _ => Kind::Chunked,
        };
        let has_body = matches!(kind, Kind::Length | Kind::Chunked) && id.is_multiple_of(3);
        let body = if has_body { "a secret of some length, ".repeat(1 + id % 97 * (id % 7)) } else { String::new() };
        Self { id, kind, body }
    }

    /// Goes on a connection with others before their answers are there.
    fn is_safe(&self) -> bool {
        self.body.is_empty()
    }

    fn path(&self) -> &'static str {
        match self.kind {
            Kind::Length => "/echo/length",
            Kind::Chunked => "/echo/chunked",
            Kind::Log => "/log",
            Kind::Call => "/call",
            Kind::Trap => "/trap",
            Kind::Refused => "/nowhere",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let method = if self.is_safe() { "GET" } else { "POST" };
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: app.test\r\nX-Id: {}\r\n", self.path(), self.id);
        if self.kind != Kind::Refused {
            head += "Authorization: good\r\n";
        }
        let mut bytes = head.into_bytes();
        if self.kind == Kind::Trap {
            bytes.extend_from_slice(b"X-Name: \xff\xfe\r\n");
        }
        let rest = match (self.kind, self.body.is_empty()) {
            (_, true) => "\r\n".to_owned(),
            (Kind::Chunked, false) => {
                let mut rest = "Transfer-Encoding: chunked\r\n\r\n".to_owned();
                for chunk in self.body.as_bytes().chunks(700) {
                    let _ = write!(rest, "{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
                }
                rest + "0\r\n\r\n"
            }
            (_, false) => format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body),
        };
        bytes.extend_from_slice(rest.as_bytes());
        bytes
    }

    /// What the answer has to be, and by which version it may have been made.
    fn check(&self, stage: &Stage, answer: &Answer, versions: &[usize]) -> Result<(), Failed> {
        let shape = stage.served.shape;
        let id = self.id.to_string();
        let body = if self.body.is_empty() { "a secret" } else { &self.body };
        let right = match (self.kind, shape) {
            (Kind::Length | Kind::Chunked, _) => {
                let body = match shape {
                    // A body can't be changed there (apisix.md 0, fact 7), and nobody tries.
                    Shape::Gateway => body.to_owned(),
                    Shape::Chain => body.replace("secret", "******"),
                };
                let version = answer.field("x-version").and_then(|version| version.parse::<usize>().ok());
                answer.status == 200
                    && answer.body == body
                    && answer.field("x-id") == Some(&id)
                    && answer.field("x-pwtest") == Some("1")
                    && answer.field("x-done") == Some("1")
                    && version.is_some_and(|version| versions.contains(&version))
                    && (shape == Shape::Gateway || answer.field("x-user") == Some("anna"))
            }
            (Kind::Log, _) => {
                answer.status == 200
                    && answer.body == body
                    && answer.field("x-id") == Some(&id)
                    && answer.field("x-done") == Some("1")
            }
            (Kind::Call, _) => {
                answer.status == 403
                    && answer.field("resp-status") == Some("200")
                    && answer.field("resp-content-type") == Some("text/x")
            }
            // t/plugins/fragile.yaml: what a trap gives.
            (Kind::Trap, _) => answer.status == 503,
            (Kind::Refused, Shape::Gateway) => {
                answer.status == 404 && answer.body == "{\"error_msg\":\"404 Route Not Found\"}\n"
            }
            (Kind::Refused, Shape::Chain) => answer.status == 401 && answer.body == "no credentials\n",
        };
        if right { Ok(()) } else { Err(format!("{:?} {id}, versions {versions:?}: {answer:?}", self.kind).into()) }
    }
}

/// HTTP/1.1: connections that stay for a while, with requests in batches where they have no body.
pub fn http1(stage: &Stage, mut id: usize) -> Result<(), Failed> {
    while !stage.is_over() {
        let mut peer = stage.connect();
        for _ in 0..20 {
            let mut batch = vec![Ask::nth(stage.served.shape, id)];
            id += 1;
            while batch.iter().all(Ask::is_safe) && batch.len() < id % 9 {
                batch.push(Ask::nth(stage.served.shape, id));
                id += 1;
            }
            let before = stage.moment();
            peer.send(batch.iter().flat_map(Ask::bytes).collect::<Vec<_>>());
            for ask in &batch {
                let answer = Answer::read(&mut peer).ok_or_else(|| format!("request {} was lost", ask.id))?;
                ask.check(stage, &answer, &stage.versions(before))?;
                stage.answered(ask.kind == Kind::Log);
            }
        }
    }
    Ok(())
}

/// HTTP/2: streams side by side; some are broken off.
pub fn http2(stage: &Stage, mut id: usize) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        while !stage.is_over() {
            let turn = tokio::time::timeout(PATIENCE * 2, connection(stage, id)).await?;
            turn.map_err(|error| format!("HTTP/2: {}", error.message().unwrap_or_default()))?;
            id += 1000;
        }
        Ok(())
    })
}

async fn connection(stage: &Stage, first: usize) -> Result<(), Failed> {
    let io = tokio::net::TcpStream::connect(stage.address()).await?;
    let (mut client, connection) = h2::client::handshake(io).await?;
    let connection = tokio::spawn(connection);
    for round in 0..10 {
        let before = stage.moment();
        let mut waiting = Vec::new();
        for at in 0..10 {
            let ask = Ask::nth(stage.served.shape, first + round * 10 + at);
            client = client.ready().await?;
            let method = if ask.is_safe() { "GET" } else { "POST" };
            let mut request = http::Request::builder()
                .method(method)
                .uri(format!("http://app.test{}", ask.path()))
                .header("x-id", ask.id);
            if ask.kind != Kind::Refused {
                request = request.header("authorization", "good");
            }
            if ask.kind == Kind::Trap {
                request = request.header("x-name", &b"\xff\xfe"[..]);
            }
            let (response, mut sender) = client.send_request(request.body(())?, ask.is_safe())?;
            if !ask.is_safe() {
                sender.send_data(Bytes::from(ask.body.clone()), true)?;
            }
            waiting.push((ask, response));
        }
        // Broken off before the answer, and in the middle of one.
        for path in ["/slow", "/big"] {
            client = client.ready().await?;
            let request = http::Request::builder().uri(format!("http://app.test{path}"));
            let request = request.header("authorization", "good").body(())?;
            let (response, mut sender) = client.send_request(request, true)?;
            stage.breaks_off();
            if path == "/big" {
                let mut body = response.await?.into_body();
                body.data().await.ok_or("a piece should have come")??;
            }
            sender.send_reset(h2::Reason::CANCEL);
        }
        for (ask, response) in waiting {
            let (head, mut incoming) = response.await?.into_parts();
            let mut body = Vec::new();
            while let Some(bytes) = incoming.data().await {
                let bytes = bytes?;
                incoming.flow_control().release_capacity(bytes.len())?;
                body.extend_from_slice(&bytes);
            }
            let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            let answer = Answer {
                status: head.status.as_u16(),
                fields: head.headers.iter().map(field).collect(),
                body: String::from_utf8_lossy(&body).into_owned(),
            };
            ask.check(stage, &answer, &stage.versions(before))?;
            stage.answered(ask.kind == Kind::Log);
        }
    }
    connection.abort();
    Ok(())
}

/// Clients that break off, each time elsewhere.
pub fn breaking(stage: &Stage) -> Result<(), Failed> {
    const HEAD: &str = "Host: app.test\r\nAuthorization: good\r\n";
    let moment = std::time::Duration::from_millis(5);
    for turn in 0.. {
        if stage.is_over() {
            return Ok(());
        }
        let mut peer = stage.connect();
        match turn % 8 {
            0 => peer.send(format!("GET /echo/length HTTP/1.1\r\n{HEAD}X-Half")),
            1 => peer.send(format!("POST /echo/length HTTP/1.1\r\n{HEAD}Content-Length: 100\r\n\r\nhalf")),
            2 => {
                let request = "POST /echo/chunked HTTP/1.1\r\n";
                peer.send(format!("{request}{HEAD}Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n9\r\nha"));
            }
            // What has been sent and not been read makes the end a reset.
            3 => {
                peer.send(format!("GET /big HTTP/1.1\r\n{HEAD}\r\n"));
                peer.fill();
            }
            4 => waits_for_a_call(stage, &mut peer),
            5 | 6 => {
                peer.send(format!("GET /slow HTTP/1.1\r\n{HEAD}\r\n"));
                if turn % 2 == 0 {
                    std::thread::sleep(moment);
                }
                peer.half_close();
                if !peer.ends() {
                    return Err("a connection should end when the client says that nothing more comes".into());
                }
            }
            _ => peer.send(format!("GET /echo/length HTTP/1.1\r\n{HEAD}\r\n").repeat(5)),
        }
        if turn % 3 == 0 {
            std::thread::sleep(moment);
        }
        // The last kind counts for five.
        (0..if turn % 8 == 7 { 5 } else { 1 }).for_each(|_| stage.breaks_off());
    }
    Ok(())
}

fn waits_for_a_call(stage: &Stage, peer: &mut Peer) {
    match stage.served.shape {
        Shape::Gateway => peer.send("GET /wait HTTP/1.1\r\nHost: app.test\r\n\r\n"),
        Shape::Chain => peer.send("GET /echo/length HTTP/1.1\r\nHost: app.test\r\nAuthorization: slow\r\n\r\n"),
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
}
