//! `concurrent`: requests that are in flight together, each with its own origin, plans and expectations.

use super::context::Cx;
use super::keys::CONCURRENT_ITEM;
use super::step;
use crate::scenario::model::{Expect, Step};
use crate::scenario::yaml::Node;

const EXAMPLE: &str = "it is a list of requests: `- { request: GET http://app.test/, expect: { client_sees: … } }`";

/// The items, in the order in which they take turns.
pub(super) fn concurrent(cx: &mut Cx, node: &Node) -> Option<Vec<Step>> {
    let items = cx.items(node, "`concurrent`")?;
    if items.is_empty() {
        cx.push(cx.at(&node.span, "`concurrent` is an empty list").hint(EXAMPLE));
        return None;
    }
    let steps: Vec<Step> = items.iter().filter_map(|item| one(cx, item)).collect();
    (steps.len() == items.len()).then_some(steps)
}

fn one(cx: &mut Cx, node: &Node) -> Option<Step> {
    if node.as_text().is_some() {
        let problem = cx.at(&node.span, "an item of `concurrent` is a mapping");
        cx.push(problem.hint("write `- request: METHOD URL`"));
        return None;
    }
    let fields = cx.fields(node, "an item of `concurrent`", &CONCURRENT_ITEM)?;
    cx.required(&fields, "request", EXAMPLE)?;
    step::step(cx, &fields)
}

/// What stands beside `concurrent` is about all requests together, so it can't be about what an end saw of one.
pub(super) fn about_all(cx: &mut Cx, expect: &Expect) {
    for expect in expect.all() {
        for (name, seen) in [("upstream_sees", &expect.upstream_sees), ("client_sees", &expect.client_sees)] {
            if let Some(seen) = seen {
                let problem = cx.at(&seen.span, format!("`{name}` stands beside `concurrent`"));
                cx.push(problem.label("for which of the requests?").hint("put it into the `expect` of an item"));
            }
        }
    }
}
