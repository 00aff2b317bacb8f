//! Requests, answers, and what is expected of messages.

use super::text::{Page, is_key};
use super::{Message, Unwritable, Wanted};
use crate::scenario::model::{Abort, Body, End, Framing, Request};
use bytes::Bytes;
use std::collections::BTreeSet;

/// `request`, in its short form where there is nothing but a target.
pub(super) fn request(page: &mut Page, at: usize, request: &Request) -> Result<(), Unwritable> {
    let target = [&request.method[..], b" ", &request.scheme, b"://", &request.authority, &request.path].concat();
    let target = String::from_utf8(target).map_err(|_| Unwritable::Url)?;
    let bare = request.headers.is_empty() && request.trailers.is_empty();
    if bare && request.body.is_none() && request.abort.is_none() {
        page.text(at, "request", &target);
        return Ok(());
    }
    page.key(at, "request");
    page.text(at + 2, "send", &target);
    headers(page, at + 2, "headers", &request.headers)?;
    if let Some(given) = &request.body {
        body(page, at + 2, given);
    }
    headers(page, at + 2, "trailers", &request.trailers)?;
    match request.abort {
        None => {}
        Some(Abort::Request) => page.text(at + 2, "abort", "request"),
        Some(Abort::Wait) => page.text(at + 2, "abort", "wait"),
        Some(Abort::Response) => page.text(at + 2, "abort", "response"),
    }
    Ok(())
}

/// Headers or trailers: a mapping where that keeps their order, else pairs.
pub(super) fn headers(page: &mut Page, at: usize, key: &str, pairs: &[(Bytes, Bytes)]) -> Result<(), Unwritable> {
    if pairs.is_empty() {
        return Ok(());
    }
    let name = |name: &Bytes| std::str::from_utf8(name).map(str::to_owned).map_err(|_| Unwritable::Name);
    let pairs = pairs.iter().map(|(key, value)| Ok((name(key)?, value))).collect::<Result<Vec<_>, _>>()?;
    page.key(at, key);
    // Same names that stand together are one entry with a list.
    let groups: Vec<_> = pairs.chunk_by(|(one, _), (other, _)| one == other).collect();
    let mut names = BTreeSet::new();
    let once = groups.iter().filter_map(|group| group.first()).all(|(name, _)| names.insert(name.to_ascii_lowercase()));
    if !once || pairs.iter().any(|(name, _)| !is_key(name)) {
        for (name, value) in &pairs {
            page.pair(at + 2, name, value);
        }
        return Ok(());
    }
    for group in groups {
        match group {
            [(name, value)] => header(page, at + 2, name, value),
            [(name, _), ..] => {
                page.key(at + 2, name);
                for (_, value) in group {
                    page.raw_item(at + 4, &header_value(page, value));
                }
            }
            [] => {}
        }
    }
    Ok(())
}

fn header(page: &mut Page, at: usize, name: &str, value: &[u8]) {
    let value = header_value(page, value);
    page.raw(at, name, &value);
}

/// The value of a header can't hold line breaks as text.
fn header_value(page: &Page, value: &[u8]) -> String {
    match value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        true => super::text::hex(value),
        false => page.value(value),
    }
}

/// `body`.
pub(super) fn body(page: &mut Page, at: usize, body: &Body) {
    let single = match (body.framing, body.chunks.as_slice()) {
        (Framing::Length, []) => Some(Bytes::new()),
        (Framing::Length, [one]) => Some(one.clone()),
        (Framing::Length | Framing::Chunked, _) => None,
    };
    let end = match body.end {
        None => None,
        Some(End::WithLast) => Some("with_last"),
        Some(End::Separate) => Some("separate"),
    };
    match (single, end) {
        (Some(bytes), None) => page.bytes(at, "body", &bytes),
        (Some(bytes), Some(end)) => {
            page.key(at, "body");
            match page.value(&bytes) {
                text if text.starts_with('{') => {
                    let digits = text.trim_start_matches("{ hex: ").trim_end_matches(" }");
                    page.raw(at + 2, "hex", digits);
                }
                text => page.raw(at + 2, "text", &text),
            }
            page.text(at + 2, "end", end);
        }
        (None, None) => chunks(page, at, "body", &body.chunks),
        (None, Some(end)) => {
            page.key(at, "body");
            chunks(page, at + 2, "chunks", &body.chunks);
            page.text(at + 2, "end", end);
        }
    }
}

fn chunks(page: &mut Page, at: usize, key: &str, chunks: &[Bytes]) {
    if chunks.is_empty() {
        page.raw(at, key, "[]");
        return;
    }
    page.key(at, key);
    for chunk in chunks {
        page.bytes_item(at + 2, chunk);
    }
}

/// What is expected of a message.
pub(super) fn expected(page: &mut Page, at: usize, key: &str, message: &Message) {
    if *message == Message::default() {
        return;
    }
    page.key(at, key);
    for (part, value) in &message.start {
        let value = page.wanted(value);
        page.raw(at + 2, part, &value);
    }
    fields(page, at + 2, "headers", &message.headers);
    if let Some(body) = &message.body {
        let value = page.wanted(body);
        page.raw(at + 2, "body", &value);
    }
    fields(page, at + 2, "trailers", &message.trailers);
}

fn fields(page: &mut Page, at: usize, key: &str, fields: &[(String, Vec<Wanted>)]) {
    if fields.is_empty() {
        return;
    }
    page.key(at, key);
    for (name, values) in fields {
        match values.as_slice() {
            [] => page.raw(at + 2, name, "null"),
            [one] => {
                let value = page.wanted(one);
                page.raw(at + 2, name, &value);
            }
            several => {
                page.key(at + 2, name);
                for one in several {
                    let value = page.wanted(one);
                    page.raw_item(at + 4, &value);
                }
            }
        }
    }
}
