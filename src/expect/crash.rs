//! What would break the real host: expected by its id, and a failure where nobody expects it.

use super::judge::{listed, similar};
use super::{Failure, Judged};
use crate::scenario::Spanned;
use crate::trace::Event;
use crate::trace::show::clipped;

/// Whether the host broke as expected.
pub(super) fn judge(expected: &Spanned<String>, judged: &Judged<'_>) -> Option<Failure> {
    let crashes: Vec<(usize, &str)> = judged
        .in_range()
        .filter_map(|(at, event)| match event {
            Event::HostCrash { id, .. } => Some((at, *id)),
            _ => None,
        })
        .collect();
    let ids = || crashes.iter().map(|(_, id)| *id);
    if ids().any(|id| id == expected.value) {
        return None;
    }
    let wanted = clipped(&expected.value, 100);
    Some(Failure {
        subject: "crash".to_owned(),
        title: format!("the host did not break with `{wanted}`"),
        span: Some(expected.span.clone()),
        expected: Some(wanted),
        actual: Some(listed(ids(), "the host lives on")),
        hint: similar(&expected.value, ids()).map(|near| format!("did you mean `{near}`?")),
        event: crashes.last().map(|(at, _)| *at),
    })
}

/// The failure for a host that broke and was not meant to. `at` is its place in the trace.
pub fn unexpected_crash(id: &str, message: &str, at: usize) -> Failure {
    Failure {
        subject: "crash".to_owned(),
        title: format!("the worker would crash here: {}", clipped(message, 600)),
        span: None,
        expected: None,
        actual: None,
        hint: Some(format!("to test this, expect `crash: {id}`")),
        event: Some(at),
    }
}
