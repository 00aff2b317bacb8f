//! What goes upstream in place of a target whose path a plugin has written.
//!
//! wasm-nginx-module makes it nginx's `$uri`, byte for byte (apisix.md 4.1), and the query stays what it was. nginx escapes
//! a path that is not the client's own (`ngx_escape_uri`; nginx 1.22.1 was seen to do what is here), a `?` in it too.

use bytes::Bytes;

/// The path, escaped, with the query of the target that the client sent.
pub(super) fn target(path: &[u8], sent: &[u8]) -> Bytes {
    let mut target = Vec::with_capacity(path.len());
    for byte in path {
        match is_escaped(*byte) {
            true => target.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            false => target.push(*byte),
        }
    }
    if let Some(at) = sent.iter().position(|byte| *byte == b'?')
        && let Some(query @ [_, _, ..]) = sent.get(at..)
    {
        target.extend_from_slice(query);
    }
    target.into()
}

fn is_escaped(byte: u8) -> bool {
    !byte.is_ascii_graphic() || b"\"#%<>?\\^`{|}".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two as nginx 1.22.1 wrote them behind `rewrite ^(.*)$ $1 break`.
    #[test]
    fn as_nginx_writes_it() {
        let mut all = b"/a?b c\"{}|\\^`<>".to_vec();
        all.extend_from_slice("\u{fc}%#\u{7f}\t~!$&*".as_bytes());
        let escaped = "/a%3Fb%20c%22%7B%7D%7C%5C%5E%60%3C%3E%C3%BC%25%23%7F%09~!$&*?q=1&r=%20";
        assert_eq!(target(&all, b"/x?q=1&r=%20"), escaped);
        assert_eq!(target(b"/[]'()+,;:@=", b"/x?"), "/[]'()+,;:@=");
        assert_eq!(target(b"/new?a=b", b"/x"), "/new%3Fa=b");
    }
}
