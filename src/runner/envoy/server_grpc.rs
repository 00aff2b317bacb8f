//! The services of gRPC calls: they take what plugins send, and answer piece by piece as they are told.

use super::server2::{map, request_headers};
use super::stage::Stage;
use crate::host::{GrpcFailure, GrpcInput};
use crate::message::Headers;
use crate::runner::grpc::Sent;
use bytes::{Buf as _, Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use std::io::Write as _;
use std::net::Shutdown;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Failed = Box<dyn std::error::Error>;

/// A call or stream that reached its service.
#[derive(Debug)]
pub struct Arrived {
    /// The service's name.
    pub upstream: String,
    /// The head of the request.
    pub headers: Headers,
    /// What came since.
    pub sent: Sent,
    /// A frame that is not complete.
    partial: BytesMut,
    /// Envoy waits no more.
    pub gone: bool,
    /// Tells the service how to go on.
    pub lead: UnboundedSender<GrpcInput>,
}

impl Arrived {
    fn add(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some(length) = self.partial.get(1..5).and_then(|length| length.try_into().ok()) {
            let length = u32::from_be_bytes(length) as usize;
            if self.partial.len() < length + 5 {
                return;
            }
            self.partial.advance(5);
            self.sent.messages.push(self.partial.split_to(length).freeze());
        }
    }
}

/// Serves every connection until the runtime ends.
pub async fn serve(stage: Rc<Stage>, listener: TcpListener, name: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (stage, name) = (stage.clone(), name.clone());
        tokio::task::spawn_local(async move {
            let _ = connection(&stage, stream, &name).await;
        });
    }
}

async fn connection(stage: &Rc<Stage>, stream: TcpStream, name: &str) -> Result<(), Failed> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    // What breaks a connection off goes past HTTP/2.
    let raw = Rc::new(stream.try_clone()?);
    let mut connection = h2::server::handshake(TcpStream::from_std(stream)?).await?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request?;
        let (head, body) = request.into_parts();
        let (lead, told) = unbounded_channel();
        let (ended, headers) = (body.is_end_stream(), request_headers(&head));
        let (scene, at) = {
            let sent = Sent { half_closed: ended, ..Sent::default() };
            let partial = BytesMut::new();
            let upstream = name.to_owned();
            let mut scene = stage.scene.borrow_mut();
            scene.services.push(Arrived { upstream, headers, sent, partial, gone: false, lead });
            (scene.number(), scene.services.len() - 1)
        };
        stage.moved.notify_waiters();
        let (ours, raw) = (stage.clone(), raw.clone());
        tokio::task::spawn_local(async move { take(&ours, (scene, at), body).await });
        let ours = stage.clone();
        tokio::task::spawn_local(async move {
            if answer(&ours, (scene, at), respond, told, &raw).await.is_err() {
                gone(&ours, (scene, at));
            }
        });
    }
    Ok(())
}

/// Who it is: the number of the case and the place among its calls.
type Of = (usize, usize);

fn with(stage: &Stage, (scene, at): Of, change: impl FnOnce(&mut Arrived)) {
    let mut current = stage.scene.borrow_mut();
    if current.number() == scene
        && let Some(arrived) = current.services.get_mut(at)
    {
        change(arrived);
    }
    drop(current);
    stage.moved.notify_waiters();
}

fn gone(stage: &Stage, of: Of) {
    with(stage, of, |arrived| arrived.gone = true);
}

async fn take(stage: &Stage, of: Of, mut body: RecvStream) {
    loop {
        match body.data().await {
            Some(Ok(bytes)) => {
                let _ = body.flow_control().release_capacity(bytes.len());
                with(stage, of, |arrived| arrived.add(&bytes));
            }
            Some(Err(_)) => return gone(stage, of),
            None => return with(stage, of, |arrived| arrived.sent.half_closed = true),
        }
    }
}

async fn answer(
    stage: &Stage,
    of: Of,
    mut respond: h2::server::SendResponse<Bytes>,
    mut told: UnboundedReceiver<GrpcInput>,
    raw: &std::net::TcpStream,
) -> Result<(), Failed> {
    let mut sending: Option<SendStream<Bytes>> = None;
    loop {
        let next = match &mut sending {
            None => tokio::select! {
                next = told.recv() => next,
                _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => None,
            },
            Some(out) => tokio::select! {
                next = told.recv() => next,
                _ = std::future::poll_fn(|cx| out.poll_reset(cx)) => None,
            },
        };
        let Some(next) = next else {
            gone(stage, of);
            return Ok(());
        };
        match (next, &mut sending) {
            (GrpcInput::Headers { headers, end_of_stream }, _) => {
                let status = headers.get(b":status").cloned().unwrap_or_default();
                let mut response = http::Response::new(());
                *response.status_mut() = http::StatusCode::from_bytes(&status)?;
                *response.headers_mut() = map(&headers)?;
                sending = Some(respond.send_response(response, end_of_stream)?);
            }
            (GrpcInput::Data { bytes, end_of_stream }, Some(out)) => out.send_data(bytes, end_of_stream)?,
            (GrpcInput::Trailers(trailers), Some(out)) => out.send_trailers(map(&trailers)?)?,
            (GrpcInput::Failed(failure), _) => {
                if failure == GrpcFailure::Garbage {
                    let mut raw = raw;
                    raw.write_all(b"this is no HTTP/2, whatever it is\r\n\r\n")?;
                }
                raw.shutdown(Shutdown::Both)?;
            }
            (GrpcInput::Data { .. } | GrpcInput::Trailers(_), None) => {}
        }
    }
}
