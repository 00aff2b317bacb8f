//! The table of what differs between hosts, per case and observable.

use super::conformance::shown;
use super::{count, path};
use crate::runner::{CaseResult, CaseStatus};
use crate::scenario::HostKind;
use crate::trace::show::clipped;
use crate::trace::views::{Observable, outside_view};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Rows of one case; a plugin that logs without end would fill pages.
const MOST_ROWS: usize = 20;
/// How wide a cell may be.
const CELL: usize = 60;

/// One case under all hosts.
#[derive(Debug)]
struct Compared {
    label: String,
    /// By host; `None` where it was skipped.
    views: Vec<Option<Vec<Observable>>>,
}

/// The comparison under construction.
#[derive(Debug)]
pub struct Comparison {
    hosts: Vec<String>,
    cases: Vec<Compared>,
    /// Where a case stands in `cases`, by label.
    places: BTreeMap<String, usize>,
}

impl Comparison {
    /// Nothing compared yet.
    pub fn new(hosts: Vec<String>) -> Self {
        Self { hosts, cases: Vec::new(), places: BTreeMap::new() }
    }

    /// Takes what a case looked like under the host in this column.
    pub fn add(&mut self, column: usize, result: &CaseResult) {
        if matches!(result.status, CaseStatus::Skipped(_)) {
            return;
        }
        let label = format!("{}: {}", path(result), clipped(&result.name, 200));
        let at = *self.places.entry(label.clone()).or_insert_with(|| {
            self.cases.push(Compared { label, views: vec![None; self.hosts.len()] });
            self.cases.len() - 1
        });
        let mut view = outside_view(&result.events);
        let loads = if result.refusal.is_some() { "refused" } else { "loaded" };
        view.insert(0, Observable { name: "plugin".to_owned(), value: Some(loads.to_owned()) });
        if let Some(cell) = self.cases.get_mut(at).and_then(|case| case.views.get_mut(column)) {
            *cell = Some(view);
        }
    }

    /// Cases that were run.
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Cases in which a profile and the real host that it imitates differ.
    pub fn disagreements(&self) -> usize {
        self.cases.iter().filter(|case| self.disagrees(case)).count()
    }

    fn disagrees(&self, case: &Compared) -> bool {
        let of =
            |host: &String, view: &Option<Vec<Observable>>| Some((HostKind::of(host)?, host.clone(), view.clone()?));
        let views: Vec<_> = self.hosts.iter().zip(&case.views).filter_map(|(host, view)| of(host, view)).collect();
        views.iter().any(|(kind, host, view)| {
            let other = |(other, name, seen): &(HostKind, String, Vec<Observable>)| {
                other == kind && name != host && seen != view
            };
            views.iter().any(other)
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut differing = 0;
        for case in &self.cases {
            let rows = rows(case);
            if rows.is_empty() {
                continue;
            }
            differing += 1;
            let mark = if self.disagrees(case) { " (profile and real host disagree)" } else { "" };
            let _ = writeln!(text, "{}{mark}", case.label);
            self.table(&mut text, &rows);
            text.push('\n');
        }
        let cases = count(self.cases.len(), "case", "cases");
        let hosts = count(self.hosts.len(), "host", "hosts");
        let _ = writeln!(text, "{cases} under {hosts}: {} alike, {differing} differ", self.cases.len() - differing);
        if self.hosts.iter().any(|host| host.contains('@')) {
            let disagreements = count(self.disagreements(), "case", "cases");
            let _ = writeln!(text, "a profile and its real host disagree in {disagreements}");
        }
        text
    }

    fn table(&self, text: &mut String, rows: &[Row]) {
        let shown_rows: Vec<Vec<String>> = rows
            .iter()
            .take(MOST_ROWS)
            .map(|(name, values)| {
                let cell = |value: &Option<String>| value.as_ref().map_or_else(|| "-".to_owned(), |v| clipped(v, CELL));
                std::iter::once(clipped(name, CELL)).chain(values.iter().map(cell)).collect()
            })
            .collect();
        let head: Vec<String> =
            std::iter::once(String::new()).chain(self.hosts.iter().map(|host| clipped(&shown(host), CELL))).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&shown_rows).collect();
        let width = |column: usize| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for line in lines {
            let mut drawn = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(drawn, "  {cell:<width$}");
            }
            let _ = writeln!(text, "{}", drawn.trim_end());
        }
        if let Some(more @ 1..) = rows.len().checked_sub(MOST_ROWS) {
            let _ = writeln!(text, "  … and {more} more");
        }
    }
}

/// The name of an observable, and its value under each host.
type Row = (String, Vec<Option<String>>);

/// What differs, in the order in which it is first seen.
fn rows(case: &Compared) -> Vec<Row> {
    let (mut names, mut known) = (Vec::new(), BTreeSet::new());
    for observable in case.views.iter().flatten().flatten() {
        if known.insert(observable.name.as_str()) {
            names.push(observable.name.as_str());
        }
    }
    let by_name = |view: &'_ Option<Vec<Observable>>| -> BTreeMap<String, Option<String>> {
        view.iter().flatten().map(|observable| (observable.name.clone(), observable.value.clone())).collect()
    };
    let views: Vec<_> = case.views.iter().map(by_name).collect();
    let values = |name: &str| views.iter().map(|view| view.get(name).cloned().flatten()).collect::<Vec<_>>();
    let rows = names.into_iter().map(|name| (name.to_owned(), values(name)));
    rows.filter(|(_, values)| values.iter().any(|value| Some(value) != values.first())).collect()
}
