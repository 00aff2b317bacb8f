//! What passes, listened to for a recording: the trace of each host is put together to conversations on the worker's
//! thread, and a conversation that has come to its end is handed on to whoever writes. Nobody waits for the writer: what
//! it can't take is counted and lost.

use super::observer::Access;
use crate::gateway::model::Route;
use crate::gateway::resources::Resources;
use crate::host::store::HostId;
use crate::trace::Event;
use crate::trace::conversation::{Bounds, Conversations, Passed};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

/// What requests pass.
#[derive(Debug, Clone, Default)]
pub struct Serving {
    /// Plugins and objects.
    pub resources: Resources,
    /// A route beside them, which takes what they don't.
    pub route: Option<Arc<Route>>,
}

/// Something for the recording.
#[derive(Debug)]
pub enum Heard {
    /// A request that has come to its end, and what it passed.
    Request(Box<Passed>, Arc<Serving>),
    /// Nothing more comes.
    End,
}

/// Listens.
#[derive(Debug)]
pub struct Collector {
    hosts: Mutex<BTreeMap<HostId, Conversations>>,
    serving: Mutex<Arc<Serving>>,
    to: SyncSender<Heard>,
    lost: Arc<AtomicU64>,
}

impl Collector {
    /// Hands on to `to`, and counts in `lost` what it does not take.
    pub fn new(to: SyncSender<Heard>, lost: Arc<AtomicU64>) -> Self {
        Self { hosts: Mutex::default(), serving: Mutex::default(), to, lost }
    }

    /// From here on requests pass this. One that is under way counts as if it had passed it, too.
    pub fn serves(&self, serving: Serving) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(serving);
    }

    /// What happened in one host.
    pub fn traced(&self, host: HostId, events: &[Event]) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = || events.iter().any(|event| matches!(event, Event::ExchangeOpened(_)));
        if !hosts.contains_key(&host) && !begins() {
            return;
        }
        let of = hosts.entry(host).or_insert_with(|| Conversations::new(Bounds::default()));
        for event in events {
            if of.add(event) {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A request has come to its end.
    pub fn ended(&self, access: &Access<'_>) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of) = hosts.get_mut(&access.host) else { return };
        let taken = of.take(access.exchange);
        if of.is_empty() {
            hosts.remove(&access.host);
        }
        drop(hosts);
        let Some(conversation) = taken else { return };
        // A node that failed may have been followed by one that did not.
        let failed = access.tries.last().and_then(|last| last.status).filter(|status| matches!(status, 502 | 504));
        let passed =
            Passed { conversation, protocol: access.protocol, aborted: access.aborted, host: access.host.0, failed };
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.to.try_send(Heard::Request(Box::new(passed), serving)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::ExchangeId;
    use crate::message::{Headers, Part};
    use crate::trace::Peer;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    fn ended(collector: &Collector, host: u32, exchange: u32) {
        let address = ([127, 0, 0, 1], 1).into();
        collector.ended(&Access {
            worker: 0,
            host: HostId(host),
            exchange: ExchangeId(exchange),
            client: address,
            server: address,
            method: b"GET",
            target: b"/",
            protocol: "HTTP/1.1",
            authority: b"a",
            status: Some(200),
            sent: 0,
            received: 0,
            took: Duration::ZERO,
            headers: &Headers::new(),
            tries: &[],
            upstream_host: b"",
            aborted: false,
        });
    }

    #[test]
    fn hosts_and_exchanges_are_told_apart_and_nobody_waits() {
        let (to, from) = sync_channel(2);
        let lost = Arc::new(AtomicU64::new(0));
        let collector = Collector::new(to, lost.clone());
        let sent = |exchange: u32, path: &'static str| {
            let headers: Headers = [(":path".into(), path.into())].into_iter().collect();
            let part = Part::Headers { headers, end_of_stream: true };
            Event::Input { exchange: ExchangeId(exchange), from: Peer::Client, part }
        };
        let open = |exchange: u32| Event::ExchangeOpened(ExchangeId(exchange));
        collector.traced(HostId(1), &[open(1), open(2), sent(2, "/1-2")]);
        collector.traced(HostId(2), &[open(1), sent(1, "/2-1")]);
        collector.traced(HostId(1), &[sent(1, "/1-1")]);
        ended(&collector, 1, 2);
        ended(&collector, 2, 1);
        // Nobody has taken the others yet.
        ended(&collector, 1, 1);
        // Unknown ones are nothing.
        ended(&collector, 1, 1);
        ended(&collector, 3, 1);
        let paths: Vec<_> = from
            .try_iter()
            .filter_map(|heard| match heard {
                Heard::Request(passed, _) => passed.conversation.request.headers?.get(b":path").cloned(),
                Heard::End => None,
            })
            .collect();
        assert_eq!(paths, ["/1-2", "/2-1"]);
        assert_eq!(lost.load(Ordering::Relaxed), 1);
        assert!(collector.hosts.lock().expect("no panic").is_empty());
    }
}
