//! gRPC calls and streams over HTTP/2 without TLS. Calls to one address share a connection.
//!
//! Messages go out in the host core's frames, and what comes is handed over as it comes: the host core takes it apart.

use super::clusters::Address;
use super::connect::connect;
use super::patience::{Patience, TooLong};
use super::{Making, fields};
use crate::abi::CallId;
use crate::host::{GrpcFailure, GrpcInput};
use crate::message::Headers;
use crate::trace::{GrpcCall, GrpcKind};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

/// Bytes that a service may send before it is told that they have been taken.
const WINDOW: u32 = 1 << 20;
/// Bytes of a head.
const MOST_HEAD: u32 = 1 << 20;

/// What a plugin sends.
#[derive(Debug)]
pub(super) struct Piece {
    /// A message in its frame, or nothing.
    pub(super) frame: Bytes,
    /// Nothing more comes.
    pub(super) end_of_stream: bool,
}

/// Makes a call. Gives the piece that ends the answer, which is the only one that is not handed over yet.
pub(super) async fn make(
    making: &Making,
    id: CallId,
    call: &GrpcCall,
    head: &Headers,
    sent: UnboundedReceiver<Piece>,
    waiting: &Cell<usize>,
) -> GrpcInput {
    let patience = match call.kind {
        GrpcKind::Unary { timeout_ms: ms @ 1.., .. } => {
            Patience::Until(Instant::now() + std::time::Duration::from_millis(u64::from(ms)))
        }
        GrpcKind::Unary { .. } | GrpcKind::Stream => Patience::Endless,
    };
    let answer = async {
        let (response, sending) = begin(making, call, head).await?;
        tokio::select! {
            biased;
            last = receive(making, id, response) => last,
            never = send(sending, sent, waiting) => match never {},
        }
    };
    match patience.within(answer).await {
        Ok(Ok(last)) => last,
        Ok(Err(failure)) => GrpcInput::Failed(failure),
        Err(TooLong) => GrpcInput::Failed(GrpcFailure::TimedOut),
    }
}

async fn begin(
    making: &Making,
    call: &GrpcCall,
    head: &Headers,
) -> Result<(ResponseFuture, SendStream<Bytes>), GrpcFailure> {
    let address = making.address(&call.upstream).ok_or(GrpcFailure::Refused)?;
    let request = request(head).ok_or(GrpcFailure::Reset)?;
    let kept = making.services.borrow().get(&address).cloned();
    let mut service = match kept {
        Some(service) => match service.ready().await {
            Ok(service) => service,
            // It has been closed since.
            Err(_) => open(making, address).await?,
        },
        None => open(making, address).await?,
    };
    service.send_request(request, false).map_err(|error| failure(&error))
}

async fn open(making: &Making, address: Address) -> Result<SendRequest<Bytes>, GrpcFailure> {
    making.services.borrow_mut().remove(&address);
    let stream = connect(&address, &making.resolve).await.map_err(|_| GrpcFailure::Refused)?;
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW).max_header_list_size(MOST_HEAD);
    builder.enable_push(false);
    let (service, connection) = builder.handshake(stream).await.map_err(|error| failure(&error))?;
    tokio::task::spawn_local(connection);
    let service = service.ready().await.map_err(|error| failure(&error))?;
    making.services.borrow_mut().insert(address, service.clone());
    Ok(service)
}

fn request(head: &Headers) -> Option<http::Request<()>> {
    let text = |name: &[u8]| head.get(name).map_or(&b""[..], |value| value);
    let uri = http::Uri::builder()
        .scheme(text(b":scheme"))
        .authority(text(b":authority"))
        .path_and_query(text(b":path"))
        .build()
        .ok()?;
    let mut request = http::Request::new(());
    *request.method_mut() = text(b":method").try_into().ok()?;
    *request.uri_mut() = uri;
    *request.version_mut() = http::Version::HTTP_2;
    *request.headers_mut() = fields::writable(head.iter())?;
    Some(request)
}

/// Hands over everything but the last piece.
async fn receive(making: &Making, id: CallId, response: ResponseFuture) -> Result<GrpcInput, GrpcFailure> {
    let (head, mut body) = response.await.map_err(|error| failure(&error))?.into_parts();
    let headers = fields::response(&head);
    if body.is_end_stream() {
        return Ok(GrpcInput::Headers { headers, end_of_stream: true });
    }
    making.hand_over(id, GrpcInput::Headers { headers, end_of_stream: false });
    while let Some(bytes) = body.data().await {
        let bytes = bytes.map_err(|error| failure(&error))?;
        take(&mut body, bytes.len());
        making.hand_over(id, GrpcInput::Data { bytes, end_of_stream: false });
    }
    match body.trailers().await.map_err(|error| failure(&error))? {
        Some(map) => {
            let mut trailers = Headers::new();
            fields::append(&mut trailers, &map);
            Ok(GrpcInput::Trailers(trailers))
        }
        None => Ok(GrpcInput::Data { bytes: Bytes::new(), end_of_stream: true }),
    }
}

fn take(body: &mut RecvStream, bytes: usize) {
    // The window of a stream that has ended needs no more room.
    let _ = body.flow_control().release_capacity(bytes);
}

/// Sends what the plugin says as fast as the service takes it. It never ends: the answer ends the call, or the plugin
/// does. A service may answer before it has taken everything, and then the answer is what counts; one that broke off
/// is seen there, too.
async fn send(mut out: SendStream<Bytes>, mut sent: UnboundedReceiver<Piece>, waiting: &Cell<usize>) -> Infallible {
    'pieces: while let Some(Piece { mut frame, end_of_stream }) = sent.recv().await {
        while !frame.is_empty() {
            out.reserve_capacity(frame.len());
            let Some(Ok(room)) = poll_fn(|cx| out.poll_capacity(cx)).await else { break 'pieces };
            let part = frame.split_to(room.min(frame.len()));
            waiting.set(waiting.get().saturating_sub(part.len()));
            if out.send_data(part, false).is_err() {
                break 'pieces;
            }
        }
        if end_of_stream {
            // What can't be said any more the service does not ask for.
            let _ = out.send_data(Bytes::new(), true);
            break;
        }
    }
    pending().await
}

fn failure(error: &h2::Error) -> GrpcFailure {
    match error.is_library() && error.is_go_away() {
        true => GrpcFailure::Garbage,
        false => GrpcFailure::Reset,
    }
}
