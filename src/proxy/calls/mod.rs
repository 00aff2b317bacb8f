//! Calls that plugins make, really made.
//!
//! [`Calls`] belongs to one host on one worker thread. Each call is a task of its own; what comes of it is handed to
//! the host by the function that the driver gave, never while the driver is still in here. A call that nobody waits
//! for any more is broken off, and with [`Calls`] itself all of them end.

mod clusters;
mod connect;
mod fields;
mod grpc;
mod http;
mod idle;
mod patience;

pub use clusters::{Address, ClusterError, Clusters};

use crate::abi::CallId;
use crate::host::grpc::framed;
use crate::host::profile::Profile;
use crate::host::world::World;
use crate::host::{CallResult, GrpcFailure, GrpcInput};
use crate::message::Headers;
use crate::proxy::resolve::Resolve;
use crate::trace::{GrpcCall, GrpcKind, HttpCall};
use bytes::Bytes;
use grpc::Piece;
use h2::client::SendRequest;
use idle::Idle;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

/// Calls and streams that are under way at once; one more is refused. Envoy's default for a cluster.
const MOST: usize = 1024;
/// Bytes that a plugin may have sent on a stream whose service takes none. With more the stream breaks.
const MOST_WAITING: usize = 16 << 20;
/// nginx's port where a plugin names none (apisix.md 4.3).
const DEFAULT_PORT: u16 = 80;

/// What came of a call, for the host.
#[derive(Debug)]
pub enum Came {
    /// For [`Host::answer`](crate::host::Host::answer).
    Http(CallResult),
    /// For [`Host::grpc`](crate::host::Host::grpc).
    Grpc(GrpcInput),
}

/// The calls of one host.
pub struct Calls {
    making: Rc<Making>,
    /// The host's count of calls that it has given up, when it was last looked at.
    given_up: Cell<u64>,
}

/// What the tasks have in common.
struct Making {
    profile: &'static Profile,
    clusters: Arc<Clusters>,
    resolve: Arc<Resolve>,
    hand_over: Box<dyn Fn(CallId, Came)>,
    running: RefCell<BTreeMap<CallId, Running>>,
    idle: Idle,
    services: RefCell<BTreeMap<Address, SendRequest<Bytes>>>,
}

/// A call under way.
struct Running {
    task: AbortHandle,
    stream: Option<Stream>,
}

/// Where a plugin's messages go.
struct Stream {
    pieces: UnboundedSender<Piece>,
    /// Bytes that the service has not taken.
    waiting: Rc<Cell<usize>>,
}

impl Calls {
    /// Calls whose answers go to `hand_over`. Tasks are made where it is used, so that has to be in a `LocalSet`.
    pub fn new(
        profile: &'static Profile,
        clusters: Arc<Clusters>,
        resolve: Arc<Resolve>,
        hand_over: impl Fn(CallId, Came) + 'static,
    ) -> Self {
        let making = Making {
            profile,
            clusters,
            resolve,
            hand_over: Box::new(hand_over),
            running: RefCell::default(),
            idle: Idle::default(),
            services: RefCell::default(),
        };
        Self { making: Rc::new(making), given_up: Cell::new(0) }
    }

    /// For [`Output::HttpCall`](crate::host::Output::HttpCall).
    pub fn http(&self, id: CallId, call: Arc<HttpCall>) {
        let making = self.making.clone();
        let full = self.is_full();
        let task = tokio::task::spawn_local(async move {
            let result = match full {
                true => CallResult::Refused,
                false => http::make(&making, &call).await,
            };
            making.finish(id, Came::Http(result));
        });
        self.making.running.borrow_mut().insert(id, Running { task: task.abort_handle(), stream: None });
    }

    /// For [`Output::GrpcCall`](crate::host::Output::GrpcCall).
    pub fn grpc(&self, id: CallId, call: Arc<GrpcCall>, head: Headers) {
        let making = self.making.clone();
        let full = self.is_full();
        let (pieces, sent) = unbounded_channel();
        let waiting = Rc::new(Cell::new(0));
        let stream = Stream { pieces, waiting: waiting.clone() };
        if let GrpcKind::Unary { message, .. } = &call.kind {
            // A plugin can't send more than one, so no bound is needed.
            stream.send(framed(message), true);
        }
        let task = tokio::task::spawn_local(async move {
            let last = match full {
                true => GrpcInput::Failed(GrpcFailure::Refused),
                false => grpc::make(&making, id, &call, &head, sent, &waiting).await,
            };
            making.finish(id, Came::Grpc(last));
        });
        self.making.running.borrow_mut().insert(id, Running { task: task.abort_handle(), stream: Some(stream) });
    }

    /// For [`Output::GrpcSend`](crate::host::Output::GrpcSend).
    pub fn grpc_send(&self, id: CallId, message: Option<&[u8]>, end_of_stream: bool) {
        {
            let running = self.making.running.borrow();
            // One that has ended takes nothing more.
            let Some(stream) = running.get(&id).and_then(|running| running.stream.as_ref()) else { return };
            let frame = message.map_or_else(Bytes::new, framed);
            if stream.waiting.get().saturating_add(frame.len()) <= MOST_WAITING {
                stream.send(frame, end_of_stream);
                return;
            }
        }
        // The host is still busy with the plugin that sends.
        self.stop(id);
        let making = self.making.clone();
        let task = tokio::task::spawn_local(async move {
            making.finish(id, Came::Grpc(GrpcInput::Failed(GrpcFailure::Reset)));
        });
        self.making.running.borrow_mut().insert(id, Running { task: task.abort_handle(), stream: None });
    }

    /// For [`Output::GrpcCancel`](crate::host::Output::GrpcCancel).
    pub fn grpc_cancel(&self, id: CallId) {
        self.stop(id);
    }

    /// Breaks off what the host does not wait for any more. To be called when the host has run.
    pub fn stop_given_up(&self, world: &World) {
        if self.given_up.replace(world.calls_given_up) == world.calls_given_up {
            return;
        }
        self.making.running.borrow_mut().retain(|id, running| {
            let awaited = world.awaits(*id);
            if !awaited {
                running.task.abort();
            }
            awaited
        });
    }

    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.making.running.borrow().len()
    }

    fn is_full(&self) -> bool {
        self.under_way() >= MOST
    }

    fn stop(&self, id: CallId) {
        if let Some(running) = self.making.running.borrow_mut().remove(&id) {
            running.task.abort();
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        for running in self.making.running.borrow().values() {
            running.task.abort();
        }
    }
}

impl Stream {
    fn send(&self, frame: Bytes, end_of_stream: bool) {
        self.waiting.set(self.waiting.get().saturating_add(frame.len()));
        // Nobody listens where the call has ended.
        let _ = self.pieces.send(Piece { frame, end_of_stream });
    }
}

impl Making {
    /// Where an upstream is; none if there is no such.
    fn address(&self, upstream: &[u8]) -> Option<Address> {
        match self.profile.knows_upstreams {
            true => self.clusters.get(upstream).cloned(),
            false => Address::parse(std::str::from_utf8(upstream).ok()?, Some(DEFAULT_PORT)),
        }
    }

    fn hand_over(&self, id: CallId, input: GrpcInput) {
        (self.hand_over)(id, Came::Grpc(input));
    }

    /// The last that comes of a call.
    fn finish(&self, id: CallId, came: Came) {
        // Gone before it is handed over: what the plugin makes of it may be another call.
        if self.running.borrow_mut().remove(&id).is_some() {
            (self.hand_over)(id, came);
        }
    }
}

#[cfg(test)]
mod tests;
