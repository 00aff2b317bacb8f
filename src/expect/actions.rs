//! `actions`: what the calls of a callback returned, over the whole chain.

use super::{Failure, Judged};
use crate::scenario::ActionsExpect;
use crate::trace::show::action;
use crate::trace::{Entry, Event};

/// The list must be equal, call by call. A plain word is a list of one and not a pattern: a callback that is
/// called once more than somebody thought is news.
pub(super) fn judge(expected: &ActionsExpect, judged: &Judged<'_>) -> Option<Failure> {
    let entry = Entry::Callback(expected.callback);
    let mut calls = Vec::new();
    for (at, event) in judged.in_range() {
        match event {
            Event::CallbackLeft(left) if left.callback == entry => {
                calls.extend(left.result.map(|result| (at, left.plugin, result)));
            }
            _ => {}
        }
    }
    let results: Vec<u32> = calls.iter().map(|(_, _, result)| *result).collect();
    if results == expected.actions {
        return None;
    }
    let name = expected.callback.subject();
    let words = |actions: &[u32]| format!("[{}]", actions.iter().copied().map(action).collect::<Vec<_>>().join(", "));
    let hint = match (calls.len(), expected.actions.len()) {
        (0, _) => Some(
            match judged.in_range().any(|(_, event)| matches!(event, Event::Trap(trap) if trap.callback == entry)) {
                true => format!("{} trapped, so it returned nothing", expected.callback.short()),
                false => format!("{} was not called, or the plugin does not export it", expected.callback.short()),
            },
        ),
        (called, 1) if called > 1 => Some(format!(
            "{} was called {called} times: give a list with one action for each call",
            expected.callback.short()
        )),
        _ => None,
    };
    let first = results.iter().zip(&expected.actions).take_while(|(left, right)| left == right).count();
    Some(Failure {
        subject: format!("actions.{name}"),
        title: format!(
            "{} returned {}, expected {}",
            expected.callback.short(),
            words(&results),
            words(&expected.actions)
        ),
        span: Some(expected.span.clone()),
        expected: Some(words(&expected.actions)),
        actual: Some(match calls.is_empty() {
            true => "no calls".to_owned(),
            false => calls
                .iter()
                .map(|(_, plugin, result)| format!("{} ({})", action(*result), judged.name(*plugin)))
                .collect::<Vec<_>>()
                .join(", "),
        }),
        hint,
        event: calls.get(first).or(calls.last()).map(|(at, _, _)| *at),
    })
}
