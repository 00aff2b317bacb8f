//! Everything that the server has to tell, written down: the error log, the access log, traces and numbers.
//!
//! It listens on the workers' threads, turns what it hears into lines, and leaves the writing to others.

use super::access_log::AccessLog;
use super::log::{Entry, ErrorLog, Request, Severity};
use super::metrics::Counters;
use super::record::{Collector, Serving};
use super::traces::Traces;
use super::{About, Access, Broken, LogLine, Observer, WorkerFailure};
use crate::abi::LogLevel;
use crate::host::store::HostId;
use crate::trace::Event;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// An observer that writes.
pub struct Journal {
    errors: ErrorLog,
    accesses: Option<AccessLog>,
    traces: Option<Traces>,
    collector: Option<Collector>,
    workers: Vec<Counters>,
}

impl Journal {
    /// Writes to these; with no access log there is none, with no traces nothing is recorded.
    pub fn new(errors: ErrorLog, accesses: Option<AccessLog>, traces: Option<Traces>, workers: usize) -> Self {
        let workers = (0..workers).map(|_| Counters::default()).collect();
        Self { errors, accesses, traces, collector: None, workers }
    }

    /// The same, and what passes is listened to for a recording.
    pub fn recording(self, collector: Collector) -> Self {
        Self { collector: Some(collector), ..self }
    }

    /// What requests pass from here on.
    pub fn serves(&self, serving: impl FnOnce() -> Serving) {
        if let Some(collector) = &self.collector {
            collector.serves(serving());
        }
    }

    /// The error log, for what the process itself has to say.
    pub fn errors(&self) -> &ErrorLog {
        &self.errors
    }

    /// What each worker has counted.
    pub fn counters(&self) -> &[Counters] {
        &self.workers
    }

    /// Opens the files again by their names.
    pub fn reopen(&self) {
        self.errors.sink().reopen();
        if let Some(accesses) = &self.accesses {
            accesses.sink().reopen();
        }
    }

    /// Writes all that was said; no line that comes later is written. `false` when there was no time for it.
    pub fn stop(&self, within: Duration) -> bool {
        // The others may still have something to say in the error log.
        let accesses = self.accesses.as_ref().is_none_or(|accesses| accesses.stop(within));
        let traces = self.traces.as_ref().is_none_or(|traces| traces.stop(within));
        self.errors.stop(within) && accesses && traces
    }

    fn count(&self, worker: usize, counter: impl Fn(&Counters) -> &AtomicU64) {
        if let Some(counters) = self.workers.get(worker) {
            counter(counters).fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Journal {
    fn log_level(&self) -> Option<LogLevel> {
        Some(self.errors.level().plugin_level())
    }

    fn traces(&self) -> bool {
        self.traces.is_some() || self.collector.is_some()
    }

    fn log(&self, line: &LogLine<'_>) {
        let request = line.about.as_ref().map(request);
        let severity = Severity::from(line.level);
        let entry = Entry { severity, message: line.message, plugin: line.plugin, request: request.as_ref() };
        self.errors.write(&entry);
    }

    fn trap(&self, broken: &Broken<'_>) {
        self.count(broken.worker, |counters| &counters.traps);
        let request = broken.about.as_ref().map(request);
        self.errors.trap(broken.plugin, broken.trap, Some(broken.wasm), request.as_ref());
    }

    fn traced(&self, host: HostId, events: &[Event], names: &[Arc<str>]) {
        if let Some(traces) = &self.traces {
            traces.add(host, events, names);
        }
        if let Some(collector) = &self.collector {
            collector.traced(host, events);
        }
    }

    fn connected(&self, worker: usize) {
        self.count(worker, |counters| &counters.connections);
    }

    fn disconnected(&self, worker: usize) {
        self.count(worker, |counters| &counters.connections_ended);
    }

    fn access(&self, access: &Access<'_>) {
        if let Some(counters) = self.workers.get(access.worker) {
            counters.request(access.status);
        }
        if let Some(accesses) = &self.accesses {
            accesses.write(access);
        }
        if let Some(collector) = &self.collector {
            collector.ended(access);
        }
    }

    fn worker_failed(&self, failure: &WorkerFailure) {
        let message = format!("worker {} broke and serves no more: {}", failure.worker, failure.message);
        self.errors.say(Severity::Alert, &message);
    }
}

fn request<'a>(about: &About<'a>) -> Request<'a> {
    Request {
        connection: about.connection,
        client: about.client.ip(),
        line: about.request_line,
        host: Some(about.authority.as_bytes()).filter(|host| !host.is_empty()),
        referrer: about.referrer,
        upstream: about.upstream,
    }
}
