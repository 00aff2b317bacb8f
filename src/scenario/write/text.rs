//! Lines of YAML: indentation, and the quotes that a text needs to come back as it is.

use super::Wanted;
use std::fmt::Write as _;

/// Characters of a line of comment; the rest is left out.
pub const COMMENT_LINE: usize = 200;
/// A key that is longer has no place before a colon.
const LONGEST_KEY: usize = 500;

/// Whether `${` means something where the text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// It is text like any other.
    Literal,
    /// It is the beginning of a column of a table.
    Templated,
}

/// A text that is being written.
pub(super) struct Page {
    text: String,
    style: Style,
    /// The next key is the first one of an item of a list.
    begins_item: bool,
}

impl Page {
    pub fn new(style: Style) -> Self {
        Self { text: String::new(), style, begins_item: false }
    }

    pub fn into_text(self) -> String {
        self.text
    }

    pub fn comment(&mut self, at: usize, text: &str) {
        let fine = |c: char| if is_special(c) || matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
        let text: String = text.chars().take(COMMENT_LINE).map(fine).collect();
        self.indent(at);
        self.text.push_str("# ");
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    /// What comes next, a key, is the first of an item.
    pub fn begin_item(&mut self) {
        self.begins_item = true;
    }

    /// A key with something below it.
    pub fn key(&mut self, at: usize, key: &str) {
        self.start(at, key);
        self.text.push_str(":\n");
    }

    /// A key with a text.
    pub fn text(&mut self, at: usize, key: &str, value: &str) {
        self.start(at, key);
        let value = self.scalar(value);
        let _ = writeln!(self.text, ": {value}");
    }

    /// A key with bytes.
    pub fn bytes(&mut self, at: usize, key: &str, value: &[u8]) {
        self.start(at, key);
        let value = self.value(value);
        let _ = writeln!(self.text, ": {value}");
    }

    /// A key with something that has been written already.
    pub fn raw(&mut self, at: usize, key: &str, value: &str) {
        self.start(at, key);
        let _ = writeln!(self.text, ": {value}");
    }

    /// The first key of an item of a list.
    pub fn item(&mut self, at: usize, key: &str, value: &str) {
        self.begin_item();
        self.text(at + 2, key, value);
    }

    /// An item with one key.
    pub fn wanted_item(&mut self, at: usize, key: &str, value: &Wanted) {
        self.begin_item();
        let value = self.wanted(value);
        self.raw(at + 2, key, &value);
    }

    /// An item that is bytes.
    pub fn bytes_item(&mut self, at: usize, value: &[u8]) {
        let value = self.value(value);
        self.raw_item(at, &value);
    }

    /// An item that has been written already.
    pub fn raw_item(&mut self, at: usize, value: &str) {
        self.indent(at);
        let _ = writeln!(self.text, "- {value}");
    }

    /// An item that is a pair.
    pub fn pair(&mut self, at: usize, name: &str, value: &[u8]) {
        self.indent(at);
        let (name, value) = (self.quoted(name), self.in_flow(value));
        let _ = writeln!(self.text, "- [{name}, {value}]");
    }

    /// A matcher.
    pub fn wanted(&self, value: &Wanted) -> String {
        match value {
            Wanted::Exactly(bytes) => self.value(bytes),
            Wanted::Like(pattern) => format!("{{ matches: {} }}", self.quoted(pattern)),
        }
    }

    fn start(&mut self, at: usize, key: &str) {
        match std::mem::take(&mut self.begins_item) {
            true => {
                self.indent(at.saturating_sub(2));
                self.text.push_str("- ");
            }
            false => self.indent(at),
        }
        let key = if is_plain_key(key) { key.to_owned() } else { self.quoted(key) };
        self.text.push_str(&key);
    }

    fn indent(&mut self, at: usize) {
        self.text.extend(std::iter::repeat_n(' ', at));
    }

    /// Text, or bytes where it is none.
    pub fn value(&self, bytes: &[u8]) -> String {
        match as_text(bytes) {
            Some(text) => self.scalar(text),
            None => hex(bytes),
        }
    }

    fn in_flow(&self, bytes: &[u8]) -> String {
        match as_text(bytes).filter(|text| !text.contains(['\r', '\n'])) {
            Some(text) => self.quoted(text),
            None => hex(bytes),
        }
    }

    /// Text in a block.
    fn scalar(&self, text: &str) -> String {
        if is_plain(text) { text.to_owned() } else { self.quoted(text) }
    }

    fn quoted(&self, text: &str) -> String {
        let escaped;
        let text = match self.style {
            Style::Templated if text.contains("${") => {
                escaped = text.replace("${", "$${");
                &escaped
            }
            Style::Templated | Style::Literal => text,
        };
        let mut out = String::with_capacity(text.len() + 2);
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if is_special(c) => {
                    let _ = match u32::from(c) {
                        code @ ..=0xff => write!(out, "\\x{code:02x}"),
                        code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
                        code => write!(out, "\\U{code:08x}"),
                    };
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    }
}

/// JSON, which is YAML but for a few characters.
pub(super) fn json(value: &serde_json::Value) -> String {
    let mut out = String::new();
    // Only strings have such characters.
    for c in value.to_string().chars() {
        match (is_special(c), u32::from(c)) {
            (true, code @ ..=0xffff) => {
                let _ = write!(out, "\\u{code:04x}");
            }
            _ => out.push(c),
        }
    }
    out
}

/// Bytes that people can read as text.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let readable = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    std::str::from_utf8(bytes).ok().filter(|text| text.chars().all(readable))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2 + 12);
    out.push_str("{ hex: \"");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out.push_str("\" }");
    out
}

/// What YAML has no place for, or what nobody sees: written as an escape.
fn is_special(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text that is itself in a block, without quotes.
fn is_plain(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-./=;,+()%?&~*^@<>| ".contains(&b);
    let mut bytes = text.bytes().peekable();
    let word = bytes.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_'));
    let begins = word || text.starts_with("./") || text.starts_with("../");
    let mut fine = begins && !text.ends_with(' ') && !matches!(text, "null" | "Null" | "NULL");
    while let Some(byte) = bytes.next() {
        let colon = byte == b':' && bytes.peek().is_some_and(|next| *next != b' ');
        fine &= allowed(byte) || colon;
    }
    fine
}

pub(super) fn is_plain_key(key: &str) -> bool {
    let begins = key.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    begins && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Whether a text can stand before a colon.
pub(super) fn is_key(text: &str) -> bool {
    text.len() <= LONGEST_KEY
}
