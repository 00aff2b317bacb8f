//! A trace as the text of a snapshot: one event per line, indented by callback, nothing that differs between
//! machines.
//!
//! What a person reviews is behaviour: logs, actions, what both ends see, calls, and state that changed. Header
//! changes and reads are left out, for the ends show their outcome; `snapshot: hostcalls` has every hostcall.

mod effect;
mod together;

use crate::abi::{Callback, ExchangeId, PluginIndex};
use crate::message::{Headers, Part};
use crate::trace::show::{self, escaped};
use crate::trace::views::{self, SeenMessage};
use crate::trace::{CallAnswer, CallbackLeft, Entry, Event, GatewayEvent, Peer};
use effect::{call_text, effect_text, grpc_answer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// How much a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Logs, actions, what both ends see, calls, state changed.
    Behaviour,
    /// Every hostcall beside that.
    Hostcalls,
}

/// Bodies longer than this are given by length and hash.
const LONGEST_BODY: usize = 4096;

/// Nobody reviews more; a plugin that logs without end would make a file of a gigabyte.
const MOST_TEXT: usize = 16 << 20;

/// The text of a snapshot.
pub fn render(events: &[Event], plugins: &[String], detail: Detail) -> String {
    let (open, begun, together) = (Vec::new(), BTreeMap::new(), together::of(events));
    let mut page = Page { text: String::new(), plugins, detail, open, start: None, begun, together };
    for (at, event) in events.iter().enumerate() {
        if page.text.len() > MOST_TEXT {
            let left = events.len() - at;
            page.text.push_str(&format!("... and {left} more events: a snapshot ends after {} MiB\n", MOST_TEXT >> 20));
            break;
        }
        page.event(events, at, event);
    }
    page.text
}

/// What one end saw of a message, as lines.
pub fn seen(message: &SeenMessage) -> String {
    if message.connected {
        return data(message);
    }
    let Some(headers) = &message.headers else {
        return if message.reset { "a reset\n".to_owned() } else { "nothing\n".to_owned() };
    };
    let mut text = head(headers);
    text.push('\n');
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(b":")) {
        let _ = writeln!(text, "  {}: {}", plain(name), plain(value));
    }
    if !message.body.is_empty() {
        let _ = writeln!(text, "  body: {}", body(&message.body));
    }
    for (name, value) in message.trailers.iter().flat_map(Headers::iter) {
        let _ = writeln!(text, "  trailer {}: {}", plain(name), plain(value));
    }
    if message.reset {
        text.push_str("  reset before the end\n");
    } else if !message.complete {
        text.push_str("  the end never came\n");
    }
    text
}

/// What one end of a TCP connection got.
fn data(message: &SeenMessage) -> String {
    let mut text = match message.body.is_empty() {
        true => "no data".to_owned(),
        false => format!("data {}", body(&message.body)),
    };
    text.push_str(match (message.reset, message.complete) {
        (true, _) => ", then a reset\n",
        (false, true) => ", then the end\n",
        (false, false) => ", and no end\n",
    });
    text
}

struct Page<'a> {
    text: String,
    plugins: &'a [String],
    detail: Detail,
    /// Lines of the callback that is running, and whether it has to be shown.
    open: Vec<OpenCallback>,
    /// A start function that has done nothing worth a line yet.
    start: Option<String>,
    /// Where each exchange begins in the trace.
    begun: BTreeMap<ExchangeId, usize>,
    /// Exchanges that were open when others were.
    together: BTreeSet<ExchangeId>,
}

struct OpenCallback {
    head: String,
    lines: Vec<String>,
}

impl Page<'_> {
    fn event(&mut self, events: &[Event], at: usize, event: &Event) {
        match event {
            Event::Step(step) => {
                let gap = if self.text.is_empty() { "" } else { "\n" };
                let _ = writeln!(self.text, "{gap}{}", escaped(&step.label));
            }
            Event::ClockMoved(ns) => self.line(&format!("clock: {} after the start", seconds(*ns))),
            Event::VmStarted { plugin, rebuilt } => {
                if *rebuilt {
                    self.line(&format!("[{}] a new vm in place of the one that trapped", self.name(plugin.0)));
                }
            }
            Event::CallbackEntered(entered) => {
                let head = format!(
                    "{}[{}] {}",
                    self.mark(entered.exchange),
                    self.name(entered.plugin.0),
                    call_text(entered.callback, entered.args.as_slice())
                );
                match entered.callback {
                    Entry::Callback(_) => self.open.push(OpenCallback { head, lines: Vec::new() }),
                    Entry::Start(_) => self.start = Some(head),
                }
            }
            Event::Hostcall(record) => {
                if self.detail == Detail::Hostcalls {
                    let name = |plugin: PluginIndex| self.plugins.get(plugin.0).map_or("?", String::as_str);
                    if let Some(line) = show::line(event, &name) {
                        self.nested(line.trim_start().to_owned());
                    }
                }
                for effect in &record.effects {
                    if let Some(line) = effect_text(effect) {
                        self.nested(line);
                    }
                }
            }
            Event::CallbackLeft(left) => self.close(left),
            Event::Trap(trap) => {
                let lines = self.open.pop().map_or_else(Vec::new, |open| open.lines);
                let name = self.name(trap.plugin.0).to_owned();
                let mark = self.mark(trap.exchange);
                self.line(&format!("{mark}[{name}] {} trapped: {}", trap.callback.name(), escaped(&trap.message)));
                for line in lines {
                    self.line(&format!("  {line}"));
                }
            }
            Event::HostReply { exchange, status, details } => {
                let mark = self.mark(Some(*exchange));
                self.line(&format!("{mark}the host answers {status} ({})", escaped(details)));
            }
            Event::CallAnswered { call, answer, .. } => {
                let text = match answer {
                    CallAnswer::Response { status, body, .. } => format!("{status}, {body} bytes of body"),
                    CallAnswer::Failed(why) => format!("nothing ({why})"),
                };
                self.line(&format!("call {call} is answered: {text}"));
            }
            Event::GrpcAnswered { call, answer, .. } => {
                if let Some(text) = grpc_answer(answer) {
                    self.line(&format!("grpc {call} {text}"));
                }
            }
            Event::Output { exchange, to, part } => {
                let ends = match part {
                    Part::Headers { end_of_stream, .. } | Part::Data { end_of_stream, .. } => *end_of_stream,
                    Part::Metadata(_) => false,
                    Part::Trailers(_) | Part::Reset => true,
                };
                if ends {
                    self.message(events, at, *exchange, *to);
                }
            }
            Event::Gateway(GatewayEvent::Routed { exchange, route }) => {
                let mark = self.mark(Some(*exchange));
                let route = route.as_ref().map_or_else(|| "no route".to_owned(), |id| format!("route {}", escaped(id)));
                self.line(&format!("{mark}{route}"));
            }
            // It stands where the upstream sees the request.
            Event::Gateway(GatewayEvent::Node { .. }) => {}
            Event::Gateway(GatewayEvent::Admin { status, body, .. }) => {
                self.line(&format!("the admin API answers {status}"));
                if !body.is_empty() {
                    self.line(&format!("  {}", plain(body.trim_ascii_end())));
                }
            }
            Event::ExchangeClosed(exchange) => self.unfinished(events, at, *exchange),
            Event::Finding(finding) => self.line(&format!("finding: {}", finding.id)),
            Event::HostLog { level, message } => self.nested_or_line(format!("host log {level}: {}", plain(message))),
            Event::HostCrash { id, .. } => self.line(&format!("the worker would crash here: {id}")),
            Event::ExchangeOpened(exchange) | Event::ConnectionOpened(exchange) => {
                self.begun.insert(*exchange, at);
            }
            Event::Input { .. } | Event::UpstreamConnected(_) => {}
        }
    }

    fn message(&mut self, events: &[Event], at: usize, exchange: ExchangeId, to: Peer) {
        let begun = self.begun.get(&exchange).copied().unwrap_or(0);
        let message = views::seen(&events[begun..=at], exchange, to);
        let who = match to {
            Peer::Client => "client".to_owned(),
            Peer::Upstream => message
                .node
                .as_ref()
                .map_or_else(|| "upstream".to_owned(), |node| format!("upstream {}", escaped(node))),
        };
        let mark = self.mark(Some(exchange));
        for (i, line) in seen(&message).lines().enumerate() {
            let line = if i == 0 { format!("{mark}{who} sees {line}") } else { line.to_owned() };
            self.line(&line);
        }
    }

    /// What had begun to go out and never came to its end.
    fn unfinished(&mut self, events: &[Event], at: usize, exchange: ExchangeId) {
        let begun = self.begun.get(&exchange).copied().unwrap_or(0);
        for to in [Peer::Upstream, Peer::Client] {
            let message = views::seen(&events[begun..=at], exchange, to);
            if !message.is_nothing() && !message.complete && !message.reset {
                self.message(events, at, exchange, to);
            }
        }
    }

    /// A callback is shown if it has a result or did something.
    fn close(&mut self, left: &CallbackLeft) {
        let Some(OpenCallback { head, lines }) = self.open.pop() else { return };
        let result = show::result_of(left);
        // That a plugin starts and ends is what everybody expects of it.
        let lifecycle =
            matches!(left.callback, Entry::Callback(Callback::OnVmStart | Callback::OnConfigure | Callback::OnDone));
        let as_usual = result.is_none() || (lifecycle && left.result != Some(0));
        if lines.is_empty() && as_usual && self.detail == Detail::Behaviour {
            return;
        }
        match result {
            Some(result) => self.line(&format!("{head} -> {result}")),
            None => self.line(&head),
        }
        for line in lines {
            self.line(&format!("  {line}"));
        }
    }

    /// A line below the running callback; below nothing where a start function runs.
    fn nested(&mut self, line: String) {
        match self.open.last_mut() {
            Some(open) => open.lines.push(line),
            None => {
                if let Some(head) = self.start.take() {
                    self.line(&head);
                }
                self.line(&format!("  {line}"));
            }
        }
    }

    /// What the host says while a callback runs stands below it.
    fn nested_or_line(&mut self, line: String) {
        match self.open.last_mut() {
            Some(open) => open.lines.push(line),
            None => self.line(&line),
        }
    }

    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "  {line}");
    }

    /// The number of an exchange that is one of several.
    fn mark(&self, exchange: Option<ExchangeId>) -> String {
        exchange.filter(|id| self.together.contains(id)).map_or_else(String::new, |id| format!("({id}) "))
    }

    fn name(&self, plugin: usize) -> &str {
        self.plugins.get(plugin).map_or("?", String::as_str)
    }
}

/// The first line of a message: `GET http://app.test/x`, or the status.
fn head(headers: &Headers) -> String {
    let get = |name: &[u8]| headers.get(name).map(|value| plain(value)).unwrap_or_default();
    if headers.get(b":status").is_some() {
        return get(b":status");
    }
    let scheme = headers.get(b":scheme").map(|scheme| format!("{}://", plain(scheme))).unwrap_or_default();
    format!("{} {scheme}{}{}", get(b":method"), get(b":authority"), get(b":path"))
}

/// Text in quotes, other bytes in hexadecimal; whole, for a snapshot that is cut hides a difference.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("\"{}\"", escaped(&text.replace('\\', "\\\\").replace('"', "\\\""))),
        Err(_) => hex(bytes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Text as it is, other bytes in hexadecimal; never a line break or a control character.
fn plain(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => escaped(text),
        Err(_) => hex(bytes),
    }
}

fn body(bytes: &[u8]) -> String {
    if bytes.len() > LONGEST_BODY {
        return format!("{} bytes, fnv {:016x}", bytes.len(), fnv(bytes));
    }
    quoted(bytes)
}

/// FNV-1a: a published hash of three lines, to tell long bodies apart.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn seconds(ns: u64) -> String {
    let text = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}
