//! The table of a conformance suite: for each topic and host, how many cases came out as the suite says.

use super::{count, label, path};
use crate::runner::{CaseResult, CaseStatus};
use crate::trace::show::clipped;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The sums of one topic under one host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    cases: usize,
    passed: usize,
    differing: usize,
    unseen: usize,
}

const COLUMNS: &[&str] = &["cases", "passed", "differing", "unseen"];

impl Sums {
    fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.passed += other.passed;
        self.differing += other.differing;
        self.unseen += other.unseen;
    }

    /// In the order of [`COLUMNS`].
    fn values(self) -> [usize; 4] {
        [self.cases, self.passed, self.differing, self.unseen]
    }
}

/// A case that did not come out as the suite says.
#[derive(Debug)]
struct Difference {
    host: String,
    topic: String,
    file: String,
    label: String,
    case: String,
    failures: Vec<String>,
}

/// The table under construction.
#[derive(Debug)]
pub struct Conformance {
    hosts: Vec<String>,
    topics: BTreeMap<String, Vec<Sums>>,
    differences: Vec<Difference>,
    /// By host: cases with a gateway that are not meant for it.
    left_out: Vec<usize>,
}

impl Conformance {
    /// A table with one group of columns for each host.
    pub fn new(hosts: Vec<String>) -> Self {
        let left_out = vec![0; hosts.len()];
        Self { hosts, topics: BTreeMap::new(), differences: Vec::new(), left_out }
    }

    /// Takes note of cases that the host in this column is not asked for: they have a gateway, which is APISIX's own, and
    /// don't name it. Zeroes in the table would not say why.
    pub fn leave_out(&mut self, column: usize, cases: usize) {
        if let Some(left_out) = self.left_out.get_mut(column) {
            *left_out = cases;
        }
    }

    /// Counts a case of the host in this column. Its topic is the folder that its file lies in.
    pub fn add(&mut self, column: usize, result: &CaseResult) {
        let folder = result.source.path.parent().and_then(|folder| folder.file_name());
        let topic = folder.map_or_else(|| "other".into(), |name| name.to_string_lossy().into_owned());
        let hosts = self.hosts.len();
        let row = self.topics.entry(topic.clone()).or_insert_with(|| vec![Sums::default(); hosts]);
        let Some(sums) = row.get_mut(column) else { return };
        match result.status {
            CaseStatus::Skipped(_) => return,
            CaseStatus::Passed => sums.passed += 1,
            CaseStatus::Unseen => sums.unseen += 1,
            CaseStatus::Failed | CaseStatus::NotStarted => {
                sums.differing += 1;
                let title = |failure: &crate::expect::Failure| clipped(&failure.title, 200);
                self.differences.push(Difference {
                    host: self.hosts.get(column).cloned().unwrap_or_default(),
                    topic,
                    file: path(result),
                    label: label(result),
                    case: clipped(&result.name, 200),
                    failures: result.failures.iter().map(title).collect(),
                });
            }
        }
        sums.cases += 1;
    }

    /// Cases run, over all hosts.
    pub fn cases(&self) -> usize {
        self.topics.values().flatten().map(|sums| sums.cases).sum()
    }

    /// Cases that differ, over all hosts.
    pub fn differing(&self) -> usize {
        self.differences.len()
    }

    fn total(&self, column: usize) -> Sums {
        let mut total = Sums::default();
        for sums in self.topics.values().filter_map(|row| row.get(column)) {
            total.add(*sums);
        }
        total
    }

    /// For people.
    pub fn text(&self) -> String {
        let names: Vec<String> = self.hosts.iter().map(|host| clipped(&shown(host), 60)).collect();
        let columns = COLUMNS.iter().map(|column| column.len() + 2).sum::<usize>();
        let first = self.topics.keys().map(|topic| topic.chars().count()).chain([5]).max().unwrap_or_default();
        let mut text = format!("{:first$}", "");
        for name in &names {
            let _ = write!(text, "   {name:<columns$}");
        }
        text = format!("{}\n{:first$}", text.trim_end(), "topic");
        for _ in &names {
            text.push_str("   ");
            for column in COLUMNS {
                let _ = write!(text, "{column:>width$}", width = column.len() + 2);
            }
        }
        text.push('\n');
        let totals: Vec<Sums> = (0..self.hosts.len()).map(|column| self.total(column)).collect();
        let rows = self.topics.iter().map(|(topic, row)| (topic.as_str(), row));
        for (topic, row) in rows.chain([("sum", &totals)]) {
            let _ = write!(text, "{topic:first$}");
            for (sums, name) in row.iter().zip(&names) {
                text.push_str("   ");
                for (column, value) in COLUMNS.iter().zip(sums.values()) {
                    let _ = write!(text, "{value:>width$}", width = column.len() + 2);
                }
                // A long name of a host widens its columns.
                let wider = name.chars().count().saturating_sub(columns);
                let _ = write!(text, "{:wider$}", "");
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
        }
        for (name, cases) in names.iter().zip(&self.left_out).filter(|(_, cases)| **cases > 0) {
            let cases = count(*cases, "case", "cases");
            let _ = writeln!(text, "not run under {name}: {cases} with a gateway, which is APISIX's own");
        }
        if !self.differences.is_empty() {
            text.push('\n');
        }
        for difference in &self.differences {
            let _ = writeln!(text, "{}: {}", shown(&difference.host), difference.label);
            for failure in &difference.failures {
                let _ = writeln!(text, "    {failure}");
            }
        }
        text
    }

    /// For machines.
    pub fn json(&self) -> String {
        let row = |row: &[Sums]| {
            let cell = |sums: &Sums| {
                let values = COLUMNS.iter().zip(sums.values());
                Value::Object(values.map(|(name, value)| ((*name).to_owned(), json!(value))).collect())
            };
            let cells = self.hosts.iter().zip(row).map(|(host, sums)| (host.clone(), cell(sums)));
            Value::Object(cells.collect::<Map<String, Value>>())
        };
        let totals: Vec<Sums> = (0..self.hosts.len()).map(|column| self.total(column)).collect();
        let topics: Vec<Value> =
            self.topics.iter().map(|(topic, sums)| json!({ "topic": topic, "hosts": row(sums) })).collect();
        let differing: Vec<Value> = self
            .differences
            .iter()
            .map(
                |d| json!({ "host": d.host, "topic": d.topic, "file": d.file, "case": d.case, "failures": d.failures }),
            )
            .collect();
        let left_out = self.hosts.iter().cloned().zip(self.left_out.iter().map(|cases| json!(cases)));
        let left_out = Value::Object(left_out.collect());
        let all = json!({
            "hosts": self.hosts, "topics": topics, "sum": row(&totals), "differing": differing,
            "gateway_cases_not_run": left_out,
        });
        format!("{all:#}\n")
    }
}

/// A host as people tell it from others: where a real one lies says nothing.
pub(super) fn shown(host: &str) -> String {
    match host.split_once('@') {
        Some((name, _)) => format!("{name}@…"),
        None => host.to_owned(),
    }
}
