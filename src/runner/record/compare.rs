//! What can be expected: everything that was seen and that a run of the recording shows again.
//!
//! What a run shows otherwise is not expected, and is named. Where two texts differ in numbers only, as lines with the
//! number of a context do, what is expected has any numbers in these places. Headers that tell of time or of the
//! connection are never expected.

use crate::message::Headers;
use crate::scenario::write::{Callout, Expected, Message as ExpectedMessage, Wanted};
use crate::trace::Entry;
use crate::trace::conversation::{Call, Conversation, Message};
use bytes::Bytes;
use std::collections::BTreeSet;

/// Longer texts are equal or not.
const LONGEST_LIKE: usize = 4096;
/// Differences that are named.
const MOST_NAMED: usize = 20;

/// What can be expected, and what can't.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub expect: Expected,
    /// For each call.
    pub calls: Vec<ExpectedMessage>,
    /// By the names of the scenario language: `client_sees.headers.x-id`.
    pub differences: Vec<String>,
}

/// Compares what was seen with what a run shows.
pub(super) fn compare(seen: &Conversation, run: &Conversation) -> Compared {
    let mut compared = Compared::default();
    let mut differs = Differences::default();
    let request = [":method", ":path", ":authority"];
    compared.expect.upstream_sees =
        message("upstream_sees", (&seen.forwarded, &run.forwarded), &seen.request, &request, &mut differs);
    compared.expect.client_sees =
        message("client_sees", (&seen.returned, &run.returned), &seen.response, &[":status"], &mut differs);
    compared.expect.logs = logs(seen, run, &mut differs);
    compared.expect.trap = match (seen.traps.first(), run.traps.first()) {
        (Some(seen), Some(run)) if seen.callback == run.callback => match seen.callback {
            Entry::Callback(callback) => Some(callback),
            Entry::Start(_) => None,
        },
        (None, None) => None,
        _ => {
            differs.note("trap");
            None
        }
    };
    for (at, one) in seen.calls.iter().enumerate() {
        let name = format!("callouts[{}]", at + 1);
        compared.calls.push(match run.calls.get(at).filter(|other| other.call.upstream == one.call.upstream) {
            Some(other) => call(&name, one, other, &mut differs),
            None => {
                differs.note(&name);
                ExpectedMessage::default()
            }
        });
    }
    if run.calls.len() > seen.calls.len() {
        differs.note("callouts");
    }
    compared.differences = differs.named;
    compared
}

/// Puts what is expected of calls to them.
pub(super) fn expect_calls(callouts: &mut [Callout], expected: Vec<ExpectedMessage>) {
    for (callout, expected) in callouts.iter_mut().zip(expected) {
        callout.expect = expected;
    }
}

#[derive(Debug, Default)]
struct Differences {
    named: Vec<String>,
}

impl Differences {
    fn note(&mut self, what: &str) {
        if self.named.len() < MOST_NAMED {
            self.named.push(what.to_owned());
        }
    }
}

/// `both` is what was seen and what the run shows; `source` is what the plugins had before them.
fn message(
    name: &str,
    both: (&Message, &Message),
    source: &Message,
    start: &[&'static str],
    differs: &mut Differences,
) -> ExpectedMessage {
    let mut expected = ExpectedMessage::default();
    let (seen, run) = match (&both.0.headers, &both.1.headers) {
        (Some(seen), Some(run)) => (seen, run),
        (None, None) => return expected,
        _ => {
            differs.note(name);
            return expected;
        }
    };
    let none = Headers::new();
    starts(name, (seen, run), start, &mut expected, differs);
    let before = source.headers.as_ref().unwrap_or(&none);
    expected.headers = fields(&format!("{name}.headers"), (seen, run), before, differs);
    let body = both.0.body();
    match alike(&body, &both.1.body()) {
        Some(wanted) if !body.is_empty() || source.has_body => expected.body = Some(wanted),
        Some(_) => {}
        None => differs.note(&format!("{name}.body")),
    }
    let trailers = (both.0.trailers.as_ref().unwrap_or(&none), both.1.trailers.as_ref().unwrap_or(&none));
    let before = source.trailers.as_ref().unwrap_or(&none);
    expected.trailers = fields(&format!("{name}.trailers"), trailers, before, differs);
    expected
}

fn starts(
    name: &str,
    both: (&Headers, &Headers),
    start: &[&'static str],
    expected: &mut ExpectedMessage,
    differs: &mut Differences,
) {
    for part in start {
        let bare = part.trim_start_matches(':');
        let Some(value) = both.0.get(part.as_bytes()) else { continue };
        match both.1.get(part.as_bytes()).and_then(|other| alike(value, other)) {
            Some(wanted) => expected.start.push((bare, wanted)),
            None => differs.note(&format!("{name}.{bare}")),
        }
    }
}

fn fields(
    name: &str,
    both: (&Headers, &Headers),
    before: &Headers,
    differs: &mut Differences,
) -> Vec<(String, Vec<Wanted>)> {
    let mut expected = Vec::new();
    let mut done = BTreeSet::new();
    for (key, _) in both.0.iter().chain(before.iter()) {
        let Some(key) = expectable(key) else { continue };
        if !done.insert(key.clone()) {
            continue;
        }
        let seen: Vec<&Bytes> = both.0.get_all(key.as_bytes()).collect();
        let run: Vec<&Bytes> = both.1.get_all(key.as_bytes()).collect();
        let values: Option<Vec<Wanted>> = seen.iter().zip(&run).map(|(seen, run)| alike(seen, run)).collect();
        match values.filter(|_| seen.len() == run.len()) {
            Some(values) => expected.push((key, values)),
            None => differs.note(&format!("{name}.{key}")),
        }
    }
    expected
}

/// The name of a header in lower case, if it is one that can be expected.
fn expectable(name: &Bytes) -> Option<String> {
    // Time, the connection, how the body is framed, and what gateways say of themselves.
    const NEVER: [&str; 10] = [
        "date",
        "age",
        "server",
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
        "host",
        "x-real-ip",
        "x-request-id",
    ];
    const BEGINNINGS: [&str; 3] = ["x-forwarded-", "x-envoy-", "x-apisix-"];
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let never = NEVER.contains(&name.as_str()) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning));
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (!never && !name.is_empty() && name.len() <= 500 && name.bytes().all(token)).then_some(name)
}

fn logs(seen: &Conversation, run: &Conversation, differs: &mut Differences) -> Vec<(crate::abi::LogLevel, Wanted)> {
    let mut expected = Vec::new();
    let mut rest = run.logs.as_slice();
    for (at, (level, line)) in seen.logs.iter().enumerate() {
        let found = rest.iter().enumerate().find_map(|(at, (other, said))| {
            let wanted = (level == other).then(|| alike(line, said)).flatten()?;
            Some((at, wanted))
        });
        match found {
            Some((place, wanted)) => {
                expected.push((*level, wanted));
                rest = rest.get(place + 1..).unwrap_or_default();
            }
            None => differs.note(&format!("logs[{}]", at + 1)),
        }
    }
    expected
}

fn call(name: &str, seen: &Call, run: &Call, differs: &mut Differences) -> ExpectedMessage {
    let map = |pairs: &[(Bytes, Bytes)]| pairs.iter().cloned().collect::<Headers>();
    let both = (map(&seen.call.headers), map(&run.call.headers));
    let both = (&both.0, &both.1);
    let none = Headers::new();
    let mut expected = ExpectedMessage::default();
    starts(name, both, &[":method", ":path", ":authority"], &mut expected, differs);
    expected.headers = fields(&format!("{name}.headers"), both, &none, differs);
    match alike(&seen.call.body, &run.call.body) {
        Some(wanted) if !seen.call.body.is_empty() => expected.body = Some(wanted),
        Some(_) => {}
        None => differs.note(&format!("{name}.body")),
    }
    expected
}

/// What two values have in common, if that is all, or all but numbers.
fn alike(seen: &[u8], run: &[u8]) -> Option<Wanted> {
    if seen == run {
        return Some(Wanted::Exactly(Bytes::copy_from_slice(seen)));
    }
    if seen.len().max(run.len()) > LONGEST_LIKE {
        return None;
    }
    let (seen, run) = (std::str::from_utf8(seen).ok()?, std::str::from_utf8(run).ok()?);
    let (seen, run) = (pieces(seen), pieces(run));
    if seen.len() != run.len() {
        return None;
    }
    let mut pattern = String::from("^");
    // A value that is nothing but a number says nothing if it may be any.
    let mut words = false;
    for (one, other) in seen.iter().zip(&run) {
        let numbers = [one, other].iter().all(|piece| piece.starts_with(|c: char| c.is_ascii_digit()));
        if one == other {
            words |= !numbers;
            pattern.push_str(&regex::escape(one));
        } else if numbers {
            pattern.push_str("[0-9]+");
        } else {
            return None;
        }
    }
    pattern.push('$');
    words.then_some(Wanted::Like(pattern))
}

/// Numbers and what is between them.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (piece, more) = rest.split_at(end);
        pieces.push(piece);
        rest = more;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str) -> Option<Wanted> {
        Some(Wanted::Like(pattern.to_owned()))
    }

    #[test]
    fn texts_may_differ_in_numbers() {
        let exactly = |text: &'static str| Some(Wanted::Exactly(Bytes::from(text)));
        assert_eq!(alike(b"a 1", b"a 1"), exactly("a 1"));
        assert_eq!(alike(b"ctx 1 (17)", b"ctx 1 (2)"), like("^ctx 1 \\([0-9]+\\)$"));
        assert_eq!(alike(b"17", b"2"), None);
        assert_eq!(alike(b"a", b"b"), None);
        assert_eq!(alike(b"a1", b"a"), None);
        assert_eq!(alike(b"\xff1", b"\xff2"), None);
    }

    #[test]
    fn time_and_connection_are_not_expected() {
        let map = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (Bytes::from(*name), Bytes::from(*value))).collect::<Headers>()
        };
        let seen = map(&[("Date", "now"), ("X-Forwarded-For", "1.2.3.4"), ("content-length", "3"), ("x-a", "1")]);
        let run = map(&[("date", "then"), ("x-a", "1")]);
        let before = map(&[("x-gone", "1"), ("x-a", "0")]);
        let mut differs = Differences::default();
        let expected = fields("client_sees.headers", (&seen, &run), &before, &mut differs);
        let one = vec![Wanted::Exactly(Bytes::from("1"))];
        assert_eq!(expected, [("x-a".to_owned(), one), ("x-gone".to_owned(), Vec::new())]);
        assert_eq!(differs.named, Vec::<String>::new());
    }
}
