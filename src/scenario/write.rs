//! From what was seen to the text of a scenario file: the other direction of [`parse`](super::parse).
//!
//! A pure function. What it writes is read back as the same requests and answers, byte for byte: text that YAML could
//! take for something else is quoted, and what is no text is written as `{ hex: … }`. It writes what a recording has,
//! not the whole language. What the language can't say, such as a path that is no UTF-8, is an error.

mod message;
mod text;

use super::model::{CalloutReply, Failure, Protocol, Reply, Request, Upstream};
use crate::abi::{Callback, LogLevel};
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;
use text::{Page, Style};

pub use text::COMMENT_LINE;

/// What stands above the cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// Lines of comment.
    pub comments: Vec<String>,
    /// What requests pass.
    pub subject: Subject,
    /// The profile.
    pub host: &'static str,
    /// How bodies are framed.
    pub protocol: Protocol,
}

/// What requests pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One plugin.
    Plugin(Plugin),
    /// A gateway: its document, a mapping.
    Gateway(Value),
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// The module, from the folder of the file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Its root id.
    pub root_id: String,
    /// Its configuration; an empty one was not given.
    pub config: String,
}

/// A case: requests one after the other.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name, unique in the file.
    pub name: String,
    /// Lines of comment above it.
    pub comments: Vec<String>,
    /// The requests.
    pub steps: Vec<Step>,
}

/// A request with everything around it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The request, and the origin's answer.
    pub request: Request,
    /// The calls.
    pub callouts: Vec<Callout>,
    /// What is expected.
    pub expect: Expected,
}

/// A planned call.
#[derive(Debug, Clone)]
pub struct Callout {
    /// The upstream as the plugin names it.
    pub to: String,
    /// What it has to look like.
    pub expect: Message,
    /// What it is answered.
    pub reply: CalloutReply,
    /// How long that takes.
    pub after: Duration,
}

/// What is expected of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// At the origin.
    pub upstream_sees: Message,
    /// At the client.
    pub client_sees: Message,
    /// In the log, in this order.
    pub logs: Vec<(LogLevel, Wanted)>,
    /// The plugin breaks there.
    pub trap: Option<Callback>,
}

/// What is expected of a message; nothing where all of it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// `status`, `method` and so on.
    pub start: Vec<(&'static str, Wanted)>,
    /// By name, each name once; no values means that it is absent.
    pub headers: Vec<(String, Vec<Wanted>)>,
    /// The body.
    pub body: Option<Wanted>,
    /// Like the headers.
    pub trailers: Vec<(String, Vec<Wanted>)>,
}

/// What a value has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These bytes.
    Exactly(Bytes),
    /// What this regular expression matches.
    Like(String),
}

/// Something that the language can't say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The target is not UTF-8.
    #[error("its URL is not text")]
    Url,
    /// The name of a header is not UTF-8.
    #[error("the name of a header is not text")]
    Name,
}

/// A heading; cases follow it, and there has to be one.
pub fn heading(heading: &Heading) -> String {
    let mut page = Page::new(Style::Literal);
    for line in &heading.comments {
        page.comment(0, line);
    }
    match &heading.subject {
        Subject::Plugin(Plugin { file, name, root_id, config }) => {
            page.key(0, "plugin");
            page.text(2, "file", file);
            page.text(2, "name", name);
            if !root_id.is_empty() {
                page.text(2, "root_id", root_id);
            }
            if !config.is_empty() {
                page.text(2, "config", config);
            }
        }
        Subject::Gateway(document) => {
            page.key(0, "gateway");
            for (key, value) in document.as_object().into_iter().flatten() {
                match value.as_array() {
                    Some(items) if !items.is_empty() => {
                        page.key(2, key);
                        for item in items {
                            page.raw_item(4, &text::json(item));
                        }
                    }
                    _ => page.raw(2, key, &text::json(value)),
                }
            }
        }
    }
    page.text(0, "host", heading.host);
    if heading.protocol == Protocol::H2 {
        page.text(0, "protocol", "h2");
    }
    page.key(0, "cases");
    page.into_text()
}

/// A case, as it stands behind a heading and other cases.
pub fn case(case: &Case) -> Result<String, Unwritable> {
    let mut page = Page::new(Style::Templated);
    for line in &case.comments {
        page.comment(2, line);
    }
    page.item(2, "name", &case.name);
    page.text(4, "snapshot", "false");
    match case.steps.as_slice() {
        [one] => step(&mut page, 4, one)?,
        several => {
            page.key(4, "steps");
            for one in several {
                page.begin_item();
                step(&mut page, 8, one)?;
            }
        }
    }
    Ok(page.into_text())
}

fn step(page: &mut Page, at: usize, step: &Step) -> Result<(), Unwritable> {
    message::request(page, at, &step.request)?;
    upstream(page, at, &step.request)?;
    if !step.callouts.is_empty() {
        page.key(at, "callouts");
        for one in &step.callouts {
            callout(page, at + 2, one)?;
        }
    }
    expected(page, at, &step.expect);
    Ok(())
}

fn upstream(page: &mut Page, at: usize, request: &Request) -> Result<(), Unwritable> {
    match &request.upstream {
        Upstream::Never(_) => page.text(at, "upstream", "never"),
        Upstream::Fail(failure) => {
            page.key(at, "upstream");
            page.text(at + 2, "fail", failure_name(*failure));
        }
        Upstream::Reply(reply) => {
            page.key(at, "upstream");
            self::reply(page, at + 2, reply)?;
            if request.early {
                page.text(at + 2, "early", "true");
            }
        }
    }
    Ok(())
}

fn reply(page: &mut Page, at: usize, reply: &Reply) -> Result<(), Unwritable> {
    page.text(at, "status", &reply.status.to_string());
    message::headers(page, at, "headers", &reply.headers)?;
    if let Some(body) = &reply.body {
        message::body(page, at, body);
    }
    message::headers(page, at, "trailers", &reply.trailers)?;
    if let Some(failure) = reply.fail {
        page.text(at, "fail", failure_name(failure));
    }
    Ok(())
}

fn failure_name(failure: Failure) -> &'static str {
    match failure {
        Failure::Reset => "reset",
        Failure::Timeout => "timeout",
        Failure::Refused => "refused",
        Failure::Unknown => "unknown",
        Failure::Garbage => "garbage",
    }
}

fn callout(page: &mut Page, at: usize, callout: &Callout) -> Result<(), Unwritable> {
    page.item(at, "to", &callout.to);
    message::expected(page, at + 2, "expect", &callout.expect);
    page.key(at + 2, "reply");
    match &callout.reply {
        CalloutReply::Reply(reply, _) => self::reply(page, at + 4, reply)?,
        CalloutReply::Fail(failure) => page.text(at + 4, "fail", failure_name(*failure)),
        // A recording has none.
        CalloutReply::Grpc(_) => page.text(at + 4, "grpc_status", "0"),
    }
    if !callout.after.is_zero() {
        page.text(at + 4, "after", &format!("{}ms", callout.after.as_millis()));
    }
    Ok(())
}

fn expected(page: &mut Page, at: usize, expect: &Expected) {
    if *expect == Expected::default() {
        return;
    }
    page.key(at, "expect");
    message::expected(page, at + 2, "upstream_sees", &expect.upstream_sees);
    message::expected(page, at + 2, "client_sees", &expect.client_sees);
    if !expect.logs.is_empty() {
        page.key(at + 2, "logs");
        for (level, line) in &expect.logs {
            page.wanted_item(at + 4, level.name(), line);
        }
    }
    if let Some(callback) = expect.trap {
        page.key(at + 2, "trap");
        page.text(at + 4, "in", callback.subject());
    }
}

#[cfg(test)]
mod tests;
