//! The recorder: keeps events, or doesn't.

use super::{Event, Finding};
use std::collections::HashSet;

/// Whether events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Every event is kept.
    On,
    /// Nothing is kept; events are not even built.
    Off,
}

/// The list of events, in order.
#[derive(Debug)]
pub struct Recorder {
    recording: Recording,
    events: Vec<Event>,
    bytes: usize,
    /// Findings that were kept.
    found: HashSet<Finding>,
}

impl Recorder {
    /// What one trace may hold, in bytes, roughly: a plugin that logs without end has to be stopped.
    pub const LIMIT: usize = 256 << 20;
    /// Different findings that one recorder keeps: a server runs for ever.
    const MOST_FINDINGS: usize = 100_000;
    /// What an event is counted as, beside the bytes in it.
    const PER_EVENT: usize = 512;

    /// An empty recorder.
    pub fn new(recording: Recording) -> Self {
        Self { recording, events: Vec::new(), bytes: 0, found: HashSet::new() }
    }

    /// Whether events are kept, for callers that would have to copy to build one.
    pub fn is_on(&self) -> bool {
        self.recording == Recording::On
    }

    /// Keeps the event that `make` builds, if events are kept.
    pub fn push(&mut self, make: impl FnOnce() -> Event) {
        if self.is_on() {
            self.events.push(make());
        }
    }

    /// Counts an event with so many bytes in it; false when the trace is full.
    pub fn charge(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes + Self::PER_EVENT);
        self.bytes <= Self::LIMIT
    }

    /// Keeps a finding, once for each id, plugin and message.
    pub fn finding(&mut self, finding: Finding) {
        if self.is_on() && self.found.len() < Self::MOST_FINDINGS && !self.found.contains(&finding) {
            // The next hostcall sees that the trace is full.
            self.charge(2 * finding.message.len());
            self.events.push(Event::Finding(finding.clone()));
            self.found.insert(finding);
        }
    }

    /// What was kept so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Takes everything that was kept; there is room for as much again.
    pub fn take(&mut self) -> Vec<Event> {
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}
