//! The top level of a scenario file.

use super::context::{Cx, quote};
use super::keys::{self, FILE, LIMITS, ON_TRAP, REDACT};
use super::read::Fields;
use super::{case, foreign, gateway, matcher, plugin};
use crate::scenario::model::{
    Limits, OnTrap, PropertyValue, Protocol, Redaction, Scenario, Spanned, TrapRequest, TrapVm,
};
use crate::scenario::yaml::{Node, Value};
use bytes::Bytes;

/// 2026-01-01T00:00:00Z
const DEFAULT_CLOCK_NS: u64 = 1_767_225_600_000_000_000;
const DEFAULT_HOST: &str = "envoy";
/// What the host is by default where there is a gateway: its model is APISIX's.
const GATEWAY_HOST: &str = "apisix";
const HOSTS: &[&str] = &["envoy", "apisix", "spec"];
const PROTOCOLS: &[(&str, Protocol)] = &[("http/1.1", Protocol::Http1), ("h2", Protocol::H2)];

/// Checks a whole file.
pub(super) fn scenario(cx: &mut Cx, root: &Node) -> Option<Scenario> {
    if is_gateway(root) {
        let file = cx.source().path.clone();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let problem = cx.at(&(root.span.start..root.span.start), "this is a gateway document, and not a scenario");
        cx.push(problem.hint(format!(
            "`pwtest serve {}` serves it; a scenario tests it with `gateway: {name}` and `cases`",
            file.display()
        )));
        return None;
    }
    let fields = cx.fields(root, "a scenario file", &FILE)?;
    let present = fields.present(&["plugin", "plugins", "gateway"]);
    cx.only_one(&present, "a scenario");
    cx.gateway = fields.get("gateway").is_some();
    let gateway = fields.get("gateway").map(|node| gateway::document(cx, node));
    let plugins = match present.as_slice() {
        [(key, _), ..] if key.text == "gateway" => plugin::none(cx, &fields),
        _ => plugin::plugins(cx, &fields),
    };
    cx.plugins = plugins.as_ref().map(|plugins| plugins.iter().map(|plugin| plugin.name.clone()).collect());
    let hosts = match fields.get("host") {
        Some(node) => hosts(cx, node),
        None => {
            let value = if cx.gateway { GATEWAY_HOST } else { DEFAULT_HOST };
            Some(vec![Spanned { value: value.to_string(), span: 0..0 }])
        }
    };
    let protocol = match fields.get("protocol") {
        Some(node) => protocol(cx, node),
        None => Some(Protocol::Http1),
    };
    cx.http1 = protocol != Some(Protocol::H2);
    let properties = match fields.get("properties") {
        Some(node) => properties(cx, node),
        None => Some(Vec::new()),
    };
    let foreign = match fields.get("foreign") {
        Some(node) => foreign::functions(cx, node),
        None => Some(Vec::new()),
    };
    let clock_ns = match fields.get("clock") {
        Some(node) => clock(cx, node),
        None => Some(DEFAULT_CLOCK_NS),
    };
    let seed = match fields.get("seed") {
        Some(node) => cx.number(node, "`seed`", "a whole number of at most 64 bits"),
        None => Some(0),
    };
    let limits = match fields.get("limits") {
        Some(node) => limits(cx, node),
        None => Some(Limits::default()),
    };
    let on_trap = match fields.get("on_trap") {
        Some(node) => on_trap(cx, node),
        None => Some(OnTrap::default()),
    };
    let redact = match fields.get("redact") {
        Some(node) => redactions(cx, node),
        None => Some(Vec::new()),
    };
    let cases = cx
        .required(
            &fields,
            "cases",
            "a case has at least a name and a step: `- { name: hello, request: GET http://app.test/ }`",
        )
        .and_then(|node| case::cases(cx, node));
    Some(Scenario {
        source: cx.source().clone(),
        plugins: plugins?,
        gateway: wanted(gateway)?,
        hosts: hosts?,
        protocol: protocol?,
        properties: properties?,
        foreign: foreign?,
        clock_ns: clock_ns?,
        seed: seed?,
        limits: limits?,
        on_trap: on_trap?,
        redact: redact?,
        cases: cases?,
    })
}

/// Whether the keys are those of a gateway document, and none of a scenario's is there.
fn is_gateway(root: &Node) -> bool {
    const KEYS: [&str; 6] = ["wasm", "wasm.plugins", "routes", "global_rules", "upstreams", "deployment"];
    let keys = || root.as_map().into_iter().flatten().map(|(key, _)| key.text.as_str());
    keys().any(|key| KEYS.contains(&key)) && !keys().any(|key| FILE.has(key))
}

/// The hosts of a file or of a case.
pub(super) fn hosts(cx: &mut Cx, node: &Node) -> Option<Vec<Spanned<String>>> {
    let items = match &node.value {
        Value::List(items) if items.is_empty() => {
            cx.push(cx.at(&node.span, "`host` is an empty list").hint("remove it for the default, `envoy`"));
            return None;
        }
        Value::List(items) => items.as_slice(),
        Value::Nothing | Value::Null | Value::Text(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    let mut hosts: Vec<Spanned<String>> = Vec::new();
    for item in items {
        let Some(name) = cx.text(item, "`host`") else { continue };
        // Which binary an `envoy@/path` names, and whether it can be used, is the runner's business.
        let known = HOSTS.contains(&name) || name.strip_prefix("envoy@").is_some_and(|path| !path.is_empty());
        if !known {
            let hint = match keys::similar(name, HOSTS.iter().copied()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known hosts: {}, or `envoy@/path/to/envoy`", keys::list(HOSTS)),
            };
            cx.push(cx.at(&item.span, format!("unknown host {}", quote(name))).hint(hint));
        } else if let Some(first) = hosts.iter().find(|host| host.value == name) {
            let problem = cx.at(&item.span, format!("host {} is given twice", quote(name)));
            cx.push(problem.label("again").also(first.span.clone(), "first"));
        }
        hosts.push(Spanned { value: name.to_string(), span: item.span.clone() });
    }
    (hosts.len() == items.len()).then_some(hosts)
}

fn protocol(cx: &mut Cx, node: &Node) -> Option<Protocol> {
    let other_name = match node.as_text().map(str::to_lowercase).as_deref() {
        Some("http/2" | "http2" | "2" | "2.0" | "http/2.0") => Some("h2"),
        Some("http1" | "http/1" | "1.1" | "http1.1" | "http" | "http/1.0") => Some("http/1.1"),
        _ => None,
    };
    if let Some(name) = other_name {
        cx.push(cx.at(&node.span, "`protocol` is `http/1.1` or `h2`").hint(format!("did you mean `{name}`?")));
        return None;
    }
    cx.one_of(node, "`protocol`", PROTOCOLS)
}

fn properties(cx: &mut Cx, node: &Node) -> Option<Vec<(Spanned<String>, PropertyValue)>> {
    let entries = cx.entries(node, "`properties`")?;
    let mut properties = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if key.text.split('.').any(str::is_empty) {
            let problem = cx.at(&key.span, format!("{} is not the path of a property", quote(&key.text)));
            cx.push(problem.hint("a path is written with dots: `source.address`"));
        }
        let Some(value) = property(cx, value) else { continue };
        properties.push((Spanned { value: key.text.clone(), span: key.span.clone() }, value));
    }
    (properties.len() == entries.len()).then_some(properties)
}

fn property(cx: &mut Cx, node: &Node) -> Option<PropertyValue> {
    match &node.value {
        Value::Nothing => {
            cx.push(cx.at(&node.span, "a property without a value").hint("`null` hides it, `\"\"` is empty text"));
            None
        }
        Value::Null => Some(PropertyValue::Absent),
        Value::Text(text) if !text.plain => Some(PropertyValue::Bytes(Bytes::from(text.text.clone()))),
        Value::Text(text) => Some(match text.text.as_str() {
            "true" => PropertyValue::Bool(true),
            "false" => PropertyValue::Bool(false),
            // `007` stays text: only what a number would be written as is one.
            other => match other.parse::<i64>() {
                Ok(number) if number.to_string() == other => PropertyValue::Int(number),
                _ => PropertyValue::Bytes(Bytes::from(other.to_string())),
            },
        }),
        Value::List(items) => {
            let values: Vec<_> = items.iter().filter_map(|item| property(cx, item)).collect();
            (values.len() == items.len()).then_some(PropertyValue::List(values))
        }
        Value::Map(entries) if matches!(entries.as_slice(), [(key, _)] if key.text == "hex") => {
            super::body::raw(cx, node, "a property").map(PropertyValue::Bytes)
        }
        Value::Map(entries) => {
            let values: Vec<_> =
                entries.iter().filter_map(|(key, value)| Some((key.text.clone(), property(cx, value)?))).collect();
            (values.len() == entries.len()).then_some(PropertyValue::Map(values))
        }
    }
}

fn clock(cx: &mut Cx, node: &Node) -> Option<u64> {
    let text = cx.text(node, "`clock`")?;
    let wrong = match text.parse::<jiff::Timestamp>() {
        Ok(time) => match u64::try_from(time.as_nanosecond()) {
            Ok(nanoseconds) => return Some(nanoseconds),
            Err(_) => "it must lie between 1970 and 2554",
        },
        Err(_) => "a time is written `2026-01-01T00:00:00Z`",
    };
    cx.push(cx.at(&node.span, format!("`clock`: {} is not a point in time", quote(text))).hint(wrong));
    None
}

fn limits(cx: &mut Cx, node: &Node) -> Option<Limits> {
    let fields = cx.fields(node, "`limits`", &LIMITS)?;
    let fuel = fields.get("fuel").map(|node| cx.count(node, "`fuel`"));
    let memory = fields.get("memory").map(|node| cx.byte_count(node, "`memory`"));
    let buffer = fields.get("buffer").map(|node| cx.byte_count(node, "`buffer`"));
    Some(Limits { fuel: wanted(fuel)?, memory: wanted(memory)?, buffer: wanted(buffer)? })
}

fn on_trap(cx: &mut Cx, node: &Node) -> Option<OnTrap> {
    let fields = cx.fields(node, "`on_trap`", &ON_TRAP)?;
    let requests = &[("fail_closed", TrapRequest::FailClosed), ("fail_open", TrapRequest::FailOpen)];
    let request = fields.get("request").map(|node| cx.one_of(node, "`request`", requests));
    let vms = &[("rebuild", TrapVm::Rebuild), ("keep", TrapVm::Keep)];
    let vm = fields.get("vm").map(|node| cx.one_of(node, "`vm`", vms));
    Some(OnTrap { request: wanted(request)?, vm: wanted(vm)? })
}

fn redactions(cx: &mut Cx, node: &Node) -> Option<Vec<Redaction>> {
    let items = cx.items(node, "`redact`")?;
    let redactions: Vec<_> = items.iter().filter_map(|item| redaction(cx, item)).collect();
    (redactions.len() == items.len()).then_some(redactions)
}

fn redaction(cx: &mut Cx, node: &Node) -> Option<Redaction> {
    const HINT: &str = "an entry is written `{ matches: '[0-9a-f]{32}', as: <id> }`";
    let fields: Fields = cx.fields(node, "an entry of `redact`", &REDACT)?;
    let matches = cx.required(&fields, "matches", HINT).and_then(|node| matcher::regex(cx, node));
    let replacement = cx.required(&fields, "as", HINT).and_then(|node| cx.text(node, "`as`"));
    Some(Redaction { matches: matches?, replacement: replacement?.to_string() })
}

/// Where a key is missing nothing is wanted; where it is wrong the whole is `None`.
pub(super) fn wanted<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(Some(value)) => Some(Some(value)),
        Some(None) => None,
    }
}
