//! The checked model of a scenario file: what the runner drives and what the expectations judge.
//!
//! Everything that can be wrong with the text has been found before a value of these types exists. Spans
//! point into [`Scenario::source`], so that a failed expectation can name its line.

use super::HostKind;
mod grpc;

pub use grpc::{GrpcEnd, GrpcReply, SentEnd, SentExpect};

use crate::abi::{Callback, Status};
use crate::diagnostic::{Source, Span};
use crate::trace::Peer;
use bytes::Bytes;
use regex::Regex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    /// The chain, in the order of the file. One entry for `plugin`.
    pub plugins: Vec<PluginSpec>,
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
    /// A new plugin configuration, for the plugin at this place of the chain.
    Reconfigure {
        /// The place in [`Scenario::plugins`].
        plugin: usize,
        /// The bytes.
        config: Bytes,
    },
    /// The host calls a foreign function of the plugin at this place of the chain.
    ForeignFunction {
        /// The place in [`Scenario::plugins`].
        plugin: usize,
        /// Which function.
        function_id: u32,
        /// What it is given.
        arguments: Bytes,
    },
    /// Contexts are finished, the VM goes.
    Shutdown,
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

/// A request and the origin that would answer it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Bytes,
    /// `http` or `https`.
    pub scheme: Bytes,
    /// Host and port.
    pub authority: Bytes,
    /// Path and query, from `/`.
    pub path: Bytes,
    /// In order, names as written.
    pub headers: Vec<(Bytes, Bytes)>,
    /// `None` is a message without a body.
    pub body: Option<Body>,
    /// Empty: none.
    pub trailers: Vec<(Bytes, Bytes)>,
    /// HTTP/2 METADATA frames behind the head, each a map.
    pub metadata: Vec<Vec<(Bytes, Bytes)>>,
    /// When the client goes away.
    pub abort: Option<Abort>,
    /// The origin's answer.
    pub upstream: Upstream,
    /// It answers as soon as it has the head of the request.
    pub early: bool,
}

/// When a client goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// When everything of the request but its end has been sent.
    Request,
    /// When the request is sent and nothing is answered.
    Wait,
    /// When everything of the response but its end has come from the origin.
    Response,
}

/// A body and how it is delivered.
#[derive(Debug, Clone)]
pub struct Body {
    /// The chunks; one where the body is plain text.
    pub chunks: Vec<Bytes>,
    /// Whether the chunks were written by hand, so that the length is not announced on HTTP/1.1.
    pub framing: Framing,
    /// Ways of cutting that the case is run with.
    pub cut: Option<Cut>,
    /// How the end of the stream arrives; `None` is the host's way.
    pub end: Option<End>,
    /// Where it stands.
    pub span: Span,
}

/// Whether a message announces its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `content-length`.
    Length,
    /// `transfer-encoding: chunked` on HTTP/1.1.
    Chunked,
}

/// How a body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// In two, after so many bytes.
    At(usize),
    /// The case runs once for every way.
    Every,
}

/// How the end of a stream arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The last chunk carries it.
    WithLast,
    /// An empty chunk carries it.
    Separate,
}

/// What the origin does.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// It answers.
    Reply(Reply),
    /// The request must not reach it; the span is where `never` stands.
    Never(Span),
    /// It fails.
    Fail(Failure),
}

/// A response that an origin or a callout gives.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// In order.
    pub headers: Vec<(Bytes, Bytes)>,
    /// `None` is a response without a body.
    pub body: Option<Body>,
    /// Empty: none.
    pub trailers: Vec<(Bytes, Bytes)>,
    /// HTTP/2 METADATA frames behind the head, each a map.
    pub metadata: Vec<Vec<(Bytes, Bytes)>>,
    /// It breaks off before its end: by a reset, or because nothing more comes.
    pub fail: Option<Failure>,
}

impl Default for Reply {
    /// The answer where nothing is written.
    fn default() -> Self {
        Self { status: 200, headers: Vec::new(), body: None, trailers: Vec::new(), metadata: Vec::new(), fail: None }
    }
}

/// How an origin or a callout fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Accepted, then broken off.
    Reset,
    /// Never answered.
    Timeout,
    /// Not accepted.
    Refused,
    /// No such upstream.
    Unknown,
    /// Answers with something that is not HTTP.
    Garbage,
}

/// A planned answer to a call of the plugin.
#[derive(Debug, Clone)]
pub struct Callout {
    /// The whole entry.
    pub span: Span,
    /// The upstream's name as the plugin gives it.
    pub to: Spanned<String>,
    /// What the call must look like.
    pub expect: Option<MessageExpect>,
    /// What has to be sent on it, if it is a gRPC call; with this it can't be an HTTP call.
    pub sent: Option<SentExpect>,
    /// The answer.
    pub reply: CalloutReply,
    /// How long it takes.
    pub after: Duration,
}

/// The answer to a call.
#[derive(Debug, Clone)]
pub enum CalloutReply {
    /// A response, and what it is to a gRPC call; an HTTP status makes it the answer of a server that does not speak
    /// gRPC.
    Reply(Reply, Option<GrpcReply>),
    /// The answer of a gRPC service, which no HTTP call gets.
    Grpc(GrpcReply),
    /// A failure.
    Fail(Failure),
}

/// Everything expected of a step, or of a case.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The request at the origin.
    pub upstream_sees: Option<MessageExpect>,
    /// The response at the client.
    pub client_sees: Option<MessageExpect>,
    /// The results of each callback's calls, in order.
    pub actions: Vec<ActionsExpect>,
    /// These appear in this order; others may come between.
    pub logs: Vec<LogExpect>,
    /// These appear nowhere.
    pub no_logs: Vec<LogExpect>,
    /// Properties at the end of the step, by dotted path.
    pub properties: Vec<(Spanned<String>, Match)>,
    /// Shared data at the end of the step, by key.
    pub shared_data: Vec<(Spanned<String>, Match)>,
    /// Metrics at the end of the step, by name.
    pub metrics: Vec<(Spanned<String>, Match)>,
    /// Number of calls made.
    pub callouts: Option<Spanned<usize>>,
    /// The trap that is meant to happen.
    pub trap: Option<TrapExpect>,
    /// The id of what is meant to break the host.
    pub crash: Option<Spanned<String>>,
    /// Findings that must be there, by id.
    pub findings: Vec<Spanned<String>>,
    /// Findings that must not be there.
    pub no_findings: Vec<Spanned<String>>,
    /// Whether the request is meant to stay paused for ever.
    pub stuck: Option<Spanned<bool>>,
    /// The host is meant to refuse a plugin, with this text among its reasons.
    pub load: Option<Match>,
    /// What is expected beside that under one host; none of these has any of its own.
    pub on: Vec<OnHost>,
}

/// Expectations that hold under one host only.
#[derive(Debug, Clone)]
pub struct OnHost {
    /// The host.
    pub host: HostKind,
    /// Where it is named.
    pub span: Span,
    /// What is expected there.
    pub expect: Expect,
}

/// A message, or the data of a connection, as one end sees it.
#[derive(Debug, Clone, Default)]
pub struct MessageExpect {
    /// The whole mapping.
    pub span: Span,
    /// `null`: nothing comes to that end.
    pub nothing: bool,
    /// How it ends.
    pub ends: Option<Spanned<Ends>>,
    /// The status code, as text.
    pub status: Option<Match>,
    /// `:method`
    pub method: Option<Match>,
    /// `:path`
    pub path: Option<Match>,
    /// `:authority`
    pub authority: Option<Match>,
    /// `:scheme`
    pub scheme: Option<Match>,
    /// By name; a list of matches is the repeated header, value by value.
    pub headers: Vec<(Spanned<String>, Vec<Match>)>,
    /// All chunks together.
    pub body: Option<Match>,
    /// By name.
    pub trailers: Vec<(Spanned<String>, Vec<Match>)>,
}

/// How a message or a connection ends for one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// As it should.
    Complete,
    /// It is broken off.
    Reset,
    /// It does not end.
    Never,
}

/// What the calls of one callback returned, over the whole chain, in the order of the calls.
#[derive(Debug, Clone)]
pub struct ActionsExpect {
    /// The callback.
    pub callback: Callback,
    /// Where it is written.
    pub span: Span,
    /// `continue` 0, `pause` 1, or a number.
    pub actions: Vec<u32>,
}

/// A log line: `warn: text`, or a bare match for any level.
#[derive(Debug, Clone)]
pub struct LogExpect {
    /// `None` is any level.
    pub level: Option<crate::abi::LogLevel>,
    /// The message.
    pub message: Match,
}

/// A trap that is meant to happen.
#[derive(Debug, Clone)]
pub struct TrapExpect {
    /// Where it is written.
    pub span: Span,
    /// The callback it happens in.
    pub callback: Option<Callback>,
    /// The trap's text: what the engine says and what the plugin logged as it died.
    pub message: Option<Match>,
}

/// A matcher and the place where it was written.
#[derive(Debug, Clone)]
pub struct Match {
    /// Where it is written.
    pub span: Span,
    /// What must hold.
    pub matcher: Matcher,
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// These bytes exactly (plain values, `{hex}`).
    Equal(Bytes),
    /// Not there (`null`).
    Absent,
    /// There, and these bytes are in it.
    Contains(Bytes),
    /// There, and the regular expression finds a match.
    Matches(Regex),
    /// There, and as JSON it holds at least this.
    Json(serde_json::Value),
    /// There, and equal to this file's content.
    File {
        /// As written.
        path: PathBuf,
        /// What was read.
        content: Bytes,
    },
    /// The inner matcher does not hold.
    Not(Box<Matcher>),
}
