//! What plugins did, request by request: the lines of `pwtest run --trace`, one block for each request, whole.
//!
//! Hosts record what happens in the order in which it happens, requests mixed. Here it is put in order: events that name
//! a request go to its block, which is written when the request has ended; those that name none belong to the request
//! that the host was at, or else are written at once. All of it is bounded, and says so where something was left out.

use super::log::{Format, Sink};
use crate::abi::ExchangeId;
use crate::host::store::HostId;
use crate::trace::{Event, show};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of one block.
const LONGEST: usize = 1 << 20;
/// Requests under way at one time.
const MOST_OPEN: usize = 10_000;

/// Blocks that are being made.
pub struct Traces {
    sink: Sink,
    format: Format,
    open: Mutex<BTreeMap<(HostId, ExchangeId), String>>,
}

impl Traces {
    /// Writes blocks there.
    pub fn new(sink: Sink, format: Format) -> Self {
        Self { sink, format, open: Mutex::new(BTreeMap::new()) }
    }

    /// A block is lines, the first of which says what it is of; or one object with them.
    fn write(&self, block: &str) {
        match self.format {
            Format::Text => self.sink.write(block.as_bytes()),
            Format::Json => {
                let mut lines = block.lines();
                let message = lines.next().unwrap_or_default().trim_end_matches(':');
                let lines: Vec<&str> = lines.map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
                let object = serde_json::json!({ "level": "debug", "message": message, "trace": lines });
                self.sink.write(format!("{object}\n").as_bytes());
            }
        }
    }

    /// Takes what happened in one host.
    pub fn add(&self, host: HostId, events: &[Event], names: &[Arc<str>]) {
        let name = |plugin: crate::abi::PluginIndex| names.get(plugin.0).map_or("?", |name| &**name);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = None;
        let mut outside = String::new();
        for (at, event) in events.iter().enumerate() {
            current = match exchange_of(event) {
                Exchange::This(exchange) => Some(exchange),
                // An answer to a call comes before the callback that gets it.
                Exchange::Next => events[at..].iter().find_map(|event| match exchange_of(event) {
                    Exchange::This(exchange) => Some(exchange),
                    Exchange::Next | Exchange::Same | Exchange::None => None,
                }),
                Exchange::Same => current,
                Exchange::None => None,
            };
            let Some(line) = show::line(event, &name) else { continue };
            let Some(exchange) = current else {
                let _ = writeln!(outside, "  {line}");
                continue;
            };
            let key = (host, exchange);
            if !open.contains_key(&key) && open.len() >= MOST_OPEN {
                // One whose end was never told: its host is gone.
                open.pop_first();
            }
            let block = open.entry(key).or_insert_with(|| format!("trace of request {exchange}:\n"));
            if block.len() < LONGEST {
                let _ = writeln!(block, "  {line}");
                if block.len() >= LONGEST {
                    block.push_str("  … the rest is left out\n");
                }
            }
            if matches!(event, Event::ExchangeClosed(_))
                && let Some(block) = open.remove(&key)
            {
                self.write(&block);
            }
        }
        if !outside.is_empty() {
            self.write(&format!("trace outside of requests:\n{outside}"));
        }
    }

    /// Writes what is there; `false` when there was no time for it.
    pub fn stop(&self, within: Duration) -> bool {
        self.sink.flush(within)
    }
}

/// Where an event belongs.
enum Exchange {
    This(ExchangeId),
    /// To the request that the next event names.
    Next,
    /// To that of the event before.
    Same,
    None,
}

fn exchange_of(event: &Event) -> Exchange {
    match event {
        Event::CallAnswered { .. } | Event::GrpcAnswered { .. } => Exchange::Next,
        Event::HostLog { .. } | Event::Finding(_) | Event::HostCrash { .. } => Exchange::Same,
        of => of.exchange().map_or(Exchange::None, Exchange::This),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{CallId, PluginIndex};
    use crate::proxy::log::Destination;
    use crate::trace::CallAnswer;

    #[test]
    fn requests_that_run_together_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trace");
        let note = Box::new(|_: u64, _: &mut Vec<u8>| {});
        let sink = Sink::start("test", Destination::File(path.clone()), note).expect("a file");
        let traces = Traces::new(sink.clone(), Format::Text);
        let (one, two) = (ExchangeId(1), ExchangeId(2));
        let reply = |exchange| Event::HostReply { exchange, status: 503, details: "why".to_owned() };
        let answer = Event::CallAnswered {
            call: CallId(1),
            plugin: PluginIndex(0),
            answer: CallAnswer::Failed("timeout".to_owned()),
        };
        let started = Event::VmStarted { plugin: PluginIndex(0), rebuilt: false };
        let names = ["p".into()];
        traces.add(HostId(7), &[Event::ExchangeOpened(one), Event::ExchangeOpened(two), started], &names);
        traces.add(HostId(8), &[Event::ExchangeOpened(one)], &names);
        traces.add(HostId(7), &[answer, reply(two), Event::ExchangeClosed(two)], &names);
        traces.add(HostId(7), &[reply(one), Event::ExchangeClosed(one)], &names);
        assert!(traces.stop(Duration::from_secs(20)));
        assert_eq!(
            std::fs::read_to_string(path).expect("the file"),
            "trace outside of requests:\n  [p] vm started\n\
             trace of request 2:\n  exchange 2 opened\n  call 1 of [p] answered: nothing came back (timeout)\n  \
             (2) the host answers 503 (why)\n  exchange 2 closed\n\
             trace of request 1:\n  exchange 1 opened\n  the host answers 503 (why)\n  exchange 1 closed\n"
        );
    }
}
