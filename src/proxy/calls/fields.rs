//! Header fields between the host core's maps and the libraries' on the wire.

use crate::message::Headers;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Appends what came over the wire. Repeats of a name stay in their order.
pub(super) fn append(headers: &mut Headers, map: &HeaderMap) {
    for (name, value) in map {
        headers.append(Bytes::copy_from_slice(name.as_str().as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
    }
}

/// The head of a response, with its status first.
pub(super) fn response(head: &http::response::Parts) -> Headers {
    let mut headers = Headers::new();
    headers.append(":status", head.status.as_str().to_owned());
    append(&mut headers, &head.headers);
    headers
}

/// The map for the wire of what is no pseudo header; none if a name or a value can't be written.
pub(super) fn writable<'a>(headers: impl Iterator<Item = (&'a Bytes, &'a Bytes)>) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in headers.filter(|(name, _)| !name.starts_with(b":")) {
        let name = HeaderName::from_bytes(name).ok()?;
        map.try_append(name, HeaderValue::from_maybe_shared(value.clone()).ok()?).ok()?;
    }
    Some(map)
}
