//! Finds snapshot files below folders and scenario files.
//!
//! Only files below a folder named `snapshots` count. Build output, dependencies and version control
//! are passed over, but not below `snapshots`: a scenario may be called `target.yaml`. Links to
//! folders are not followed; they may lead in circles.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{FileAction, SnapshotError};
use super::file::is_temporary;
use super::store::{Store, lexical, pending_path};

/// What lies below some paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Snapshots, accepted and pending, absolute and in order.
    pub files: BTreeSet<PathBuf>,
    /// What a killed run left behind of files that it was writing.
    pub leftovers: BTreeSet<PathBuf>,
    /// The folders that could not be read.
    pub unreadable: Vec<SnapshotError>,
}

/// The snapshot files below `paths`: folders, snapshot files (an accepted one stands for its pending
/// one too) or scenario files (they stand for their snapshots). A path that does not exist is an
/// error, as it was named.
pub(super) fn snapshot_files(paths: &[PathBuf]) -> Result<Files, SnapshotError> {
    let mut found = Files::default();
    for path in paths {
        let path = lexical(path);
        let kind = path.metadata();
        if kind.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            walk(path, &mut found);
        } else if is_snapshot(&path) {
            let beside = pending_path(&path);
            let there: Vec<_> = [path.clone(), beside].into_iter().filter(|file| file.is_file()).collect();
            match there.is_empty() {
                true => return Err(missing(&path)),
                false => found.files.extend(there),
            }
        } else if kind.is_ok() {
            let folder = Store::for_scenario(&path, []).folder().to_owned();
            if folder.is_dir() {
                list(&folder, &mut found);
            }
        } else {
            return Err(missing(&path));
        }
    }
    Ok(found)
}

fn missing(path: &Path) -> SnapshotError {
    SnapshotError::io(FileAction::Read, path, &std::io::ErrorKind::NotFound.into())
        .hint("name a folder, a scenario file or a snapshot file")
}

fn walk(root: PathBuf, found: &mut Files) {
    // A list of its own instead of recursion: no depth of folders can exhaust the stack.
    let mut waiting = vec![root];
    while let Some(folder) = waiting.pop() {
        waiting.extend(list(&folder, found));
    }
}

/// Notes the files of one folder, and returns the folders in it that are worth a look.
fn list(folder: &Path, found: &mut Files) -> Vec<PathBuf> {
    let inside = folder.iter().any(|part| part == "snapshots");
    let mut below = Vec::new();
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            found.unreadable.push(SnapshotError::io(FileAction::Read, folder, &error));
            return below;
        }
    };
    for entry in entries {
        let name = entry.file_name();
        let passed_over = ["target", "node_modules", ".git"].iter().any(|skip| name == *skip);
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && (inside || !passed_over) => below.push(entry.path()),
            Ok(kind) if !kind.is_dir() && inside && is_snapshot(Path::new(&name)) => {
                found.files.insert(entry.path());
            }
            Ok(kind) if kind.is_file() && inside && is_leftover(&entry) => {
                found.leftovers.insert(entry.path());
            }
            Ok(_) | Err(_) => {}
        }
    }
    below
}

/// A file that nobody finishes any more: no write takes a minute.
fn is_leftover(entry: &DirEntry) -> bool {
    let age = entry.metadata().and_then(|found| found.modified()).map(|written| written.elapsed().unwrap_or_default());
    is_temporary(&entry.file_name()) && age.is_ok_and(|age| age > Duration::from_secs(60))
}

fn is_snapshot(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    !name.starts_with('.') && (name.ends_with(".snap") || name.ends_with(".snap.new"))
}
