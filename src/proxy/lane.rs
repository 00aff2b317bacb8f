//! One exchange as its worker knows it: who asks, and what the host has given out and nobody has carried out yet.

use super::observer::{About, Access};
use crate::abi::ExchangeId;
use crate::gateway::facts::{Asked, RequestFacts};
use crate::host::store::HostId;
use crate::message::{Headers, Part};
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;
use tokio::time::Instant;

/// Who asks, and for what.
#[derive(Debug)]
pub(super) struct Asker {
    /// The number of the connection, over all workers.
    pub connection: u64,
    pub asked: Asked,
    pub began: Instant,
}

impl Asker {
    /// What a gateway decides by.
    pub(super) fn facts(&self) -> RequestFacts<'_> {
        self.asked.facts()
    }

    /// The protocol as nginx writes it in its logs.
    fn written_protocol(&self) -> &'static str {
        match self.asked.protocol {
            "HTTP/2" => "HTTP/2.0",
            other => other,
        }
    }

    /// What is told of the request when it is over. It was in no host, and nothing came of it, as far as is said here.
    pub(super) fn access(&self, worker: usize) -> Access<'_> {
        let asked = &self.asked;
        Access {
            worker,
            host: HostId(0),
            exchange: ExchangeId(0),
            client: asked.client,
            server: asked.server,
            method: &asked.method,
            target: &asked.target,
            protocol: self.written_protocol(),
            authority: &asked.authority,
            headers: &asked.headers,
            status: None,
            sent: 0,
            received: 0,
            took: self.began.elapsed(),
            tries: &[],
            upstream_host: b"",
            aborted: false,
        }
    }
}

/// The two queues of an exchange. Filled when the host has run, whoever made it run; emptied by the task that serves
/// the exchange.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) asker: Asker,
    /// The upstream that is being asked.
    asked: Cell<Option<SocketAddr>>,
    to_client: RefCell<VecDeque<Part>>,
    to_upstream: RefCell<VecDeque<Part>>,
    client_bytes: Cell<usize>,
    upstream_bytes: Cell<usize>,
    answered: Cell<bool>,
    closed: Cell<bool>,
    /// The task that serves it is at work on it, and will look.
    attended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Lane {
    pub(super) fn new(asker: Asker) -> Self {
        Self {
            asker,
            asked: Cell::new(None),
            to_client: RefCell::default(),
            to_upstream: RefCell::default(),
            client_bytes: Cell::new(0),
            upstream_bytes: Cell::new(0),
            answered: Cell::new(false),
            closed: Cell::new(false),
            attended: Cell::new(false),
            waker: RefCell::default(),
        }
    }

    /// Which upstream is being asked, if one is.
    pub(super) fn asks(&self, upstream: Option<SocketAddr>) {
        self.asked.set(upstream);
    }

    /// Tells somebody who asks, in words.
    pub(super) fn tell(&self, exchange: ExchangeId, somebody: impl FnOnce(About<'_>)) {
        let (asker, asked) = (&self.asker, &self.asker.asked);
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let target = text(&asked.target);
        let request_line = format!("{} {target} {}", text(&asked.method), asker.written_protocol());
        let upstream = self.asked.get().map(|address| format!("http://{address}{target}"));
        somebody(About {
            exchange,
            connection: asker.connection,
            client: asked.client,
            server: asked.server,
            request_line: &request_line,
            authority: &text(&asked.authority),
            referrer: asked.headers.get(b"referer").map(|value| &value[..]),
            upstream: upstream.as_deref(),
        });
    }

    pub(super) fn push_to_client(&self, part: Part) {
        self.answered.set(true);
        self.client_bytes.set(self.client_bytes.get() + weight(&part));
        self.to_client.borrow_mut().push_back(part);
    }

    pub(super) fn push_to_upstream(&self, part: Part) {
        self.upstream_bytes.set(self.upstream_bytes.get() + weight(&part));
        self.to_upstream.borrow_mut().push_back(part);
    }

    pub(super) fn pop_to_client(&self) -> Option<Part> {
        let part = self.to_client.borrow_mut().pop_front()?;
        self.client_bytes.set(self.client_bytes.get().saturating_sub(weight(&part)));
        Some(part)
    }

    pub(super) fn pop_to_upstream(&self) -> Option<Part> {
        let part = self.to_upstream.borrow_mut().pop_front()?;
        self.upstream_bytes.set(self.upstream_bytes.get().saturating_sub(weight(&part)));
        Some(part)
    }

    /// Whether nothing waits for the client.
    pub(super) fn nothing_for_client(&self) -> bool {
        self.to_client.borrow().is_empty()
    }

    /// Bytes that wait for the client.
    pub(super) fn client_bytes(&self) -> usize {
        self.client_bytes.get()
    }

    /// Bytes that wait for the upstream.
    pub(super) fn upstream_bytes(&self) -> usize {
        self.upstream_bytes.get()
    }

    /// Whether a response has begun.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.get()
    }

    /// Whether the host has forgotten the exchange.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub(super) fn close(&self) {
        self.closed.set(true);
    }

    /// Who is to be told of what other tasks put here.
    pub(super) fn wake_me(&self, waker: &Waker) {
        let mut known = self.waker.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Whether the task that serves it looks anyway at what is put here from now on.
    pub(super) fn attend(&self, attended: bool) {
        self.attended.set(attended);
    }

    pub(super) fn wake(&self) {
        if !self.attended.get()
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }
}

fn weight(part: &Part) -> usize {
    match part {
        Part::Data { bytes, .. } => bytes.len(),
        Part::Headers { headers, .. } | Part::Trailers(headers) | Part::Metadata(headers) => {
            Headers::byte_size(headers)
        }
        Part::Reset => 0,
    }
}
