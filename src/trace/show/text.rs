//! Bytes and text from guests, made safe for a terminal and cut to a length that people read.

use std::fmt::Write as _;

/// How many bytes of a value are shown.
const LONGEST: usize = 200;

/// Bytes in quotes where they are text, else in hexadecimal; long ones are cut and their length is given.
///
/// Control characters are escaped one by one, because logs with colours in them are still text; only a NUL makes
/// it binary.
pub fn bytes(value: &[u8]) -> String {
    let cut = cut(value);
    let mut shown = match std::str::from_utf8(cut) {
        Ok(text) if !text.contains('\0') => {
            format!("\"{}\"", escaped(&text.replace('\\', "\\\\").replace('"', "\\\"")))
        }
        Ok(_) | Err(_) => hex(cut),
    };
    if cut.len() < value.len() {
        let _ = write!(shown, "… ({} bytes)", value.len());
    }
    shown
}

/// Hexadecimal with a mark that says so.
fn hex(value: &[u8]) -> String {
    let mut shown = String::with_capacity(2 + value.len() * 2);
    shown.push_str("0x");
    for byte in value {
        let _ = write!(shown, "{byte:02x}");
    }
    shown
}

/// The beginning of a value, not in the middle of a character if the value is text.
fn cut(value: &[u8]) -> &[u8] {
    if value.len() <= LONGEST {
        return value;
    }
    let is_inside = |at: usize| value.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (LONGEST - 3..=LONGEST).rev().find(|at| !is_inside(*at)).unwrap_or(LONGEST);
    value.get(..end).unwrap_or(value)
}

/// Text on one line in which whatever a terminal would obey, or would hide, is visible.
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c.is_control() || reorders {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// The same, cut to so many characters.
pub fn clipped(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => escaped(text),
        Some((end, _)) => escaped(text.get(..end).unwrap_or(text)) + "…",
    }
}
