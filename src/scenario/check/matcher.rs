//! Matchers: what a value must be.

use super::context::Cx;
use super::keys::{MATCHER, MATCHERS};
use super::{body, plugin};
use crate::scenario::model::{Match, Matcher};
use crate::scenario::yaml::{Node, Value};
use bytes::Bytes;
use regex::Regex;
use std::path::PathBuf;

/// A plain value, `null`, or a mapping with one of the forms.
pub(super) fn matcher(cx: &mut Cx, node: &Node, name: &str) -> Option<Match> {
    let matcher = match &node.value {
        Value::Text(text) => Some(Matcher::Equal(Bytes::from(text.text.clone()))),
        Value::Null => Some(Matcher::Absent),
        Value::Map(_) => form(cx, node, name),
        Value::Nothing => {
            let problem = cx.at(&node.span, format!("{name}: nothing is expected here"));
            cx.push(problem.hint("`null` means absent, `\"\"` means empty"));
            None
        }
        Value::List(_) => {
            cx.expected(node, name, "a value or a matcher");
            None
        }
    };
    matcher.map(|matcher| Match { span: node.span.clone(), matcher })
}

/// A matcher where absent makes no sense.
pub(super) fn present(cx: &mut Cx, node: &Node, name: &str) -> Option<Match> {
    if matches!(node.value, Value::Null) {
        cx.push(cx.at(&node.span, format!("{name} can't be absent")).hint("write `\"null\"` if the word is meant"));
        return None;
    }
    matcher(cx, node, name)
}

fn form(cx: &mut Cx, node: &Node, name: &str) -> Option<Matcher> {
    let fields = cx.fields(node, name, &MATCHER)?;
    let forms = fields.present(MATCHERS);
    let [(key, inner)] = forms.as_slice() else {
        if forms.is_empty() {
            // Unknown keys have been reported with what there is instead.
            if node.as_map().is_some_and(<[_]>::is_empty) {
                cx.push(
                    cx.at(&node.span, format!("{name}: an empty matcher"))
                        .hint("`{ matches: .* }` is any value that is there"),
                );
            }
        } else {
            cx.only_one(&forms, "a matcher");
        }
        return None;
    };
    match key.text.as_str() {
        "contains" => match inner.as_map() {
            Some(_) => body::raw(cx, inner, "`contains`").map(Matcher::Contains),
            None => cx.text(inner, "`contains`").map(|text| Matcher::Contains(Bytes::from(text.to_string()))),
        },
        "matches" => regex(cx, inner).map(Matcher::Matches),
        "json" => json(cx, inner).map(Matcher::Json),
        "file" => body::file(cx, inner).map(|(path, content)| Matcher::File { path: PathBuf::from(path), content }),
        "hex" => body::hex(cx, inner).map(Matcher::Equal),
        _ => matcher(cx, inner, "`not`").map(|found| Matcher::Not(Box::new(found.matcher))),
    }
}

/// A regular expression.
pub(super) fn regex(cx: &mut Cx, node: &Node) -> Option<Regex> {
    let pattern = cx.text(node, "`matches`")?;
    cx.regex(node, pattern)
}

fn json(cx: &mut Cx, node: &Node) -> Option<serde_json::Value> {
    match &node.value {
        Value::Nothing => {
            cx.expected(node, "`json`", "a value");
            None
        }
        // Nobody expects a body that is a JSON string with JSON in it.
        Value::Text(text) if !text.plain && text.text.trim_start().starts_with(['{', '[']) => {
            let problem = cx.at(&node.span, "`json` takes a value, not text that holds JSON");
            cx.push(problem.hint("JSON is YAML: remove the quotes"));
            None
        }
        Value::Null | Value::Text(_) | Value::List(_) | Value::Map(_) => plugin::json(cx, node),
    }
}
