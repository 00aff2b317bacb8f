//! JUnit XML, as Jenkins and GitLab read it: one suite for each scenario file.

use super::backtrace::Backtraces;
use super::details::{Drawing, headline, render};
use super::paint::Paint;
use super::slice::logs;
use super::{name, path, unseen};
use crate::runner::{CaseResult, CaseStatus, Reporter, RunEvent};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};
use std::io::{self, Write};

/// More log lines of one case than this make CI servers give up.
const MOST_LOGS: usize = 1000;

/// Writes JUnit XML when the run is over.
///
/// No time of day and no id is in it: the same run gives the same file, but for durations.
pub struct Junit<W> {
    out: W,
    suites: Vec<TestSuite>,
    backtraces: Backtraces,
}

impl<W: Write> Junit<W> {
    /// A report to this writer.
    pub fn new(out: W) -> Self {
        Self { out, suites: Vec::new(), backtraces: Backtraces::default() }
    }

    /// The writer.
    pub fn out(&self) -> &W {
        &self.out
    }

    fn case(&mut self, case: &CaseResult) {
        let file = path(case);
        let at = match self.suites.iter().position(|suite| suite.name.as_str() == file) {
            Some(at) => at,
            None => {
                self.suites.push(TestSuite::new(legal(&file)));
                self.suites.len() - 1
            }
        };
        let status = match &case.status {
            CaseStatus::Passed => TestCaseStatus::success(),
            CaseStatus::Skipped(reason) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(legal(reason));
                status
            }
            CaseStatus::Unseen => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(legal(&format!("unseen: {}", unseen(case))));
                status
            }
            CaseStatus::Failed => self.failed(case, NonSuccessKind::Failure),
            CaseStatus::NotStarted => self.failed(case, NonSuccessKind::Error),
        };
        let mut test = TestCase::new(legal(&name(case)), status);
        test.set_classname(legal(&file)).set_time(case.duration);
        test.extra.insert(XmlString::new("file"), legal(&file));
        test.extra.insert(XmlString::new("line"), XmlString::new(case.source.position(case.span.start).0.to_string()));
        let logs = logs(case);
        if !logs.is_empty() {
            let skipped = logs.len().saturating_sub(MOST_LOGS);
            let note = if skipped > 0 { format!("… {skipped} before\n") } else { String::new() };
            let lines: String = logs.iter().skip(skipped).map(|line| line.trim_start()).collect();
            test.set_system_out(legal(&(note + &lines)));
        }
        let suite = &mut self.suites[at];
        let took = suite.time.unwrap_or_default() + case.duration;
        suite.set_time(took).add_test_case(test);
    }

    fn failed(&mut self, case: &CaseResult, kind: NonSuccessKind) -> TestCaseStatus {
        let drawing = Drawing { paint: Paint { color: false }, slices: true };
        let mut status = TestCaseStatus::non_success(kind);
        let subject = case.failures.first().map_or("snapshot", |failure| failure.subject.as_str());
        status.set_message(legal(&headline(case))).set_type(legal(subject));
        status.set_description(legal(&render(case, drawing, &mut self.backtraces)));
        status
    }
}

impl<W: Write> Reporter for Junit<W> {
    fn event(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        match event {
            RunEvent::Case(case) => self.case(case),
            RunEvent::Finished(summary) => {
                let mut report = Report::new("pwtest");
                report.set_time(summary.duration).add_test_suites(std::mem::take(&mut self.suites));
                report.serialize(&mut self.out).map_err(io::Error::other)?;
                self.out.flush()?;
            }
            RunEvent::Started { .. } | RunEvent::Progress { .. } | RunEvent::Warning(_) => {}
        }
        Ok(())
    }
}

/// Text without what XML can't hold. quick-junit removes control characters; two others are left to us.
fn legal(text: &str) -> XmlString {
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}
