//! Foreign functions: the scenario's own, and the calls that the host makes of the plugin's.

use super::context::Cx;
use super::file::wanted;
use super::keys::{FOREIGN, FOREIGN_FORMS, ON_FOREIGN};
use super::{body, step};
use crate::abi::Status;
use crate::scenario::model::{Spanned, StepKind};
use crate::scenario::yaml::{Node, Value};
use bytes::Bytes;

/// Names, and what each gives or how it fails.
type Functions = Vec<(Spanned<String>, Result<Bytes, Status>)>;

/// `foreign`: what each function answers.
pub(super) fn functions(cx: &mut Cx, node: &Node) -> Option<Functions> {
    let entries = cx.entries(node, "`foreign`")?;
    let mut functions = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if let Some(answer) = answer(cx, value) {
            functions.push((Spanned { value: key.text.clone(), span: key.span.clone() }, answer));
        }
    }
    (functions.len() == entries.len()).then_some(functions)
}

fn answer(cx: &mut Cx, node: &Node) -> Option<Result<Bytes, Status>> {
    const NAME: &str = "the answer of a foreign function";
    match &node.value {
        Value::Text(text) => Some(Ok(Bytes::from(text.text.clone()))),
        Value::Map(_) => {
            let fields = cx.fields(node, NAME, &FOREIGN)?;
            match (body::form(cx, &fields, FOREIGN_FORMS, NAME)?, fields.get("status")) {
                ("status", Some(node)) => status(cx, node).map(Err),
                (form, _) => body::piece(cx, &fields, form).map(Ok),
            }
        }
        Value::Null | Value::Nothing | Value::List(_) => {
            let problem = cx.at(&node.span, format!("{NAME}: expected text or a mapping, found {}", node.kind()));
            cx.push(problem.hint("`\"\"` is an answer without bytes, `{ status: not_found }` a failure"));
            None
        }
    }
}

fn status(cx: &mut Cx, node: &Node) -> Option<Status> {
    if node.as_text() == Some(Status::Ok.name()) {
        let problem = cx.at(&node.span, "`status: ok` is no failure");
        cx.push(problem.hint("write what the function gives: `name: bytes`, or `name: \"\"`"));
        return None;
    }
    let failures = Status::ALL.iter().filter(|status| **status != Status::Ok);
    let failures: Vec<(&str, Status)> = failures.map(|status| (status.name(), *status)).collect();
    cx.one_of(node, "`status`", &failures)
}

/// `on_foreign_function`
pub(super) fn called(cx: &mut Cx, node: &Node) -> Option<StepKind> {
    const HINT: &str = "it is written `{ function_id: 7, arguments: bytes }`";
    let fields = cx.fields(node, "`on_foreign_function`", &ON_FOREIGN)?;
    let function_id = cx
        .required(&fields, "function_id", HINT)
        .and_then(|node| cx.number(node, "`function_id`", "a whole number of at most 32 bits"));
    let arguments = fields.get("arguments").map(|node| body::bytes(cx, node, "`arguments`"));
    let several = cx.plugins.as_ref().is_some_and(|plugins| plugins.len() > 1);
    let plugin = match fields.get("plugin") {
        Some(node) => step::which(cx, node),
        None if several => {
            let problem = cx.at(&node.span, "`on_foreign_function`: which plugin?");
            cx.push(problem.hint("with several plugins it has `plugin: name`"));
            None
        }
        None => Some(0),
    };
    let arguments = wanted(arguments)?.unwrap_or_default();
    Some(StepKind::ForeignFunction { plugin: plugin?, function_id: function_id?, arguments })
}
