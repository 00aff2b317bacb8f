//! The report for people: a line for each case as it ends, and at the end everything about those that failed.

use super::backtrace::Backtraces;
use super::details::{self, Drawing, accept, review_name};
use super::findings::{self, Findings};
use super::paint::{Paint, wrapped};
use super::portability::{self, Portability};
use super::slice::{logs, whole};
use super::{count, duration, label, unseen};
use crate::runner::{CaseResult, CaseStatus, Reporter, RunEvent, SnapshotResult, Summary};
use crate::snapshot::Outcome;
use crate::trace::show::{clipped, escaped};
use std::io::{self, Write};

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Failures and the summary.
    Quiet,
    /// A line for each case, too, and the findings.
    Normal,
    /// The logs and findings of each case, too.
    Verbose,
}

/// How the report looks.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether to colour.
    pub color: bool,
    /// How much is shown.
    pub verbosity: Verbosity,
    /// Whether the decoded trace of each case is shown.
    pub trace: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// Writes the report for people.
pub struct Terminal<W> {
    out: W,
    options: Options,
    paint: Paint,
    /// The blocks of the cases that failed, drawn at once so that their traces need not be kept.
    failed: String,
    /// New snapshots: the line that says where, and the command that accepts it.
    new: Vec<(String, Option<String>)>,
    findings: Findings,
    portability: Portability,
    backtraces: Backtraces,
}

impl<W: Write> Terminal<W> {
    /// A report to this writer.
    pub fn new(out: W, options: Options) -> Self {
        let paint = Paint { color: options.color };
        let (failed, new) = (String::new(), Vec::new());
        Self {
            out,
            options,
            paint,
            failed,
            new,
            findings: Findings::default(),
            portability: Portability::default(),
            backtraces: Backtraces::default(),
        }
    }

    /// The writer.
    pub fn out(&self) -> &W {
        &self.out
    }

    fn case(&mut self, case: &CaseResult) -> io::Result<()> {
        let failed = match case.status {
            CaseStatus::Failed | CaseStatus::NotStarted => true,
            CaseStatus::Passed | CaseStatus::Skipped(_) | CaseStatus::Unseen => false,
        };
        if failed || self.options.trace || self.options.verbosity > Verbosity::Quiet {
            self.out.write_all(self.line(case).as_bytes())?;
        }
        if self.options.trace {
            // One by one: a trace may be as long as a case is allowed to make it.
            for line in whole(case) {
                self.out.write_all(line.as_bytes())?;
            }
        }
        if self.options.verbosity == Verbosity::Verbose {
            self.out.write_all(logs(case).concat().as_bytes())?;
            for finding in findings::of(case) {
                let text = format!("{}: {}", finding.id, escaped(&finding.message));
                self.out.write_all(
                    wrapped(&format!("finding {text}"), "    ", self.options.width.clamp(40, 120)).as_bytes(),
                )?;
            }
            self.out.write_all(portability::of(case, self.options.width.clamp(40, 120)).as_bytes())?;
        }
        self.findings.add(case);
        self.portability.add(case);
        // A case that fails in words has to be mended first; its behaviour is not offered.
        if let (SnapshotResult::Compared(Outcome::New { pending, .. }), true) =
            (&case.snapshot, case.failures.is_empty())
        {
            self.new.push(match pending {
                Some(pending) => (format!("  {}.snap.new\n", review_name(pending)), Some(accept(pending))),
                None => (format!("  {}: not written, because CI is set\n", label(case)), None),
            });
        }
        if failed {
            let word = if case.status == CaseStatus::NotStarted { "ERROR" } else { "FAIL" };
            self.failed += &self.paint.rule(word, &label(case), self.options.width);
            let drawing = Drawing { paint: self.paint, slices: !self.options.trace };
            self.failed += &details::render(case, drawing, &mut self.backtraces);
            self.failed.push('\n');
        }
        self.out.flush()
    }

    /// `PASS [   3ms] path: name`. The word says it, the colour repeats it.
    fn line(&self, case: &CaseResult) -> String {
        let note = |text: &str| self.paint.dim(format_args!(" ({text})"));
        let snapshot = match &case.snapshot {
            SnapshotResult::Compared(Outcome::New { pending: Some(_), .. }) => note("new snapshot"),
            SnapshotResult::Compared(Outcome::New { pending: None, .. }) if case.failures.is_empty() => {
                note("no snapshot yet")
            }
            SnapshotResult::Compared(Outcome::Differs { .. }) => note("snapshot differs"),
            SnapshotResult::Compared(Outcome::Accepted { .. }) => note("snapshot accepted"),
            SnapshotResult::None
            | SnapshotResult::Compared(Outcome::Match)
            | SnapshotResult::Compared(Outcome::New { .. })
            | SnapshotResult::Error(_) => String::new(),
        };
        let took = format!("[{:>6}]", duration(case.duration));
        let (word, took, note) = match &case.status {
            CaseStatus::Passed if !case.unseen.is_empty() => {
                (self.paint.green("PASS"), took, note(&format!("unseen: {}", unseen(case))))
            }
            CaseStatus::Passed => (self.paint.green("PASS"), took, snapshot),
            CaseStatus::Failed => (self.paint.red("FAIL"), took, snapshot),
            CaseStatus::NotStarted => (self.paint.red("ERROR"), format!("[{:>5}]", duration(case.duration)), snapshot),
            CaseStatus::Unseen => {
                (self.paint.yellow("UNSEEN"), format!("[{:>4}]", duration(case.duration)), note(&unseen(case)))
            }
            CaseStatus::Skipped(reason) => {
                (self.paint.yellow("SKIP"), "[      ]".to_owned(), note(&clipped(reason, 200)))
            }
        };
        format!("{word} {took} {}{note}\n", label(case))
    }

    fn finished(&mut self, summary: &Summary) -> io::Result<()> {
        let mut out = String::new();
        if !self.failed.is_empty() {
            out.push('\n');
            out += &self.failed;
        }
        if !self.new.is_empty() {
            out += &self.new_snapshots();
        }
        if self.options.verbosity > Verbosity::Quiet {
            out += &self.findings.render(self.paint, self.options.width);
            out += &self.portability.render(self.paint, self.options.width);
        }
        out += &self.summary(summary);
        self.out.write_all(out.as_bytes())?;
        self.out.flush()
    }

    fn new_snapshots(&self) -> String {
        let mut out = self.paint.rule("new snapshots", "", self.options.width);
        let mut commands = self.new.iter().filter_map(|(_, command)| command.as_deref());
        out.extend(self.new.iter().map(|(line, _)| line.as_str()));
        if let Some(first) = commands.next() {
            let command = if commands.next().is_none() { first } else { "pwtest review accept --all" };
            out += &format!("look at them with `pwtest review`, or accept them as they are: {command}\n");
        }
        out + "\n"
    }

    fn summary(&self, summary: &Summary) -> String {
        let Summary { passed, failed, not_started, skipped, unseen, pending, duration: took } = *summary;
        let paint = self.paint;
        let mut parts = vec![paint.green(format_args!("{passed} passed"))];
        if failed > 0 {
            parts.push(paint.red(format_args!("{failed} failed")));
        }
        if not_started > 0 {
            parts.push(paint.red(format_args!("{not_started} could not be started")));
        }
        if skipped > 0 {
            parts.push(paint.yellow(format_args!("{skipped} skipped")));
        }
        if unseen > 0 {
            parts.push(paint.yellow(format_args!("{unseen} unseen")));
        }
        let waiting = match pending {
            0 => String::new(),
            pending => format!("; {} to review (pwtest review)", count(pending, "snapshot", "snapshots")),
        };
        let run = count(passed + failed + not_started + unseen, "case", "cases");
        format!("{} [{:>6}] {run}: {}{waiting}\n", paint.bold("Summary"), duration(took), parts.join(", "))
    }
}

impl<W: Write> Reporter for Terminal<W> {
    fn event(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        match event {
            RunEvent::Started { cases, files } if self.options.verbosity > Verbosity::Quiet => {
                let (cases, files) = (count(*cases, "case", "cases"), count(*files, "file", "files"));
                writeln!(self.out, "{}", self.paint.dim(format_args!("running {cases} of {files}")))
            }
            RunEvent::Case(case) => self.case(case),
            RunEvent::Finished(summary) => self.finished(summary),
            RunEvent::Warning(text) => {
                writeln!(self.out, "{} {}", self.paint.yellow("warning:"), escaped(text))
            }
            RunEvent::Started { .. } | RunEvent::Progress { .. } => Ok(()),
        }
    }
}
