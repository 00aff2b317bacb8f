//! `cases`: names, tables, tags, and the steps in them.

use super::context::{Cx, quote};
use super::file::{hosts, wanted};
use super::keys::{CASE, PLANNED, STEP_KINDS};
use super::read::Fields;
use super::{expect, rows, step};
use crate::diagnostic::Span;
use crate::scenario::model::{Body, CalloutReply, Case, Cut, SnapshotMode, Step, Upstream};
use crate::scenario::yaml::{Node, Value};
use std::collections::HashMap;

const SNAPSHOTS: &[(&str, SnapshotMode)] =
    &[("true", SnapshotMode::Behaviour), ("hostcalls", SnapshotMode::Hostcalls), ("false", SnapshotMode::Off)];

/// All cases, tables expanded, names unique.
pub(super) fn cases(cx: &mut Cx, node: &Node) -> Option<Vec<Case>> {
    let items = cx.items(node, "`cases`")?;
    if items.is_empty() {
        cx.push(
            cx.at(&node.span, "`cases` is an empty list")
                .hint("add a case: `- { name: hello, request: GET http://app.test/ }`"),
        );
        return None;
    }
    let mut cases = Vec::with_capacity(items.len());
    let mut names: HashMap<String, Span> = HashMap::with_capacity(items.len());
    let mut complete = true;
    for item in items {
        if item.as_map().is_none() {
            cx.expected(item, "a case", "a mapping");
            continue;
        }
        for row in rows::expand(cx, item) {
            let Some(case) = case(cx, &row.node, row.suffix, &mut names) else {
                complete = false;
                continue;
            };
            cases.push(case);
        }
    }
    complete.then_some(cases)
}

fn case(cx: &mut Cx, node: &Node, suffix: Option<usize>, names: &mut HashMap<String, Span>) -> Option<Case> {
    let fields = cx.fields(node, "a case", &CASE)?;
    let name = name(cx, &fields, suffix, names);
    let skip = fields.get("skip").map(|node| skip(cx, node));
    let only = fields.get("only").map(|node| cx.flag(node, "`only`"));
    let hosts = fields.get("host").map(|node| hosts(cx, node));
    let tags = match fields.get("tags") {
        Some(node) => tags(cx, node),
        None => Some(Vec::new()),
    };
    let snapshot = fields.get("snapshot").map(|node| cx.one_of(node, "`snapshot`", SNAPSHOTS));
    let (steps, expect) = match fields.entry("steps") {
        Some((key, steps_node)) => {
            for (other, _) in fields.present(&[STEP_KINDS, PLANNED].concat()) {
                let problem = cx.at(&other.span, format!("`{}` stands beside `steps`", other.text));
                cx.push(problem.label("belongs into one of the steps").also(key.span.clone(), "the steps"));
            }
            let expect = fields.get("expect").map(|node| expect::expect(cx, node));
            (steps(cx, steps_node), wanted(expect))
        }
        None => {
            if fields.present(STEP_KINDS).is_empty() && !fields.misspelt(STEP_KINDS) {
                let hint = "add a step: `request: GET http://app.test/`, or several under `steps`";
                cx.push(cx.at(&node.span, "this case does nothing").hint(hint));
            }
            // A case of one step has its expectations in the step.
            (step::step(cx, &fields).map(|step| vec![step]), Some(None))
        }
    };
    let steps = steps?;
    one_cut_every(cx, &steps);
    let (name, span) = name?;
    Some(Case {
        name,
        span,
        skip: wanted(skip)?,
        only: wanted(only)?.unwrap_or(false),
        hosts: wanted(hosts)?.unwrap_or_default(),
        tags: tags?,
        snapshot: wanted(snapshot)?.unwrap_or(SnapshotMode::Behaviour),
        steps,
        expect: expect?,
    })
}

fn name(
    cx: &mut Cx,
    fields: &Fields,
    suffix: Option<usize>,
    names: &mut HashMap<String, Span>,
) -> Option<(String, Span)> {
    let node = cx.required(fields, "name", "every case has a name of its own; it names the snapshot too")?;
    let mut name = cx.word(node, "the name of a case")?.trim().to_string();
    if let Some(row) = suffix {
        name = format!("{name} [{row}]");
    }
    if let Some(first) = names.get(&name) {
        let problem = cx.at(&node.span, format!("two cases are called {}", quote(&name)));
        let problem = match *first == node.span {
            true => problem.hint("two rows of `with` give the same name; insert another column"),
            false => problem.label("again").also(first.clone(), "first"),
        };
        cx.push(problem);
        return None;
    }
    names.insert(name.clone(), node.span.clone());
    Some((name, node.span.clone()))
}

fn skip(cx: &mut Cx, node: &Node) -> Option<String> {
    let reason = node.as_text().map(str::trim).unwrap_or_default();
    if reason.is_empty() || reason == "true" || reason == "false" {
        cx.push(
            cx.at(&node.span, "`skip` takes a reason")
                .hint("say why: `skip: needs Envoy 1.41`; remove it to run the case"),
        );
        return None;
    }
    Some(reason.to_string())
}

fn tags(cx: &mut Cx, node: &Node) -> Option<Vec<String>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Nothing | Value::Null | Value::Text(_) | Value::Map(_) => std::slice::from_ref(node),
    };
    let tags: Vec<_> = items.iter().filter_map(|item| cx.word(item, "a tag").map(str::to_string)).collect();
    (tags.len() == items.len()).then_some(tags)
}

fn steps(cx: &mut Cx, node: &Node) -> Option<Vec<Step>> {
    let items = cx.items(node, "`steps`")?;
    if items.is_empty() {
        cx.push(cx.at(&node.span, "`steps` is an empty list"));
        return None;
    }
    let steps: Vec<_> = items.iter().filter_map(|item| step::of_list(cx, item)).collect();
    (steps.len() == items.len()).then_some(steps)
}

/// One `cut: every` in a case: with two, every way of one would have to be run with every way of the other.
fn one_cut_every(cx: &mut Cx, steps: &[Step]) {
    let mut first: Option<Span> = None;
    for body in steps.iter().flat_map(bodies).filter(|body| body.cut == Some(Cut::Every)) {
        match &first {
            None => first = Some(body.span.clone()),
            Some(first) => {
                let problem = cx.at(&body.span, "two bodies of one case have `cut: every`");
                cx.push(problem.label("again").also(first.clone(), "first").hint("make it two cases"));
            }
        }
    }
}

/// Every body that a step plans.
fn bodies(step: &Step) -> Vec<&Body> {
    let mut bodies = Vec::new();
    for request in step.requests() {
        bodies.extend(&request.body);
        match &request.upstream {
            Upstream::Reply(reply) => bodies.extend(&reply.body),
            Upstream::Never(_) | Upstream::Fail(_) => {}
        }
    }
    for callout in step.parts().flat_map(|part| &part.callouts) {
        match &callout.reply {
            CalloutReply::Reply(reply, _) => bodies.extend(&reply.body),
            CalloutReply::Grpc(_) | CalloutReply::Fail(_) => {}
        }
    }
    bodies
}
