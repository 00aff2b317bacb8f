//! Everything outside the VMs: exchanges, shared state, time, randomness, the trace, and what is to be done when
//! the guest has returned.

use super::env::{Clock, Entropy};
use super::exchange::Exchange;
use super::grpc::{GrpcCalls, Readable};
use super::profile::{self, Profile};
use super::store::{Seat, Stores, metrics::Metrics, properties::Property, queues::Owner};
use super::upstreams::Upstreams;
use crate::abi::{CallId, ContextId, ExchangeId, LogLevel, PluginIndex, QueueId, Status, VmIndex};
use crate::message::{Direction, Headers, Part};
use crate::trace::{Event, Finding, GrpcCall, HttpCall, LocalResponse, Recorder, Recording, Trap};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What a host shares between its VMs, and with its driver.
#[derive(Debug)]
pub struct World {
    /// The host that is imitated.
    pub profile: &'static Profile,
    /// Time.
    pub clock: Clock,
    /// Randomness.
    pub entropy: Entropy,
    /// The trace.
    pub recorder: Recorder,
    /// Exchanges that are not closed.
    pub exchanges: BTreeMap<ExchangeId, Box<Exchange>>,
    /// Shared data, queues and the values of metrics, in common with other hosts where the driver says so.
    pub stores: Seat,
    /// The ids of metrics.
    pub metrics: Metrics,
    /// Tick timers, by VM and root context.
    pub ticks: BTreeMap<(VmIndex, ContextId), Tick>,
    /// Calls that are not answered.
    pub calls: BTreeMap<CallId, PendingCall>,
    /// How often calls were given up unanswered: the driver then stops those that are no longer there.
    pub calls_given_up: u64,
    /// gRPC calls and streams that have not ended.
    pub grpc: GrpcCalls,
    /// What the running gRPC callback can read.
    pub grpc_readable: Option<Readable>,
    /// What is logged goes to the driver as it happens, from this level on; where nobody asks, only into the trace.
    pub log_level: Option<LogLevel>,
    /// The exchange that the host is at.
    pub about: Option<ExchangeId>,
    /// Bytes of a request's body that a host which reads all of it before it goes on may hold; what is longer streams,
    /// if no plugin wants to see it. `None`: all of it.
    pub stream_after: Option<usize>,
    /// Number of calls started, over all VMs, gRPC's included.
    pub call_count: u32,
    /// Tokens given out, on hosts where all VMs count together.
    pub token_count: u32,
    /// What breaks the host as soon as the guest has returned.
    pub crash: Option<(&'static str, String)>,
    /// What takes hold when the running callback has returned.
    pub deferred: VecDeque<Deferred>,
    /// Notifications that are delivered when nothing else runs.
    pub posted: VecDeque<Posted>,
    /// What the driver has to carry out.
    pub outputs: VecDeque<Output>,
    /// Foreign functions that the driver gave, by name.
    pub foreign: BTreeMap<Bytes, Result<Bytes, Status>>,
    /// What the running `proxy_on_foreign_function` is given.
    pub foreign_arguments: Option<Bytes>,
    /// The answer that the running `proxy_on_http_call_response` can read.
    pub answer: Option<Answer>,
    /// Upstreams that do not exist, one entry for each call that is to be refused.
    pub unknown_upstreams: Vec<Bytes>,
    /// Upstreams that exist.
    pub upstreams: Upstreams,
    /// Properties that the driver gave, by dotted path.
    pub properties: BTreeMap<String, Property>,
    /// Bytes of body that a paused stage may hold.
    pub buffer_limit: usize,
}

/// A tick timer.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    /// Nanoseconds.
    pub period_ns: u64,
    /// On the monotonic clock.
    pub due_ns: u64,
}

/// A call that waits for its answer.
#[derive(Debug, Clone)]
pub struct PendingCall {
    /// The VM that made it.
    pub vm: VmIndex,
    /// The root context that gets the callback.
    pub root: ContextId,
    /// The plugin.
    pub plugin: PluginIndex,
    /// The token in that VM.
    pub token: u32,
    /// Its method is HEAD: an answer to it has no body.
    pub is_head: bool,
    /// The exchange that waits for the answer, on hosts where it is the exchange that waits.
    pub exchange: Option<ExchangeId>,
}

/// What a running `proxy_on_http_call_response` can read.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `http_call_response_headers`
    pub headers: Headers,
    /// `http_call_response_body`
    pub body: Bytes,
    /// `http_call_response_trailers`
    pub trailers: Headers,
}

/// An action that takes hold when the running callback has returned.
#[derive(Debug, Clone)]
pub struct Deferred {
    /// The exchange.
    pub exchange: ExchangeId,
    /// The filter in its chain.
    pub filter: usize,
    /// What.
    pub action: DeferredAction,
}

/// What takes hold.
#[derive(Debug, Clone)]
pub enum DeferredAction {
    /// The stream goes on.
    Continue(Direction),
    /// The stream is broken off.
    Close(Direction),
    /// The plugin answers.
    LocalResponse(Arc<LocalResponse>),
}

/// A notification that is delivered when nothing else runs.
#[derive(Debug, Clone)]
pub enum Posted {
    /// A queue has a message.
    QueueReady {
        /// The VM of the queue's owner.
        vm: VmIndex,
        /// The owner.
        root: ContextId,
        /// The queue.
        queue: QueueId,
    },
    /// A gRPC call ended before it had begun.
    GrpcClosed {
        /// The VM that made it.
        vm: VmIndex,
        /// The root context that gets the callback.
        root: ContextId,
        /// The plugin.
        plugin: PluginIndex,
        /// The id, which the guest was not told.
        token: u32,
        /// gRPC's status.
        status: u32,
        /// Its message.
        message: String,
    },
    /// A gRPC call whose head can't be written.
    GrpcRefused {
        /// The call.
        call: CallId,
        /// Why, as Envoy answers it.
        body: String,
        /// Its details of that.
        details: String,
        /// The answer is gRPC's.
        is_grpc: bool,
    },
}

/// What the driver has to carry out.
#[derive(Debug, Clone)]
pub enum Output {
    /// A piece of a message for the client.
    ToClient(ExchangeId, Part),
    /// A piece of a message for the upstream.
    ToUpstream(ExchangeId, Part),
    /// A TCP connection has passed the chain: connect it to the upstream.
    Connect(ExchangeId),
    /// A call of a plugin.
    HttpCall {
        /// The number to answer it by.
        call: CallId,
        /// The plugin.
        plugin: PluginIndex,
        /// The call itself.
        request: Arc<HttpCall>,
    },
    /// A gRPC call or stream of a plugin.
    GrpcCall {
        /// The number to answer it by.
        call: CallId,
        /// The plugin.
        plugin: PluginIndex,
        /// The call itself, with the message of a unary one.
        request: Arc<GrpcCall>,
        /// Its head as the service sees it.
        head: Headers,
    },
    /// More of a gRPC stream.
    GrpcSend {
        /// The stream.
        call: CallId,
        /// A message; none where the plugin only says that nothing more comes.
        message: Option<Bytes>,
        /// Nothing more comes.
        end_of_stream: bool,
    },
    /// A gRPC call or stream is broken off; whatever is still answered is ignored.
    GrpcCancel(CallId),
    /// A queue has a message, and its owner is another host with the same stores: to be told by its
    /// [`Host::queue_ready`](super::Host::queue_ready).
    QueueReady {
        /// Who is to be told.
        owner: Owner,
        /// The queue.
        queue: QueueId,
    },
    /// The exchange has ended and is forgotten.
    Closed(ExchangeId),
    /// A line for the log. Comes only to drivers that have set [`World::log_level`].
    Log(LogLine),
    /// A plugin broke. Comes only to drivers that have set [`World::log_level`].
    Trap(Arc<Trap>),
    /// The worker would have died, with the id of the reason and its words. The same.
    Crash(&'static str, String),
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The request that it is about.
    pub exchange: Option<ExchangeId>,
    /// The plugin that said it; none for the host's own lines.
    pub plugin: Option<PluginIndex>,
    /// Severity.
    pub level: LogLevel,
    /// The bytes.
    pub message: Bytes,
}

impl World {
    /// An empty world.
    pub fn new(profile: &'static Profile, clock: Clock, entropy: Entropy, recording: Recording) -> Self {
        Self {
            profile,
            clock,
            entropy,
            recorder: Recorder::new(recording),
            exchanges: BTreeMap::new(),
            stores: Seat::default(),
            metrics: Metrics::default(),
            ticks: BTreeMap::new(),
            calls: BTreeMap::new(),
            calls_given_up: 0,
            grpc: GrpcCalls::default(),
            grpc_readable: None,
            log_level: None,
            about: None,
            stream_after: None,
            call_count: 0,
            token_count: 0,
            crash: None,
            deferred: VecDeque::new(),
            posted: VecDeque::new(),
            outputs: VecDeque::new(),
            foreign: BTreeMap::new(),
            foreign_arguments: None,
            answer: None,
            unknown_upstreams: Vec::new(),
            upstreams: Upstreams::Any,
            properties: BTreeMap::new(),
            buffer_limit: profile.buffer_limit,
        }
    }

    /// With stores that other hosts have, too.
    #[must_use]
    pub fn with_stores(mut self, stores: &Stores) -> Self {
        self.stores = stores.seat();
        self
    }

    /// Whether a call can be made to an upstream; one that the driver named for this call alone is used up.
    pub fn knows_upstream(&mut self, name: &[u8]) -> bool {
        match self.unknown_upstreams.iter().position(|unknown| unknown == name) {
            Some(at) => {
                self.unknown_upstreams.remove(at);
                false
            }
            None => self.upstreams.knows(name),
        }
    }

    /// Whether somebody still waits for the answer to a call.
    pub fn awaits(&self, call: CallId) -> bool {
        self.calls.contains_key(&call) || self.grpc.awaits(call)
    }

    /// A line in the host's own log, if the host writes such.
    pub fn log(&mut self, level: LogLevel, message: impl Into<Bytes>) {
        self.log_about(self.about, level, message);
    }

    /// The same, about this exchange and no other.
    pub fn log_about(&mut self, exchange: Option<ExchangeId>, level: LogLevel, message: impl Into<Bytes>) {
        let told = self.tells(level);
        if !self.profile.writes_log || !(told || self.recorder.is_on()) {
            return;
        }
        let message = message.into();
        self.tell(exchange, level, message.clone());
        self.recorder.push(|| Event::HostLog { level, message });
    }

    /// A line of the driver's own for its log. It is no line of the host, so no profile keeps it back, and it is not in
    /// the trace.
    pub fn tell(&mut self, exchange: Option<ExchangeId>, level: LogLevel, message: impl Into<Bytes>) {
        if self.tells(level) {
            self.outputs.push_back(Output::Log(LogLine { exchange, plugin: None, level, message: message.into() }));
        }
    }

    /// Whether the driver wants to hear of a message of this level.
    pub fn tells(&self, level: LogLevel) -> bool {
        self.log_level.is_some_and(|least| level >= least)
    }

    /// The host breaks when the guest has returned.
    pub fn crash_after(&mut self, id: &'static str, message: impl Into<String>) {
        self.crash.get_or_insert_with(|| (id, message.into()));
    }

    /// Notes what is legal and yet will bite.
    pub fn finding(&mut self, id: &'static str, plugin: Option<PluginIndex>, message: impl Into<String>) {
        if self.recorder.is_on() {
            self.recorder.finding(Finding { id, plugin, message: message.into() });
        }
    }
}

impl Default for World {
    /// The stand-in that a VM's store holds while its guest does not run.
    fn default() -> Self {
        Self::new(&profile::ENVOY, Clock::starting_at(0), Entropy::seeded(0), Recording::Off)
    }
}
