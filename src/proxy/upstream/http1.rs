//! One request on one connection to an upstream, in HTTP/1.1.

use super::Fault;
use crate::message::{Headers, Part};
use crate::proxy::http1::body::{Body, Piece};
use crate::proxy::http1::head::Scan;
use crate::proxy::http1::write::{self, Writing, Written};
use crate::proxy::http1::{Framing, HeadBounds, response};
use crate::proxy::pool::Idle;
use crate::proxy::wire::Wire;
use bytes::Bytes;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

/// What a response's head may have: nginx and Envoy differ, and both take less.
const BOUNDS: HeadBounds = HeadBounds { bytes: 256 << 10, target: 256 << 10, lines: 4096 };
/// Responses before the response.
const INTERIM: usize = 16;

/// A request under way.
#[derive(Debug)]
pub(in crate::proxy) struct Http1 {
    wire: Wire,
    peer: SocketAddr,
    served: u32,
    writing: Writing,
    sent: Sent,
    /// It can't be written to any more.
    broken: bool,
    /// Something of the request went out.
    touched: bool,
    reading: Reading,
    head_only: bool,
    keep_alive: bool,
    interim: usize,
    /// The last piece of a body ends the message by itself.
    last_chunk_ends: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Partly,
    Whole,
    /// What was sent is not what its head announced.
    Wrong,
}

#[derive(Debug)]
enum Reading {
    Head(Scan),
    Body(Body),
    Done,
}

impl Http1 {
    /// A request on this connection.
    pub(in crate::proxy) fn new(idle: Idle, head_only: bool, last_chunk_ends: bool) -> Self {
        Self {
            wire: idle.wire,
            peer: idle.peer,
            served: idle.served,
            writing: Writing::None,
            sent: Sent::Partly,
            broken: false,
            touched: false,
            reading: Reading::Head(Scan::default()),
            head_only,
            keep_alive: false,
            interim: 0,
            last_chunk_ends,
        }
    }

    /// Whether the connection has served a request before, so that it may have been closed meanwhile.
    pub(in crate::proxy) fn is_reused(&self) -> bool {
        self.served > 0
    }

    /// Whether nothing of the request can have been seen.
    pub(in crate::proxy) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// Bytes that wait to be written.
    pub(in crate::proxy) fn waiting(&self) -> usize {
        self.wire.out.len()
    }

    /// All of the request has been written.
    pub(in crate::proxy) fn is_sent(&self) -> bool {
        self.sent != Sent::Partly && self.wire.out.is_empty()
    }

    /// All of the response has been read.
    pub(in crate::proxy) fn is_done(&self) -> bool {
        matches!(self.reading, Reading::Done)
    }

    /// A piece of the request.
    pub(in crate::proxy) fn send(&mut self, part: &Part) {
        if self.broken || self.sent != Sent::Partly {
            return;
        }
        let out = &mut self.wire.out;
        match part {
            Part::Headers { headers, end_of_stream } => {
                self.writing = write::request_head(out, headers, *end_of_stream);
                if *end_of_stream {
                    self.end(None);
                }
            }
            Part::Data { bytes, end_of_stream } => {
                let written = write::data(out, &mut self.writing, bytes.clone());
                if written == Written::Broken {
                    self.sent = Sent::Wrong;
                } else if *end_of_stream {
                    self.end(None);
                }
            }
            Part::Trailers(trailers) => self.end(Some(trailers)),
            // HTTP/1.1 has no such frames.
            Part::Metadata(_) => {}
            Part::Reset => self.broken = true,
        }
    }

    fn end(&mut self, trailers: Option<&Headers>) {
        self.sent = match write::end(&mut self.wire.out, self.writing, trailers) {
            Written::Whole => Sent::Whole,
            Written::Broken => Sent::Wrong,
        };
    }

    /// Writes what waits. An upstream that takes nothing more may still have answered.
    pub(in crate::proxy) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wire.out.is_empty() {
            return Poll::Ready(());
        }
        let before = self.wire.out.len();
        let flushed = self.wire.poll_flush(cx);
        self.touched |= self.wire.out.len() != before;
        match flushed {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(_)) => {
                self.broken = true;
                self.wire.out.clear();
            }
        }
        Poll::Ready(())
    }

    /// The next piece of the response.
    pub(in crate::proxy) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Fault>> {
        loop {
            if !self.wire.input.is_empty() || matches!(&self.reading, Reading::Body(body) if body.is_at_end()) {
                match self.next_part() {
                    Ok(Some(part)) => return Poll::Ready(Ok(part)),
                    Ok(None) => {}
                    Err(fault) => return Poll::Ready(Err(fault)),
                }
            }
            match ready!(self.wire.poll_fill(cx)) {
                Ok(1..) => {}
                Ok(0) => match &mut self.reading {
                    Reading::Body(body) => {
                        if !body.ends_with_connection() {
                            return Poll::Ready(Err(Fault::Reset));
                        }
                    }
                    Reading::Head(_) if !self.wire.input.is_empty() => return Poll::Ready(Err(Fault::Garbage)),
                    Reading::Head(_) | Reading::Done => return Poll::Ready(Err(Fault::Reset)),
                },
                Err(_) => return Poll::Ready(Err(Fault::Reset)),
            }
        }
    }

    fn next_part(&mut self) -> Result<Option<Part>, Fault> {
        match &mut self.reading {
            Reading::Head(scan) => loop {
                let parsed = response::parse(&mut self.wire.input, scan, &BOUNDS, self.head_only);
                let Some(head) = parsed.map_err(|_| Fault::Garbage)? else { return Ok(None) };
                if head.status < 200 {
                    self.interim += 1;
                    // Nobody has asked for another protocol.
                    if head.status == 101 || self.interim > INTERIM {
                        return Err(Fault::Garbage);
                    }
                    if self.wire.input.is_empty() {
                        return Ok(None);
                    }
                    continue;
                }
                self.keep_alive = head.keep_alive;
                let end_of_stream = head.framing == Framing::None;
                self.reading = match head.framing {
                    Framing::None => Reading::Done,
                    framing => Reading::Body(Body::new(framing)),
                };
                return Ok(Some(Part::Headers { headers: head.headers, end_of_stream }));
            },
            Reading::Body(body) => {
                let piece = body.next(&mut self.wire.input, &BOUNDS).map_err(|_| Fault::Garbage)?;
                let Some(piece) = piece else { return Ok(None) };
                let part = match piece {
                    Piece::Data(bytes) if self.last_chunk_ends && body.take_end(&mut self.wire.input) => {
                        Part::Data { bytes, end_of_stream: true }
                    }
                    Piece::Data(bytes) => return Ok(Some(Part::Data { bytes, end_of_stream: false })),
                    Piece::End => Part::Data { bytes: Bytes::new(), end_of_stream: true },
                    Piece::Trailers(trailers) => Part::Trailers(trailers),
                };
                self.reading = Reading::Done;
                Ok(Some(part))
            }
            Reading::Done => Ok(None),
        }
    }

    /// The connection, if it can serve another request.
    pub(in crate::proxy) fn into_idle(self) -> Option<Idle> {
        let whole = self.is_done() && self.sent == Sent::Whole && self.wire.out.is_empty() && !self.broken;
        let served = self.served.saturating_add(1);
        (whole && self.keep_alive && self.wire.input.is_empty()).then_some(Idle {
            wire: self.wire,
            peer: self.peer,
            served,
        })
    }
}
