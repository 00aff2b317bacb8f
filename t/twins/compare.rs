//! Whether both runs showed both ends the same.
//!
//! What is not compared, because it is the connection's business or the proxy's own, in whole:
//!
//! - the order of headers of different names (RFC 9110 5.3), and the scheme, which HTTP/1.1 does not write;
//! - `transfer-encoding` and `connection`: how a message is cut and whether the connection stays is the affair of each
//!   connection (RFC 9110 7.6.1). That the bodies are equal is compared;
//! - `content-length` where only one side has it and it is the length of the body that came: the other one was chunked,
//!   or had nothing to announce;
//! - `date` where only the served response has it: a server with a clock says when it answered (RFC 9110 6.6.1);
//! - the end of a request at the origin, where the origin had answered before or the client had gone: what is left of
//!   such a request is cut off with its connection;
//! - `host` beside an equal `:authority`: HTTP/1.1 has one line for both;
//! - `x-forwarded-port`, where it is the port that the server got from the system: in memory it is APISIX's 9080;
//! - how long an answer to a call took, where a plugin logs it;
//! - white space around values, which HTTP/1.1 can't keep (RFC 9112 5.1).

use super::play::Played;
use pwtest::abi::ExchangeId;
use pwtest::message::Headers;
use pwtest::trace::views::{self, SeenMessage};
use pwtest::trace::{Event, Peer};
use std::collections::BTreeMap;

/// Everything in which they differ, a line each. `written` is the run in which the origin says what HTTP/1.1 has it say:
/// plugins that tell what they see say that, too.
pub fn differences(events: &[Event], written: &[Event], played: &Played) -> Vec<String> {
    let mut all = played.missed.clone();
    let opened: Vec<ExchangeId> = events
        .iter()
        .filter_map(|event| if let Event::ExchangeOpened(id) = event { Some(*id) } else { None })
        .collect();
    let mut asked = 0;
    for (at, id) in opened.iter().enumerate() {
        let Some(both) = played.flights.get(at) else {
            all.push(format!("request {}: not played", at + 1));
            continue;
        };
        let upstream = views::seen(events, *id, Peer::Upstream);
        asked += usize::from(!upstream.is_nothing() && !was_unreachable(events, *id));
        message(&mut all, &format!("client {}", at + 1), &views::seen(events, *id, Peer::Client), &both.client, true);
        if !was_unreachable(events, *id) {
            let mut served = both.upstream.clone();
            on_the_usual_port(&mut served, played.port);
            message(&mut all, &format!("upstream {}", at + 1), &upstream, &served, false);
        }
    }
    if asked != played.arrivals {
        all.push(format!("requests at the origin: {asked} in memory, {} served", played.arrivals));
    }
    for (at, answered) in played.admin.iter().enumerate() {
        message(&mut all, &format!("admin API {}", at + 1), &answered.memory, &answered.served, true);
    }
    for (at, called) in played.calls.iter().enumerate() {
        let who = format!("call {}", at + 1);
        match &called.served {
            Some(served) => message(&mut all, &who, &called.memory, served, false),
            None if called.answered => all.push(format!("{who}: did not come")),
            None => {}
        }
    }
    if let (Some(line), Some(other)) = (logs(events, &played.events), logs(written, &played.events)) {
        all.push(line);
        all.push(format!("{other}, as HTTP/1.1 has it"));
    }
    all
}

/// The port that the system gave, as in memory.
fn on_the_usual_port(seen: &mut SeenMessage, port: u16) {
    let Some(headers) = &mut seen.headers else { return };
    if headers.get(b"x-forwarded-port").is_some_and(|value| *value == port.to_string()) {
        headers.put("x-forwarded-port", "9080");
    }
}

/// Nobody was there to see the request.
fn was_unreachable(events: &[Event], id: ExchangeId) -> bool {
    events.iter().any(|event| match event {
        Event::HostReply { exchange, details, .. } => *exchange == id && details.contains("remote_connection_failure"),
        _ => false,
    })
}

/// What plugins say is seen by neither end; that it is the same shows that they ran the same. The first line that is
/// another one.
fn logs(memory: &[Event], served: &[Event]) -> Option<String> {
    let lines = |events: &[Event]| -> Vec<String> {
        let lines = views::logs(events).filter(|line| line.plugin.is_some());
        lines
            .map(|line| format!("{}: {}", line.level.name(), untimed(&String::from_utf8_lossy(&line.message))))
            .collect()
    };
    let (memory, served) = (lines(memory), lines(served));
    let at = (0..memory.len().max(served.len())).find(|at| memory.get(*at) != served.get(*at))?;
    let shown = |lines: &[String]| lines.get(at).map_or("nothing".to_owned(), |line| short(line));
    Some(format!("log {}: {} in memory, {} served", at + 1, shown(&memory), shown(&served)))
}

/// How many milliseconds an answer took is another number every time.
fn untimed(text: &str) -> String {
    const TIME: &str = "x-envoy-upstream-service-time";
    let mut parts = text.split(TIME);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let (before, rest) = part.split_at(end);
        whole += TIME;
        whole += before;
        whole += rest.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    whole
}

fn message(all: &mut Vec<String>, who: &str, memory: &SeenMessage, served: &SeenMessage, end: bool) {
    let (memory, served) = (View::of(memory), View::of(served));
    let mut names: Vec<&String> = memory.fields.keys().chain(served.fields.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (mut one, mut other) = (memory.fields.get(name), served.fields.get(name));
        if name == "header content-length" {
            one = one.filter(|_| other.is_some() || !memory.says_its_length);
            other = other.filter(|_| one.is_some() || !served.says_its_length);
        }
        // The server adds one to every response that has none.
        if name == "header date" && one.is_none() {
            continue;
        }
        if name == "end" && !end && one.is_some_and(|end| end != "complete") {
            continue;
        }
        if one != other {
            let shown = |value: Option<&String>| value.map_or("nothing".to_owned(), |value| short(value));
            all.push(format!("{who} {name}: {} in memory, {} served", shown(one), shown(other)));
        }
    }
}

/// A message without what is not compared.
struct View {
    fields: BTreeMap<String, String>,
    /// Its `content-length` is the length of its body.
    says_its_length: bool,
}

impl View {
    fn of(seen: &SeenMessage) -> Self {
        let mut fields = BTreeMap::new();
        if let Some(headers) = &seen.headers {
            add(&mut fields, "header", headers);
            fields.insert("body".to_owned(), plain(&seen.body));
            let end = match (seen.complete, seen.reset) {
                (true, _) => "complete",
                (false, true) => "broken off",
                (false, false) => "open",
            };
            fields.insert("end".to_owned(), end.to_owned());
        } else if seen.reset {
            fields.insert("end".to_owned(), "broken off".to_owned());
        }
        if let Some(trailers) = &seen.trailers {
            add(&mut fields, "trailer", trailers);
        }
        if fields.get("header host") == fields.get("header :authority") {
            fields.remove("header host");
        }
        let says_its_length =
            fields.get("header content-length").is_some_and(|text| *text == seen.body.len().to_string());
        Self { fields, says_its_length }
    }
}

fn add(fields: &mut BTreeMap<String, String>, kind: &str, headers: &Headers) {
    for (name, value) in headers.iter() {
        let name = plain(name).to_lowercase();
        if matches!(name.as_str(), ":scheme" | "transfer-encoding" | "connection") {
            continue;
        }
        let all = fields.entry(format!("{kind} {name}")).or_default();
        if !all.is_empty() {
            all.push_str(" | ");
        }
        all.push_str(plain(value).trim());
    }
}

fn plain(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(200).collect();
    if cut.len() < text.len() { format!("`{cut}…` ({} bytes)", text.len()) } else { format!("`{cut}`") }
}
