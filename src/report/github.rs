//! Annotations for GitHub Actions: each failure at its line of the scenario, each finding once.
//!
//! The runner of GitHub reads such lines from the standard output of a step. GitHub shows ten errors and ten
//! warnings of a step, so findings are grouped and everything else is left to the log.

use super::details::headline;
use super::findings::{self};
use super::{count, name};
use crate::expect::Failure;
use crate::runner::{CaseResult, CaseStatus, Reporter, RunEvent};
use crate::snapshot::shown;
use crate::trace::show::escaped;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};

/// A finding that waits for the end of the run, to be shown once.
struct Warning {
    id: &'static str,
    place: String,
    message: String,
    cases: usize,
}

/// Writes annotations.
pub struct GitHub<W> {
    out: W,
    warnings: Vec<Warning>,
}

impl<W: Write> GitHub<W> {
    /// A report to this writer; for GitHub to see it, the standard output.
    pub fn new(out: W) -> Self {
        Self { out, warnings: Vec::new() }
    }

    /// The writer.
    pub fn out(&self) -> &W {
        &self.out
    }

    fn case(&mut self, case: &CaseResult) -> io::Result<()> {
        let mut counted = BTreeSet::new();
        for finding in findings::of(case).filter(|finding| counted.insert(finding.id)) {
            match self.warnings.iter_mut().find(|warning| warning.id == finding.id) {
                Some(warning) => warning.cases += 1,
                None => {
                    let place = place(case, case.span.start, finding.id);
                    self.warnings.push(Warning { id: finding.id, place, message: finding.message.clone(), cases: 1 });
                }
            }
        }
        match case.status {
            CaseStatus::Passed | CaseStatus::Skipped(_) | CaseStatus::Unseen => return Ok(()),
            CaseStatus::Failed | CaseStatus::NotStarted => {}
        }
        for failure in &case.failures {
            let start = failure.span.as_ref().unwrap_or(&case.span).start;
            writeln!(self.out, "::error {}::{}", place(case, start, &name(case)), data(&message(failure)))?;
        }
        if case.failures.is_empty() {
            let mut message = headline(case);
            let _ = write!(message, "\nrun `pwtest review` to see what changed");
            writeln!(self.out, "::error {}::{}", place(case, case.span.start, &name(case)), data(&message))?;
        }
        self.out.flush()
    }

    fn finished(&mut self) -> io::Result<()> {
        for Warning { place, message, cases, .. } in std::mem::take(&mut self.warnings) {
            let message = format!("{message} (in {})", count(cases, "case", "cases"));
            writeln!(self.out, "::warning {place}::{}", data(&message))?;
        }
        self.out.flush()
    }
}

impl<W: Write> Reporter for GitHub<W> {
    fn event(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        match event {
            RunEvent::Case(case) => self.case(case),
            RunEvent::Finished(_) => self.finished(),
            RunEvent::Warning(text) => {
                writeln!(self.out, "::warning ::{}", data(text))
            }
            RunEvent::Started { .. } | RunEvent::Progress { .. } => Ok(()),
        }
    }
}

/// What is wrong, and what to do about it.
fn message(failure: &Failure) -> String {
    let mut message = failure.title.clone();
    for (name, text) in [("expected", &failure.expected), ("actual", &failure.actual)] {
        if let Some(text) = text.as_deref().filter(|text| !failure.title.contains(text)) {
            let _ = write!(message, "\n{name}: {}", text.trim_end_matches('\n'));
        }
    }
    if let Some(hint) = &failure.hint {
        let _ = write!(message, "\nhelp: {hint}");
    }
    message
}

/// The properties of an annotation.
fn place(case: &CaseResult, offset: usize, title: &str) -> String {
    let file = shown(&case.source.path).display().to_string();
    let (line, column) = case.source.position(offset);
    format!("file={},line={line},col={column},title={}", property(&file), property(title))
}

/// The text of an annotation. GitHub cuts what is longer; a megabyte of body helps nobody.
fn data(text: &str) -> String {
    const LONGEST: usize = 4000;
    let lines: Vec<String> = text.lines().map(escaped).collect();
    let mut text: String = lines.join("\n");
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
