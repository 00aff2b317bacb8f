//! What a run reached: hostcalls, their statuses, and callbacks, for each host; and what it did not.
//!
//! A pure function of the traces. What could be reached stands in the profile ([`Documented`]); statuses that came
//! and are not documented are told apart, because they are news about the host or about us.

mod json;
mod text;

pub use json::json;
pub use text::text;

use crate::abi::{Callback, Status};
use crate::host::hostcalls::FAMILIES;
use crate::host::profile::{self, Deviation, Documented, Profile, Support};
use crate::runner::{CaseResult, Reporter, RunEvent};
use crate::trace::{Entry, Event, HostcallResult};
use std::collections::BTreeMap;
use std::io;

/// What a hostcall answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A Proxy-Wasm hostcall.
    Status(Status),
    /// A WASI function's errno.
    Errno(u16),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status.name()),
            Self::Errno(errno) => write!(f, "errno {errno}"),
        }
    }
}

/// Collects what cases reached.
#[derive(Debug, Default)]
pub struct Coverage {
    hosts: BTreeMap<&'static str, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    cases: usize,
    /// Calls, whether they returned or not.
    calls: BTreeMap<&'static str, usize>,
    outcomes: BTreeMap<(&'static str, Outcome), usize>,
    callbacks: BTreeMap<Callback, usize>,
}

/// What was reached under one host.
#[derive(Debug)]
pub struct HostCoverage {
    /// The host.
    pub host: &'static str,
    /// Cases that ran under it.
    pub cases: usize,
    /// The hostcalls that the host defines, by family.
    pub hostcalls: Vec<HostcallCoverage>,
    /// The callbacks that the host calls, and the number of times that each was called.
    pub callbacks: Vec<(Callback, usize)>,
}

/// What was reached of one hostcall.
#[derive(Debug)]
pub struct HostcallCoverage {
    /// The family that it belongs to.
    pub family: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How often it was called.
    pub calls: usize,
    /// The documented answers, and how often each was given.
    pub documented: Vec<(Outcome, usize)>,
    /// Answers that came and are not documented.
    pub undocumented: Vec<(Outcome, usize)>,
}

impl HostcallCoverage {
    /// The documented answers that were never given.
    pub fn missing(&self) -> impl Iterator<Item = Outcome> + '_ {
        self.documented.iter().filter(|(_, count)| *count == 0).map(|(outcome, _)| *outcome)
    }
}

impl Coverage {
    /// Takes the trace of a case.
    pub fn add(&mut self, host: &'static str, events: &[Event]) {
        let seen = self.hosts.entry(host).or_default();
        seen.cases += 1;
        for event in events {
            match event {
                Event::CallbackEntered(entered) => {
                    if let Entry::Callback(callback) = entered.callback {
                        *seen.callbacks.entry(callback).or_default() += 1;
                    }
                }
                Event::Hostcall(record) => {
                    *seen.calls.entry(record.name).or_default() += 1;
                    let outcome = match record.result {
                        HostcallResult::Status(status) => Outcome::Status(status),
                        HostcallResult::Errno(errno) => Outcome::Errno(errno),
                        HostcallResult::None => continue,
                    };
                    *seen.outcomes.entry((record.name, outcome)).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    /// What was reached, host by host, in the order of the profiles.
    pub fn hosts(&self) -> Vec<HostCoverage> {
        let ran = |profile: &&'static Profile| self.hosts.get(profile.name).map(|seen| seen.of(profile));
        profile::ALL.iter().filter_map(ran).collect()
    }
}

impl Seen {
    fn of(&self, profile: &'static Profile) -> HostCoverage {
        let documented = profile.documented;
        let rows = FAMILIES.iter().flat_map(|(family, rows)| rows.iter().map(move |row| (*family, row)));
        let hostcalls = rows.filter_map(|(family, row)| {
            let beside = row.versions.is_empty() && !matches!(profile.deviation(row.name), Some(Deviation::Undefined));
            let defined = beside || documented.support(row.name) != Support::Undefined;
            defined.then(|| self.hostcall(documented, family, row.name))
        });
        HostCoverage {
            host: profile.name,
            cases: self.cases,
            hostcalls: hostcalls.collect(),
            callbacks: documented
                .callbacks()
                .map(|callback| (callback, self.callbacks.get(&callback).copied().unwrap_or(0)))
                .collect(),
        }
    }

    fn hostcall(&self, documented: &Documented, family: &'static str, name: &'static str) -> HostcallCoverage {
        let count = |outcome| self.outcomes.get(&(name, outcome)).copied().unwrap_or(0);
        let statuses = documented.statuses(name).iter().map(|status| Outcome::Status(*status));
        let errnos = documented.errnos(name).iter().map(|errno| Outcome::Errno(*errno));
        let expected: Vec<_> = statuses.chain(errnos).map(|outcome| (outcome, count(outcome))).collect();
        let came = self.outcomes.iter().filter(|((called, _), _)| *called == name).map(|((_, o), n)| (*o, *n));
        // Nothing is written down about a function of WASI: then no answer of it is news.
        let silent = expected.is_empty();
        let undocumented = came.filter(|(outcome, _)| !silent && expected.iter().all(|(other, _)| other != outcome));
        HostcallCoverage {
            family,
            name,
            calls: self.calls.get(name).copied().unwrap_or(0),
            undocumented: undocumented.collect(),
            documented: expected,
        }
    }
}

impl HostCoverage {
    /// Hostcalls of the ABI, without WASI.
    fn of_the_abi(&self) -> impl Iterator<Item = &HostcallCoverage> {
        self.hostcalls.iter().filter(|hostcall| hostcall.family != "wasi")
    }

    /// The numbers of things reached and of all: hostcalls, statuses, callbacks.
    fn sums(&self) -> [(usize, usize); 3] {
        let called = self.of_the_abi().filter(|hostcall| hostcall.calls > 0).count();
        let statuses = || self.of_the_abi().flat_map(|hostcall| &hostcall.documented);
        let callbacks = self.callbacks.iter().filter(|(_, count)| *count > 0).count();
        [
            (called, self.of_the_abi().count()),
            (statuses().filter(|(_, count)| *count > 0).count(), statuses().count()),
            (callbacks, self.callbacks.len()),
        ]
    }
}

impl Reporter for Coverage {
    fn event(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        if let RunEvent::Case(CaseResult { profile, events, .. }) = event
            && !events.is_empty()
        {
            self.add(profile, events);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
