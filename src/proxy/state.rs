//! The state file: what the admin API was told, kept over restarts.
//!
//! Written whole, beside its place and then moved there, and on the disk before anybody is told that it is: after a
//! crash the file is the old one or the new one. A file that can't be understood is an error, and left as it is.

use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// More is no state of ours.
const LARGEST: u64 = 256 << 20;

/// A file that keeps what the admin API was told.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
}

/// Why a state file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refuses.
    #[error("the state file {} can't be {doing}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It is something else.
    #[error("{} is not a state file of pwtest ({why}); it was left as it is, move it away or give another name", path.display())]
    Broken {
        /// Which one.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl StateFile {
    /// A file by its name, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; none where there is no such file yet.
    pub fn read(&self) -> Result<Option<Value>, StateError> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", error)),
            Ok(_) => {}
        }
        if bytes.len() as u64 > LARGEST {
            return Err(self.broken(format!("larger than {} MiB", LARGEST >> 20)));
        }
        match serde_json::from_slice(&bytes) {
            Ok(value @ Value::Object(_)) => Ok(Some(value)),
            Ok(_) => Err(self.broken("not an object of JSON".to_owned())),
            Err(error) => Err(self.broken(error.to_string())),
        }
    }

    /// That the content makes no sense, said by whoever looked at it.
    pub fn broken(&self, why: String) -> StateError {
        StateError::Broken { path: self.path.clone(), why }
    }

    /// Replaces it, and comes back when that is on the disk.
    pub fn write(&self, state: &Value) -> Result<(), StateError> {
        self.replace(state).map_err(|error| self.failed("written", error))
    }

    /// Whether it could be written, before there is anything to write.
    pub fn try_folder(&self) -> Result<(), StateError> {
        self.beside().map(drop).map_err(|error| self.failed("written", error))
    }

    /// The file itself, where the name is a link.
    fn place(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// A new file in the same folder, which goes away unless it is moved.
    fn beside(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().prefix(".pwtest-state-").tempfile_in(folder(&self.place()))
    }

    fn replace(&self, state: &Value) -> io::Result<()> {
        let place = self.place();
        let mut new = self.beside()?;
        if let Ok(old) = fs::metadata(&place) {
            new.as_file().set_permissions(old.permissions())?;
        }
        let mut text = serde_json::to_vec_pretty(state)?;
        text.push(b'\n');
        new.write_all(&text)?;
        new.as_file().sync_all()?;
        new.persist(&place).map_err(|error| error.error)?;
        // The name, too, has to be on the disk; not every system lets a folder be opened.
        match File::open(folder(&place)) {
            Ok(folder) => folder.sync_all(),
            Err(_) => Ok(()),
        }
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> StateError {
        StateError::File { path: self.path.clone(), doing, error }
    }
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_written_is_read_and_nothing_else_is_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = StateFile::new(folder.path().join("state.json"));
        assert!(matches!(file.read(), Ok(None)));
        for state in [json!({ "routes": { "1": { "uri": "/a" } } }), json!({})] {
            file.write(&state).expect("written");
            assert_eq!(file.read().expect("read"), Some(state));
        }
        let names: Vec<_> = fs::read_dir(folder.path()).expect("a folder").flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, ["state.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("volume")).expect("a folder");
        let (kept, link) = (folder.path().join("volume/kept.json"), folder.path().join("state.json"));
        fs::write(&kept, "{}").expect("a file");
        std::os::unix::fs::symlink("volume/kept.json", &link).expect("a link");
        StateFile::new(&link).write(&json!({ "a": 1 })).expect("written");
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(StateFile::new(kept).read().expect("read"), Some(json!({ "a": 1 })));
    }

    #[test]
    fn what_is_no_state_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = StateFile::new(folder.path().join("state.json"));
        for text in ["", "{", "[]", "\"x\"", "{} {}"] {
            fs::write(file.path(), text).expect("a file");
            assert!(matches!(file.read(), Err(StateError::Broken { .. })), "{text}");
        }
        let nowhere = StateFile::new(folder.path().join("no/such/folder"));
        assert!(matches!(nowhere.write(&json!({})), Err(StateError::File { doing: "written", .. })));
        assert!(matches!(StateFile::new(folder.path()).read(), Err(StateError::File { doing: "read", .. })));
    }
}
