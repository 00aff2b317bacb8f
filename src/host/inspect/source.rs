//! Files that hold no module yet: the text format is translated, and everything else gets a name.
//!
//! People hand over what their build left lying about, so the usual mistakes (a layer of an OCI image, a Git
//! LFS pointer, a web page that said 404) are recognised by their first bytes.

use super::refusal::{LoadError, Lookalike, Reason};
use std::path::Path;

/// Turns a file's bytes into a binary module where they are the text format, and leaves them alone otherwise.
///
/// The names of the text become a name section, so that backtraces have them.
pub fn to_wasm(bytes: Vec<u8>, path: &Path) -> Result<Vec<u8>, LoadError> {
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) if is_text_format(text, path) => text.trim_start_matches('\u{feff}'),
        _ => return Ok(bytes),
    };
    wat::parse_str(text).map_err(|error| text_error(&error.to_string(), text).into())
}

fn is_text_format(text: &str, path: &Path) -> bool {
    if text.starts_with("\0asm") || text.trim().is_empty() {
        return false;
    }
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let named = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wat") || e.eq_ignore_ascii_case("wast"));
    named || start.starts_with('(') || start.starts_with(";;")
}

/// Takes the message and the place out of the parser's own drawing; it offers them in no other form.
fn text_error(drawn: &str, text: &str) -> Reason {
    let message = drawn.lines().next().unwrap_or_default().to_owned();
    let place = drawn.lines().find_map(|line| {
        let (_, place) = line.trim_start().split_once("--> ")?;
        let mut parts = place.rsplit(':');
        let column = parts.next()?.parse::<usize>().ok()?;
        let line = parts.next()?.parse::<usize>().ok()?;
        Some((line, column))
    });
    let (line, column) = place.unwrap_or((1, 1));
    let excerpt = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    Reason::Text { line, column, message, excerpt: around(excerpt, column) }
}

/// At most 60 characters of a line, from a little before the column: a generated file may be one long line.
fn around(line: &str, column: usize) -> String {
    line.chars().skip(column.saturating_sub(20)).take(60).collect::<String>().trim().to_owned()
}

/// Checks that a file begins like a binary module; what it is otherwise is the reason.
pub(super) fn sniff(bytes: &[u8]) -> Result<(), Reason> {
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    if bytes.starts_with(b"\0asm") || b"\0asm".starts_with(bytes) {
        return Ok(());
    }
    let first: Vec<u8> = bytes.iter().copied().take(4).collect();
    Err(Reason::NotWasm { looks: lookalike(bytes), first })
}

fn lookalike(bytes: &[u8]) -> Lookalike {
    const SIGNATURES: &[(&[u8], Lookalike)] = &[
        (b"\x7fELF", Lookalike::Elf),
        (b"\xfe\xed\xfa\xce", Lookalike::MachO),
        (b"\xfe\xed\xfa\xcf", Lookalike::MachO),
        (b"\xce\xfa\xed\xfe", Lookalike::MachO),
        (b"\xcf\xfa\xed\xfe", Lookalike::MachO),
        (b"\xca\xfe\xba\xbe", Lookalike::MachO),
        (b"MZ", Lookalike::Windows),
        (b"\x1f\x8b", Lookalike::Gzip),
        (b"\x28\xb5\x2f\xfd", Lookalike::Zstd),
        (b"PK\x03\x04", Lookalike::Zip),
        (b"!<arch>\n", Lookalike::StaticLibrary),
        (b"BC\xc0\xde", Lookalike::Bitcode),
        (b"version https://git-lfs", Lookalike::GitLfs),
        (b"AGFzbQ", Lookalike::Base64),
        (b"\xff\xfe", Lookalike::Utf16),
        (b"\xfe\xff", Lookalike::Utf16),
    ];
    if let Some((_, found)) = SIGNATURES.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return *found;
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Lookalike::Tar;
    }
    let head = String::from_utf8_lossy(bytes.get(..512).unwrap_or(bytes));
    let head = head.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if head.starts_with("<!doctype") || head.starts_with("<html") || head.starts_with("<?xml") {
        Lookalike::Html
    } else if head.starts_with('{') || head.starts_with('[') {
        Lookalike::Json
    } else if !head.contains(|c: char| c == '\u{fffd}' || (c.is_control() && !c.is_whitespace())) {
        Lookalike::Text
    } else {
        Lookalike::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Reason {
        let error = to_wasm(text.as_bytes().to_vec(), Path::new("p.wat")).expect_err("a mistake");
        error.reasons()[0].clone()
    }

    #[test]
    fn text_becomes_a_module_with_names() {
        let text = "\u{feff};; a comment\n(module (func $f))";
        let wasm = to_wasm(text.as_bytes().to_vec(), Path::new("plugin")).expect("valid text");
        assert!(wasm.starts_with(b"\0asm\x01\0\0\0"));
        assert!(wasm.windows(4).any(|w| w == b"name"));
    }

    #[test]
    fn other_bytes_are_left_alone() {
        for bytes in [&b"\0asm\x01\0\0\0"[..], b"\x7fELF(module)", b"", b"hello", b"\xff(module)"] {
            assert_eq!(to_wasm(bytes.to_vec(), Path::new("x.wasm")).expect("untouched"), bytes);
        }
    }

    #[test]
    fn a_mistake_in_the_text_has_a_place() {
        let found = reason("(module\n  (func $f (param i33)))");
        assert!(matches!(found, Reason::Text { line: 2, column: 19, .. }), "{found:?}");
        let shown = found.to_string();
        assert!(shown.starts_with("syntax error in line 2, column 19: "), "{shown}");
        assert!(shown.contains("(func $f (param i33)))"), "{shown}");
        assert_eq!(shown.lines().count(), 1);
    }

    #[test]
    fn hostile_text_is_refused() {
        for text in ["(".repeat(200_000), format!("(module {}", "(block ".repeat(100_000)), "hello".into()] {
            assert!(matches!(reason(&text), Reason::Text { .. }));
        }
    }

    #[test]
    fn what_is_no_module_gets_a_name() {
        let cases: &[(&[u8], Lookalike)] = &[
            (b"\x7fELF\x02\x01", Lookalike::Elf),
            (b"\xcf\xfa\xed\xfe\x07", Lookalike::MachO),
            (b"MZ\x90", Lookalike::Windows),
            (b"\x1f\x8b\x08\x00", Lookalike::Gzip),
            (b"\x28\xb5\x2f\xfd", Lookalike::Zstd),
            (b"PK\x03\x04", Lookalike::Zip),
            (b"!<arch>\n", Lookalike::StaticLibrary),
            (b"BC\xc0\xde", Lookalike::Bitcode),
            (b"version https://git-lfs.github.com/spec/v1\n", Lookalike::GitLfs),
            (b"AGFzbQEAAAA=", Lookalike::Base64),
            (b"\xff\xfe(\0m\0", Lookalike::Utf16),
            (b"\n<!DOCTYPE html>", Lookalike::Html),
            (b"{\"message\": \"not found\"}", Lookalike::Json),
            (b"not found\n", Lookalike::Text),
            (b"\xde\xad\xbe\xef", Lookalike::Unknown),
        ];
        for (bytes, expected) in cases {
            let Err(Reason::NotWasm { looks, .. }) = sniff(bytes) else { panic!("{bytes:?} passed") };
            assert_eq!(looks, *expected, "{bytes:?}");
        }
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert!(matches!(sniff(&tar), Err(Reason::NotWasm { looks: Lookalike::Tar, .. })));
    }
}
