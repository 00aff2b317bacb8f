//! What a hostcall did. The driver is handed the same values that are recorded.

use crate::abi::pairs::Pair;
use crate::abi::{BufferType, CallId, ContextId, LogLevel, MapType, MetricId, MetricType, QueueId, StreamType};
use bytes::Bytes;
use std::sync::Arc;

/// One effect of one hostcall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A message was logged.
    Log {
        /// Severity.
        level: LogLevel,
        /// The bytes as the plugin gave them.
        message: Bytes,
    },
    /// A header map changed.
    Map {
        /// Which one.
        map: MapType,
        /// How.
        change: MapChange,
    },
    /// A buffer changed.
    Buffer {
        /// Which one.
        buffer: BufferType,
        /// How.
        change: BufferChange,
    },
    /// A property was set.
    PropertySet {
        /// Segments joined by dots.
        path: String,
        /// The bytes.
        value: Bytes,
    },
    /// Shared data was set.
    SharedDataSet {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// The CAS number that it has now.
        cas: u32,
    },
    /// A metric was defined.
    MetricDefined {
        /// Its id.
        id: MetricId,
        /// Its kind.
        kind: MetricType,
        /// Its name.
        name: Bytes,
    },
    /// A metric took a new value.
    MetricChanged {
        /// Its name.
        name: Bytes,
        /// Its kind.
        kind: MetricType,
        /// The value now; for a histogram the value recorded.
        value: u64,
    },
    /// A queue was registered.
    QueueRegistered {
        /// Its id.
        id: QueueId,
        /// Its name.
        name: Bytes,
    },
    /// A message was put into a queue.
    Enqueued {
        /// The queue.
        id: QueueId,
        /// The message.
        message: Bytes,
    },
    /// A message was taken from a queue.
    Dequeued {
        /// The queue.
        id: QueueId,
    },
    /// The tick period of the root context was set; 0 stops it.
    TickPeriod {
        /// Milliseconds.
        milliseconds: u32,
    },
    /// An HTTP call was started.
    HttpCall(Arc<HttpCall>),
    /// A gRPC call was started, or a stream opened.
    GrpcCall(Arc<GrpcCall>),
    /// More was sent on a gRPC stream.
    GrpcSent {
        /// The stream.
        id: CallId,
        /// A message; none where the plugin only said that nothing more comes.
        message: Option<Bytes>,
        /// Nothing more comes.
        end_of_stream: bool,
    },
    /// A gRPC call or stream was broken off.
    GrpcCancelled(CallId),
    /// A response of the plugin's own, sent when the callback has returned.
    LocalResponse(Arc<LocalResponse>),
    /// A stream is resumed when the callback has returned.
    ContinueStream(StreamType),
    /// A stream is closed when the callback has returned.
    CloseStream(StreamType),
    /// The effective context was changed.
    EffectiveContext(ContextId),
    /// A context that had held up its end said that it is done.
    Done,
}

/// How a header map changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapChange {
    /// An entry was appended.
    Add(Bytes, Bytes),
    /// A name has exactly this value now.
    Replace(Bytes, Bytes),
    /// A name is gone; the number of entries removed.
    Remove(Bytes, usize),
    /// The whole map was set.
    Set(Vec<Pair>),
}

/// How a buffer changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferChange {
    /// First byte replaced.
    pub start: u32,
    /// Number of bytes replaced, as asked for.
    pub size: u32,
    /// What stands there now.
    pub data: Bytes,
    /// The buffer's length afterwards.
    pub length: usize,
}

/// An HTTP call of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The token that the guest got.
    pub id: CallId,
    /// The upstream as the plugin named it.
    pub upstream: Bytes,
    /// Headers, pseudo headers included.
    pub headers: Vec<Pair>,
    /// The body.
    pub body: Bytes,
    /// The trailers.
    pub trailers: Vec<Pair>,
    /// Milliseconds; 0 is what the host makes of it.
    pub timeout_ms: u32,
}

/// A gRPC call or stream of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCall {
    /// The id that the guest got.
    pub id: CallId,
    /// The service as the plugin named it: a cluster.
    pub upstream: Bytes,
    /// `package.Service`
    pub service: Bytes,
    /// The method.
    pub method: Bytes,
    /// Initial metadata.
    pub metadata: Vec<Pair>,
    /// Call or stream.
    pub kind: GrpcKind,
}

/// The two kinds of gRPC call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcKind {
    /// One message, one answer.
    Unary {
        /// The message.
        message: Bytes,
        /// Milliseconds; 0 is what the host makes of it.
        timeout_ms: u32,
    },
    /// Messages in both directions.
    Stream,
}

/// A response of the plugin's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalResponse {
    /// The status code as the plugin gave it.
    pub status: u32,
    /// The response code details.
    pub details: Bytes,
    /// The body.
    pub body: Bytes,
    /// Headers to add.
    pub headers: Vec<Pair>,
    /// The gRPC status; -1 is none.
    pub grpc_status: i32,
}
