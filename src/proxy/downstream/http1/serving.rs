//! One request on a client's connection: its body is read as somebody takes it, and the response is written.

use super::*;

/// A request under way.
pub(super) struct Serving {
    pub(super) flight: Flight,
    pub(super) body: Body,
    /// What the client waits for before it sends the body.
    pub(super) continues: Continue,
    pub(super) asked: Asked,
    pub(super) writing: Writing,
    pub(super) head_out: bool,
    pub(super) keep_alive: bool,
    /// The client may take so long for the next piece.
    pub(super) since: Instant,
    /// When the client was found to say nothing more. It may still read.
    pub(super) half_closed: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continue {
    NotAsked,
    /// The client waits, and nobody has told it to go on.
    Owed,
    Told,
}

/// How serving one request ended.
pub(super) enum Served {
    NotYet,
    /// The response is out.
    Whole,
    /// There is no client any more.
    Gone,
    /// The response ends here, wherever that is: the client gets what there is of it.
    CutOff,
    /// It is sent away, if it has not been answered yet.
    Refused(Refusal),
}

impl Serving {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        wire: &mut Wire,
        bounds: &HeadBounds,
        worker: &Worker,
    ) -> Served {
        let waiting = worker.settings().bounds.waiting_bytes;
        loop {
            let answered = self.flight.is_answered();
            let mut client = Reading {
                wire: &mut *wire,
                body: &mut self.body,
                continues: &mut self.continues,
                now: self.flight.now().max(now),
                since: &mut self.since,
                half_closed: &mut self.half_closed,
                bounds,
                answered,
                last_chunk_ends: self.flight.last_chunk_ends(),
            };
            match self.flight.advance(cx, now, &mut client) {
                Ok(()) => {}
                Err(ClientFault::Gone) => return Served::Gone,
                Err(ClientFault::Refused(refusal)) => return Served::Refused(refusal),
            }
            let mut moved = false;
            while wire.out.len() < waiting
                && let Some(part) = self.flight.next_part()
            {
                moved = true;
                match self.write(wire, part, worker) {
                    Served::NotYet => {}
                    ended => return ended,
                }
            }
            let before = wire.out.len();
            match wire.poll_flush(cx) {
                Poll::Ready(Err(_)) => return Served::Gone,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            if wire.out.len() != before {
                self.since = self.flight.now();
                moved = true;
            }
            if !moved {
                return if self.flight.is_over() { Served::CutOff } else { Served::NotYet };
            }
        }
    }

    /// Writes a piece of the response.
    fn write(&mut self, wire: &mut Wire, part: Part, worker: &Worker) -> Served {
        let written = match part {
            Part::Headers { headers, end_of_stream } => {
                self.head_out = true;
                // A final response can't be 101, or 17.
                let status = status_of(&headers).filter(|status| *status >= 200).unwrap_or(502);
                self.asked.keep_alive &= !worker.is_stopping();
                // Whoever waits for `100 Continue` and does not get it may send the body or not.
                self.asked.keep_alive &= self.continues != Continue::Owed;
                self.asked.date = date::now();
                let how = write::response_head(&mut wire.out, status, &headers, end_of_stream, &self.asked);
                (self.writing, self.keep_alive) = (how.body, how.keep_alive);
                if !end_of_stream {
                    return Served::NotYet;
                }
                write::end(&mut wire.out, self.writing, None)
            }
            Part::Data { bytes, end_of_stream } => {
                match (write::data(&mut wire.out, &mut self.writing, bytes), end_of_stream) {
                    (Written::Whole, false) => return Served::NotYet,
                    (Written::Whole, true) => write::end(&mut wire.out, self.writing, None),
                    (Written::Broken, _) => Written::Broken,
                }
            }
            Part::Trailers(trailers) => write::end(&mut wire.out, self.writing, Some(&trailers)),
            // HTTP/1.1 has no such frames.
            Part::Metadata(_) => return Served::NotYet,
            Part::Reset => return Served::CutOff,
        };
        if written == Written::Broken {
            self.keep_alive = false;
        }
        Served::Whole
    }
}

/// The client's side, while a request is under way.
struct Reading<'a> {
    wire: &'a mut Wire,
    body: &'a mut Body,
    continues: &'a mut Continue,
    now: Instant,
    since: &'a mut Instant,
    half_closed: &'a mut Option<Instant>,
    bounds: &'a HeadBounds,
    answered: bool,
    last_chunk_ends: bool,
}

impl Client for Reading<'_> {
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, ClientFault>> {
        if *self.continues == Continue::Owed && self.wire.input.is_empty() {
            if self.answered {
                return Poll::Pending;
            }
            self.wire.out.copy(b"HTTP/1.1 100 Continue\r\n\r\n");
            *self.continues = Continue::Told;
            let _ = self.wire.poll_flush(cx);
        }
        loop {
            match self.body.next(&mut self.wire.input, self.bounds) {
                Ok(Some(piece)) => {
                    *self.since = self.now;
                    *self.continues = Continue::Told;
                    return Poll::Ready(Ok(match piece {
                        Piece::Data(bytes) => {
                            let end_of_stream = self.last_chunk_ends && self.body.take_end(&mut self.wire.input);
                            Part::Data { bytes, end_of_stream }
                        }
                        Piece::Trailers(trailers) => Part::Trailers(trailers),
                        Piece::End => Part::Data { bytes: Bytes::new(), end_of_stream: true },
                    }));
                }
                Ok(None) => {}
                Err(refusal) => return Poll::Ready(Err(ClientFault::Refused(refusal))),
            }
            match self.wire.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(ClientFault::Gone)),
            }
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // What comes is the next request, or more of this one: it is kept, up to a bound.
        while self.wire.input.len() < self.bounds.bytes {
            match self.wire.poll_fill(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                // It has gone away, or only says nothing more: the time will tell.
                Poll::Ready(Ok(0)) => {
                    self.half_closed.get_or_insert(self.now);
                    return Poll::Pending;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}
