//! The response side: every plugin sees it, in the order of the request, and what it returns counts for nothing
//! (`apisix.md` 2.6, 3.3, 3.4).

use super::super::exchange::{Exchange, ExchangeState};
use super::super::{Called, Host};
use super::pages;
use crate::abi::{Callback, ExchangeId};
use crate::message::{Direction, Headers, Part};
use bytes::Bytes;

/// The variable by which a plugin asks for the response's body.
const RESPONSE_BODY: &[u8] = b"wasm_process_resp_body";

impl Host {
    pub(super) fn response_arrives(&mut self, id: ExchangeId, part: Part) {
        match part {
            Part::Headers { headers, end_of_stream } => self.response_head(id, headers, end_of_stream),
            Part::Data { bytes, end_of_stream } => {
                let Some(e) = self.ex_mut(id) else { return };
                e.response.body_bytes += bytes.len() as u64;
                e.response.complete_in = end_of_stream;
                // nginx learns of the end by itself, after the last bytes (3.4).
                let empty = bytes.is_empty();
                if !empty {
                    self.response_chunk(id, bytes, false);
                }
                if end_of_stream && self.flows(id, Direction::Response) {
                    self.response_chunk(id, Bytes::new(), true);
                }
            }
            // nginx does not pass them on.
            Part::Trailers(_) => {
                if let Some(e) = self.ex_mut(id) {
                    e.response.complete_in = true;
                }
                self.response_chunk(id, Bytes::new(), true);
            }
            // nginx's HTTP/2 knows no METADATA frames.
            Part::Metadata(_) => {}
            Part::Reset => self.upstream_reset(id),
        }
    }

    /// A head, behind what plugins have put into the response already.
    fn response_head(&mut self, id: ExchangeId, headers: Headers, end: bool) {
        let head_only = self.has_no_body(id, &headers);
        let Some(e) = self.ex_mut(id) else { return };
        let early = std::mem::take(&mut e.response.headers);
        e.response.headers = if early.is_empty() {
            headers
        } else {
            let early = early.into_iter().filter(|(name, _)| !name.starts_with(b":"));
            let (pseudo, rest): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| name.starts_with(b":"));
            pseudo.into_iter().chain(early).chain(rest).collect()
        };
        e.response.arrived = true;
        e.response.complete_in = end;
        e.phases.responding = true;
        for filter in in_order(e) {
            self.response_headers(id, filter);
        }
        // The body filters run for a body of no bytes, too, but not where there can be none (3.4).
        if end && !head_only {
            self.shown_to_plugins(id, &Bytes::new(), true);
        }
        if let Some(e) = self.ex_mut(id) {
            e.phases.head_sent = true;
        }
        self.emit_headers(id, Direction::Response, end);
    }

    fn has_no_body(&self, id: ExchangeId, headers: &Headers) -> bool {
        let status = headers.get(b":status");
        self.is_head(id) || status.is_some_and(|status| status == "204" || status == "304")
    }

    fn response_headers(&mut self, id: ExchangeId, filter: usize) {
        if !self.plugin_context(id, filter) {
            return;
        }
        let called = self.phase_call(id, filter, Callback::OnResponseHeaders, &[0, 1]);
        // Only the headers of an answer count here; they have been added (0, fact 8).
        if let Some(e) = self.ex_mut(id) {
            e.phases.status = None;
        }
        if failed(&called) {
            self.plugin_failed(id, filter, "proxy_on_http_response_headers");
        } else if self.take_flag(id, RESPONSE_BODY) {
            let name = Bytes::from(self.plugin_name(id, filter));
            if let Some(e) = self.ex_mut(id) {
                e.phases.body_wanted.insert(name);
            }
        }
    }

    fn response_chunk(&mut self, id: ExchangeId, bytes: Bytes, end: bool) {
        self.shown_to_plugins(id, &bytes, end);
        self.emit(id, Direction::Response, Part::Data { bytes, end_of_stream: end });
    }

    /// Shows a chunk to the plugins that asked for it. It can't be held, nor changed.
    fn shown_to_plugins(&mut self, id: ExchangeId, bytes: &Bytes, end: bool) {
        let order = self.ex(id).filter(|e| !e.phases.body_wanted.is_empty()).map(in_order).unwrap_or_default();
        for filter in order {
            let name = Bytes::from(self.plugin_name(id, filter));
            if !self.ex(id).is_some_and(|e| e.phases.body_wanted.contains(&name)) || !self.plugin_context(id, filter) {
                continue;
            }
            if let Some(e) = self.ex_mut(id) {
                e.phases.shown = Some(bytes.clone());
            }
            let size = bytes.len() as u32;
            let called = self.phase_call(id, filter, Callback::OnResponseBody, &[size, u32::from(end)]);
            if let Some(e) = self.ex_mut(id) {
                e.phases.shown = None;
                e.phases.status = None;
            }
            if failed(&called) {
                self.plugin_failed(id, filter, "proxy_on_http_response_body");
            }
        }
    }

    /// Answers in place of the upstream: with a body, or with the page of nginx for the status (3.5, 4.4).
    pub(in super::super) fn respond(&mut self, id: ExchangeId, status: u32, body: Bytes) {
        let head = self.is_head(id);
        let Some(e) = self.ex_mut(id) else { return };
        if e.state != ExchangeState::Open {
            return;
        }
        e.request_closed = true;
        let typed = e.response.headers.get(b"content-type").is_some();
        let mut headers = Headers::new();
        headers.append(":status", status.to_string());
        let page = if body.is_empty() { pages::page(status).map(Bytes::from) } else { None };
        if let Some(page) = &page {
            e.response.headers.remove(b"content-type");
            headers.append("content-type", "text/html; charset=utf-8");
            headers.append("content-length", page.len().to_string());
        } else if !body.is_empty() {
            if !typed {
                headers.append("content-type", "text/plain; charset=utf-8");
            }
            headers.append("transfer-encoding", "chunked");
        }
        let nothing = head || (page.is_none() && body.is_empty());
        self.response_head(id, headers, nothing);
        if nothing || !self.flows(id, Direction::Response) {
            return;
        }
        match page {
            // A page is one piece.
            Some(page) => self.response_chunk(id, page, true),
            None => {
                self.response_chunk(id, body, false);
                self.response_chunk(id, Bytes::new(), true);
            }
        }
    }
}

/// The places of the chain in the order in which they see a response.
fn in_order(exchange: &Exchange) -> Vec<usize> {
    let first_look = exchange.phases.first_look;
    let seen = if exchange.phases.filter < first_look { first_look } else { exchange.filters.len() };
    match exchange.response_order.is_empty() {
        true => (0..seen).collect(),
        false => exchange.response_order.iter().copied().filter(|place| *place < seen).collect(),
    }
}

/// A trap, or a result that is negative: the wrapper takes both for an error.
fn failed(called: &Called) -> bool {
    match called {
        Called::Returned(result) => result.is_some_and(|result| (result as i32) < 0),
        Called::Missing => false,
        Called::Skipped | Called::Trapped => true,
    }
}
