//! gRPC as it goes over the wire: what a service sees of a call, the pieces of its answer, and the verdicts on both.

use crate::diagnostic::Span;
use crate::expect::{self, Failure};
use crate::host::GrpcInput;
use crate::host::grpc::framed;
use crate::message::Headers;
use crate::scenario::{Callout, GrpcEnd, GrpcReply, MessageExpect, SentEnd, SentExpect};
use crate::trace::views::SeenMessage;
use crate::trace::{GrpcCall, GrpcKind};
use bytes::Bytes;

/// What a plugin sent on a call or a stream.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// The messages.
    pub messages: Vec<Bytes>,
    /// It said that nothing more comes.
    pub half_closed: bool,
    /// It broke the call off.
    pub cancelled: bool,
}

/// The pieces of an answer that come before its end.
pub fn begin(reply: &GrpcReply) -> Vec<GrpcInput> {
    if reply.trailers_only {
        return Vec::new();
    }
    let mut headers = Headers::new();
    headers.append(":status", "200");
    headers.append("content-type", "application/grpc");
    for (name, value) in &reply.headers {
        headers.append(name.to_ascii_lowercase(), value.clone());
    }
    let mut pieces = vec![GrpcInput::Headers { headers, end_of_stream: false }];
    pieces
        .extend(reply.messages.iter().map(|message| GrpcInput::Data { bytes: framed(message), end_of_stream: false }));
    pieces
}

/// The end of an answer that has one.
pub fn end(reply: &GrpcReply) -> Option<GrpcInput> {
    let GrpcEnd::Status { code, message } = &reply.end else { return None };
    let mut trailers = Headers::new();
    if reply.trailers_only {
        trailers.append(":status", "200");
        trailers.append("content-type", "application/grpc");
    }
    trailers.append("grpc-status", code.to_string());
    if let Some(message) = message {
        trailers.append("grpc-message", message.clone());
    }
    for (name, value) in &reply.trailers {
        trailers.append(name.to_ascii_lowercase(), value.clone());
    }
    Some(match reply.trailers_only {
        true => GrpcInput::Headers { headers: trailers, end_of_stream: true },
        false => GrpcInput::Trailers(trailers),
    })
}

/// The expectations of a planned call, judged on the gRPC call that was made.
pub fn judge(expected: &MessageExpect, head: &Headers, sent: &Sent) -> Vec<Failure> {
    let seen = SeenMessage {
        headers: Some(head.clone()),
        body: sent.messages.concat(),
        trailers: None,
        complete: true,
        reset: false,
        connected: false,
        node: None,
    };
    expect::judge_message("callout", expected, &seen)
}

/// The messages that have to be sent, against those that were.
pub fn judge_messages(callout: &Callout, sent: &Sent) -> Vec<Failure> {
    let Some(SentExpect { messages: Some(messages), .. }) = &callout.sent else { return Vec::new() };
    expect::judge_list("callout.messages", &callout.to.value, messages, &sent.messages)
}

/// How the plugin's side has to end, against how it did.
pub fn judge_end(callout: &Callout, sent: &Sent) -> Option<Failure> {
    let ends = callout.sent.as_ref()?.ends.as_ref()?;
    let actual = match (sent.cancelled, sent.half_closed) {
        (true, _) => SentEnd::Cancel,
        (false, true) => SentEnd::HalfClose,
        (false, false) => SentEnd::Never,
    };
    let words = |end: SentEnd| match end {
        SentEnd::Cancel => "cancelled by the plugin",
        SentEnd::HalfClose => "half-closed by the plugin",
        SentEnd::Never => "open on the plugin's side",
    };
    (actual != ends.value).then(|| Failure {
        subject: "callout.ends".to_owned(),
        title: format!("the stream to `{}` is {}, expected {}", callout.to.value, words(actual), words(ends.value)),
        span: Some(ends.span.clone()),
        expected: Some(words(ends.value).to_owned()),
        actual: Some(words(actual).to_owned()),
        hint: None,
        event: None,
    })
}

/// A call without a plan.
pub fn unplanned(call: &GrpcCall, span: Option<Span>, event: usize) -> Failure {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let upstream = text(&call.upstream);
    let what = match call.kind {
        GrpcKind::Unary { .. } => "call",
        GrpcKind::Stream => "stream",
    };
    Failure {
        subject: "callouts".to_owned(),
        title: format!(
            "a gRPC {what} that no callout plans for: {}/{} to `{upstream}`",
            text(&call.service),
            text(&call.method)
        ),
        span,
        expected: None,
        actual: None,
        hint: Some(format!("plan the answer: `callouts: [{{ to: {upstream}, reply: {{ messages: [ … ] }} }}]`")),
        event: event.checked_sub(1),
    }
}
