//! A gRPC service: notes what it is asked, and answers piece by piece.

use super::client::{Seen, fields, map, note};
use super::memory;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use pwtest::message::{Headers, Part};
use pwtest::scenario::{CalloutReply, Failure, GrpcEnd, GrpcReply, Reply};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const WINDOW: u32 = 8 << 20;

/// The service with everything that has come to it.
#[derive(Clone, Default)]
pub struct Service {
    arrivals: Rc<RefCell<Vec<Arrival>>>,
}

/// A call that has come.
#[derive(Clone)]
pub struct Arrival {
    pub seen: Seen,
    respond: Rc<RefCell<SendResponse<Bytes>>>,
    sending: Rc<RefCell<Option<SendStream<Bytes>>>>,
    connection: Rc<RefCell<Option<JoinHandle<()>>>>,
}

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum Piece {
    Part(Part),
    /// The connection is closed.
    BreakOff,
}

impl Service {
    /// Listens, on a task of this thread.
    pub async fn listen(&self) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let arrivals = self.arrivals.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Rc::new(RefCell::new(None));
                let task = tokio::task::spawn_local(serve(stream, arrivals.clone(), own.clone()));
                *own.borrow_mut() = Some(task);
            }
        });
        Ok(address)
    }

    /// All calls so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.borrow().clone()
    }
}

async fn serve(stream: TcpStream, arrivals: Rc<RefCell<Vec<Arrival>>>, own: Rc<RefCell<Option<JoinHandle<()>>>>) {
    let _ = stream.set_nodelay(true);
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (head, body) = request.into_parts();
        let mut headers = Headers::new();
        headers.append(":method", head.method.as_str().to_owned());
        headers.append(":path", head.uri.path_and_query().map_or("", |path| path.as_str()).to_owned());
        headers.append(":authority", head.uri.authority().map_or("", |name| name.as_str()).to_owned());
        for (name, value) in fields(&head.headers) {
            headers.append(name, value);
        }
        let seen = Seen::default();
        note(&seen, Part::Headers { headers, end_of_stream: body.is_end_stream() });
        tokio::task::spawn_local(read(body, seen.clone()));
        arrivals.borrow_mut().push(Arrival {
            seen,
            respond: Rc::new(RefCell::new(respond)),
            sending: Rc::default(),
            connection: own.clone(),
        });
    }
}

async fn read(mut body: RecvStream, seen: Seen) {
    while let Some(data) = body.data().await {
        let Ok(bytes) = data else { return note(&seen, Part::Reset) };
        let _ = body.flow_control().release_capacity(bytes.len());
        note(&seen, Part::Data { bytes, end_of_stream: body.is_end_stream() });
    }
    match body.trailers().await {
        Ok(Some(trailers)) => note(&seen, Part::Trailers(fields(&trailers))),
        Ok(None) => note(&seen, Part::Data { bytes: Bytes::new(), end_of_stream: true }),
        Err(_) => note(&seen, Part::Reset),
    }
}

impl Arrival {
    /// Sends a piece. A caller that has gone takes none.
    pub fn answer(&self, piece: &Piece) -> Result<(), String> {
        let text = |error: h2::Error| error.to_string();
        match piece {
            Piece::Part(Part::Headers { headers, end_of_stream }) => {
                let mut head = http::Response::new(());
                let status = headers.get(b":status").cloned().unwrap_or_default();
                *head.status_mut() = http::StatusCode::from_bytes(&status).map_err(|error| error.to_string())?;
                *head.headers_mut() = map(headers).map_err(|error| error.to_string())?;
                let sending = self.respond.borrow_mut().send_response(head, *end_of_stream).map_err(text)?;
                *self.sending.borrow_mut() = Some(sending);
                Ok(())
            }
            Piece::Part(part) => {
                let mut sending = self.sending.borrow_mut();
                let sending = sending.as_mut().ok_or("the answer has not begun")?;
                match part {
                    Part::Data { bytes, end_of_stream } => {
                        sending.send_data(bytes.clone(), *end_of_stream).map_err(text)
                    }
                    Part::Trailers(trailers) => {
                        sending.send_trailers(map(trailers).map_err(|error| error.to_string())?).map_err(text)
                    }
                    Part::Headers { .. } | Part::Metadata(_) | Part::Reset => Ok(()),
                }
            }
            Piece::BreakOff => {
                if let Some(connection) = self.connection.borrow_mut().take() {
                    connection.abort();
                }
                Ok(())
            }
        }
    }
}

/// What a service sends to answer a call so.
pub fn pieces(reply: &CalloutReply) -> VecDeque<Piece> {
    match reply {
        CalloutReply::Grpc(reply) | CalloutReply::Reply(_, Some(reply)) => answer(reply),
        CalloutReply::Reply(reply, None) => no_service(reply),
        CalloutReply::Fail(Failure::Reset) => [Piece::BreakOff].into(),
        CalloutReply::Fail(_) => VecDeque::new(),
    }
}

fn answer(reply: &GrpcReply) -> VecDeque<Piece> {
    let mut head = Headers::new();
    head.append(":status", "200");
    head.append("content-type", "application/grpc");
    let mut pieces = VecDeque::new();
    if !reply.trailers_only {
        let mut headers = head.clone();
        reply.headers.iter().for_each(|(name, value)| headers.append(name.to_ascii_lowercase(), value.clone()));
        pieces.push_back(Piece::Part(Part::Headers { headers, end_of_stream: false }));
    }
    for message in reply.messages.iter().filter(|_| !reply.trailers_only) {
        let bytes = pwtest::host::grpc::framed(message);
        pieces.push_back(Piece::Part(Part::Data { bytes, end_of_stream: false }));
    }
    match &reply.end {
        GrpcEnd::Status { code, message } => {
            let mut last = if reply.trailers_only { head } else { Headers::new() };
            last.append("grpc-status", code.to_string());
            message.iter().for_each(|message| last.append("grpc-message", message.clone()));
            reply.trailers.iter().for_each(|(name, value)| last.append(name.to_ascii_lowercase(), value.clone()));
            pieces.push_back(Piece::Part(match reply.trailers_only {
                true => Part::Headers { headers: last, end_of_stream: true },
                false => Part::Trailers(last),
            }));
        }
        GrpcEnd::Fail(Failure::Timeout) => {}
        GrpcEnd::Fail(_) => pieces.push_back(Piece::BreakOff),
    }
    pieces
}

/// What a server answers that does not speak gRPC.
fn no_service(reply: &Reply) -> VecDeque<Piece> {
    let mut headers = Headers::new();
    headers.append(":status", reply.status.to_string());
    reply.headers.iter().for_each(|(name, value)| headers.append(name.to_ascii_lowercase(), value.clone()));
    if memory::says_nothing(reply) {
        headers.append("content-length", "0");
    }
    let body = reply.body.iter().flat_map(|body| &body.chunks).cloned();
    let body: Vec<Bytes> = body.filter(|chunk| !chunk.is_empty()).collect();
    let ends = |last: bool| last && reply.trailers.is_empty() && reply.fail.is_none();
    let mut pieces: VecDeque<Piece> =
        [Piece::Part(Part::Headers { headers, end_of_stream: ends(body.is_empty()) })].into();
    let last = body.len().saturating_sub(1);
    for (at, bytes) in body.into_iter().enumerate() {
        pieces.push_back(Piece::Part(Part::Data { bytes, end_of_stream: ends(at == last) }));
    }
    if reply.fail.is_some() {
        pieces.push_back(Piece::BreakOff);
    } else if !reply.trailers.is_empty() {
        let trailers = reply.trailers.iter().map(|(name, value)| (name.to_ascii_lowercase().into(), value.clone()));
        pieces.push_back(Piece::Part(Part::Trailers(trailers.collect())));
    }
    pieces
}
