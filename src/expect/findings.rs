//! Findings: those about the plugin, which stand in the trace, and those about other hosts, which follow from it.

use super::judge::{listed, similar};
use super::{Failure, Judged};
use crate::host::portability::{self, KINDS};
use crate::scenario::{Expect, Spanned};
use crate::trace::Event;
use crate::trace::show::clipped;

/// What the whole run has found up to here counts: the host keeps a finding once, where it came up first, and a
/// later step that would give it again must not fail for that.
pub(super) fn judge(expect: &Expect, judged: &Judged<'_>) -> Vec<Failure> {
    if expect.findings.is_empty() && expect.no_findings.is_empty() {
        return Vec::new();
    }
    let own = judged.until_end().iter().filter_map(|event| match event {
        Event::Finding(finding) => Some(finding.id),
        _ => None,
    });
    let own: Vec<&str> = own.collect();
    let elsewhere = portability::differences(judged.until_end(), judged.profile);
    let present: Vec<&str> = own.iter().copied().chain(elsewhere.iter().map(|d| d.id())).collect();
    let missing = expect.findings.iter().filter(|id| !present.contains(&id.value.as_str())).map(|id| {
        let near = similar(&id.value, KINDS.iter().map(|kind| kind.id).chain(own.iter().copied()));
        let near = near.filter(|near| *near != id.value);
        Failure {
            subject: "findings".to_owned(),
            title: format!("there is no finding `{}`", clipped(&id.value, 100)),
            span: Some(id.span.clone()),
            expected: Some(clipped(&id.value, 100)),
            actual: Some(listed(present.iter().copied(), "no findings")),
            hint: near.map(|near| format!("did you mean `{near}`?")),
            event: None,
        }
    });
    missing.chain(expect.no_findings.iter().filter_map(|id| unwanted(id, &present))).collect()
}

/// A finding that must not be there. An id that does not exist would never fail, and so is a mistake.
fn unwanted(id: &Spanned<String>, present: &[&str]) -> Option<Failure> {
    let is_there = present.contains(&id.value.as_str());
    let shown = clipped(&id.value, 100);
    let (title, hint) = match (is_there, portability::kind(&id.value)) {
        (true, kind) => (format!("there is the finding `{shown}`"), kind.map(|kind| kind.advice.to_owned())),
        (false, Some(_)) => return None,
        (false, None) => {
            let near = similar(&id.value, KINDS.iter().map(|kind| kind.id));
            let hint = near.map_or("`pwtest findings` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
            (format!("no finding is called `{shown}`"), Some(hint))
        }
    };
    Some(Failure {
        subject: "no_findings".to_owned(),
        title,
        span: Some(id.span.clone()),
        expected: None,
        actual: None,
        hint,
        event: None,
    })
}
