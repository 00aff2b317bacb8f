//! What a scenario expects, and how values are matched.

use super::Spanned;
use crate::abi::Callback;
use crate::diagnostic::Span;
use crate::scenario::HostKind;
use bytes::Bytes;
use regex::Regex;
use std::path::PathBuf;

/// Everything expected of a step, or of a case.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The request at the origin.
    pub upstream_sees: Option<MessageExpect>,
    /// The response at the client.
    pub client_sees: Option<MessageExpect>,
    /// What the admin API answers.
    pub admin: Option<MessageExpect>,
    /// The results of each callback's calls, in order.
    pub actions: Vec<ActionsExpect>,
    /// These appear in this order; others may come between.
    pub logs: Vec<LogExpect>,
    /// These appear nowhere.
    pub no_logs: Vec<LogExpect>,
    /// Properties at the end of the step, by dotted path.
    pub properties: Vec<(Spanned<String>, Match)>,
    /// Shared data at the end of the step, by key.
    pub shared_data: Vec<(Spanned<String>, Match)>,
    /// Metrics at the end of the step, by name.
    pub metrics: Vec<(Spanned<String>, Match)>,
    /// Number of calls made.
    pub callouts: Option<Spanned<usize>>,
    /// The trap that is meant to happen.
    pub trap: Option<TrapExpect>,
    /// The id of what is meant to break the host.
    pub crash: Option<Spanned<String>>,
    /// Findings that must be there, by id.
    pub findings: Vec<Spanned<String>>,
    /// Findings that must not be there.
    pub no_findings: Vec<Spanned<String>>,
    /// Whether the request is meant to stay paused for ever.
    pub stuck: Option<Spanned<bool>>,
    /// The host is meant to refuse a plugin, with this text among its reasons.
    pub load: Option<Match>,
    /// What is expected beside that under one host; none of these has any of its own.
    pub on: Vec<OnHost>,
}

/// Expectations that hold under one host only.
#[derive(Debug, Clone)]
pub struct OnHost {
    /// The host.
    pub host: HostKind,
    /// Where it is named.
    pub span: Span,
    /// What is expected there.
    pub expect: Expect,
}

/// A message, or the data of a connection, as one end sees it.
#[derive(Debug, Clone, Default)]
pub struct MessageExpect {
    /// The whole mapping.
    pub span: Span,
    /// `null`: nothing comes to that end.
    pub nothing: bool,
    /// How it ends.
    pub ends: Option<Spanned<Ends>>,
    /// The status code, as text.
    pub status: Option<Match>,
    /// `:method`
    pub method: Option<Match>,
    /// `:path`
    pub path: Option<Match>,
    /// `:authority`
    pub authority: Option<Match>,
    /// `:scheme`
    pub scheme: Option<Match>,
    /// The node of an upstream that it goes to, `host:port`.
    pub node: Option<Match>,
    /// By name; a list of matches is the repeated header, value by value.
    pub headers: Vec<(Spanned<String>, Vec<Match>)>,
    /// All chunks together.
    pub body: Option<Match>,
    /// By name.
    pub trailers: Vec<(Spanned<String>, Vec<Match>)>,
}

/// How a message or a connection ends for one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// As it should.
    Complete,
    /// It is broken off.
    Reset,
    /// It does not end.
    Never,
}

/// What the calls of one callback returned, over the whole chain, in the order of the calls.
#[derive(Debug, Clone)]
pub struct ActionsExpect {
    /// The callback.
    pub callback: Callback,
    /// Where it is written.
    pub span: Span,
    /// `continue` 0, `pause` 1, or a number.
    pub actions: Vec<u32>,
}

/// A log line: `warn: text`, or a bare match for any level.
#[derive(Debug, Clone)]
pub struct LogExpect {
    /// `None` is any level.
    pub level: Option<crate::abi::LogLevel>,
    /// The message.
    pub message: Match,
}

/// A trap that is meant to happen.
#[derive(Debug, Clone)]
pub struct TrapExpect {
    /// Where it is written.
    pub span: Span,
    /// The callback it happens in.
    pub callback: Option<Callback>,
    /// The trap's text: what the engine says and what the plugin logged as it died.
    pub message: Option<Match>,
}

/// A matcher and the place where it was written.
#[derive(Debug, Clone)]
pub struct Match {
    /// Where it is written.
    pub span: Span,
    /// What must hold.
    pub matcher: Matcher,
}

/// What a value must be.
#[derive(Debug, Clone)]
pub enum Matcher {
    /// These bytes exactly (plain values, `{hex}`).
    Equal(Bytes),
    /// Not there (`null`).
    Absent,
    /// There, and these bytes are in it.
    Contains(Bytes),
    /// There, and the regular expression finds a match.
    Matches(Regex),
    /// There, and as JSON it holds at least this.
    Json(serde_json::Value),
    /// There, and equal to this file's content.
    File {
        /// As written.
        path: PathBuf,
        /// What was read.
        content: Bytes,
    },
    /// The inner matcher does not hold.
    Not(Box<Matcher>),
}
