//! `expect`: everything that can be expected of a step or a case.

use super::context::{Cx, quote};
use super::file::wanted;
use super::headers::{self, Part};
use super::keys::{self, ADMIN_SEEN, CALL_SEEN, CLIENT_SEES, EXPECT, ON, TRAP, UPSTREAM_SEES};
use super::matcher;
use super::read::Fields;
use crate::abi::{ALL_CALLBACKS, Action, Callback, LogLevel, Returns};
use crate::scenario::HostKind;
use crate::scenario::model::{
    ActionsExpect, Ends, Expect, LogExpect, Match, Matcher, MessageExpect, OnHost, Spanned, TrapExpect,
};
use crate::scenario::yaml::{Key, Node, Value};

/// Which end sees a message: a request has a method and a path, a response has a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Upstream,
    Client,
    /// The upstream of a plugin's call.
    Call,
}

const ENDS: &[(&str, Ends)] = &[("complete", Ends::Complete), ("reset", Ends::Reset), ("never", Ends::Never)];

type ByName = Vec<(Spanned<String>, Match)>;

/// The whole mapping.
pub(super) fn expect(cx: &mut Cx, node: &Node) -> Option<Expect> {
    let fields = cx.fields(node, "`expect`", &EXPECT)?;
    of_fields(cx, &fields)
}

/// What is expected of an `admin` step: the answer, and what plugins do meanwhile.
pub(super) fn of_admin(cx: &mut Cx, node: &Node) -> Option<Expect> {
    let fields = cx.fields(node, "`expect`", &ADMIN_SEEN)?;
    let answer = message_of(cx, &fields, Side::Client);
    let rest = of_fields(cx, &fields)?;
    Some(Expect { admin: Some(answer?), ..rest })
}

fn of_fields(cx: &mut Cx, fields: &Fields) -> Option<Expect> {
    let upstream_sees = fields.get("upstream_sees").map(|node| seen(cx, node, "`upstream_sees`", Side::Upstream));
    let client_sees = fields.get("client_sees").map(|node| seen(cx, node, "`client_sees`", Side::Client));
    let actions = fields.get("actions").map(|node| actions(cx, node));
    let logs_seen = fields.get("logs").map(|node| logs(cx, node, "`logs`"));
    let no_logs = fields.get("no_logs").map(|node| logs(cx, node, "`no_logs`"));
    let properties = fields.get("properties").map(|node| by_name(cx, node, "`properties`"));
    let shared_data = fields.get("shared_data").map(|node| by_name(cx, node, "`shared_data`"));
    let metrics = fields.get("metrics").map(|node| by_name(cx, node, "`metrics`"));
    let callouts = fields.get("callouts").map(|node| {
        let value = cx.number(node, "`callouts`", "the number of calls")?;
        Some(Spanned { value, span: node.span.clone() })
    });
    let trap = fields.get("trap").map(|node| trap(cx, node));
    let crash = fields.get("crash").map(|node| id(cx, node, "a crash", "pause-without-call"));
    let found = fields.get("findings").map(|node| findings(cx, node, "`findings`"));
    let no_findings = fields.get("no_findings").map(|node| findings(cx, node, "`no_findings`"));
    let stuck = fields.get("stuck").map(|node| {
        let value = cx.flag(node, "`stuck`")?;
        Some(Spanned { value, span: node.span.clone() })
    });
    let load = fields.get("load").map(|node| load(cx, node));
    let on = fields.get("on").map(|node| on(cx, node));
    Some(Expect {
        admin: None,
        upstream_sees: wanted(upstream_sees)?,
        client_sees: wanted(client_sees)?,
        actions: wanted(actions)?.unwrap_or_default(),
        logs: wanted(logs_seen)?.unwrap_or_default(),
        no_logs: wanted(no_logs)?.unwrap_or_default(),
        properties: wanted(properties)?.unwrap_or_default(),
        shared_data: wanted(shared_data)?.unwrap_or_default(),
        metrics: wanted(metrics)?.unwrap_or_default(),
        callouts: wanted(callouts)?,
        trap: wanted(trap)?.flatten(),
        crash: wanted(crash)?,
        findings: wanted(found)?.unwrap_or_default(),
        no_findings: wanted(no_findings)?.unwrap_or_default(),
        stuck: wanted(stuck)?,
        load: wanted(load)?,
        on: wanted(on)?.unwrap_or_default(),
    })
}

/// Why a host refuses the plugin. Hosts put the same reason in other words, so equality is never meant.
fn load(cx: &mut Cx, node: &Node) -> Option<Match> {
    const HINT: &str = "a host's reasons are in its own words: `load: { contains: proxy_get_log_level }`";
    if let Value::Text(_) = &node.value {
        cx.push(cx.at(&node.span, "`load` takes a matcher").hint(HINT));
        return None;
    }
    matcher::present(cx, node, "`load`")
}

/// What is expected under one host only.
fn on(cx: &mut Cx, node: &Node) -> Option<Vec<OnHost>> {
    let fields = cx.fields(node, "`on`", &ON)?;
    let mut found = Vec::new();
    let mut fine = fields.known() && fields.size() > 0;
    if fields.size() == 0 {
        cx.push(cx.at(&node.span, "`on` names no host").hint("`on: { apisix: { client_sees: { status: 503 } } }`"));
    }
    for (name, host) in HostKind::ALL {
        let Some((key, node)) = fields.entry(name) else { continue };
        if let Some((inner, _)) = node.as_map().and_then(|keys| keys.iter().find(|(key, _)| key.text == "on")) {
            let problem = cx.at(&inner.span, "`on` stands inside `on`");
            cx.push(problem.hint(format!("what is expected on {name} stands directly under `{name}`")));
            fine = false;
            continue;
        }
        match expect(cx, node) {
            Some(expect) => found.push(OnHost { host: *host, span: key.span.clone(), expect }),
            None => fine = false,
        }
    }
    fine.then_some(found)
}

/// A message as one end sees it, or `null` where nothing comes to that end.
fn seen(cx: &mut Cx, node: &Node, name: &str, side: Side) -> Option<MessageExpect> {
    match node.value {
        Value::Null => Some(MessageExpect { span: node.span.clone(), nothing: true, ..MessageExpect::default() }),
        Value::Nothing | Value::Text(_) | Value::List(_) | Value::Map(_) => message(cx, node, name, side),
    }
}

/// A message as one end sees it.
pub(super) fn message(cx: &mut Cx, node: &Node, name: &str, side: Side) -> Option<MessageExpect> {
    let place = match side {
        Side::Upstream => &UPSTREAM_SEES,
        Side::Call => &CALL_SEEN,
        Side::Client => &CLIENT_SEES,
    };
    let fields = cx.fields(node, name, place)?;
    message_of(cx, &fields, side)
}

fn message_of(cx: &mut Cx, fields: &Fields, side: Side) -> Option<MessageExpect> {
    let mut part = |key: &str| fields.get(key).map(|node| matcher::matcher(cx, node, &format!("`{key}`")));
    let (method, path, authority, scheme) = (part("method"), part("path"), part("authority"), part("scheme"));
    let (status, body, node) = (part("status"), part("body"), part("node"));
    if let (Some((key, _)), false) = (fields.entry("node"), cx.gateway) {
        let problem = cx.at(&key.span, "`node` without `gateway`");
        cx.push(problem.hint("a gateway chooses one of an upstream's nodes; here there is one origin"));
    }
    if let (Side::Client, Some(Some(Match { matcher: Matcher::Equal(text), span }))) = (side, &status) {
        let code = std::str::from_utf8(text).ok().and_then(|text| text.parse::<u16>().ok());
        // Hosts write other numbers than HTTP has, if a plugin says so (Envoy 1.40: any of 16 bits).
        if !code.is_some_and(|code| code == 0 || code >= 99) {
            let problem = cx.at(span, format!("{} is not a status code", quote(&String::from_utf8_lossy(text))));
            cx.push(problem.hint("a status is a number like 200, or a matcher: `{ matches: ^5 }`"));
        }
    }
    // How a plugin's side of a gRPC call ends is another matter.
    let ends = fields.get("ends").filter(|_| side != Side::Call).map(|node| {
        let value = cx.one_of(node, "`ends`", ENDS)?;
        Some(Spanned { value, span: node.span.clone() })
    });
    let headers = fields.get("headers").map(|node| message_headers(cx, node, "`headers`", side));
    let trailers = fields.get("trailers").map(|node| message_headers(cx, node, "`trailers`", side));
    Some(MessageExpect {
        span: fields.node.span.clone(),
        nothing: false,
        node: wanted(node)?,
        ends: wanted(ends)?,
        status: wanted(status)?,
        method: wanted(method)?,
        path: wanted(path)?,
        authority: wanted(authority)?,
        scheme: wanted(scheme)?,
        headers: wanted(headers)?.unwrap_or_default(),
        body: wanted(body)?,
        trailers: wanted(trailers)?.unwrap_or_default(),
    })
}

type Repeated = Vec<(Spanned<String>, Vec<Match>)>;

fn message_headers(cx: &mut Cx, node: &Node, name: &str, side: Side) -> Option<Repeated> {
    let entries = cx.entries(node, name)?;
    let mut fine = headers::no_repeats(cx, entries);
    let mut expected = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        fine &= header_name(cx, key, side);
        match values(cx, value) {
            Some(values) => expected.push((Spanned { value: key.text.clone(), span: key.span.clone() }, values)),
            None => fine = false,
        }
    }
    fine.then_some(expected)
}

fn header_name(cx: &mut Cx, key: &Key, side: Side) -> bool {
    let pseudo = match (key.text.as_str(), side) {
        (":method" | ":path" | ":authority" | ":scheme", Side::Upstream | Side::Call) | (":status", Side::Client) => {
            &key.text[1..]
        }
        _ => {
            let part = match side {
                Side::Upstream | Side::Call => Part::Request,
                Side::Client => Part::Response,
            };
            return headers::name(cx, &key.text, &key.span, part);
        }
    };
    let problem = cx.at(&key.span, format!("{} is not among the headers", quote(&key.text)));
    cx.push(problem.hint(format!("write `{pseudo}: …` beside `headers`")));
    false
}

fn values(cx: &mut Cx, node: &Node) -> Option<Vec<Match>> {
    let Value::List(items) = &node.value else {
        return matcher::matcher(cx, node, "a header").map(|found| vec![found]);
    };
    if items.is_empty() {
        cx.push(cx.at(&node.span, "an empty list of values").hint("`null` says that the header is absent"));
        return None;
    }
    let values: Vec<_> = items.iter().filter_map(|item| matcher::present(cx, item, "a value of a header")).collect();
    (values.len() == items.len()).then_some(values)
}

fn by_name(cx: &mut Cx, node: &Node, name: &str) -> Option<ByName> {
    let entries = cx.entries(node, name)?;
    let mut expected = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some(found) = matcher::matcher(cx, value, &quote(&key.text)) {
            expected.push((Spanned { value: key.text.clone(), span: key.span.clone() }, found));
        }
    }
    (expected.len() == entries.len()).then_some(expected)
}

fn actions(cx: &mut Cx, node: &Node) -> Option<Vec<ActionsExpect>> {
    let entries = cx.entries(node, "`actions`")?;
    let mut expected: Vec<ActionsExpect> = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let items = match &value.value {
            Value::List(items) => items.as_slice(),
            Value::Nothing | Value::Null | Value::Text(_) | Value::Map(_) => std::slice::from_ref(value),
        };
        let actions: Vec<u32> = items.iter().filter_map(|item| action(cx, item)).collect();
        let Some(callback) = callback(cx, &key.text, key, Wanted::Returning) else { continue };
        if let Some(first) = expected.iter().find(|other| other.callback == callback) {
            let problem = cx.at(&key.span, format!("`{}` is there twice", callback.subject()));
            cx.push(problem.label("again").also(first.span.clone(), "first"));
        } else if actions.len() == items.len() {
            expected.push(ActionsExpect { callback, span: key.span.clone(), actions });
        }
    }
    (expected.len() == entries.len()).then_some(expected)
}

fn action(cx: &mut Cx, node: &Node) -> Option<u32> {
    let text = cx.text(node, "an action")?;
    if let Some(action) = Action::from_name(text) {
        return Some(action.number());
    }
    // What `on_vm_start`, `on_configure` and `on_done` return is a truth value.
    let number = match text {
        "true" => Some(1),
        "false" => Some(0),
        _ => text.parse().ok(),
    };
    if number.is_none() {
        let names: Vec<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        let hint = match keys::similar(text, names.iter().copied()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => "an action is `continue`, `pause` or the number that the callback returned".to_string(),
        };
        cx.push(cx.at(&node.span, format!("unknown action {}", quote(text))).hint(hint));
    }
    number
}

/// Which callbacks may be named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Every one.
    Any,
    /// Those that return something.
    Returning,
}

/// A callback by name.
fn callback(cx: &mut Cx, name: &str, key: &Key, which: Wanted) -> Option<Callback> {
    let wanted = |callback: &Callback| which == Wanted::Any || callback.returns() != Returns::Nothing;
    let problem = match Callback::from_name(name) {
        Some(callback) if wanted(&callback) => return Some(callback),
        Some(_) => cx.at(&key.span, format!("{} returns nothing", quote(name))),
        None => cx.at(&key.span, format!("no callback is called {}", quote(name))),
    };
    let names = || ALL_CALLBACKS.iter().filter(|callback| wanted(callback)).map(|callback| callback.subject());
    let bare = name.strip_prefix("proxy_").unwrap_or(name);
    let hint = match keys::similar(bare.strip_prefix("on_").unwrap_or(bare), names()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("callbacks are {}", keys::list(&names().collect::<Vec<_>>())),
    };
    cx.push(problem.hint(hint));
    None
}

fn logs(cx: &mut Cx, node: &Node, name: &str) -> Option<Vec<LogExpect>> {
    let items = cx.items(node, name)?;
    let logs: Vec<_> = items.iter().filter_map(|item| log(cx, item)).collect();
    (logs.len() == items.len()).then_some(logs)
}

/// `warn: text`, or text or a matcher for any level.
fn log(cx: &mut Cx, node: &Node) -> Option<LogExpect> {
    let Some([(key, value)]) = node.as_map() else {
        return matcher::present(cx, node, "a log line").map(|message| LogExpect { level: None, message });
    };
    if let Some(level) = LogLevel::from_name(&key.text) {
        let message = matcher::present(cx, value, "a log line")?;
        return Some(LogExpect { level: Some(level), message });
    }
    if keys::MATCHERS.contains(&key.text.as_str()) {
        return matcher::present(cx, node, "a log line").map(|message| LogExpect { level: None, message });
    }
    let levels: Vec<&str> = LogLevel::ALL.iter().map(|level| level.name()).collect();
    let hint = match (
        key.text.as_str(),
        keys::similar(&key.text, levels.iter().copied().chain(keys::MATCHERS.iter().copied())),
    ) {
        ("warning", _) => "did you mean `warn`?".to_string(),
        ("fatal", _) => "did you mean `critical`?".to_string(),
        (_, Some(close)) => format!("did you mean `{close}`?"),
        (_, None) => {
            format!("levels are {}; text that holds a colon and a space needs quotes", keys::list(&levels))
        }
    };
    cx.push(cx.at(&key.span, format!("unknown level {}", quote(&key.text))).hint(hint));
    None
}

/// `None` inside is `trap: false`, which is what is expected anyway.
fn trap(cx: &mut Cx, node: &Node) -> Option<Option<TrapExpect>> {
    if node.as_map().is_none() {
        let any = TrapExpect { span: node.span.clone(), callback: None, message: None };
        return match node.as_text() {
            Some("true") => Some(Some(any)),
            Some("false") => Some(None),
            Some(_) | None => {
                cx.push(
                    cx.at(&node.span, "`trap` is a mapping or `true`")
                        .hint("`trap: { in: request_headers, message: { contains: … } }`"),
                );
                None
            }
        };
    }
    let fields = cx.fields(node, "`trap`", &TRAP)?;
    let callback = fields.get("in").map(|node| {
        let name = cx.text(node, "`in`")?;
        callback(cx, name, &Key { span: node.span.clone(), text: name.to_string() }, Wanted::Any)
    });
    let message = fields.get("message").map(|node| matcher::present(cx, node, "`message`"));
    Some(Some(TrapExpect { span: node.span.clone(), callback: wanted(callback)?, message: wanted(message)? }))
}

fn findings(cx: &mut Cx, node: &Node, name: &str) -> Option<Vec<Spanned<String>>> {
    let items = cx.items(node, name)?;
    let mut found = Vec::with_capacity(items.len());
    for item in items {
        found.extend(id(cx, item, "a finding", "content-length-stale"));
    }
    (found.len() == items.len()).then_some(found)
}

/// The id of a finding or of a crash.
fn id(cx: &mut Cx, node: &Node, what: &str, example: &str) -> Option<Spanned<String>> {
    let text = cx.text(node, what)?;
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !text.split('-').all(word) {
        let of = what.trim_matches('`');
        let problem = cx.at(&node.span, format!("{} is not the id of {of}", quote(text)));
        cx.push(problem.hint(format!("ids are written like `{example}`")));
        return None;
    }
    Some(Spanned { value: text.to_string(), span: node.span.clone() })
}
