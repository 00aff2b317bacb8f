//! The files of a recording: numbered, each written as a whole and then put in place, so that whoever reads one, at any
//! moment, reads a scenario. They are for their owner only, as what passes a proxy is nobody else's business.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Cases of one file.
const MOST_CASES: usize = 100;
/// Bytes of one file, but for its last case.
const MOST_BYTES: usize = 1 << 20;
/// Notes of one file.
const MOST_NOTES: usize = 100;
/// Files of a folder: the numbers have four digits.
const MOST_FILES: u32 = 9999;

/// A folder that is recorded into.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    number: u32,
    current: Option<Current>,
    /// Notes that wait for a file.
    notes: Notes,
}

/// The file that the next case goes to.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    heading: String,
    text: String,
    cases: usize,
}

#[derive(Debug, Default)]
struct Notes {
    lines: Vec<String>,
    more: usize,
}

impl Files {
    /// A folder, which is made if it is not there. What is in it stays.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let mut number = 0;
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let of_name = |name: &str| name.strip_prefix("recorded-")?.strip_suffix(".yaml")?.parse().ok();
            number = number.max(name.to_str().and_then(of_name).unwrap_or(0));
        }
        // Found out now, not with the first request.
        drop(tempfile::Builder::new().prefix(".pwtest-record-").tempfile_in(&folder)?);
        Ok(Self { folder, number, current: None, notes: Notes::default() })
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A case; gives the file that it is in.
    pub fn add(&mut self, heading: &str, case: &str) -> io::Result<PathBuf> {
        let fits = |current: &Current| {
            current.heading == heading && current.cases < MOST_CASES && current.text.len() < MOST_BYTES
        };
        if let Some(current) = self.current.as_mut().filter(|current| fits(current)) {
            current.text.push_str(case);
            current.cases += 1;
            let path = current.path.clone();
            self.write()?;
            return Ok(path);
        }
        if self.current.take().is_some() {
            self.notes = Notes::default();
        }
        let text = format!("{heading}{case}");
        let path = self.begin(&text)?;
        self.current = Some(Current { path: path.clone(), heading: heading.to_owned(), text, cases: 1 });
        Ok(path)
    }

    /// A line about what is not there. It is written with the next case, if there is no file yet.
    pub fn note(&mut self, line: String) -> io::Result<()> {
        match self.notes.lines.len() < MOST_NOTES {
            true => self.notes.lines.push(line),
            false => self.notes.more += 1,
        }
        match self.notes.more {
            0 if self.current.is_some() => self.write(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, text: &str) -> io::Result<PathBuf> {
        while self.number < MOST_FILES {
            self.number += 1;
            let path = self.folder.join(format!("recorded-{:04}.yaml", self.number));
            match self.temporary(text)?.persist_noclobber(&path) {
                Ok(_) => return Ok(path),
                // Somebody else records into this folder.
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.error),
            }
        }
        Err(io::Error::other(format!("{MOST_FILES} files are there, and no more are written")))
    }

    fn write(&self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        self.temporary(&current.text)?.persist(&current.path).map(drop).map_err(|error| error.error)
    }

    fn temporary(&self, text: &str) -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::Builder::new().prefix(".pwtest-record-").tempfile_in(&self.folder)?;
        file.write_all(text.as_bytes())?;
        let mut notes = String::new();
        for line in &self.notes.lines {
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let _ = writeln!(notes, "  # {line}");
        }
        if self.notes.more > 0 {
            notes.push_str("  # and more\n");
        }
        file.write_all(notes.as_bytes())?;
        Ok(file)
    }
}
