//! Snapshot files that no case uses any more.
//!
//! Works from the files: each folder of snapshots leads back to the scenario it must belong to. What
//! pwtest did not write (insta's snapshots of somebody's Rust tests lie in folders of the same name)
//! is never listed, because what is listed may be deleted. Nor is anything of a scenario that can't
//! be read: that it is broken today says nothing about its snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::SnapshotError;
use super::file;
use super::store::{Store, pending_path};
use super::walk::snapshot_files;

/// A case that has a snapshot, and the hosts it runs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCase {
    /// The name of the case, values of its table inserted.
    pub name: String,
    /// The hosts; with fewer than two the file's name has no host.
    pub hosts: Vec<String>,
}

impl SnapshotCase {
    /// The files of this case.
    fn paths(&self, store: &Store) -> Vec<PathBuf> {
        match self.hosts.as_slice() {
            [] | [_] => vec![store.path(&self.name, None)],
            several => several.iter().map(|host| store.path(&self.name, Some(host))).collect(),
        }
    }
}

/// What a scenario's cases are; `None` where the file can't be read as a scenario.
pub type CasesOf<'a> = dyn Fn(&Path) -> Option<Vec<SnapshotCase>> + 'a;

/// What no case uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unused {
    /// The snapshot files, accepted and pending, and what killed runs left behind, in order.
    pub files: Vec<PathBuf>,
    /// The scenarios that can't be read, so that nothing is known about their snapshots.
    pub unknown: Vec<PathBuf>,
}

/// Finds the snapshot files below `paths` that belong to no case.
pub fn unused(paths: &[PathBuf], cases_of: &CasesOf<'_>) -> Result<Unused, SnapshotError> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let found = snapshot_files(paths)?;
    for found in found.files {
        if let Some(folder) = found.parent().filter(|_| is_ours(&found)) {
            folders.entry(folder.to_owned()).or_default().push(found);
        }
    }
    let mut unused = Unused { files: found.leftovers.into_iter().collect(), ..Unused::default() };
    for (folder, files) in folders {
        match used_in(&folder, cases_of) {
            Ok(used) => unused.files.extend(files.into_iter().filter(|file| !used.contains(file))),
            Err(scenario) => unused.unknown.push(scenario),
        }
    }
    unused.files.sort();
    Ok(unused)
}

/// The files that the scenarios of a folder use; else the scenario that can't be read.
fn used_in(folder: &Path, cases_of: &CasesOf<'_>) -> Result<BTreeSet<PathBuf>, PathBuf> {
    let mut used = BTreeSet::new();
    for scenario in scenarios_of(folder) {
        let Some(cases) = cases_of(&scenario) else { return Err(scenario) };
        let store = Store::for_scenario(&scenario, cases.iter().map(|case| case.name.as_str()));
        if store.folder() != folder {
            continue; // a nearer `snapshots` folder has taken over
        }
        for path in cases.iter().flat_map(|case| case.paths(&store)) {
            used.insert(pending_path(&path));
            used.insert(path);
        }
    }
    Ok(used)
}

/// The scenario files that would put their snapshots here: [`Store::for_scenario`] backwards. A
/// folder may lie below several `snapshots` folders, if a scenario's folder has that name.
fn scenarios_of(folder: &Path) -> Vec<PathBuf> {
    let mut scenarios = Vec::new();
    for root in folder.ancestors().filter(|root| root.file_name() == Some(OsStr::new("snapshots"))) {
        let (Some(anchor), Ok(inside)) = (root.parent(), folder.strip_prefix(root)) else { continue };
        if inside.as_os_str().is_empty() {
            continue;
        }
        for base in [anchor.join(inside), anchor.join("t").join(inside)] {
            for ending in ["", ".yaml", ".yml"] {
                let mut path = base.clone().into_os_string();
                path.push(ending);
                let path = PathBuf::from(path);
                if path.is_file() {
                    scenarios.push(path);
                }
            }
        }
    }
    scenarios
}

/// Whether pwtest wrote it: its source is a scenario. Checked before the scenario is looked for,
/// because the scenario may be gone.
fn is_ours(path: &Path) -> bool {
    match file::read(path) {
        Ok(Some(found)) => found.metadata.source.is_some_and(|source| !source.ends_with(".rs") && !source.is_empty()),
        Ok(None) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
