//! The trace: one ordered list of typed events, the only record of what happened.
//!
//! Logs, expectations, snapshots, reports, coverage and findings are pure functions of it. Effects are
//! the very values that the driver gets to carry out, so what is shown is what was done. A recorder that is
//! off keeps nothing and costs a branch.

pub mod conversation;
mod effect;
mod gateway;
mod recorder;
pub mod show;
mod value;
pub mod views;

pub use effect::{BufferChange, Effect, GrpcCall, GrpcKind, HttpCall, LocalResponse, MapChange};
pub use gateway::GatewayEvent;
pub use recorder::{Recorder, Recording};
pub use value::Value;

use crate::abi::{CallId, Callback, ContextId, ExchangeId, LogLevel, PluginIndex, Status};
use crate::message::{Headers, Part};
use bytes::Bytes;
use std::sync::Arc;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A step of the scenario begins.
    Step(StepStarted),
    /// Virtual time moved to this many nanoseconds after the start of the case.
    ClockMoved(u64),
    /// A VM was booted: instance made, start functions run.
    VmStarted {
        /// The plugin it was booted for.
        plugin: PluginIndex,
        /// It replaces one that trapped.
        rebuilt: bool,
    },
    /// An exchange began.
    ExchangeOpened(ExchangeId),
    /// A TCP connection was accepted.
    ConnectionOpened(ExchangeId),
    /// The upstream of a TCP connection accepted it.
    UpstreamConnected(ExchangeId),
    /// A piece of a message came in, from the client or from the upstream.
    Input {
        /// The exchange.
        exchange: ExchangeId,
        /// Where it came from.
        from: Peer,
        /// The piece.
        part: Part,
    },
    /// The host calls the guest.
    CallbackEntered(CallbackEntered),
    /// The guest asked the host for something.
    Hostcall(HostcallRecord),
    /// The guest came back.
    CallbackLeft(CallbackLeft),
    /// The guest broke.
    Trap(Arc<Trap>),
    /// A piece of a message goes out, to the client or to the upstream.
    Output {
        /// The exchange.
        exchange: ExchangeId,
        /// Where it goes.
        to: Peer,
        /// The piece.
        part: Part,
    },
    /// The host itself answered a request.
    HostReply {
        /// The exchange.
        exchange: ExchangeId,
        /// The status code.
        status: u32,
        /// Why, in Envoy's response code details.
        details: String,
    },
    /// A call was answered.
    CallAnswered {
        /// The call.
        call: CallId,
        /// The plugin that made it.
        plugin: PluginIndex,
        /// What came back.
        answer: CallAnswer,
    },
    /// A piece of the answer to a gRPC call reached the host.
    GrpcAnswered {
        /// The call or stream.
        call: CallId,
        /// The plugin that made it.
        plugin: PluginIndex,
        /// What came.
        answer: GrpcAnswer,
    },
    /// What a gateway does around its plugins.
    Gateway(GatewayEvent),
    /// An exchange ended; its contexts are gone.
    ExchangeClosed(ExchangeId),
    /// Something legal that will bite.
    Finding(Finding),
    /// A line that the host itself writes into its log.
    HostLog {
        /// Severity, in the specification's terms.
        level: LogLevel,
        /// The text.
        message: Bytes,
    },
    /// Here the real host breaks: its worker dies, or it does what no client or upstream can live with.
    HostCrash {
        /// The stable id: `pause-without-call`.
        id: &'static str,
        /// What happens there and why, and what to do.
        message: String,
    },
}

impl Event {
    /// The exchange that it names. What the host says or finds names none.
    pub fn exchange(&self) -> Option<ExchangeId> {
        match self {
            Self::ExchangeOpened(exchange)
            | Self::ConnectionOpened(exchange)
            | Self::UpstreamConnected(exchange)
            | Self::ExchangeClosed(exchange)
            | Self::Input { exchange, .. }
            | Self::Output { exchange, .. }
            | Self::HostReply { exchange, .. } => Some(*exchange),
            Self::Gateway(event) => event.exchange(),
            Self::CallbackEntered(entered) => entered.exchange,
            Self::CallbackLeft(left) => left.exchange,
            Self::Hostcall(record) => record.exchange,
            Self::Trap(trap) => trap.exchange,
            Self::Step(_)
            | Self::ClockMoved(_)
            | Self::VmStarted { .. }
            | Self::CallAnswered { .. }
            | Self::GrpcAnswered { .. }
            | Self::HostLog { .. }
            | Self::Finding(_)
            | Self::HostCrash { .. } => None,
        }
    }
}

/// The marker that the driver puts before each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStarted {
    /// From 0.
    pub index: usize,
    /// What it does, in words: `request GET http://app.test/hello`.
    pub label: String,
}

/// The two ends of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The client, downstream.
    Client,
    /// The origin, upstream.
    Upstream,
}

/// The host enters the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackEntered {
    /// Which plugin of the chain.
    pub plugin: PluginIndex,
    /// The export.
    pub callback: Entry,
    /// The context, which is also the first argument.
    pub context: ContextId,
    /// The exchange that the context belongs to.
    pub exchange: Option<ExchangeId>,
    /// The arguments behind the context.
    pub args: CallbackArgs,
}

/// At most four arguments follow the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallbackArgs {
    values: [u32; 4],
    len: u8,
}

impl CallbackArgs {
    /// Keeps the first four.
    pub fn new(args: &[u32]) -> Self {
        let mut values = [0; 4];
        let len = args.len().min(4);
        values[..len].copy_from_slice(&args[..len]);
        Self { values, len: len as u8 }
    }

    /// The arguments.
    pub fn as_slice(&self) -> &[u32] {
        &self.values[..self.len as usize]
    }
}

/// An export that a host calls: a callback, or a start function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// A callback of the ABI.
    Callback(Callback),
    /// `_initialize`, `_start`, `main`, `__main_void`, or the start section.
    Start(&'static str),
}

impl Entry {
    /// The name as snapshots and messages show it: `on_request_headers`, `_start`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Callback(callback) => callback.short(),
            Self::Start(name) => name,
        }
    }
}

/// The guest came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackLeft {
    /// Which plugin of the chain.
    pub plugin: PluginIndex,
    /// The export.
    pub callback: Entry,
    /// The context.
    pub context: ContextId,
    /// The exchange that the context belongs to.
    pub exchange: Option<ExchangeId>,
    /// The result, where the export has one.
    pub result: Option<u32>,
}

/// One hostcall, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct HostcallRecord {
    /// The plugin that made it.
    pub plugin: PluginIndex,
    /// The context that it acts on: the effective one.
    pub context: ContextId,
    /// The exchange of that context.
    pub exchange: Option<ExchangeId>,
    /// The import's name.
    pub name: &'static str,
    /// By name; an argument that could not be read is missing.
    pub args: Vec<(&'static str, Value)>,
    /// What the guest got back.
    pub result: HostcallResult,
    /// What was written to the out pointers.
    pub returned: Vec<(&'static str, Value)>,
    /// What it did.
    pub effects: Vec<Effect>,
}

/// What a hostcall returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostcallResult {
    /// A Proxy-Wasm hostcall.
    Status(Status),
    /// A WASI function's errno.
    Errno(u16),
    /// The function has no result, or did not return.
    None,
}

/// The guest broke: what the engine says, and what the plugin said as it died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The plugin.
    pub plugin: PluginIndex,
    /// The export it happened in.
    pub callback: Entry,
    /// The context.
    pub context: ContextId,
    /// The exchange, where there is one.
    pub exchange: Option<ExchangeId>,
    /// What kind of end it was.
    pub kind: TrapKind,
    /// One line: what the engine says.
    pub message: String,
    /// What the plugin logged at error or above in this callback: the panic message.
    pub panic: Option<String>,
    /// Innermost frame first.
    pub frames: Vec<Frame>,
}

impl Trap {
    /// The text that a scenario's `trap.message` is matched with: the panic message, then the engine's.
    pub fn text(&self) -> String {
        match &self.panic {
            Some(panic) => format!("{panic}\n{}", self.message),
            None => self.message.clone(),
        }
    }
}

/// What kind of end a trap was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrapKind {
    /// The guest's own: `unreachable`, out of bounds, division by zero, stack overflow, ...
    Guest,
    /// Out of fuel, or past the deadline.
    OutOfFuel,
    /// A limit of the host on what a case may log or hold.
    Limit,
    /// A hostcall that this host answers with a trap.
    Hostcall,
}

/// One frame of a wasm backtrace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The demangled name, or `<wasm function N>`.
    pub function: String,
    /// Offset into the module's bytes, for looking up file and line.
    pub offset: Option<usize>,
}

/// What came back from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallAnswer {
    /// A response, the host's own 503 or 504 included.
    Response {
        /// `:status`
        status: u32,
        /// Bytes of body.
        body: usize,
        /// The response itself, as the plugin can read it.
        response: Arc<CallResponse>,
    },
    /// Nothing came back: (0, 0, 0).
    Failed(String),
}

/// A response to a call, as its plugin can read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallResponse {
    /// With `:status`.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// The trailers.
    pub trailers: Headers,
}

/// A piece of the answer to a gRPC call, as a plugin is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcAnswer {
    /// The head of a stream's answer.
    InitialMetadata {
        /// How many there are.
        entries: usize,
    },
    /// A message.
    Message(Bytes),
    /// What stood behind the last message of a stream.
    TrailingMetadata {
        /// How many there are.
        entries: usize,
    },
    /// The end.
    Closed {
        /// gRPC's status.
        status: u32,
        /// Its message.
        message: String,
    },
}

/// Something legal that will bite: shown with every run, failing nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Finding {
    /// The stable id: `body-callback-not-enabled`.
    pub id: &'static str,
    /// The plugin, where one is to blame.
    pub plugin: Option<PluginIndex>,
    /// What happened, which hosts it breaks, what to do.
    pub message: String,
}
