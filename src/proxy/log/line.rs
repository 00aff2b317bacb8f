//! One entry of the error log as text: nginx's line, or an object of JSON.
//!
//! nginx writes messages as they are, and so does the text form: a message with a line feed takes two lines, and whoever
//! can make a plugin log what they sent can make a line that looks like another's. JSON can't be forged: one
//! entry is one line, whatever is in it.

use super::{Severity, stamp};
use std::net::IpAddr;

/// nginx's bound for a line, with its line feed (apisix.md 4.5).
const LONGEST: usize = 2048;
/// A message in JSON is cut there.
const LONGEST_JSON: usize = 64 << 10;

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Like nginx.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// What becomes of control characters in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controls {
    /// Written as they are, as nginx does.
    Raw,
    /// Shown as `\x1b`, all but line feed and tab: for a terminal, which would obey them.
    Shown,
}

/// The request that an entry belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The number of the connection.
    pub connection: u64,
    /// Who asked.
    pub client: IpAddr,
    /// `GET /hello HTTP/1.1`, as it was sent.
    pub line: &'a str,
    /// What the request said in `Host`.
    pub host: Option<&'a [u8]>,
    /// What the request said in `Referer`.
    pub referrer: Option<&'a [u8]>,
    /// `http://127.0.0.1:1980/anything` as soon as one was chosen.
    pub upstream: Option<&'a str>,
}

/// One entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// As the plugin or the host gave it.
    pub message: &'a [u8],
    /// The plugin whose message it is.
    pub plugin: Option<&'a str>,
    /// None outside of requests.
    pub request: Option<&'a Request<'a>>,
}

/// Appends nginx's line. A debug line tells nothing about its request but the connection, and one that is too
/// long loses its end, as in nginx.
pub fn text(entry: &Entry<'_>, controls: Controls, out: &mut Vec<u8>) {
    let start = out.len();
    stamp::now(stamp::Form::ErrorLog, out);
    out.extend_from_slice(b" [");
    out.extend_from_slice(entry.severity.name().as_bytes());
    out.extend_from_slice(b"] ");
    stamp::process_and_thread(out);
    out.extend_from_slice(b": ");
    if let Some(request) = entry.request {
        put(out, format_args!("*{} ", request.connection));
    }
    message(entry.message, controls, out);
    if let Some(request) = entry.request.filter(|_| entry.severity != Severity::Debug) {
        suffix(request, controls, out);
    }
    out.truncate(start + LONGEST - 1);
    out.push(b'\n');
}

fn suffix(request: &Request<'_>, controls: Controls, out: &mut Vec<u8>) {
    put(out, format_args!(", client: {}, server: _, request: \"", request.client));
    message(request.line.as_bytes(), controls, out);
    out.push(b'"');
    let rest =
        [("upstream", request.upstream.map(str::as_bytes)), ("host", request.host), ("referrer", request.referrer)];
    for (name, value) in rest {
        if let Some(value) = value {
            put(out, format_args!(", {name}: \""));
            message(value, controls, out);
            out.push(b'"');
        }
    }
}

/// Appends the object and a line feed.
pub fn json(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    object.time();
    object.text("level", entry.severity.name().as_bytes());
    object.place();
    if let Some(plugin) = entry.plugin {
        object.text("plugin", plugin.as_bytes());
    }
    object.text("message", entry.message.get(..LONGEST_JSON).unwrap_or(entry.message));
    if let Some(request) = entry.request {
        object.number("connection", request.connection);
        object.text("client", request.client.to_string().as_bytes());
        object.text("request", request.line.as_bytes());
        let rest =
            [("upstream", request.upstream.map(str::as_bytes)), ("host", request.host), ("referrer", request.referrer)];
        for (name, value) in rest {
            if let Some(value) = value {
                object.text(name, value);
            }
        }
    }
    object.close();
}

/// An object that is being written. The names are ours and need no escapes.
pub(in crate::proxy) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// `{`
    pub fn open(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        put(self.out, format_args!("\"{name}\":"));
    }

    /// The time, with its zone.
    pub fn time(&mut self) {
        self.name("time");
        self.out.push(b'"');
        stamp::now(stamp::Form::Rfc3339, self.out);
        self.out.push(b'"');
    }

    /// Process and thread.
    pub fn place(&mut self) {
        self.name("process");
        self.out.push(b'"');
        stamp::process_and_thread(self.out);
        self.out.push(b'"');
    }

    /// A text; what is not UTF-8 is replaced.
    pub fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        // Writing a string to memory does not fail.
        let _ = serde_json::to_writer(&mut *self.out, &String::from_utf8_lossy(value));
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        put(self.out, format_args!("{value}"));
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// `}` and a line feed.
    pub fn close(self) {
        self.out.extend_from_slice(b"}\n");
    }
}

/// Appends formatted text; memory takes all of it.
pub(in crate::proxy) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = std::io::Write::write_fmt(out, text);
}

/// Appends a message, its control characters as they are wanted.
pub(super) fn message(bytes: &[u8], controls: Controls, out: &mut Vec<u8>) {
    let is_control = |byte: u8| (byte < 0x20 && byte != b'\n' && byte != b'\t') || byte == 0x7f;
    match controls {
        Controls::Raw => out.extend_from_slice(bytes),
        // C1 controls are two bytes in UTF-8 (`\u{9b}` is CSI): what is not ASCII is looked at as text.
        Controls::Shown => {
            for character in String::from_utf8_lossy(bytes).chars() {
                match character {
                    '\0'..='\x7f' if is_control(character as u8) => {
                        put(out, format_args!("\\x{:02x}", character as u32))
                    }
                    '\u{80}'..='\u{9f}' => put(out, format_args!("\\u{{{:x}}}", character as u32)),
                    _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request<'static> {
        Request {
            connection: 2762,
            client: IpAddr::from([172, 19, 0, 1]),
            line: "GET /anything HTTP/1.1",
            host: Some(b"127.0.0.1:9080"),
            referrer: None,
            upstream: None,
        }
    }

    fn line(entry: &Entry<'_>) -> String {
        let mut out = Vec::new();
        text(entry, Controls::Raw, &mut out);
        String::from_utf8(out).expect("text")
    }

    /// The line behind its time and process.
    fn rest(line: &str) -> String {
        let pattern = regex::Regex::new(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (\[[a-z]+\]) \d+#\d+: ").expect("a pattern");
        assert!(pattern.is_match(line), "{line}");
        pattern.replace(line, "$1 ").into_owned()
    }

    // The tutorial's line, apisix.md 4.5.
    #[test]
    fn the_line_of_the_tutorial() {
        let message = b"run plugin ctx 1 with conf hello apisix in http ctx 2";
        let request = request();
        let mut entry = Entry { severity: Severity::Warn, message, plugin: Some("wasm_log"), request: Some(&request) };
        assert_eq!(
            rest(&line(&entry)),
            "[warn] *2762 run plugin ctx 1 with conf hello apisix in http ctx 2, client: 172.19.0.1, server: _, \
             request: \"GET /anything HTTP/1.1\", host: \"127.0.0.1:9080\"\n"
        );
        let live = Request { upstream: Some("http://10.0.0.1:80/anything"), referrer: Some(b"http://a/"), ..request };
        entry.request = Some(&live);
        assert!(line(&entry).ends_with(
            ", request: \"GET /anything HTTP/1.1\", upstream: \"http://10.0.0.1:80/anything\", host: \"127.0.0.1:9080\", \
             referrer: \"http://a/\"\n"
        ));
        entry.request = None;
        assert_eq!(rest(&line(&entry)), "[warn] run plugin ctx 1 with conf hello apisix in http ctx 2\n");
    }

    // nginx's ngx_log_error_core: no handler for debug lines, and 2048 bytes in all.
    #[test]
    fn debug_lines_are_bare_and_long_ones_are_cut() {
        let request = request();
        let entry = Entry { severity: Severity::Debug, message: b"m", plugin: None, request: Some(&request) };
        assert_eq!(rest(&line(&entry)), "[debug] *2762 m\n");
        let long = Entry { severity: Severity::Warn, message: &[b'm'; 5000], ..entry };
        let cut = line(&long);
        assert_eq!(cut.len(), 2048);
        assert!(cut.ends_with("mm\n"));
    }

    #[test]
    fn a_terminal_gets_no_controls_and_a_file_the_message_as_it_is() {
        let entry = Entry {
            severity: Severity::Warn,
            message: "a\nb\x1b[2J\u{9b}31m\t\u{e9}".as_bytes(),
            plugin: None,
            request: None,
        };
        assert!(line(&entry).ends_with("a\nb\x1b[2J\u{9b}31m\t\u{e9}\n"));
        let mut out = Vec::new();
        text(&entry, Controls::Shown, &mut out);
        assert!(String::from_utf8(out).expect("text").ends_with("a\nb\\x1b[2J\\u{9b}31m\t\u{e9}\n"));
    }

    #[test]
    fn json_is_one_line_that_cannot_be_forged() {
        let request = Request { host: Some(b"a\"},\n{\"level\":\"x\xff"), ..request() };
        let message = b"x\n{\"level\":\"emerg\"}\x1b";
        let entry = Entry { severity: Severity::Error, message, plugin: Some("p"), request: Some(&request) };
        let mut out = Vec::new();
        json(&entry, &mut out);
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["level"], "error");
        assert_eq!(value["plugin"], "p");
        assert_eq!(value["message"], "x\n{\"level\":\"emerg\"}\u{1b}");
        assert_eq!(value["connection"], 2762);
        assert_eq!(value["request"], "GET /anything HTTP/1.1");
        assert_eq!(value["host"], "a\"},\n{\"level\":\"x\u{fffd}");
        assert!(value.get("upstream").is_none());
    }
}
