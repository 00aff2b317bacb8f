//! What can go wrong with a snapshot file: the file, what was being done to it, why it failed, and
//! what to do about it.
//!
//! One type for all of it, because whoever sees the error wants the same four things each time.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;

/// What was being done to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// It was read.
    Read,
    /// It was written or replaced.
    Write,
    /// It was removed.
    Remove,
}

impl fmt::Display for FileAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileAction::Read => "read",
            FileAction::Write => "write",
            FileAction::Remove => "remove",
        })
    }
}

/// A snapshot file that could not be read, written or removed. The file is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action} {}: {why}", shown(path).display())]
pub struct SnapshotError {
    /// What was being done.
    pub action: FileAction,
    /// The file or folder.
    pub path: PathBuf,
    /// Why it failed, in lower case, without a full stop.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SnapshotError {
    /// An error without a hint.
    pub(super) fn new(action: FileAction, path: &Path, why: impl Into<String>) -> Self {
        Self { action, path: path.to_owned(), why: why.into(), hint: None }
    }

    /// Says what to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The operating system's refusal, in words that name the usual reason for it.
    pub(super) fn io(action: FileAction, path: &Path, error: &io::Error) -> Self {
        let (why, hint) = match error.kind() {
            io::ErrorKind::NotFound => ("there is no such file or folder", None),
            io::ErrorKind::PermissionDenied => {
                ("permission denied", Some("check who owns the folder and whether it can be written"))
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                ("the file system is read-only", Some("set CI=1 to compare without writing anything"))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                ("the disk is full", Some("free some space and run again: what was there before is untouched"))
            }
            io::ErrorKind::IsADirectory => {
                ("it is a folder, where a snapshot file belongs", Some("move the folder away, or rename the case"))
            }
            io::ErrorKind::NotADirectory => {
                ("a part of the path is a file, where a folder belongs", Some("move that file away"))
            }
            io::ErrorKind::InvalidFilename => {
                ("the path is too long for this file system", Some("shorten the names of the folders"))
            }
            io::ErrorKind::InvalidData => {
                ("it is not UTF-8 text", Some("snapshots are text: restore the file, or delete it and run again"))
            }
            _ => return Self::new(action, path, lower_first(&error.to_string())),
        };
        let made = Self::new(action, path, why);
        match hint {
            Some(hint) => made.hint(hint),
            None => made,
        }
    }

    /// The same, for whoever draws diagnostics.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let made = Diagnostic::new(self.to_string());
        match &self.hint {
            Some(hint) => made.hint(hint.clone()),
            None => made,
        }
    }
}

/// The operating system's messages begin with a capital; ours don't.
fn lower_first(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_lowercase().chain(rest).collect())
}

/// The path as people like to read it: relative to the current folder where it lies below it.
pub fn shown(path: &Path) -> PathBuf {
    match std::env::current_dir() {
        Ok(here) => match path.strip_prefix(&here) {
            Ok(inside) if inside.as_os_str().is_empty() => PathBuf::from("."),
            Ok(inside) => inside.to_owned(),
            Err(_) => path.to_owned(),
        },
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_the_reason_and_the_way_out() {
        let error = SnapshotError::io(FileAction::Write, Path::new("/x/y.snap"), &io::ErrorKind::StorageFull.into());
        assert_eq!(error.to_string(), "cannot write /x/y.snap: the disk is full");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("untouched")));
        assert_eq!(error.to_diagnostic().title, error.to_string());
    }

    #[test]
    fn other_reasons_keep_the_words_of_the_system() {
        let error = SnapshotError::io(FileAction::Read, Path::new("/x"), &io::Error::other("Odd thing"));
        assert_eq!(error.to_string(), "cannot read /x: odd thing");
    }
}
