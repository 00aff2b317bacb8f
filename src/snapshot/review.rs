//! What waits for a review, and the two decisions about it.
//!
//! Finds, compares, accepts and rejects; it neither asks nor prints. A decision is about what was
//! looked at: if a run has written something else in the meantime, accepting is refused.

use std::path::{Path, PathBuf};

use super::error::{FileAction, SnapshotError, shown};
use super::file::{self, Snapshot};
use super::walk::snapshot_files;

/// What a review would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The accepted snapshot, if there is one.
    pub old: Option<Snapshot>,
    /// What the last run said.
    pub new: Snapshot,
}

/// One snapshot that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// The snapshot's path without `.snap`, relative to the current folder where it lies below it,
    /// with `/` between the names.
    pub name: String,
    /// The `.snap.new` file.
    pub path: PathBuf,
    /// The `.snap` file.
    pub target: PathBuf,
    /// What it is about; an error where one of the files can't be read. Such a snapshot can be
    /// rejected and not accepted.
    pub change: Result<Change, SnapshotError>,
}

/// All that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// In the order of their paths.
    pub pending: Vec<Pending>,
    /// The folders that could not be looked into.
    pub unreadable: Vec<SnapshotError>,
}

/// Finds what waits below folders, scenario files or snapshot files. What insta left for a Rust test
/// is not ours to decide and is passed over.
pub fn find(paths: &[PathBuf]) -> Result<Found, SnapshotError> {
    let found = snapshot_files(paths)?;
    let pending = found.files.iter().filter_map(|path| Pending::load(path)).filter(|pending| !pending.is_of_rust());
    Ok(Found { pending: pending.collect(), unreadable: found.unreadable })
}

impl Pending {
    fn load(path: &Path) -> Option<Self> {
        if path.extension()? != "new" {
            return None; // an accepted one
        }
        let target = path.with_extension("");
        let change = match (file::read(path), file::read(&target)) {
            (Ok(None), _) => return None, // a run has passed in the meantime
            (Ok(Some(new)), Ok(old)) => Ok(Change { old, new }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        };
        Some(Self { name: name_of(&target), path: path.to_owned(), target, change })
    }

    fn is_of_rust(&self) -> bool {
        self.scenario().is_some_and(|source| source.ends_with(".rs"))
    }

    /// The scenario file, as the snapshot names it.
    pub fn scenario(&self) -> Option<&str> {
        self.change.as_ref().ok()?.new.metadata.source.as_deref()
    }

    /// The name of the case.
    pub fn case(&self) -> Option<&str> {
        self.change.as_ref().ok()?.new.metadata.expression.as_deref()
    }

    /// The host, where the case runs under several.
    pub fn host(&self) -> Option<&str> {
        let file = self.target.file_stem()?.to_str()?;
        file.rsplit_once('@').map(|(_, host)| host)
    }

    /// Makes it the snapshot, in one step; the file is renamed, so that its metadata stays.
    pub fn accept(&self) -> Result<(), SnapshotError> {
        let seen = self.change.as_ref().map_err(Clone::clone)?;
        match file::read(&self.path)? {
            Some(_) if file::read(&self.target)? != seen.old => {
                Err(self.overtaken("the snapshot beside it has changed since it was shown"))
            }
            Some(now) if now == seen.new => file::rename(&self.path, &self.target),
            Some(_) => Err(self.overtaken("a run has changed it since it was shown")),
            None => Err(self.overtaken("it is gone: a run has passed, or somebody has decided, since it was shown")),
        }
    }

    /// Removes it; the snapshot stays as it was.
    pub fn reject(&self) -> Result<(), SnapshotError> {
        file::remove(&self.path).map(drop)
    }

    fn overtaken(&self, why: &str) -> SnapshotError {
        SnapshotError::new(FileAction::Read, &self.path, why).hint("review it again")
    }
}

fn name_of(target: &Path) -> String {
    let path = shown(target).with_extension("");
    match path.is_absolute() {
        true => path.display().to_string(),
        false => path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"),
    }
}

/// A name that leads to no snapshot, or to several.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Nothing by that name waits.
    #[error("no snapshot named {name:?} waits for a review{}", did_you_mean(near.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name most like it.
        near: Option<String>,
    },
    /// Several do.
    #[error("{name:?} may be any of {}; give more of the path", all.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The names it fits.
        all: Vec<String>,
    },
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!(" (did you mean {near:?}?)")).unwrap_or_default()
}

impl Found {
    /// The snapshots by these names, each once, in order. A name is what [`Pending::name`] shows,
    /// the end of it from one of its `/` on, the path of either file, or the name of the case.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Pending>, SelectError> {
        let mut chosen = Vec::new();
        for name in names {
            chosen.push(self.position(name)?);
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen.into_iter().map(|at| &self.pending[at]).collect())
    }

    fn position(&self, name: &str) -> Result<usize, SelectError> {
        let path = super::store::lexical(Path::new(name));
        // From the strict to the lenient: what fits one rule exactly is not made ambiguous by the next.
        let rules: [&dyn Fn(&Pending) -> bool; 3] = [
            &|one| one.name == name || one.path == path || one.target == path,
            &|one| one.name.strip_suffix(name).is_some_and(|before| before.ends_with('/')),
            &|one| one.case() == Some(name),
        ];
        for rule in rules {
            let fits: Vec<usize> = (0..self.pending.len()).filter(|at| rule(&self.pending[*at])).collect();
            match fits.as_slice() {
                [] => {}
                [one] => return Ok(*one),
                several => {
                    let all = several.iter().map(|at| self.pending[*at].name.clone()).collect();
                    return Err(SelectError::Ambiguous { name: name.to_owned(), all });
                }
            }
        }
        Err(SelectError::Unknown { name: name.to_owned(), near: self.nearest(name) })
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let likeness = |one: &Pending| {
            let last = one.name.rsplit('/').next().unwrap_or(&one.name);
            [Some(one.name.as_str()), Some(last), one.case()]
                .into_iter()
                .flatten()
                .map(|known| if known.contains(name) { 1.0 } else { strsim::normalized_levenshtein(known, name) })
                .fold(0.0, f64::max)
        };
        let scored = self.pending.iter().map(|one| (likeness(one), &one.name));
        let best = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
        (best.0 >= 0.6).then(|| best.1.clone())
    }
}

#[cfg(test)]
mod tests;
