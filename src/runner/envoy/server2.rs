//! Origin and called upstreams over HTTP/2.

use super::stage::{Answer, Role, Stage};
use crate::message::{Headers, Part};
use crate::runner::message;
use crate::scenario::{Failure, Protocol, Reply};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};

type Failed = Box<dyn std::error::Error>;

/// Serves every connection until the runtime ends.
pub async fn serve(stage: Rc<Stage>, listener: TcpListener, role: Role) {
    while let Ok((stream, _)) = listener.accept().await {
        let (stage, role) = (stage.clone(), role.clone());
        tokio::task::spawn_local(async move {
            let _ = connection(&stage, stream, &role).await;
        });
    }
}

async fn connection(stage: &Rc<Stage>, stream: TcpStream, role: &Role) -> Result<(), Failed> {
    stream.set_nodelay(true)?;
    let mut connection = h2::server::Builder::new()
        .initial_window_size(8 << 20)
        .initial_connection_window_size(8 << 20)
        .max_header_list_size(1 << 20)
        .handshake(stream)
        .await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let (stage, role) = (stage.clone(), role.clone());
        tokio::task::spawn_local(async move {
            let _ = exchange(&stage, request, respond, &role).await;
        });
    }
    Ok(())
}

async fn exchange(
    stage: &Stage,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    role: &Role,
) -> Result<(), Failed> {
    let (head, mut body) = request.into_parts();
    let ticket = stage.arrived(role, request_headers(&head), body.is_end_stream());
    if let Err(error) = receive(&mut body, |part| stage.part(&ticket, part)).await {
        stage.part(&ticket, Part::Reset);
        stage.gone(&ticket);
        return Err(error);
    }
    let answer = tokio::select! {
        answer = stage.answer(&ticket) => answer,
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => {
            stage.gone(&ticket);
            return Ok(());
        }
    };
    match answer {
        Answer::Reply(reply, head_only) => write_reply(stage, respond, &reply, head_only).await,
        Answer::Reset | Answer::Garbage => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            Ok(())
        }
        Answer::Silence => {
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            stage.gone(&ticket);
            Ok(())
        }
    }
}

/// Everything behind a head. The end may come with the last data or by itself.
pub async fn receive(body: &mut RecvStream, mut take: impl FnMut(Part)) -> Result<(), Failed> {
    if body.is_end_stream() {
        return Ok(());
    }
    while let Some(data) = body.data().await {
        let bytes = data?;
        let _ = body.flow_control().release_capacity(bytes.len());
        let end_of_stream = body.is_end_stream();
        take(Part::Data { bytes, end_of_stream });
        if end_of_stream {
            return Ok(());
        }
    }
    match body.trailers().await? {
        Some(trailers) => take(Part::Trailers(fields(&trailers))),
        None => take(Part::Data { bytes: Bytes::new(), end_of_stream: true }),
    }
    Ok(())
}

/// A header map as ours.
pub fn fields(map: &http::HeaderMap) -> Headers {
    map.iter()
        .map(|(name, value)| (Bytes::from(name.as_str().to_owned()), Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

/// One of ours as a header map, without pseudo headers.
pub fn map(headers: &Headers) -> Result<http::HeaderMap, Failed> {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(b":")) {
        map.append(http::HeaderName::from_bytes(name)?, http::HeaderValue::from_bytes(value)?);
    }
    Ok(map)
}

/// The head of a request as ours.
pub fn request_headers(head: &http::request::Parts) -> Headers {
    let mut headers = Headers::new();
    headers.append(":method", head.method.as_str().to_owned());
    if let Some(scheme) = head.uri.scheme_str() {
        headers.append(":scheme", scheme.to_owned());
    }
    if let Some(authority) = head.uri.authority() {
        headers.append(":authority", authority.as_str().to_owned());
    }
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    headers.append(":path", path.to_owned());
    for (name, value) in fields(&head.headers) {
        headers.append(name, value);
    }
    headers
}

async fn write_reply(
    stage: &Stage,
    mut respond: SendResponse<Bytes>,
    reply: &Reply,
    head_only: bool,
) -> Result<(), Failed> {
    let parts = message::response(reply, Protocol::H2, None, head_only, false);
    let mut sending: Option<SendStream<Bytes>> = None;
    for part in parts {
        match (part, &mut sending) {
            (Part::Headers { headers, end_of_stream }, _) => {
                let mut response = http::Response::new(());
                *response.status_mut() = http::StatusCode::from_u16(reply.status)?;
                *response.headers_mut() = map(&headers)?;
                sending = Some(respond.send_response(response, end_of_stream)?);
            }
            (Part::Data { bytes, end_of_stream }, Some(out)) => out.send_data(bytes, end_of_stream)?,
            (Part::Trailers(trailers), Some(out)) => out.send_trailers(map(&trailers)?)?,
            (Part::Reset | Part::Metadata(_) | Part::Data { .. } | Part::Trailers(_), _) => return Ok(()),
        }
        stage.barrier.pass(2).await?;
    }
    if let (Some(fail), Some(out)) = (reply.fail, &mut sending) {
        match fail {
            Failure::Timeout => {
                let _ = std::future::poll_fn(|cx| out.poll_reset(cx)).await;
            }
            Failure::Reset | Failure::Refused | Failure::Unknown | Failure::Garbage => {
                out.send_reset(Reason::INTERNAL_ERROR);
            }
        }
    }
    Ok(())
}
