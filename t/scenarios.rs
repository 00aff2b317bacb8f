//! Every scenario file below `t` is a test: all its cases have to pass, and their snapshots have to be the
//! accepted ones, which stand under the same path in `snapshots`.

use crate::support::root;
use libtest_mimic::Trial;
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::report::coverage::{Coverage, HostCoverage};
use pwtest::report::{Options, Terminal, Verbosity};
use pwtest::runner::{self, CaseResult, Plugins, Reporter, RunEvent, RunOptions, SnapshotResult};
use pwtest::scenario;
use pwtest::snapshot::Outcome;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// One trial for each file.
pub fn trials() -> Vec<Trial> {
    let base = root().join("t");
    let name = |file: &Path| file.strip_prefix(&base).unwrap_or(file).with_extension("").display().to_string();
    let trial = |(file, ran): (&'static PathBuf, &'static Ran)| {
        Trial::test(name(file), move || Ok(ran.get_or_init(|| run(file)).clone()?)).with_kind("scenario")
    };
    runs().iter().map(trial).collect()
}

/// What all files together reached. Each runs once, for its own trial or for this.
pub fn coverage() -> Vec<HostCoverage> {
    for (file, ran) in runs() {
        // Files that fail say so themselves.
        let _ = ran.get_or_init(|| run(file));
    }
    COVERAGE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner).hosts()
}

/// What the runs so far reached.
static COVERAGE: OnceLock<Mutex<Coverage>> = OnceLock::new();

/// All files.
pub fn files() -> impl Iterator<Item = &'static PathBuf> {
    runs().keys()
}

/// How the run of a file went.
type Ran = OnceLock<Result<(), String>>;

fn runs() -> &'static BTreeMap<PathBuf, Ran> {
    static RUNS: OnceLock<BTreeMap<PathBuf, Ran>> = OnceLock::new();
    RUNS.get_or_init(|| {
        let mut files = Vec::new();
        find(&root().join("t"), &mut files);
        files.into_iter().map(|file| (file, Ran::new())).collect()
    })
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            // The fuzz targets keep seeds of their own, good and bad.
            if !path.ends_with("fuzz") {
                find(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

/// Modules are compiled once for all trials.
pub fn plugins() -> &'static Plugins {
    static PLUGINS: OnceLock<Plugins> = OnceLock::new();
    PLUGINS.get_or_init(|| Plugins::new(engine(&ModuleCache::User).expect("an engine")))
}

fn run(file: &Path) -> Result<(), String> {
    let scenario = scenario::load(file).map_err(|problems| pwtest::diagnostic::render_all(&problems, false))?;
    let options = RunOptions::default();
    let mut page = Vec::new();
    let terminal = Options { color: false, verbosity: Verbosity::Quiet, trace: false, width: 120 };
    let mut terminal = Terminal::new(&mut page, terminal);
    let mut without_snapshot = Vec::new();
    let mut good = true;
    let mut on_event = |event: &RunEvent<'_>| {
        terminal.event(event).expect("a vector takes everything");
        let mut coverage = COVERAGE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        coverage.event(event).expect("nothing is written");
        if let RunEvent::Case(CaseResult { name, snapshot: SnapshotResult::Compared(Outcome::New { .. }), .. }) = event
        {
            without_snapshot.push(name.clone());
        }
    };
    let summary = runner::run(std::slice::from_ref(&scenario), plugins(), &options, &mut on_event)
        .map_err(|error| error.to_string())?;
    good &= summary.failed == 0 && summary.not_started == 0 && summary.passed > 0;
    drop(terminal);
    if !good {
        return Err(String::from_utf8_lossy(&page).into_owned());
    }
    if !without_snapshot.is_empty() {
        return Err(format!("no accepted snapshot: {}", without_snapshot.join(", ")));
    }
    Ok(())
}
