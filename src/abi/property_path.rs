//! Property paths: segments joined by one NUL byte.
//!
//! The Rust and Go SDKs write no NUL at the end, the C++ SDK writes one after every segment; a host
//! has to take both (abi.md 7.1).

/// Splits the bytes of a path into its segments. One trailing NUL is not a segment.
pub fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let path = path.strip_suffix(b"\0").unwrap_or(path);
    path.split(|b| *b == 0)
}

/// The path as people write it: segments joined by dots.
pub fn dotted(path: &[u8]) -> String {
    segments(path).map(String::from_utf8_lossy).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sdk_styles_name_the_same_property() {
        assert_eq!(dotted(b"request\0path"), "request.path");
        assert_eq!(dotted(b"request\0path\0"), "request.path");
        assert_eq!(segments(b"").count(), 1);
    }
}
