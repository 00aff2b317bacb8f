//! Requests, answers and planned calls: what the scripted ends send.

use super::{GrpcReply, MessageExpect, SentExpect, Spanned};
use crate::diagnostic::Span;
use bytes::Bytes;
use std::time::Duration;

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
