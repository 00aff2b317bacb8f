//! Which expectations hold under which host.
//!
//! A scenario names what differs from host to host under `on`. Before a case is run, everything that belongs to
//! other hosts is taken out of it, so that whoever reads an [`Expect`] afterwards can't mistake another host's
//! expectation for one of this run.

use super::model::{Case, Expect, Scenario, Spanned, Step};
use std::borrow::Cow;

/// What a host imitates or is. A real Envoy is judged by the expectations for `envoy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostKind {
    /// The specification's own rules.
    Spec,
    /// Envoy, imitated or real.
    Envoy,
    /// APISIX.
    Apisix,
}

impl HostKind {
    /// Every kind, by the name that scenarios use.
    pub const ALL: &[(&str, Self)] = &[("spec", Self::Spec), ("envoy", Self::Envoy), ("apisix", Self::Apisix)];

    /// The kind of a host as `host` or `--host` names it: `apisix`, `envoy@/path/to/envoy`.
    pub fn of(host: &str) -> Option<Self> {
        let name = host.split_once('@').map_or(host, |(name, _)| name);
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }
}

impl Scenario {
    /// The hosts that a case of this file runs under: its own, or else the file's.
    pub fn hosts_of<'a>(&'a self, case: &'a Case) -> &'a [Spanned<String>] {
        if case.hosts.is_empty() { &self.hosts } else { &case.hosts }
    }

    /// The file with only those cases that are meant for a host of this kind.
    pub fn meant_for(&self, host: &str) -> Self {
        let kind = HostKind::of(host);
        let meant = |case: &Case| self.hosts_of(case).iter().any(|other| HostKind::of(&other.value) == kind);
        let keep: Vec<bool> = self.cases.iter().map(meant).collect();
        let mut keep = keep.into_iter();
        let mut scenario = self.clone();
        scenario.cases.retain(|_| keep.next().unwrap_or(false));
        scenario
    }
}

impl Case {
    /// The case as it is under one host: of what stands under `on` only what is expected there.
    pub fn under(&self, host: &str) -> Cow<'_, Self> {
        if self.expectations().all(|expect| expect.on.is_empty()) {
            return Cow::Borrowed(self);
        }
        let kind = HostKind::of(host);
        let mut case = self.clone();
        let only = |expect: &mut Expect| expect.on.retain(|on| Some(on.host) == kind);
        case.expect.iter_mut().for_each(only);
        for step in &mut case.steps {
            step.expect.iter_mut().for_each(only);
            step.items_mut().iter_mut().filter_map(|item| item.expect.as_mut()).for_each(only);
        }
        Cow::Owned(case)
    }

    /// What is expected of the case and of each of its steps, without what stands under `on`.
    fn expectations(&self) -> impl Iterator<Item = &Expect> {
        self.expect.iter().chain(self.steps.iter().flat_map(Step::parts).filter_map(|step| step.expect.as_ref()))
    }

    /// Everything that is expected, of the case, of its steps, and under `on`.
    pub fn all_expectations(&self) -> impl Iterator<Item = &Expect> {
        self.expectations().flat_map(Expect::all)
    }
}

impl Expect {
    /// These expectations, and those of every host under `on`; in a case that was taken
    /// [under](Case::under) a host, all that holds there.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.on.iter().map(|on| &on.expect))
    }

    /// Whether a trap is meant to happen.
    pub fn expects_trap(&self) -> bool {
        self.all().any(|expect| expect.trap.is_some())
    }

    /// Whether the host is meant to break in this way.
    pub fn expects_crash(&self, id: &str) -> bool {
        self.all().any(|expect| expect.crash.as_ref().is_some_and(|crash| crash.value == id))
    }

    /// Whether it is said that the request stays paused, or that it does not.
    pub fn speaks_of_stuck(&self) -> bool {
        self.all().any(|expect| expect.stuck.is_some())
    }
}
