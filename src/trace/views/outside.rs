//! What a run looks like from outside of the host: what both ends of each exchange saw, the calls that arrived, the
//! log, and how it broke. This is what two hosts can be compared by, and all that a real one shows.

use super::{SeenMessage, http_calls, logs, seen, traps};
use crate::message::Headers;
use crate::trace::show::{bytes, clipped};
use crate::trace::{Event, HttpCall, Peer};

/// The upstream of a call that a real host made and that nobody but it saw: refused before it was sent.
pub const NOT_SEEN: &[u8] = b"(not seen)";

/// One thing that can be seen from outside, and how it looked; `None` where there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observable {
    /// What it is: `client status`, `upstream header x-a`, `log 3`, `call 1`, `trap`.
    pub name: String,
    /// How it looked, as text for people.
    pub value: Option<String>,
}

/// Everything that can be seen from outside of a run, in a fixed order.
///
/// The order of headers of different names means nothing in HTTP, so it is not looked at; neither is how a body was
/// cut. The scheme does not show in HTTP/1.1.
pub fn outside_view(events: &[Event]) -> Vec<Observable> {
    let mut view = Vec::new();
    let exchanges = events.iter().filter_map(|event| match event {
        Event::ExchangeOpened(id) => Some(*id),
        _ => None,
    });
    for (at, exchange) in exchanges.enumerate() {
        let number = if at == 0 { String::new() } else { format!(" {}", at + 1) };
        message(&mut view, &format!("client{number}"), &seen(events, exchange, Peer::Client), ":status", "status");
        message(&mut view, &format!("upstream{number}"), &seen(events, exchange, Peer::Upstream), ":path", "request");
    }
    for (at, (_, call)) in http_calls(events).enumerate() {
        let value = (call.upstream != NOT_SEEN).then(|| outgoing(call));
        view.push(Observable { name: format!("call {}", at + 1), value });
    }
    // What a host says itself differs between any two hosts, and nothing follows from it.
    for (at, line) in logs(events).filter(|line| line.plugin.is_some()).enumerate() {
        let value = format!("{}: {}", line.level.name(), plain(&line.message));
        view.push(Observable { name: format!("log {}", at + 1), value: Some(value) });
    }
    for (at, trap) in traps(events).enumerate() {
        view.push(Observable { name: format!("trap {}", at + 1), value: Some(format!("in {}", trap.callback.name())) });
    }
    view
}

fn message(view: &mut Vec<Observable>, end: &str, seen: &SeenMessage, first: &str, name: &str) {
    let mut push = |name: String, value: Option<String>| view.push(Observable { name: format!("{end} {name}"), value });
    let Some(headers) = &seen.headers else {
        push(name.to_owned(), None);
        return;
    };
    let get = |name: &str| headers.get(name.as_bytes()).map(|value| plain(value)).unwrap_or_default();
    let head = match first {
        ":status" => get(first),
        _ => format!("{} {}", get(":method"), get(":path")),
    };
    push(name.to_owned(), Some(head));
    // HTTP/1.1 has to write down that there is nothing.
    fields(headers, "header", seen.body.is_empty().then_some(("content-length", "0")), &mut push);
    push("body".to_owned(), (!seen.body.is_empty()).then(|| bytes(&seen.body)));
    if let Some(trailers) = &seen.trailers {
        fields(trailers, "trailer", None, &mut push);
    }
    let end = match (seen.complete, seen.reset) {
        (true, false) => "complete",
        (_, true) => "reset",
        (false, false) => "open",
    };
    push("end".to_owned(), Some(end.to_owned()));
}

fn outgoing(call: &HttpCall) -> String {
    let headers: Vec<_> = call.headers.iter().filter(|(name, _)| name != ":scheme").collect();
    // HTTP/1.1 has one name for the two.
    let authority = headers.iter().any(|(name, _)| name == ":authority");
    let name = |name: &[u8]| if name == b"host" && !authority { ":authority".to_owned() } else { plain(name) };
    let mut headers: Vec<String> =
        headers.iter().map(|pair| format!("{}: {}", name(&pair.0), plain(&pair.1))).collect();
    headers.sort();
    format!("to {} {{{}}} {}", plain(&call.upstream), headers.join(", "), bytes(&call.body))
}

/// Each name once, in order, with all its values; but for what says nothing.
fn fields(headers: &Headers, kind: &str, unsaid: Option<(&str, &str)>, push: &mut impl FnMut(String, Option<String>)) {
    let mut names: Vec<String> = headers.iter().map(|(name, _)| plain(name).to_lowercase()).collect();
    names.retain(|name| !matches!(name.as_str(), ":status" | ":method" | ":path" | ":scheme"));
    names.sort();
    names.dedup();
    for name in names {
        let same = headers.iter().filter(|(other, _)| plain(other).to_lowercase() == name);
        let values: Vec<String> = same.map(|(_, value)| plain(value)).collect();
        if unsaid.is_some_and(|(of, value)| name == of && values == [value]) {
            continue;
        }
        push(format!("{kind} {name}"), Some(values.join(" | ")));
    }
}

fn plain(text: &[u8]) -> String {
    clipped(&String::from_utf8_lossy(text), 1000)
}
