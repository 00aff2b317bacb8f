//! Where hosts differ visibly on what a plugin just did: a pure function of the trace.
//!
//! [`differences`] walks over what happened and looks, for each thing that some host does otherwise, at what each
//! profile says of it (its quirks, and the hostcalls and callbacks that it documents). One difference is kept for each id
//! and plugin, with all that it was about; hosts that do the same as the one that ran are left out. Nothing here asks
//! which host ran.

mod callbacks;
pub mod catalogue;
mod hostcalls;
#[cfg(test)]
mod tests;

pub use catalogue::{KINDS, Kind, Scope, kind};

use super::profile::{self, Profile};
use crate::abi::{ContextId, ExchangeId, PluginIndex};
use crate::trace::show::clipped;
use crate::trace::{CallbackEntered, Entry, Event};
use std::collections::{BTreeMap, BTreeSet};

/// More names than this say no more.
const MOST_SUBJECTS: usize = 6;

/// What another host does with something that the plugin did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Elsewhere {
    /// The host.
    pub host: &'static str,
    /// What it does: the end of "on HOST, it ...".
    pub does: &'static str,
    /// Where that is known from; empty for what most hosts do.
    pub source: &'static str,
}

/// Something that goes differently on other hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The kind of finding.
    pub kind: &'static Kind,
    /// The plugin; `None` where it is about several.
    pub plugin: Option<PluginIndex>,
    /// Hostcalls, callbacks, headers: what it was about, in order, the first few.
    pub subjects: Vec<String>,
    /// What the host that ran does.
    pub here: &'static str,
    /// The hosts that do otherwise.
    pub elsewhere: Vec<Elsewhere>,
}

impl Difference {
    /// The id.
    pub fn id(&self) -> &'static str {
        self.kind.id
    }

    /// What happened, where it goes otherwise and what to do, in one paragraph.
    pub fn message(&self, host: &str) -> String {
        let mut text = self.kind.what.to_owned();
        if !self.subjects.is_empty() {
            text += &format!(" ({})", self.subjects.join(", "));
        }
        for (at, other) in self.elsewhere.iter().enumerate() {
            let Elsewhere { host, does, source } = other;
            text += &format!("{} on {host}, it {does}", if at == 0 { ":" } else { ";" });
            if !source.is_empty() {
                text += &format!(" ({source})");
            }
        }
        format!("{text}; {host} {}; {}", self.here, self.kind.advice)
    }
}

/// Everything in a trace that goes differently on other hosts than the one that ran, in the order of the catalogue.
pub fn differences(events: &[Event], here: &'static Profile) -> Vec<Difference> {
    let mut walk = Walk::new(here);
    for event in events {
        walk.event(event);
    }
    walk.finish()
}

/// Does a host do something special in a situation?
fn quirk(profile: &Profile, id: &str) -> Option<(&'static str, &'static str)> {
    profile.quirks.iter().find(|quirk| quirk.id == id).map(|quirk| (quirk.does, quirk.source))
}

/// A callback that is running.
struct Running {
    plugin: PluginIndex,
    entry: Entry,
    context: ContextId,
    exchange: Option<ExchangeId>,
    args: Vec<u32>,
    /// Hostcalls of the ABI that it made.
    hostcalls: usize,
    /// HTTP calls that it started.
    calls: usize,
    /// Responses of its own.
    local_responses: usize,
}

struct Walk {
    here: &'static Profile,
    found: BTreeMap<(usize, Option<PluginIndex>), BTreeSet<String>>,
    running: Option<Running>,
    /// HTTP calls that are not answered, by plugin and token, with the exchange that made them.
    pending: BTreeMap<(PluginIndex, u32), Option<ExchangeId>>,
    closed: BTreeSet<ExchangeId>,
    /// Root contexts and streams, for telling them apart.
    roots: BTreeSet<(PluginIndex, ContextId)>,
    /// Plugins that were configured, and those that have a root context.
    configured: BTreeSet<PluginIndex>,
    /// Calls of on_request_body in which something was done.
    body_callbacks: BTreeMap<(PluginIndex, ExchangeId), usize>,
    /// Plugins that did something in response callbacks.
    in_response: BTreeMap<ExchangeId, BTreeSet<PluginIndex>>,
    /// Properties that plugins have set.
    set: BTreeSet<String>,
}

impl Walk {
    fn new(here: &'static Profile) -> Self {
        Self {
            here,
            found: BTreeMap::new(),
            running: None,
            pending: BTreeMap::new(),
            closed: BTreeSet::new(),
            roots: BTreeSet::new(),
            configured: BTreeSet::new(),
            body_callbacks: BTreeMap::new(),
            in_response: BTreeMap::new(),
            set: BTreeSet::new(),
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::CallbackEntered(entered) => self.enter(entered),
            Event::Hostcall(record) => self.hostcall(record),
            Event::CallbackLeft(left) => self.left(left.result),
            Event::Trap(trap) => {
                self.note("after-trap", Some(trap.plugin), "");
                self.running = None;
            }
            Event::CallAnswered { call, plugin, answer } => self.answered(*plugin, call.0, answer),
            Event::ExchangeClosed(exchange) => {
                self.closed.insert(*exchange);
            }
            _ => {}
        }
    }

    fn enter(&mut self, entered: &CallbackEntered) {
        self.running = Some(Running {
            plugin: entered.plugin,
            entry: entered.callback,
            context: entered.context,
            exchange: entered.exchange,
            args: entered.args.as_slice().to_vec(),
            hostcalls: 0,
            calls: 0,
            local_responses: 0,
        });
        self.entered(entered);
    }

    /// Keeps that something happened that some host does otherwise.
    fn note(&mut self, id: &str, plugin: Option<PluginIndex>, subject: &str) {
        let Some(at) = KINDS.iter().position(|kind| kind.id == id) else { return };
        let subjects = self.found.entry((at, plugin)).or_default();
        if !subject.is_empty() && subjects.len() <= MOST_SUBJECTS {
            subjects.insert(clipped(subject, 60));
        }
    }

    /// The same for the plugin that runs.
    fn note_running(&mut self, id: &str, subject: &str) {
        let plugin = self.running.as_ref().map(|running| running.plugin);
        self.note(id, plugin, subject);
    }

    fn finish(mut self) -> Vec<Difference> {
        self.at_the_end();
        let here = self.here;
        let found = std::mem::take(&mut self.found);
        found.into_iter().filter_map(|((at, plugin), subjects)| difference(here, at, plugin, subjects)).collect()
    }
}

/// A difference, if any host does otherwise than the one that ran.
fn difference(
    here: &'static Profile,
    at: usize,
    plugin: Option<PluginIndex>,
    subjects: BTreeSet<String>,
) -> Option<Difference> {
    let kind = KINDS.get(at)?;
    let own = quirk(here, kind.id).map_or(kind.usual, |(does, _)| does);
    let others = profile::ALL.iter().filter(|other| other.name != here.name).filter_map(|other| {
        let (does, source) = quirk(other, kind.id).unwrap_or((kind.usual, ""));
        (does != own).then_some(Elsewhere { host: other.name, does, source })
    });
    let elsewhere: Vec<Elsewhere> = others.collect();
    let more = subjects.len() > MOST_SUBJECTS;
    let mut subjects: Vec<String> = subjects.into_iter().take(MOST_SUBJECTS).collect();
    if more {
        subjects.push("…".to_owned());
    }
    (!elsewhere.is_empty()).then_some(Difference { kind, plugin, subjects, here: own, elsewhere })
}
