//! gRPC calls: what a plugin has to send, and what the service answers.

use super::{Callout, CalloutReply, Failure, Match, Spanned};
use bytes::Bytes;

/// What a plugin sends on a call or a stream.
#[derive(Debug, Clone, Default)]
pub struct SentExpect {
    /// Every message, in order.
    pub messages: Option<Spanned<Vec<Match>>>,
    /// How its side ends.
    pub ends: Option<Spanned<SentEnd>>,
}

/// How a plugin's side of a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentEnd {
    /// It says that nothing more comes.
    HalfClose,
    /// It breaks the stream off.
    Cancel,
    /// It does neither.
    Never,
}

/// What a service answers.
#[derive(Debug, Clone)]
pub struct GrpcReply {
    /// Initial metadata, in order.
    pub headers: Vec<(Bytes, Bytes)>,
    /// The messages.
    pub messages: Vec<Bytes>,
    /// Trailing metadata beside the status, in order.
    pub trailers: Vec<(Bytes, Bytes)>,
    /// How it ends.
    pub end: GrpcEnd,
    /// The status comes in the headers and nothing follows: how servers refuse.
    pub trailers_only: bool,
}

/// How an answer ends.
#[derive(Debug, Clone)]
pub enum GrpcEnd {
    /// With a status.
    Status {
        /// `grpc-status`
        code: u8,
        /// `grpc-message`, as it stands on the wire.
        message: Option<Bytes>,
    },
    /// Broken off.
    Fail(Failure),
}

impl Callout {
    /// Whether this can only be the plan of a gRPC call.
    pub fn is_grpc(&self) -> bool {
        self.sent.is_some() || matches!(self.reply, CalloutReply::Grpc(_))
    }
}

impl GrpcReply {
    /// Whether it ends without waiting for the plugin's side to end: a service that refuses, or that breaks off.
    pub fn ends_early(&self) -> bool {
        !matches!(self.end, GrpcEnd::Status { code: 0, .. })
    }
}
