//! Where the snapshots of one scenario lie, and what a run does with them.
//!
//! They lie in the `snapshots` folder of the nearest folder above the scenario that has one (never
//! above the repository), else in one beside the scenario; below it, at the scenario's own path
//! without a leading `t/`, in a folder with the scenario's name. A store decides nothing about
//! traces or reports: it compares text with text, and says what it found and what it wrote.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::error::SnapshotError;
use super::file::{self, Metadata, Snapshot, normalise};
use super::name::{FileNames, slug};

/// What a run may do with files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A difference is written beside the snapshot, for `pwtest review`.
    Review,
    /// Nothing is written or removed.
    ReadOnly,
    /// What the run says becomes the snapshot.
    Accept,
}

impl Mode {
    /// The mode when nobody asked for one: a CI server only compares, because nobody would see
    /// what it writes. Takes the variable `CI`; empty, `0` and `false` mean it isn't one.
    pub fn for_ci(variable: Option<&OsStr>) -> Self {
        match variable.map(|value| value.to_string_lossy().to_ascii_lowercase()).as_deref() {
            None | Some("" | "0" | "false") => Mode::Review,
            Some(_) => Mode::ReadOnly,
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As accepted.
    Match,
    /// There is no snapshot yet.
    New {
        /// The file that waits for a review; none where nothing may be written.
        pending: Option<PathBuf>,
        /// What the run says.
        new: String,
    },
    /// The run says something else than the snapshot.
    Differs {
        /// The file that waits for a review; none where nothing may be written.
        pending: Option<PathBuf>,
        /// What was accepted.
        old: String,
        /// What the run says.
        new: String,
    },
    /// It was written as the new snapshot.
    Accepted {
        /// The snapshot.
        path: PathBuf,
        /// What it said before.
        old: Option<String>,
    },
}

impl Outcome {
    /// Whether the run goes on as passed.
    pub fn passed(&self) -> bool {
        match self {
            Outcome::Match | Outcome::Accepted { .. } => true,
            Outcome::New { .. } | Outcome::Differs { .. } => false,
        }
    }
}

/// The snapshots of one scenario. Cases may be checked from many threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
    source: String,
    names: FileNames,
}

impl Store {
    /// Finds the place for a scenario's snapshots. `cases` are the names of all its cases, also of
    /// those that won't run: names that would share a file are told apart by looking at them all.
    ///
    /// Looks at the file system, so that all stores of a run are best made before the first check:
    /// a check may create a `snapshots` folder, which a later store would take.
    pub fn for_scenario<'a>(scenario: &Path, cases: impl IntoIterator<Item = &'a str>) -> Self {
        let scenario = lexical(scenario);
        let beside = scenario.parent().unwrap_or(Path::new("/"));
        let anchor = anchor(beside).unwrap_or(beside);
        let inside = scenario.strip_prefix(anchor).unwrap_or(&scenario);
        let source: Vec<_> = inside.iter().map(OsStr::to_string_lossy).collect();
        Self {
            folder: anchor.join("snapshots").join(folder_name(inside.strip_prefix("t").unwrap_or(inside))),
            source: source.join("/"),
            names: FileNames::new(cases),
        }
    }

    /// The folder with this scenario's snapshots.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The snapshot of a case; `host` where the case runs under several.
    pub fn path(&self, case: &str, host: Option<&str>) -> PathBuf {
        let case = self.names.get(case);
        self.folder.join(match host {
            Some(host) => format!("{case}@{}.snap", slug(host)),
            None => format!("{case}.snap"),
        })
    }

    /// Compares what a run says with the snapshot, and writes what the mode allows.
    ///
    /// A snapshot that can't be read is an error and stays as it is, in every mode.
    pub fn check(&self, case: &str, host: Option<&str>, contents: &str, mode: Mode) -> Result<Outcome, SnapshotError> {
        let path = self.path(case, host);
        let old = file::read(&path)?.map(|old| normalise(&old.contents));
        let new = Snapshot { metadata: Metadata::new(&self.source, case), contents: normalise(contents) };
        if old.as_ref() == Some(&new.contents) {
            if mode != Mode::ReadOnly {
                file::remove(&pending_path(&path))?;
            }
            return Ok(Outcome::Match);
        }
        let pending = match mode {
            Mode::ReadOnly => None,
            Mode::Accept => {
                file::write(&path, &new)?;
                file::remove(&pending_path(&path))?;
                return Ok(Outcome::Accepted { path, old });
            }
            Mode::Review => {
                let pending = pending_path(&path);
                // The same difference again costs no write, so that a watcher of the folder rests.
                // What can't be read there is a leftover of ours, and is replaced.
                if !matches!(file::read(&pending), Ok(Some(there)) if there == new) {
                    file::write(&pending, &new)?;
                }
                Some(pending)
            }
        };
        Ok(match old {
            None => Outcome::New { pending, new: new.contents },
            Some(old) => Outcome::Differs { pending, old, new: new.contents },
        })
    }

    /// The accepted text, if there is one.
    pub fn read(&self, case: &str, host: Option<&str>) -> Result<Option<Snapshot>, SnapshotError> {
        file::read(&self.path(case, host))
    }

    /// Removes a case's snapshot and what waits beside it; says whether there was any.
    pub fn remove(&self, case: &str, host: Option<&str>) -> Result<bool, SnapshotError> {
        let path = self.path(case, host);
        let pending = file::remove(&pending_path(&path))?;
        Ok(file::remove(&path)? || pending)
    }
}

/// The file that waits for a review, beside the snapshot.
pub(super) fn pending_path(snapshot: &Path) -> PathBuf {
    let mut path = snapshot.as_os_str().to_owned();
    path.push(".new");
    path.into()
}

/// The folder that stands for a scenario. Only the usual endings are dropped: `a.yaml` and `a.json`
/// are two scenarios.
fn folder_name(scenario: &Path) -> PathBuf {
    match scenario.extension().and_then(OsStr::to_str) {
        Some("yaml" | "yml") => scenario.with_extension(""),
        _ => scenario.to_owned(),
    }
}

/// The nearest folder that has a folder `snapshots`.
fn anchor(beside: &Path) -> Option<&Path> {
    for folder in beside.ancestors() {
        if folder.join("snapshots").is_dir() {
            return Some(folder);
        }
        // A `snapshots` folder in somebody's home has nothing to do with this.
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// The absolute path without `.` and `..`. Links are kept, so that messages show the path which the
/// user knows.
pub(super) fn lexical(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
