//! The table of what differs between hosts, per case and observable.
//!
//! A real host shows less than a profile, and its clock does not stand still. So a case that it could not play is not
//! compared with it, a call that nobody saw is no difference, and where timers run, only the lines of the log that both
//! have come to are.

use super::conformance::shown;
use super::{count, path};
use crate::abi::Callback;
use crate::runner::{CaseResult, CaseStatus};
use crate::scenario::HostKind;
use crate::trace::show::clipped;
use crate::trace::views::{NOT_SEEN, Observable, http_calls, outside_view};
use crate::trace::{Entry, Event};
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
    /// By host; `None` where it was not run.
    views: Vec<Option<View>>,
}

/// One case under one host.
#[derive(Debug, Clone)]
struct View {
    /// What there is to see, by name.
    seen: BTreeMap<String, Option<String>>,
    /// The names in the order in which they came.
    order: Vec<String>,
    /// Timers ran, so how many lines there are says how long it was watched.
    ticks: bool,
    /// Lines of the log.
    lines: usize,
    /// What can't be told: calls that the host made and nobody saw, and what a real host shows by chance.
    untold: BTreeSet<String>,
    /// What would wreck the real host happened: what comes out of it then is anybody's guess.
    crashed: bool,
    /// A queue's owner was told of a message, which happens between two things that wait for the network.
    told: bool,
}

impl View {
    fn of(result: &CaseResult) -> Self {
        let loads = if result.refusal.is_some() { "refused" } else { "loaded" };
        let mut all = vec![Observable { name: "plugin".to_owned(), value: Some(loads.to_owned()) }];
        all.extend(outside_view(&result.events));
        let entered = |callback: Callback| {
            let is = |event: &Event| matches!(event, Event::CallbackEntered(entered) if entered.callback == Entry::Callback(callback));
            result.events.iter().any(is)
        };
        let unseen = http_calls(&result.events).enumerate().filter(|(_, (_, call))| call.upstream == NOT_SEEN);
        Self {
            order: all.iter().map(|observable| observable.name.clone()).collect(),
            ticks: entered(Callback::OnTick),
            lines: all.iter().filter(|observable| line(&observable.name).is_some()).count(),
            untold: unseen.map(|(at, _)| format!("call {}", at + 1)).chain(result.chance.iter().cloned()).collect(),
            crashed: result.events.iter().any(|event| matches!(event, Event::HostCrash { .. })),
            told: entered(Callback::OnQueueReady),
            seen: all.into_iter().map(|observable| (observable.name, observable.value)).collect(),
        }
    }

    /// The lines of the log in an order that does not come from when they were written.
    fn sorted(mut self) -> Self {
        let names: Vec<String> = self.order.iter().filter(|name| line(name).is_some()).cloned().collect();
        let mut values: Vec<_> = names.iter().filter_map(|name| self.seen.get(name).cloned()).collect();
        values.sort();
        self.seen.extend(names.into_iter().zip(values));
        self
    }

    /// The value of an observable; the outer `None` where it can't be told.
    fn value(&self, name: &str) -> Option<Option<&str>> {
        if self.untold.contains(name) {
            return None;
        }
        Some(self.seen.get(name).and_then(Option::as_deref))
    }
}

/// The number of a line of the log.
fn line(name: &str) -> Option<usize> {
    name.strip_prefix("log ")?.parse().ok()
}

/// The comparison under construction.
#[derive(Debug)]
pub struct Comparison {
    hosts: Vec<String>,
    /// Cases with a gateway.
    gateways: usize,
    cases: Vec<Compared>,
    /// Where a case stands in `cases`, by label.
    places: BTreeMap<String, usize>,
}

impl Comparison {
    /// Nothing compared yet. So many of the cases will have a gateway.
    pub fn new(hosts: Vec<String>, gateways: usize) -> Self {
        Self { hosts, gateways, cases: Vec::new(), places: BTreeMap::new() }
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
        // What could not even be started says nothing.
        let view = (!result.events.is_empty() || result.refusal.is_some()).then(|| View::of(result));
        if let Some(cell) = self.cases.get_mut(at).and_then(|case| case.views.get_mut(column)) {
            *cell = view;
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

    /// Whether a profile and the real host that it imitates differ.
    fn disagrees(&self, case: &Compared) -> bool {
        let kinds: Vec<Option<HostKind>> = self.hosts.iter().map(|host| HostKind::of(host)).collect();
        rows(case).iter().any(|(_, cells)| {
            let known: Vec<_> =
                kinds.iter().zip(cells).filter_map(|(kind, cell)| Some((kind, cell.as_ref()?))).collect();
            known.iter().any(|(kind, cell)| known.iter().any(|(other, seen)| kind == other && cell != seen))
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
        if self.gateways > 0 {
            let gateways = count(self.gateways, "case has", "cases have");
            let _ = writeln!(text, "{gateways} a gateway, whose routes and nodes are APISIX's under every profile");
        }
        for (column, host) in self.hosts.iter().enumerate() {
            let missing = self.cases.iter().filter(|case| case.views.get(column).is_none_or(Option::is_none)).count();
            if missing > 0 {
                let _ = writeln!(text, "{} not run under {}", count(missing, "case", "cases"), shown(host));
            }
        }
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
                let cell = |cell: &Cell| match cell {
                    None => "?".to_owned(),
                    Some(None) => "-".to_owned(),
                    Some(Some(value)) => clipped(value, CELL),
                };
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

/// What a host showed; `None` where that can't be told, `Some(None)` where there was nothing.
type Cell = Option<Option<String>>;
/// The name of an observable, and what each host showed.
type Row = (String, Vec<Cell>);

/// What differs, in the order in which it is first seen.
fn rows(case: &Compared) -> Vec<Row> {
    let views = || case.views.iter().flatten();
    let (mut names, mut known) = (Vec::new(), BTreeSet::new());
    for name in views().flat_map(|view| &view.order) {
        if known.insert(name) {
            names.push(name);
        }
    }
    let watched = match views().any(|view| view.ticks) {
        true => views().map(|view| view.lines).min().unwrap_or_default(),
        false => usize::MAX,
    };
    let names = names.into_iter().filter(|name| line(name).is_none_or(|number| number <= watched));
    let crashed = views().any(|view| view.crashed);
    let names = names.filter(|name| !crashed || *name == "plugin");
    let told = views().all(|view| view.told);
    let sorted: Vec<Option<View>> = case.views.iter().map(|view| view.clone().map(View::sorted)).collect();
    let views_of = if told { &sorted } else { &case.views };
    let cell = |view: &Option<View>, name: &str| -> Cell {
        view.as_ref().and_then(|view| view.value(name)).map(|value| value.map(str::to_owned))
    };
    names
        .map(|name| (name.clone(), views_of.iter().map(|view| cell(view, name)).collect::<Vec<_>>()))
        .filter(|(_, cells)| {
            let mut known = cells.iter().flatten();
            known.next().is_some_and(|first| known.any(|other| other != first))
        })
        .collect()
}
