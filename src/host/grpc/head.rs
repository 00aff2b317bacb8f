//! The head of a call as the service sees it: what the host says by itself, and the plugin's initial metadata.

use crate::host::profile::Profile;
use crate::message::Headers;
use crate::trace::{GrpcCall, GrpcKind};
use bytes::{BufMut, Bytes, BytesMut};

/// The head, in Envoy 1.40's order. Metadata can name what the host has said already; then it joins that.
pub fn head(call: &GrpcCall, profile: &Profile) -> Headers {
    let mut headers = Headers::new();
    headers.append(":method", "POST");
    headers.append(":path", [b"/", &call.service[..], b"/", &call.method[..]].concat());
    headers.append(":authority", call.upstream.clone());
    headers.append(":scheme", "http");
    headers.append("te", "trailers");
    if let GrpcKind::Unary { timeout_ms, .. } = call.kind {
        // The number has at most eight digits.
        let timeout = match timeout_ms {
            0..=99_999_999 => format!("{timeout_ms}m"),
            longer => format!("{}S", longer / 1000),
        };
        headers.append("grpc-timeout", timeout);
    }
    headers.append("content-type", "application/grpc");
    let (binary, text): (Vec<_>, Vec<_>) = call
        .metadata
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .partition(|(name, _)| name.ends_with(b"-bin"));
    for (name, value) in text {
        let name = if profile.host_is_authority && name == b"host" { b":authority".to_vec() } else { name };
        let single = profile.single_value_headers.iter().any(|single| single.as_bytes() == name);
        match (&name[..], single) {
            // Envoy 1.40 adds its own only where there is none.
            (b":scheme", true) => headers.put(name, value.clone()),
            (_, true) => drop(headers.join(name, value.clone())),
            (_, false) => headers.append(name, value.clone()),
        }
    }
    // Envoy 1.40: last, as it writes them anew.
    for (name, value) in binary {
        headers.append(name, base64(value));
    }
    headers
}

/// Whether the host's own answer to such a request is gRPC's. Envoy 1.40 goes by the content type, which metadata may
/// have joined.
pub fn is_grpc(headers: &Headers) -> bool {
    let rest = headers.get(b"content-type").and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+')))
}

/// Bytes of metadata on the wire; a dependency for these few lines would be one more to keep up.
fn base64(bytes: &[u8]) -> Bytes {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = BytesMut::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let number = chunk.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let at = (number >> (18 - 6 * digit)) & 63;
            out.put_u8(if digit > chunk.len() { b'=' } else { DIGITS[at as usize] });
        }
    }
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_in_base64() {
        for (bytes, text) in [(&b""[..], ""), (b"f", "Zg=="), (b"fo", "Zm8="), (b"foo", "Zm9v"), (b"\x01\x02", "AQI=")]
        {
            assert_eq!(base64(bytes), text);
        }
    }
}
