//! Answers to what never was a request: no plugin sees them.

use crate::message::Headers;
use crate::proxy::date;
use crate::proxy::http1::Refusal;
use crate::proxy::http1::request::Version;
use crate::proxy::http1::write::{self, Asked, Outbox};
use crate::proxy::lane::Asker;
use crate::proxy::observer::Access;
use crate::proxy::worker::Worker;
use bytes::Bytes;

/// Nobody serves any more.
pub(super) const STOPS: Refusal = Refusal { status: 503, reason: "the server stops" };

/// The answer to a message that is not taken: its headers, and what is wrong in words.
pub(super) fn message(refusal: Refusal) -> (Headers, Bytes) {
    let body = format!("{} {}: {}\n", refusal.status, write::reason(refusal.status), refusal.reason);
    let headers = [
        (Bytes::from_static(b"content-type"), Bytes::from_static(b"text/plain; charset=utf-8")),
        (Bytes::from_static(b"content-length"), Bytes::from(body.len().to_string())),
    ];
    (headers.into_iter().collect(), body.into())
}

/// Writes that answer. The connection ends with it: nobody knows where the next message begins.
pub(super) fn refuse(out: &mut Outbox, refusal: Refusal, head_only: bool) {
    let (headers, body) = message(refusal);
    let asked = Asked { version: Version::Http11, head_only, keep_alive: false, date: date::now() };
    let mut writing = write::response_head(out, refusal.status, &headers, false, &asked).body;
    write::data(out, &mut writing, body);
}

/// Tells of a request that was refused before any host heard of it.
pub(super) fn note(worker: &Worker, asker: &Asker, refusal: Refusal) {
    let sent = if asker.asked.method == "HEAD" { 0 } else { message(refusal).1.len() as u64 };
    let access = Access { status: Some(refusal.status), sent, ..asker.access(worker.index) };
    worker.settings().observer.access(&access);
}
