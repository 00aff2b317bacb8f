//! `connect`: a TCP connection, as the list of what both ends do.

use super::body;
use super::context::{Cx, quote};
use super::keys::{self, CONNECT_EVENT, CONNECT_EVENTS, CONNECT_UPSTREAM};
use crate::scenario::model::{Connect, ConnectEvent, ConnectUpstream};
use crate::scenario::yaml::{Node, Value};
use crate::trace::Peer;

const PEERS: &[(&str, Peer)] = &[("client", Peer::Client), ("upstream", Peer::Upstream)];
const FAILURES: &[(&str, ())] = &[("refused", ())];

/// The connection of a step, and what stands beside it about the upstream.
pub(super) fn connect(cx: &mut Cx, node: &Node, upstream_node: Option<&Node>) -> Option<Connect> {
    let upstream = match upstream_node {
        Some(node) => upstream(cx, node),
        None => Some(ConnectUpstream::Accepts),
    };
    let Value::List(items) = &node.value else {
        cx.expected(node, "`connect`", "a list");
        return None;
    };
    // An end that has ended sends nothing more; the place is where it was said.
    let mut gone: Vec<(Peer, &Node)> = Vec::new();
    let mut events = Vec::with_capacity(items.len());
    for item in items {
        let Some(event) = event(cx, item) else { continue };
        let (who, ends) = match &event {
            ConnectEvent::Data { from, end, .. } => (Some(*from), *end),
            ConnectEvent::End(who) | ConnectEvent::Reset(who) => (Some(*who), true),
            ConnectEvent::Advance(_) => (None, false),
        };
        if let Some((_, before)) = gone.iter().find(|(peer, _)| Some(*peer) == who) {
            let problem = cx.at(&item.span, "this end has ended before");
            cx.push(problem.label("can't do anything more").also(before.span.clone(), "the end"));
            continue;
        }
        if let Some(who) = who.filter(|_| ends) {
            gone.push((who, item));
        }
        events.push(event);
    }
    (events.len() == items.len()).then_some(Connect { events, upstream: upstream? })
}

fn event(cx: &mut Cx, node: &Node) -> Option<ConnectEvent> {
    const HINT: &str = "an entry is written `client: bytes`, `upstream: bytes`, `end: client`, `reset: upstream` or \
                        `advance: 50ms`";
    if node.as_map().is_none() {
        cx.push(cx.at(&node.span, format!("expected what one end does, found {}", node.kind())).hint(HINT));
        return None;
    }
    let fields = cx.fields(node, "an entry of `connect`", &CONNECT_EVENT)?;
    let present = fields.present(CONNECT_EVENTS);
    cx.only_one(&present, "an entry");
    let Some((key, value)) = present.first() else {
        if !fields.misspelt(CONNECT_EVENTS) {
            cx.push(cx.at(&node.span, "nothing happens here").hint(HINT));
        }
        return None;
    };
    let event = match key.text.as_str() {
        "client" => data(cx, value, Peer::Client),
        "upstream" => data(cx, value, Peer::Upstream),
        "end" => cx.one_of(value, "`end`", PEERS).map(ConnectEvent::End),
        "reset" => cx.one_of(value, "`reset`", PEERS).map(ConnectEvent::Reset),
        _ => cx.duration(value, "`advance`").map(ConnectEvent::Advance),
    };
    event.filter(|_| present.len() == 1 && fields.known())
}

fn data(cx: &mut Cx, node: &Node, from: Peer) -> Option<ConnectEvent> {
    let (bytes, end) = body::data(cx, node, "data")?;
    if bytes.is_empty() {
        let hint = match from {
            Peer::Client => "write `end: client` if it sends nothing more",
            Peer::Upstream => "write `end: upstream` if it sends nothing more",
        };
        cx.push(cx.at(&node.span, "no bytes are sent here").hint(hint));
        return None;
    }
    Some(ConnectEvent::Data { from, bytes, end })
}

fn upstream(cx: &mut Cx, node: &Node) -> Option<ConnectUpstream> {
    match &node.value {
        Value::Text(text) if text.text == "never" => Some(ConnectUpstream::Never(node.span.clone())),
        Value::Map(_) => {
            let fields = cx.fields(node, "`upstream`", &CONNECT_UPSTREAM)?;
            if !fields.known() {
                return None;
            }
            let fail = cx.required(&fields, "fail", "`upstream: { fail: refused }`")?;
            cx.one_of(fail, "`fail`", FAILURES).map(|()| ConnectUpstream::Refuses)
        }
        Value::Text(text) => {
            let problem = cx.at(&node.span, format!("the upstream of a connection can't be {}", quote(&text.text)));
            let hint = match keys::similar(&text.text, ["never"].into_iter()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "it is `never` or `{ fail: refused }`; what it sends stands in `connect`".to_string(),
            };
            cx.push(problem.hint(hint));
            None
        }
        Value::Nothing | Value::Null | Value::List(_) => {
            cx.expected(node, "`upstream`", "`never` or a mapping");
            None
        }
    }
}
