//! What fails a case without being asked: a stuck request, a call that nobody planned, a plan that nobody used.

use crate::abi::{Callback, PluginIndex};
use crate::diagnostic::Span;
use crate::expect::{self, Failure};
use crate::host::StartError;
use crate::message::{Direction, Headers};
use crate::scenario::{Admin, Callout, Expect, MessageExpect};
use crate::trace::{Entry, HttpCall, views::SeenMessage};

/// Whether a scenario means the start to go wrong: it expects a trap, or the result of a start callback.
pub fn expects_start_failure(expect: &Expect) -> bool {
    let start = |c: Callback| matches!(c, Callback::OnVmStart | Callback::OnConfigure);
    expect.trap.is_some() || expect.crash.is_some() || expect.actions.iter().any(|a| start(a.callback))
}

/// A plugin that did not start.
pub fn start_failure(error: &StartError, span: Option<Span>) -> Failure {
    let hint = match error {
        StartError::Configure => {
            "the logs of this case say what the plugin did not like; to test this, expect \
                                  `actions: { configure: false }`"
        }
        StartError::VmStart => "the logs of this case say why; to test this, expect `actions: { vm_start: false }`",
        StartError::Trapped(Entry::Start(_)) => {
            "only few hostcalls are allowed before the contexts exist: move the work to proxy_on_vm_start or \
             proxy_on_configure"
        }
        StartError::Trapped(_) => "to test this, expect `trap: { in: ... }`",
    };
    Failure {
        subject: "start".to_owned(),
        title: format!("the plugin did not start: {error}"),
        span,
        expected: None,
        actual: None,
        hint: Some(hint.to_owned()),
        event: None,
    }
}

/// The request reached an upstream that it must not reach.
pub fn reached_upstream(span: Span, event: usize) -> Failure {
    Failure {
        subject: "upstream".to_owned(),
        title: "the request reached the upstream, which it must never do".to_owned(),
        span: Some(span),
        expected: Some("no request at the upstream".to_owned()),
        actual: Some("the plugins let the request pass".to_owned()),
        hint: None,
        event: event.checked_sub(1),
    }
}

/// The connection reached an upstream that it must not reach.
pub fn connection_reached_upstream(span: Span, event: usize) -> Failure {
    Failure {
        title: "the connection reached the upstream, which it must never do".to_owned(),
        expected: Some("no connection at the upstream".to_owned()),
        actual: Some("the plugins let the connection pass".to_owned()),
        ..reached_upstream(span, event)
    }
}

/// A host that has no plugins for TCP streams.
pub fn no_tcp(host: &str, span: Option<Span>) -> Failure {
    Failure {
        subject: "connect".to_owned(),
        title: format!("the host `{host}` runs no plugins on TCP streams"),
        span,
        expected: None,
        actual: None,
        hint: Some("leave this host out: `host: [spec, envoy]` in the case".to_owned()),
        event: None,
    }
}

/// A host that never calls a plugin's foreign functions.
pub fn no_foreign_callback(host: &str, span: Span) -> Failure {
    Failure {
        subject: "on_foreign_function".to_owned(),
        title: format!("the host `{host}` does not know proxy_on_foreign_function"),
        span: Some(span),
        expected: None,
        actual: None,
        hint: Some("leave this host out: `host: [spec, envoy]` in the case".to_owned()),
        event: None,
    }
}

/// A call without a plan.
pub fn unplanned_call(call: &HttpCall, span: Option<Span>, event: usize) -> Failure {
    let upstream = String::from_utf8_lossy(&call.upstream);
    let header = |name: &[u8]| {
        let found = call.headers.iter().find(|(key, _)| key == name);
        found.map_or_else(|| "-".into(), |(_, value)| String::from_utf8_lossy(value))
    };
    Failure {
        subject: "callouts".to_owned(),
        title: format!("a call that no callout plans for: {} {} to `{upstream}`", header(b":method"), header(b":path")),
        span,
        expected: None,
        actual: None,
        hint: Some(format!("plan the answer: `callouts: [{{ to: {upstream}, reply: {{ status: 200 }} }}]`")),
        event: event.checked_sub(1),
    }
}

/// Whether something is said of what the admin API answers.
pub fn expects_answer(expect: &Expect) -> bool {
    expect.admin.as_ref().is_some_and(|answer| answer.status.is_some() || answer.body.is_some())
}

/// A change that the admin API did not make, and of whose answer nothing is said: what comes later would be about
/// objects that are not there.
pub fn refused_by_admin(call: &Admin, status: u16, body: &[u8], event: usize) -> Failure {
    let body = String::from_utf8_lossy(body);
    Failure {
        subject: "admin".to_owned(),
        title: format!("the admin API refuses {} {} with {status}", call.method, call.target.value),
        span: Some(call.target.span.clone()),
        expected: None,
        actual: Some(body.trim_end().to_owned()),
        hint: Some(format!("mend the call, or expect the answer: `expect: {{ status: {status} }}`")),
        event: Some(event),
    }
}

/// A plan without a call.
pub fn call_not_made(callout: &Callout) -> Failure {
    Failure {
        subject: "callouts".to_owned(),
        title: format!("the planned call to `{}` was never made", callout.to.value),
        span: Some(callout.to.span.clone()),
        expected: None,
        actual: None,
        hint: Some("remove the callout, or see in the trace why the plugin did not call".to_owned()),
        event: None,
    }
}

/// The two kinds of stream, in the words of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// A request with its response.
    Http,
    /// A TCP connection.
    Tcp,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "request",
            Self::Tcp => "connection",
        }
    }

    /// What is paused in a direction.
    pub fn direction(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Self::Http, Direction::Request) => "request",
            (Self::Http, Direction::Response) => "response",
            (Self::Tcp, Direction::Request) => "downstream data",
            (Self::Tcp, Direction::Response) => "upstream data",
        }
    }
}

/// A request that never came to its end.
pub fn stuck(
    kind: Stream,
    paused: Option<(PluginIndex, Direction)>,
    names: &[String],
    span: Option<Span>,
    event: usize,
) -> Failure {
    let whole = kind.name();
    let title = match paused {
        Some((plugin, direction)) => {
            let name = names.get(plugin.0).map_or("?", String::as_str);
            let what = kind.direction(direction);
            format!("the {whole} is stuck: `{name}` paused the {what}, and nothing is left that could resume it")
        }
        None => format!("the {whole} is stuck: nobody pauses it, and it does not come to its end"),
    };
    Failure {
        subject: "stuck".to_owned(),
        title,
        span,
        expected: None,
        actual: None,
        hint: Some(
            "resume the stream from a callback (continue_stream), or answer it; if it is meant to stay paused, \
             expect `stuck: true`"
                .to_owned(),
        ),
        event: event.checked_sub(1),
    }
}

/// The expectations of a planned call, judged on the call that was made.
pub fn judge_call(expected: &MessageExpect, call: &HttpCall, event: usize) -> Vec<Failure> {
    let headers: Headers = call.headers.iter().cloned().collect();
    let trailers: Headers = call.trailers.iter().cloned().collect();
    let seen = SeenMessage {
        headers: Some(headers),
        connected: false,
        node: None,
        body: call.body.to_vec(),
        trailers: (!trailers.is_empty()).then_some(trailers),
        complete: true,
        reset: false,
    };
    let mut failures = expect::judge_message("callout", expected, &seen);
    for failure in &mut failures {
        failure.event = failure.event.or_else(|| event.checked_sub(1));
    }
    failures
}
