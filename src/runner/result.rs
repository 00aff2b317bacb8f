//! What a run says about itself: events for reporters, results for exit codes.

use crate::diagnostic::Source;
use crate::expect::Failure;
use crate::host::portability::Difference;
use crate::snapshot::Outcome;
use crate::trace::Event;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// One case under one host.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The scenario.
    pub source: Arc<Source>,
    /// Where the case's name stands in it.
    pub span: Range<usize>,
    /// The case's name.
    pub name: String,
    /// The host, where the scenario runs under several.
    pub host: Option<String>,
    /// The profile that it ran with.
    pub profile: &'static str,
    /// How it ended.
    pub status: CaseStatus,
    /// How long it took.
    pub duration: Duration,
    /// Everything that did not hold.
    pub failures: Vec<Failure>,
    /// Why the host refused a plugin, one reason on each line, whether that was expected or not.
    pub refusal: Option<String>,
    /// What became of the snapshot.
    pub snapshot: SnapshotResult,
    /// The whole trace of the run that is reported (of the variant that failed, if one did).
    pub events: Arc<Vec<Event>>,
    /// What goes differently on other hosts than the one that ran.
    pub differences: Vec<Difference>,
    /// The plugins' names, by index.
    pub plugins: Vec<String>,
    /// The plugins' binaries, by index, for symbols.
    pub modules: Vec<Arc<Vec<u8>>>,
    /// Which way of cutting the body is reported, in words; empty where there is one.
    pub variant: String,
    /// What could not be judged, on a host that is looked at from outside.
    pub unseen: Vec<Unseen>,
    /// What a real host shows by chance: names of observables as `trace::views::outside_view` has them.
    pub chance: std::collections::BTreeSet<String>,
}

/// An expectation that nobody outside could judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// What was expected: `properties.a`, or `case` for all of it.
    pub what: String,
    /// Why it can't be seen.
    pub why: String,
    /// Where the scenario says so.
    pub span: Option<Range<usize>>,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaseStatus {
    /// Everything held.
    Passed,
    /// Something did not hold, or the snapshot differs.
    Failed,
    /// A plugin could not be started.
    NotStarted,
    /// Not run; the scenario's reason.
    Skipped(String),
    /// Nothing that is expected could be judged from outside.
    Unseen,
}

/// What became of a snapshot.
#[derive(Debug, Clone)]
pub enum SnapshotResult {
    /// The case has none.
    None,
    /// What came of the comparison.
    Compared(Outcome),
    /// It could not be read or written.
    Error(String),
}

/// The sums of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Cases that passed.
    pub passed: usize,
    /// Cases that failed.
    pub failed: usize,
    /// Cases whose plugin could not be started.
    pub not_started: usize,
    /// Cases that were not run.
    pub skipped: usize,
    /// Cases of which nothing could be judged.
    pub unseen: usize,
    /// Snapshots that wait for a review.
    pub pending: usize,
    /// The time from first to last.
    pub duration: Duration,
}

/// What happens in a run, in the order of the files, however many threads there are.
#[derive(Debug, Clone)]
pub enum RunEvent<'a> {
    /// The run begins.
    Started {
        /// Cases that will be reported.
        cases: usize,
        /// Scenario files.
        files: usize,
    },
    /// A case ended.
    Case(&'a CaseResult),
    /// A case is being run; comes at once, out of order, for progress bars.
    Progress {
        /// Cases done so far.
        done: usize,
    },
    /// Something about the run that the user should know.
    Warning(&'a str),
    /// The run is over.
    Finished(Summary),
}

/// Turns the events of a run into a report. One implementation is one file under `src/report`.
pub trait Reporter {
    /// Takes the next event.
    fn event(&mut self, event: &RunEvent<'_>) -> std::io::Result<()>;
}
