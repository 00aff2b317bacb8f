//! Headers and trailers to be sent.

use super::context::{Cx, quote};
use super::read::Fields;
use crate::diagnostic::Span;
use crate::scenario::yaml::{Key, Node, Value};
use bytes::Bytes;

/// The part of a message that headers stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Request,
    Response,
    Trailers,
}

type Pairs = Vec<(Bytes, Bytes)>;

/// The headers under a key; none where it is missing.
pub(super) fn of(cx: &mut Cx, fields: &Fields, key: &str, part: Part) -> Option<Pairs> {
    let Some(node) = fields.get(key) else { return Some(Vec::new()) };
    of_node(cx, node, key, part)
}

/// The headers of a mapping or list.
pub(super) fn of_node(cx: &mut Cx, node: &Node, key: &str, part: Part) -> Option<Pairs> {
    let mut pairs = Vec::new();
    let fine = match &node.value {
        Value::Map(entries) => mapping(cx, entries, part, &mut pairs),
        Value::List(items) => items.iter().filter(|item| !pair(cx, item, part, &mut pairs)).count() == 0,
        Value::Nothing | Value::Null | Value::Text(_) => {
            cx.expected(node, &format!("`{key}`"), "a mapping");
            false
        }
    };
    fine.then_some(pairs)
}

fn mapping(cx: &mut Cx, entries: &[(Key, Node)], part: Part, pairs: &mut Pairs) -> bool {
    let mut fine = no_repeats(cx, entries);
    for (key, node) in entries {
        fine &= name(cx, &key.text, &key.span, part);
        let values = match &node.value {
            Value::List(items) => items.as_slice(),
            Value::Nothing | Value::Null | Value::Text(_) | Value::Map(_) => std::slice::from_ref(node),
        };
        for value_node in values {
            match value(cx, value_node) {
                Some(value) => pairs.push((Bytes::from(key.text.clone()), value)),
                None => fine = false,
            }
        }
    }
    fine
}

/// Names that differ in case only are one header, and a mapping has each once.
pub(super) fn no_repeats(cx: &mut Cx, entries: &[(Key, Node)]) -> bool {
    let mut seen = std::collections::HashMap::with_capacity(entries.len());
    let mut fine = true;
    for (key, _) in entries {
        if let Some(first) = seen.insert(key.text.to_ascii_lowercase(), key.span.clone()) {
            let problem = cx.at(&key.span, format!("header {} is there twice", quote(&key.text)));
            let hint = "a repeated header has a list as value; or write a list of `[name, value]` pairs";
            cx.push(problem.label("names don't differ by case").also(first, "first").hint(hint));
            fine = false;
        }
    }
    fine
}

fn pair(cx: &mut Cx, node: &Node, part: Part, pairs: &mut Pairs) -> bool {
    let Value::List(items) = &node.value else {
        cx.push(
            cx.at(&node.span, format!("expected a pair, found {}", node.kind()))
                .hint("a pair is written `[name, value]`"),
        );
        return false;
    };
    let [name_node, value_node] = items.as_slice() else {
        let problem = cx.at(&node.span, format!("expected a pair, found a list of {}", items.len()));
        cx.push(problem.hint("a pair is written `[name, value]`"));
        return false;
    };
    let value = value(cx, value_node);
    let Some(text) = cx.text(name_node, "the name of a header") else { return false };
    let fine = name(cx, text, &name_node.span, part);
    match value {
        Some(value) => pairs.push((Bytes::from(text.to_string()), value)),
        None => return false,
    }
    fine
}

/// Whether a header may be called this.
pub(super) fn name(cx: &mut Cx, text: &str, span: &Span, part: Part) -> bool {
    if is_token(text.as_bytes()) {
        return true;
    }
    let problem = cx.at(span, format!("{} is not the name of a header", quote(text)));
    let hint = match (text.strip_prefix(':'), part) {
        (Some(_), Part::Request) => "method, scheme, authority and path come from `send`",
        (Some(_), Part::Response) => "the status is given by `status`",
        (Some(_), Part::Trailers) => "trailers have no pseudo headers",
        (None, _) => "a name has letters, digits and -!#$%&'*+.^_`|~",
    };
    cx.push(problem.hint(hint));
    false
}

/// Text, or `{hex}` for what text can't hold.
fn value(cx: &mut Cx, node: &Node) -> Option<Bytes> {
    if node.as_map().is_some() {
        return super::body::raw(cx, node, "the value of a header");
    }
    let text = cx.text(node, "the value of a header")?;
    if let Some(bad) = text.chars().find(|c| matches!(c, '\r' | '\n' | '\0')) {
        let title = format!("the value of a header can't hold {}", bad.escape_debug());
        cx.push(
            cx.at(&node.span, title)
                .hint("a text after `|` ends with a line break: use `|-`; raw bytes are `{ hex: 0d0a }`"),
        );
        return None;
    }
    Some(Bytes::from(text.to_string()))
}

/// RFC 9110, section 5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}
