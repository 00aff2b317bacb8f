//! One snapshot file: insta's `.snap` format, read and written by us.
//!
//! The format is metadata in YAML between two `---` lines, then the contents to the end of the file
//! and one newline. `cargo insta accept` takes what this writes, and this reads what insta wrote;
//! the tests drive insta itself to prove both. insta is not used at run time: it panics on a
//! mismatch, reads fifteen environment variables and needs a `Cargo.toml`.
//!
//! A file that does not parse is an error that names it. Nothing here writes over such a file.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Deserialize;

use super::error::{FileAction, SnapshotError};

/// What a snapshot says about itself. insta's other keys (`info`, `input_file`, `assertion_line`)
/// are read over: an accepted file is renamed and not rewritten, so they aren't lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Metadata {
    /// The scenario, relative to the folder that holds `snapshots/`, with `/` between the names.
    #[serde(default)]
    pub source: Option<String>,
    /// What a person wrote about it.
    #[serde(default)]
    pub description: Option<String>,
    /// The name of the case.
    #[serde(default)]
    pub expression: Option<String>,
    /// insta writes `binary` here where the contents lie in a second file.
    #[serde(default)]
    snapshot_kind: Option<String>,
}

impl Metadata {
    /// The metadata of a case's snapshot.
    pub fn new(source: impl Into<String>, case: impl Into<String>) -> Self {
        Self { source: Some(source.into()), expression: Some(case.into()), ..Self::default() }
    }
}

/// A snapshot: its metadata, and the text that was accepted or waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The part between the `---` lines.
    pub metadata: Metadata,
    /// The rest, without the newline that ends the file.
    pub contents: String,
}

impl Snapshot {
    /// Reads a file's text; the error says why it is not a snapshot.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.split_inclusive('\n');
        let first = lines.next().unwrap_or_default();
        if first.trim_end() != "---" {
            return Err("it does not begin with a line `---`".into());
        }
        let start = first.len();
        let mut end = start;
        let fence = loop {
            match lines.next() {
                Some(line) if line.trim_end() == "---" => break line,
                Some(line) => end += line.len(),
                None => return Err("its metadata does not end: there is no second line `---`".into()),
            }
        };
        let header = &text[start..end];
        if header.lines().any(|line| line.starts_with("<<<<<<< ")) {
            return Err("its metadata holds an unresolved merge conflict".into());
        }
        let metadata: Metadata = serde_saphyr::from_str(header)
            .map_err(|error| format!("its metadata is not valid: {}", one_line(&error.to_string())))?;
        if metadata.snapshot_kind.as_deref() == Some("binary") {
            return Err("it is one of insta's binary snapshots, and pwtest only has text".into());
        }
        let body = &text[end + fence.len()..];
        // A checkout with `core.autocrlf` turns the last newline into two characters as well.
        let ending = if fence.ends_with("\r\n") { "\r\n" } else { "\n" };
        Ok(Self { metadata, contents: body.strip_suffix(ending).unwrap_or(body).to_owned() })
    }

    /// The file's text: what insta writes, but for quotes around some more names.
    pub fn to_text(&self) -> String {
        let mut text = String::from("---\n");
        let Metadata { source, description, expression, snapshot_kind: _ } = &self.metadata;
        let fields = [("source", source), ("description", description), ("expression", expression)];
        for (key, value) in fields.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            text.push_str(key);
            text.push_str(": ");
            push_scalar(&mut text, value);
            text.push('\n');
        }
        if text.len() == 4 {
            text.push_str("{}\n"); // insta refuses metadata that isn't a mapping
        }
        text.push_str("---\n");
        text.push_str(&self.contents);
        text.push('\n');
        text
    }

    /// Whether both say the same, as insta sees it.
    pub fn matches(&self, contents: &str) -> bool {
        normalise(&self.contents) == normalise(contents)
    }
}

/// The text that is compared and stored: no white space at the end, `\n` for `\r\n`, as insta has it.
/// A `\r` within a line stays: it is more likely to be data than a line ending. Of several before a
/// `\n` none stays (insta keeps all but one, and then does not recognise its own file).
pub fn normalise(contents: &str) -> String {
    let lines = contents.trim_end().split('\n').map(|line| line.trim_end_matches('\r'));
    lines.collect::<Vec<_>>().join("\n")
}

/// Reads a snapshot; `None` where there is no such file.
pub fn read(path: &Path) -> Result<Option<Snapshot>, SnapshotError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match is_link(path) {
                true => Err(SnapshotError::new(
                    FileAction::Read,
                    path,
                    "it is a symbolic link to a file that does not exist",
                )
                .hint("remove the link, or restore the file it points to")),
                false => Ok(None),
            };
        }
        Err(error) => return Err(SnapshotError::io(FileAction::Read, path, &error)),
    };
    Snapshot::parse(&text).map(Some).map_err(|why| {
        SnapshotError::new(FileAction::Read, path, why)
            .hint("repair it, restore it, or delete it and run again; it was left as it is")
    })
}

/// Writes a snapshot in one step: whoever looks, and however the process ends, sees the old file or
/// the whole new one.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<(), SnapshotError> {
    replaceable(path)?;
    let failed = |error: &io::Error| SnapshotError::io(FileAction::Write, path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            SnapshotError::io(FileAction::Write, folder, &io::ErrorKind::NotADirectory.into())
        }
        _ => SnapshotError::io(FileAction::Write, folder, &error),
    })?;
    let mut making = tempfile::Builder::new();
    making.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // tempfile's default is private to the user; a snapshot is a file like any other.
        use std::os::unix::fs::PermissionsExt as _;
        making.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = making.tempfile_in(folder).map_err(|error| failed(&error))?;
    temporary
        .write_all(snapshot.to_text().as_bytes())
        .and_then(|()| temporary.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    temporary.persist(path).map(drop).map_err(|error| failed(&error.error))
}

/// How a file is named while it is written. A killed run leaves it behind.
const TEMPORARY: (&str, &str) = (".pwtest-", ".tmp");

/// Whether a file has such a name.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// Moves a file over another in one step.
pub fn rename(from: &Path, to: &Path) -> Result<(), SnapshotError> {
    replaceable(to)?;
    std::fs::rename(from, to).map_err(|error| SnapshotError::io(FileAction::Write, to, &error))
}

/// Removes a file; says whether there was one.
pub fn remove(path: &Path) -> Result<bool, SnapshotError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        // Asked again, because a read-only file system refuses before it looks.
        Err(_) if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) => Ok(false),
        Err(_) if path.is_dir() => {
            Err(SnapshotError::io(FileAction::Remove, path, &io::ErrorKind::IsADirectory.into()))
        }
        Err(error) => Err(SnapshotError::io(FileAction::Remove, path, &error)),
    }
}

/// A rename would replace a link and leave the file behind it stale, and the systems disagree about
/// what a rename over a folder does; so both are refused by name.
fn replaceable(path: &Path) -> Result<(), SnapshotError> {
    if is_link(path) {
        return Err(SnapshotError::new(FileAction::Write, path, "it is a symbolic link, which writing would replace")
            .hint("remove the link, or put the file itself here"));
    }
    match path.is_dir() {
        true => Err(SnapshotError::io(FileAction::Write, path, &io::ErrorKind::IsADirectory.into())),
        false => Ok(()),
    }
}

fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_symlink())
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// Writes a value as one line of YAML that every reader takes for this text and nothing else.
fn push_scalar(out: &mut String, value: &str) {
    if is_plain(value) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // What YAML calls unprintable or takes for a line break or a byte order mark.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // writing to a String can't fail
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Stricter than insta, which writes `0o17` bare and reads it back as a number.
fn is_plain(value: &str) -> bool {
    const RESERVED: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "y"];
    let bytes = value.as_bytes();
    let begins = match bytes.first() {
        Some(first) if first.is_ascii_alphabetic() => true,
        // No number and no date has a blank in it.
        Some(first) => {
            first.is_ascii_digit() && value.contains(' ') && value.contains(|c: char| c.is_ascii_alphabetic())
        }
        None => false,
    };
    begins
        && !value.ends_with(' ')
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || b" _./()+-=;".contains(c))
        && !RESERVED.contains(&value.to_ascii_lowercase().as_str())
        && !value.eq_ignore_ascii_case("n")
        && value.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests;
