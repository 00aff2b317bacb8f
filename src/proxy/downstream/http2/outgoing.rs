//! The body of a response: hyper asks for it piece by piece, whenever the client's window has room.

use super::requests::Requests;
use super::{BrokenOff, Stream, answer, map, write_head};
use crate::message::Part;
use crate::proxy::http1::Refusal;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The body of a response.
pub(super) struct Outgoing {
    sending: Option<Remembered>,
    /// A body that is already there.
    rest: Option<Bytes>,
}

/// A body that comes out of a request under way.
pub(super) struct Sending {
    /// None where nothing more comes of it.
    stream: RefCell<Option<Box<Stream>>>,
    /// Since when it has been the client's turn; none while it waits for more of the response.
    waits: Cell<Option<Instant>>,
}

impl Sending {
    /// Since when the client could have taken more.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.waits.get()
    }

    /// The client is as good as gone: what belongs to the request ends. The stream is broken off if it ever moves.
    pub(super) fn give_up(&self) {
        self.waits.set(None);
        let stream = self.stream.take();
        drop(stream);
    }

    /// All of the response has been given out.
    fn finish(&self) {
        if let Some(stream) = self.stream.take() {
            stream.finish();
        }
    }

    fn poll_part(&self, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        let mut stream = self.stream.borrow_mut();
        let Some(of) = stream.as_mut() else { return Poll::Ready(None) };
        let part = match of.poll_part(cx) {
            Poll::Pending => {
                self.waits.set(None);
                return Poll::Pending;
            }
            Poll::Ready(part) => part.ok().flatten(),
        };
        self.waits.set(Some(Instant::now()));
        Poll::Ready(part)
    }
}

/// One that the connection knows of.
struct Remembered {
    sending: Rc<Sending>,
    requests: Rc<Requests>,
    number: u64,
}

impl Drop for Remembered {
    fn drop(&mut self) {
        self.requests.forget(self.number);
    }
}

impl Outgoing {
    /// What a request under way gives.
    pub(super) fn of(stream: Stream, requests: Rc<Requests>) -> Self {
        let (stream, waits) = (RefCell::new(Some(Box::new(stream))), Cell::new(Some(Instant::now())));
        let sending = Rc::new(Sending { stream, waits });
        let number = requests.remember(&sending);
        Self { sending: Some(Remembered { sending, requests, number }), rest: None }
    }

    /// Nothing.
    pub(super) fn none() -> Self {
        Self { sending: None, rest: None }
    }

    /// The answer to what is not taken.
    pub(super) fn refused(refusal: Refusal) -> Response<Self> {
        let (headers, body) = answer::message(refusal);
        let mut response = write_head(&headers, Self { sending: None, rest: Some(body) });
        *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
        response
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        if let Some(rest) = this.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
        loop {
            let Some(of) = &this.sending else { return Poll::Ready(None) };
            let Poll::Ready(part) = of.sending.poll_part(cx) else { return Poll::Pending };
            match part {
                Some(Part::Data { bytes, end_of_stream }) => {
                    if end_of_stream {
                        of.sending.finish();
                        this.sending = None;
                    }
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                Some(Part::Trailers(trailers)) => {
                    of.sending.finish();
                    this.sending = None;
                    return Poll::Ready(Some(Ok(Frame::trailers(map(&trailers)))));
                }
                None | Some(Part::Reset) => {
                    this.sending = None;
                    return Poll::Ready(Some(Err(BrokenOff)));
                }
                Some(Part::Headers { .. } | Part::Metadata(_)) => {}
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.sending.is_none() && self.rest.is_none()
    }
}
