//! A case and its steps: what happens, in order.

use super::{Admin, Callout, Expect, Request, Spanned};
use crate::diagnostic::Span;
use crate::trace::Peer;
use bytes::Bytes;
use std::time::Duration;

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique in the file.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Why it is not run.
    pub skip: Option<String>,
    /// Only such cases run, where there is one.
    pub only: bool,
    /// The profiles to run under in place of the file's; empty where the case is silent.
    pub hosts: Vec<Spanned<String>>,
    /// For selection on the command line.
    pub tags: Vec<String>,
    /// What the snapshot holds.
    pub snapshot: SnapshotMode,
    /// What happens.
    pub steps: Vec<Step>,
    /// What is expected of the whole case (beside `steps`; a case of one step has it in the step).
    pub expect: Option<Expect>,
}

/// What a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotMode {
    /// Logs, actions, what both ends see, callouts, state changed.
    Behaviour,
    /// Every hostcall beside that.
    Hostcalls,
    /// No snapshot.
    Off,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// The whole step.
    pub span: Span,
    /// What happens.
    pub kind: StepKind,
    /// Answers to calls, matched in order.
    pub callouts: Vec<Callout>,
    /// What is expected.
    pub expect: Option<Expect>,
}

/// What happens in a step.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// One request with the origin's answer.
    Request(Box<Request>),
    /// One TCP connection.
    Connect(Connect),
    /// Virtual time passes.
    Advance(Duration),
    /// Requests that are in flight together; every one is a step of the kind [`StepKind::Request`].
    Concurrent(Vec<Step>),
    /// A call to the gateway's admin API.
    Admin(Box<Admin>),
    /// A new plugin configuration, for the plugin at this place of the chain.
    Reconfigure {
        /// The place in [`Scenario::plugins`](super::Scenario::plugins).
        plugin: usize,
        /// The bytes.
        config: Bytes,
    },
    /// The host calls a foreign function of the plugin at this place of the chain.
    ForeignFunction {
        /// The place in [`Scenario::plugins`](super::Scenario::plugins).
        plugin: usize,
        /// Which function.
        function_id: u32,
        /// What it is given.
        arguments: Bytes,
    },
    /// Contexts are finished, the VM goes.
    Shutdown,
}

impl Step {
    /// The step, and what it does at the same time: the places that have callouts and expectations of their own.
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.items())
    }

    /// The requests of a `concurrent` step; nothing of others.
    pub fn items(&self) -> &[Self] {
        if let StepKind::Concurrent(items) = &self.kind { items } else { &[] }
    }

    /// The same, to be changed.
    pub fn items_mut(&mut self) -> &mut [Self] {
        if let StepKind::Concurrent(items) = &mut self.kind { items } else { &mut [] }
    }

    /// The requests that are sent: one, several at the same time, or none.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.parts()
            .filter_map(|part| if let StepKind::Request(request) = &part.kind { Some(&**request) } else { None })
    }
}

/// A TCP connection: what both ends do, in order.
#[derive(Debug, Clone)]
pub struct Connect {
    /// In the order in which it happens.
    pub events: Vec<ConnectEvent>,
    /// What the upstream makes of the connection.
    pub upstream: ConnectUpstream,
}

/// What happens on a TCP connection.
#[derive(Debug, Clone)]
pub enum ConnectEvent {
    /// One end sends bytes, which are read in one piece.
    Data {
        /// Which end.
        from: Peer,
        /// The bytes.
        bytes: Bytes,
        /// It sends nothing more, and that is read with them.
        end: bool,
    },
    /// One end sends nothing more.
    End(Peer),
    /// One end breaks the connection off.
    Reset(Peer),
    /// Virtual time passes.
    Advance(Duration),
}

/// What the upstream makes of a TCP connection.
#[derive(Debug, Clone)]
pub enum ConnectUpstream {
    /// It accepts it.
    Accepts,
    /// It does not.
    Refuses,
    /// The connection must not reach it; the span is where `never` stands.
    Never(Span),
}
