//! From the scenario's requests and replies to the pieces that a host is fed with: pseudo headers, framing, chunks,
//! and the end of the stream.

use crate::message::{Headers, Part};
use crate::scenario::{Abort, Body, Cut, End, Framing, Protocol, Reply, Request};
use bytes::Bytes;

/// A body's chunks and the way its end arrives, for one variant of the case.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The chunks, none of them empty unless the body is.
    pub chunks: Vec<Bytes>,
    /// How the end arrives.
    pub end: End,
}

/// One way of cutting a body, out of those that `cut: every` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Where it is cut.
    pub cut: Cutting,
    /// How the end arrives.
    pub end: End,
}

/// Where a body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutting {
    /// Nowhere.
    Whole,
    /// In two, after so many bytes.
    At(usize),
    /// Byte by byte.
    Bytes,
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.cut {
            Cutting::Whole => f.write_str("in one piece")?,
            Cutting::At(at) => write!(f, "cut after {at} bytes")?,
            Cutting::Bytes => f.write_str("byte by byte")?,
        }
        f.write_str(match self.end {
            End::WithLast => ", the last chunk ends the stream",
            End::Separate => ", an empty chunk ends the stream",
        })
    }
}

/// Every variant of a body of this length.
pub fn variants(length: usize) -> Vec<Variant> {
    let mut cuts = vec![Cutting::Whole];
    cuts.extend((1..length).map(Cutting::At));
    if length > 2 {
        cuts.push(Cutting::Bytes);
    }
    let both = |cut| [End::WithLast, End::Separate].map(|end| Variant { cut, end });
    cuts.into_iter().flat_map(both).collect()
}

/// How a body is delivered. HTTP/1.1 ends with an empty chunk, HTTP/2 with the last one (Envoy 1.40).
pub fn delivery(body: &Body, protocol: Protocol, variant: Option<Variant>) -> Delivery {
    let end = body.end.unwrap_or(match protocol {
        Protocol::Http1 => End::Separate,
        Protocol::H2 => End::WithLast,
    });
    let (cut, end) = match (variant, body.cut) {
        (Some(variant), Some(Cut::Every)) => (Some(variant.cut), variant.end),
        (_, Some(Cut::At(at))) => (Some(Cutting::At(at)), end),
        _ => (None, end),
    };
    let chunks = match cut {
        None | Some(Cutting::Whole) => body.chunks.clone(),
        Some(Cutting::At(at)) => {
            body.chunks.iter().flat_map(|c| [c.slice(..at.min(c.len())), c.slice(at.min(c.len())..)]).collect()
        }
        Some(Cutting::Bytes) => body.chunks.iter().flat_map(|c| (0..c.len()).map(|i| c.slice(i..=i))).collect(),
    };
    let chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
    Delivery { chunks, end }
}

/// The pieces of a request.
pub fn request(request: &Request, protocol: Protocol, variant: Option<Variant>) -> Vec<Part> {
    let mut headers = Headers::new();
    // The order in which Envoy 1.40 shows them.
    headers.append(":authority", request.authority.clone());
    headers.append(":path", request.path.clone());
    headers.append(":method", request.method.clone());
    headers.append(":scheme", request.scheme.clone());
    let given = Given {
        headers: &request.headers,
        body: request.body.as_ref(),
        trailers: &request.trailers,
        metadata: &request.metadata,
        breaks_off: request.abort == Some(Abort::Request),
    };
    parts(headers, &given, protocol, variant, Side::Request)
}

/// The same pieces, with the end of the stream on the last chunk.
pub fn ending_with_last(mut parts: Vec<Part>) -> Vec<Part> {
    if let [.., Part::Data { end_of_stream, .. }, Part::Data { bytes, end_of_stream: true }] = parts.as_mut_slice()
        && bytes.is_empty()
    {
        *end_of_stream = true;
        parts.pop();
    }
    parts
}

/// The pieces of a response.
pub fn response(
    reply: &Reply,
    protocol: Protocol,
    variant: Option<Variant>,
    head_only: bool,
    breaks_off: bool,
) -> Vec<Part> {
    let mut headers = Headers::new();
    headers.append(":status", reply.status.to_string());
    let given = Given {
        headers: &reply.headers,
        body: reply.body.as_ref(),
        trailers: &reply.trailers,
        metadata: &reply.metadata,
        breaks_off: breaks_off || reply.fail.is_some(),
    };
    let mut parts = parts(headers, &given, protocol, variant, Side::Response);
    // A response to HEAD, 204 and 304 have no body, whatever their headers say.
    if head_only || matches!(reply.status, 204 | 304) {
        parts.truncate(1);
        if let Some(Part::Headers { end_of_stream, .. }) = parts.first_mut() {
            *end_of_stream = true;
        }
    }
    parts
}

/// The answer to a call, in one piece: nobody sees its chunks.
pub fn call_response(reply: &Reply, added: &[(&'static str, &'static str)]) -> (Headers, Bytes, Headers) {
    let mut all = Headers::new();
    let mut data = Vec::new();
    let mut trailers = Headers::new();
    for part in response(reply, Protocol::Http1, None, false, false) {
        match part {
            Part::Headers { headers, .. } => all = headers,
            Part::Data { bytes, .. } => data.extend_from_slice(&bytes),
            Part::Trailers(given) => trailers = given,
            Part::Metadata(_) | Part::Reset => {}
        }
    }
    for (name, value) in added {
        all.append(*name, *value);
    }
    (all, data.into(), trailers)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// A message as the scenario gives it.
struct Given<'a> {
    headers: &'a [(Bytes, Bytes)],
    body: Option<&'a Body>,
    trailers: &'a [(Bytes, Bytes)],
    metadata: &'a [Vec<(Bytes, Bytes)>],
    /// Its end never comes. So that it is missed, no length is announced.
    breaks_off: bool,
}

fn parts(
    mut headers: Headers,
    given: &Given<'_>,
    protocol: Protocol,
    variant: Option<Variant>,
    side: Side,
) -> Vec<Part> {
    let Given { headers: given, body, trailers, metadata, breaks_off } = *given;
    let empty;
    let body = match body {
        None if breaks_off => {
            empty = Body { chunks: Vec::new(), framing: Framing::Chunked, cut: None, end: None, span: 0..0 };
            Some(&empty)
        }
        body => body,
    };
    let framed = given.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
    });
    for (name, value) in given {
        // Envoy 1.40 does not show the request's transfer-encoding to plugins, but the response's.
        let hidden = side == Side::Request && name.eq_ignore_ascii_case(b"transfer-encoding");
        if !hidden {
            headers.append(name.to_ascii_lowercase(), value.clone());
        }
    }
    let length: usize = body.map_or(0, |body| body.chunks.iter().map(Bytes::len).sum());
    if let (Some(body), false) = (body, framed) {
        let announces = body.framing == Framing::Length && trailers.is_empty() && !breaks_off;
        match (announces, protocol, side) {
            (true, _, _) => headers.append("content-length", length.to_string()),
            (false, Protocol::Http1, Side::Response) => headers.append("transfer-encoding", "chunked"),
            _ => {}
        }
    }
    let announced_empty =
        body.is_some_and(|b| b.framing == Framing::Length) && length == 0 && trailers.is_empty() && !breaks_off;
    let Some(body) = body.filter(|_| !announced_empty) else {
        let only = trailers.is_empty();
        let mut parts = vec![Part::Headers { headers, end_of_stream: only }];
        if !only {
            parts.push(Part::Trailers(lowered(trailers)));
        }
        return parts;
    };
    let Delivery { chunks, end } = delivery(body, protocol, variant);
    let mut parts = vec![Part::Headers { headers, end_of_stream: false }];
    parts.extend(metadata.iter().map(|frame| Part::Metadata(lowered(frame))));
    let last = chunks.len().saturating_sub(1);
    let ends_with_last = end == End::WithLast && trailers.is_empty() && !chunks.is_empty() && !breaks_off;
    for (i, bytes) in chunks.into_iter().enumerate() {
        parts.push(Part::Data { bytes, end_of_stream: ends_with_last && i == last });
    }
    if !trailers.is_empty() {
        parts.push(Part::Trailers(lowered(trailers)));
    } else if !ends_with_last && !breaks_off {
        parts.push(Part::Data { bytes: Bytes::new(), end_of_stream: true });
    }
    parts
}

fn lowered(pairs: &[(Bytes, Bytes)]) -> Headers {
    pairs.iter().map(|(k, v)| (Bytes::from(k.to_ascii_lowercase()), v.clone())).collect()
}
