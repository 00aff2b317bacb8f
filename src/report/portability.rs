//! What goes differently on other hosts: one line for each host at the end of a run, in full with `--verbose`.
//!
//! Nobody who writes for one host wants to read of all others after each run, and yet a plugin that is to move should
//! not have to be asked. So there is a line, and `pwtest findings ID` explains.

use super::count;
use super::paint::{Paint, wrapped};
use crate::host::portability::Difference;
use crate::host::profile;
use crate::runner::CaseResult;
use crate::trace::show::escaped;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Collects over a run which ids differ on which host.
#[derive(Default)]
pub(super) struct Portability {
    hosts: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

/// Those of one case, in full.
pub(super) fn of(case: &CaseResult, width: usize) -> String {
    let mut out = String::new();
    for difference in &case.differences {
        let text = format!("elsewhere {}: {}", difference.id(), escaped(&difference.message(case.profile)));
        out += &wrapped(&text, "    ", width);
    }
    out
}

impl Portability {
    /// Takes those of a case.
    pub fn add(&mut self, case: &CaseResult) {
        for Difference { kind, elsewhere, .. } in &case.differences {
            for other in elsewhere {
                self.hosts.entry(other.host).or_default().insert(kind.id);
            }
        }
    }

    /// A line for each host, in the order of the profiles; empty where nothing differs.
    pub fn render(&self, paint: Paint, width: usize) -> String {
        let mut out = String::new();
        for profile in profile::ALL {
            let Some(ids) = self.hosts.get(profile.name).filter(|ids| !ids.is_empty()) else { continue };
            let things = count(ids.len(), "thing goes", "things go");
            let shown: Vec<&str> = ids.iter().copied().take(MOST).collect();
            let more = match ids.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!("{things} differently on {}: {}{more}", profile.name, shown.join(", "));
            out += &wrapped(&text, "", width.clamp(40, 120));
        }
        if !out.is_empty() {
            let _ = writeln!(out, "{}\n", paint.dim("`pwtest findings ID` explains one, --verbose shows where"));
        }
        out
    }
}

/// A line is a hint, not a list.
const MOST: usize = 8;
