//! `callouts`: the planned answers to the plugin's calls.

use super::context::{Cx, quote};
use super::expect::{self, Side};
use super::file::wanted;
use super::keys::{CALLOUT, REPLY};
use super::{grpc, request};
use crate::scenario::model::{Callout, CalloutReply, Failure, Reply, Spanned};
use crate::scenario::yaml::Node;
use std::time::Duration;

const FAILURES: &[(&str, Failure)] = &[
    ("timeout", Failure::Timeout),
    ("reset", Failure::Reset),
    ("refused", Failure::Refused),
    ("unknown", Failure::Unknown),
    ("garbage", Failure::Garbage),
];

/// The list of a step.
pub(super) fn callouts(cx: &mut Cx, node: &Node) -> Option<Vec<Callout>> {
    let items = cx.items(node, "`callouts`")?;
    let callouts: Vec<_> = items.iter().filter_map(|item| callout(cx, item)).collect();
    (callouts.len() == items.len()).then_some(callouts)
}

fn callout(cx: &mut Cx, node: &Node) -> Option<Callout> {
    let fields = cx.fields(node, "an entry of `callouts`", &CALLOUT)?;
    let to = cx.required(&fields, "to", "name the upstream as the plugin does: `to: authz`").and_then(|node| {
        let name = cx.word(node, "`to`")?;
        Some(Spanned { value: name.to_string(), span: node.span.clone() })
    });
    let expect = fields.get("expect").map(|node| expect::message(cx, node, "`expect`", Side::Call));
    let sent = fields.get("expect").map(|node| grpc::sent(cx, node));
    let reply = match fields.get("reply") {
        Some(node) => reply(cx, node),
        None => {
            let reply = Reply::default();
            let grpc = grpc::of_plain(&reply);
            Some((CalloutReply::Reply(reply, Some(grpc)), Duration::ZERO))
        }
    };
    let (reply, after) = reply?;
    Some(Callout {
        span: node.span.clone(),
        to: to?,
        expect: wanted(expect)?,
        sent: wanted(sent)?.flatten(),
        reply,
        after,
    })
}

fn reply(cx: &mut Cx, node: &Node) -> Option<(CalloutReply, Duration)> {
    if node.as_text().is_some() {
        // As for `upstream`, a status alone is an answer.
        let status = status(cx, node)?;
        return Some((CalloutReply::Reply(Reply { status, ..Reply::default() }, None), Duration::ZERO));
    }
    let fields = cx.fields(node, "`reply`", &REPLY)?;
    let after = fields.get("after").map(|node| cx.duration(node, "`after`"));
    let speaks_grpc = !fields.present(grpc::GRPC_KEYS).is_empty();
    let reply = match fields.get("fail").filter(|_| !request::begins(&fields)) {
        _ if speaks_grpc => grpc::reply(cx, &fields).map(CalloutReply::Grpc),
        Some(fail) => cx.one_of(fail, "`fail`", FAILURES).map(CalloutReply::Fail),
        None => request::reply(cx, &fields).map(|reply| {
            // An answer without an HTTP status can be that of a gRPC service.
            let grpc = fields.get("status").is_none().then(|| grpc::of_plain(&reply));
            CalloutReply::Reply(reply, grpc)
        }),
    };
    Some((reply?, wanted(after)?.unwrap_or_default()))
}

/// The status code of an answer.
pub(super) fn status(cx: &mut Cx, node: &Node) -> Option<u16> {
    const WANTED: &str = "a status from 200 to 599";
    let status: u16 = cx.number(node, "`status`", WANTED)?;
    match status {
        200..=599 => Some(status),
        100..=199 => {
            let problem = cx.at(&node.span, format!("{status} is not a final status"));
            cx.push(problem.hint("interim answers can't be planned; a final status is 200 to 599"));
            None
        }
        _ => {
            cx.push(
                cx.at(&node.span, format!("{} is not a status code", quote(&status.to_string()))).hint("200 to 599"),
            );
            None
        }
    }
}
