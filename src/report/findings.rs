//! The findings of a run: one explanation for each id, however many cases had it.

use super::paint::{Paint, wrapped};
use super::{count, label};
use crate::runner::CaseResult;
use crate::trace::show::escaped;
use crate::trace::{Event, Finding};
use std::collections::BTreeSet;
use std::fmt::Write as _;

struct Group {
    id: &'static str,
    /// The first explanation.
    message: String,
    /// Others differ from it in detail.
    varies: bool,
    /// Cases that had it.
    cases: usize,
    /// The first of them.
    first: String,
}

/// Collects findings, in the order in which their ids come up.
#[derive(Default)]
pub(super) struct Findings {
    groups: Vec<Group>,
}

/// The findings of one case.
pub(super) fn of(case: &CaseResult) -> impl Iterator<Item = &Finding> {
    case.events.iter().filter_map(|event| match event {
        Event::Finding(finding) => Some(finding),
        _ => None,
    })
}

impl Findings {
    /// Takes those of a case.
    pub fn add(&mut self, case: &CaseResult) {
        let mut counted = BTreeSet::new();
        for finding in of(case) {
            let new = counted.insert(finding.id);
            match self.groups.iter_mut().find(|group| group.id == finding.id) {
                Some(group) => {
                    group.cases += usize::from(new);
                    group.varies |= group.message != finding.message;
                }
                None => self.groups.push(Group {
                    id: finding.id,
                    message: finding.message.clone(),
                    varies: false,
                    cases: 1,
                    first: label(case),
                }),
            }
        }
    }

    /// The section; empty where there are none.
    pub fn render(&self, paint: Paint, width: usize) -> String {
        if self.groups.is_empty() {
            return String::new();
        }
        let mut out = paint.rule("findings", "", width);
        for group in &self.groups {
            let _ = writeln!(out, "{} in {}", paint.yellow(group.id), count(group.cases, "case", "cases"));
            out += &wrapped(&escaped(&group.message), "  ", width.clamp(40, 120));
            let varies = if group.varies { "; others differ in detail, --verbose shows each" } else { "" };
            let _ = writeln!(out, "{}", paint.dim(format_args!("  first in {}{varies}", group.first)));
        }
        out + "\n"
    }
}
