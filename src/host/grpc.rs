//! gRPC calls and streams that plugins have under way: who has which id, and what still may come.
//!
//! Ids belong to root contexts, as in Envoy: another root of the same VM does not know them. `receive` takes what
//! the service answers, `service` reads the name that the plugin calls it by.

mod frame;
mod head;
mod receive;
mod service;

pub use frame::framed;
pub use head::{head, is_grpc};
pub use receive::{GrpcFailure, GrpcInput};
pub use service::{Service, read_service};

use crate::abi::{CallId, ContextId, PluginIndex, VmIndex};
use crate::message::Headers;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;

/// Everything under way, by the number that the driver answers by.
#[derive(Debug, Default)]
pub struct GrpcCalls {
    calls: BTreeMap<CallId, Pending>,
    /// By VM, root context and the guest's id.
    tokens: BTreeMap<(VmIndex, ContextId, u32), CallId>,
}

/// A call or a stream that the guest can still name.
#[derive(Debug)]
pub struct Pending {
    /// The VM that made it.
    pub vm: VmIndex,
    /// The root context that gets the callbacks.
    pub root: ContextId,
    /// The plugin.
    pub plugin: PluginIndex,
    /// The id in that VM.
    pub token: u32,
    /// A call or a stream.
    pub kind: Kind,
    /// Where the answer stands.
    pub answer: AnswerState,
    /// The plugin said that nothing more comes, so nothing more goes out.
    pub sent_end: bool,
    /// `proxy_grpc_close` was called: the id goes when the answer has ended (Envoy 1.40).
    pub closed_by_guest: bool,
    /// Bytes of a message that has not come to its end.
    pub partial: BytesMut,
}

/// What was started.
#[derive(Debug)]
pub enum Kind {
    /// One message, one answer: only the last message that comes is kept.
    Unary(Option<Bytes>),
    /// Messages in both directions.
    Stream,
}

/// Where the answer to a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerState {
    /// Nothing came yet.
    Waiting,
    /// Headers came.
    Begun,
    /// It is over; the guest can still close the id of a stream.
    Ended,
}

/// What a running gRPC callback can read.
#[derive(Debug, Clone)]
pub enum Readable {
    /// `grpc_receive_initial_metadata`
    InitialMetadata(Headers),
    /// `grpc_receive_trailing_metadata`
    TrailingMetadata(Headers),
    /// `grpc_call_message`
    Message(BytesMut),
}

/// What a plugin's cancel or close came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The id is gone; the service is told to stop if it had not ended.
    Gone {
        /// Whether the driver has to break it off.
        running: bool,
    },
    /// A stream whose other half stays open.
    Half {
        /// Whether the driver has to say so: not where the end was sent before.
        tell: bool,
    },
}

impl GrpcCalls {
    /// Takes up a new one.
    pub fn insert(&mut self, call: CallId, pending: Pending) {
        self.tokens.insert((pending.vm, pending.root, pending.token), call);
        self.calls.insert(call, pending);
    }

    /// One by the driver's number.
    pub fn get_mut(&mut self, call: CallId) -> Option<&mut Pending> {
        self.calls.get_mut(&call)
    }

    /// One by the guest's id.
    pub fn find(&mut self, vm: VmIndex, root: ContextId, token: u32) -> Option<(CallId, &mut Pending)> {
        let call = *self.tokens.get(&(vm, root, token))?;
        Some((call, self.calls.get_mut(&call)?))
    }

    /// Whether one has not come to the end of its answer.
    pub fn awaits(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|pending| pending.answer != AnswerState::Ended)
    }

    /// Forgets one: no more callbacks.
    pub fn remove(&mut self, call: CallId) -> Option<Pending> {
        let pending = self.calls.remove(&call)?;
        self.tokens.remove(&(pending.vm, pending.root, pending.token));
        Some(pending)
    }

    /// Breaks one off.
    pub fn cancel(&mut self, call: CallId) -> Option<Closed> {
        let pending = self.remove(call)?;
        Some(Closed::Gone { running: pending.answer != AnswerState::Ended })
    }

    /// Closes one: a call is broken off, a stream keeps its other half until the answer ends (Envoy 1.40).
    pub fn close(&mut self, call: CallId) -> Option<Closed> {
        let pending = self.calls.get_mut(&call)?;
        match (&pending.kind, pending.answer) {
            (Kind::Unary(_), _) | (Kind::Stream, AnswerState::Ended) => self.cancel(call),
            (Kind::Stream, AnswerState::Waiting | AnswerState::Begun) => {
                pending.closed_by_guest = true;
                Some(Closed::Half { tell: !std::mem::replace(&mut pending.sent_end, true) })
            }
        }
    }

    /// Forgets everything of a VM that is no more.
    pub fn forget(&mut self, vm: VmIndex) {
        self.calls.retain(|_, pending| pending.vm != vm);
        self.tokens.retain(|(of, _, _), _| *of != vm);
    }

    /// The answer has come to its end and the guest has been told.
    fn ended(&mut self, call: CallId) {
        let Some(pending) = self.calls.get_mut(&call) else { return };
        if pending.closed_by_guest || matches!(pending.kind, Kind::Unary(_)) {
            self.remove(call);
        }
    }
}
