//! What a host asks of the world beside its requests: calls of plugins, and word to other workers.

use super::live::Live;
use super::worker::Order;
use crate::abi::{CallId, QueueId};
use crate::host::store::queues::Owner;
use crate::message::Headers;
use crate::trace::{GrpcCall, HttpCall};
use bytes::Bytes;
use std::rc::Rc;
use std::sync::Arc;

/// Something to be done when the host has run.
#[derive(Debug)]
pub(super) enum Errand {
    Http { call: CallId, request: Arc<HttpCall> },
    Grpc { call: CallId, request: Arc<GrpcCall>, head: Headers },
    GrpcSend { call: CallId, message: Option<Bytes>, end_of_stream: bool },
    GrpcCancel(CallId),
    QueueReady { owner: Owner, queue: QueueId },
}

/// Does it. The host hears of what comes of it later, never while this runs.
pub(super) fn run(live: &Rc<Live>, errand: Errand) {
    match errand {
        Errand::Http { call, request } => live.calls.http(call, request),
        Errand::Grpc { call, request, head } => live.calls.grpc(call, request, head),
        Errand::GrpcSend { call, message, end_of_stream } => {
            live.calls.grpc_send(call, message.as_deref(), end_of_stream);
        }
        Errand::GrpcCancel(call) => live.calls.grpc_cancel(call),
        Errand::QueueReady { owner, queue } => {
            if let Some(worker) = live.worker.upgrade() {
                worker.common.send(owner.host, Order::QueueReady { owner, queue });
            }
        }
    }
}
