//! The checked model of a scenario file: what the runner drives and what the expectations judge.
//!
//! Everything that can be wrong with the text has been found before a value of these types exists. Spans
//! point into [`Scenario::source`], so that a failed expectation can name its line.

mod case;
mod expect;
mod gateway;
mod grpc;
mod message;

pub use case::{Case, Connect, ConnectEvent, ConnectUpstream, SnapshotMode, Step, StepKind};
pub use expect::{ActionsExpect, Ends, Expect, LogExpect, Match, Matcher, MessageExpect, OnHost, TrapExpect};
pub use gateway::{Admin, GatewayDocument, GatewaySpec, InlineDocument};
pub use grpc::{GrpcEnd, GrpcReply, SentEnd, SentExpect};
pub use message::{Abort, Body, Callout, CalloutReply, Cut, End, Failure, Framing, Reply, Request, Upstream};

use crate::abi::Status;
use crate::diagnostic::{Source, Span};
use bytes::Bytes;
use regex::Regex;
use std::path::PathBuf;
use std::sync::Arc;

/// A value and the place where it was written.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands in the file.
    pub span: Span,
}

/// One scenario file.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The text and the path as given.
    pub source: Arc<Source>,
    /// The chain, in the order of the file. One entry for `plugin`, none for `gateway`.
    pub plugins: Vec<PluginSpec>,
    /// Instead of a chain: requests are routed, and each route has its own.
    pub gateway: Option<GatewaySpec>,
    /// The profiles to run under, at least one (`envoy` where the file is silent).
    pub hosts: Vec<Spanned<String>>,
    /// How bodies are framed.
    pub protocol: Protocol,
    /// What the host knows, by dotted path.
    pub properties: Vec<(Spanned<String>, PropertyValue)>,
    /// Foreign functions, by name: the bytes that each gives, or its failure.
    pub foreign: Vec<(Spanned<String>, Result<Bytes, Status>)>,
    /// Start of virtual time, nanoseconds since the epoch.
    pub clock_ns: u64,
    /// Seed of randomness.
    pub seed: u64,
    /// What a case may use.
    pub limits: Limits,
    /// What a trap does; `None` leaves it to the profile.
    pub on_trap: OnTrap,
    /// Changes to snapshots before they are compared.
    pub redact: Vec<Redaction>,
    /// The tests, `with` tables already expanded.
    pub cases: Vec<Case>,
}

/// One plugin of the chain.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// The module, resolved relative to the scenario file.
    pub file: PathBuf,
    /// Where the path was written.
    pub file_span: Span,
    /// The plugin's name; the file's stem where none is given.
    pub name: String,
    /// The root id; empty where none is given.
    pub root_id: String,
    /// The plugin configuration's bytes.
    pub config: Bytes,
    /// Whether one was given, be it an empty one.
    pub configured: bool,
    /// The VM configuration's bytes.
    pub vm_config: Bytes,
    /// APISIX's priority.
    pub priority: Option<i64>,
    /// APISIX's phase.
    pub http_request_phase: Option<RequestPhase>,
    /// Envoy's plugin option: a Pause in a headers callback holds the headers alone.
    pub allow_on_headers_stop_iteration: bool,
    /// WASI environment variables, in order.
    pub env: Vec<(String, String)>,
}

/// APISIX's phases in which the request callbacks can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestPhase {
    /// `rewrite`
    Rewrite,
    /// `access`
    Access,
}

/// The protocol between client, host and upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    H2,
}

/// A property as the file gives it; the profile decides its type on the wire.
#[derive(Debug, Clone, PartialEq)]
pub enum PropertyValue {
    /// Hidden: reading it gives NOT_FOUND.
    Absent,
    /// Text or raw bytes.
    Bytes(Bytes),
    /// A whole number.
    Int(i64),
    /// `true` or `false`.
    Bool(bool),
    /// A mapping.
    Map(Vec<(String, PropertyValue)>),
    /// A list.
    List(Vec<PropertyValue>),
}

/// What one case may use. `None` is the default of the runner.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Fuel of one entry into the guest.
    pub fuel: Option<u64>,
    /// Bytes of linear memory of one VM.
    pub memory: Option<u64>,
    /// Bytes of body that may be held while paused.
    pub buffer: Option<u64>,
}

/// What a trap does to the request and to the VM.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnTrap {
    /// The request's fate.
    pub request: Option<TrapRequest>,
    /// The VM's fate.
    pub vm: Option<TrapVm>,
}

/// The fate of a request whose plugin trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapRequest {
    /// Answered with the host's error.
    FailClosed,
    /// Goes on without the plugin.
    FailOpen,
}

/// The fate of a VM that trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapVm {
    /// A new one is booted for the next request.
    Rebuild,
    /// It stays as it is.
    Keep,
}

/// One replacement in a snapshot.
#[derive(Debug, Clone)]
pub struct Redaction {
    /// What is replaced.
    pub matches: Regex,
    /// What stands there instead.
    pub replacement: String,
}
