//! Reports: what a run says about itself, for people and for machines.
//!
//! One format is one file. Each is a [`Reporter`] over a writer that somebody else owns: nothing here prints,
//! asks for the time or reads the environment. What plugins and scenarios bring along is escaped before it
//! reaches a terminal, an XML file or a CI server's log.

mod backtrace;
pub mod check;
mod compare;
mod conformance;
pub mod coverage;
mod details;
mod findings;
mod github;
mod junit;
mod paint;
mod portability;
mod slice;
mod terminal;

pub use compare::Comparison;
pub use conformance::Conformance;
pub use github::GitHub;
pub use junit::Junit;
pub use terminal::{Options, Terminal, Verbosity};

use crate::diagnostic::Diagnostic;
use crate::runner::{CaseResult, Reporter, RunEvent};
use crate::trace::show::{clipped, escaped};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The formats that `--report FORMAT=FILE` knows, and what they are for.
pub const FORMATS: &[(&str, &str)] = &[
    ("junit", "XML for CI servers"),
    ("github", "annotations for GitHub Actions"),
    ("text", "what the terminal shows with --verbose, without colour"),
];

/// A report that goes to a file: `FORMAT=FILE`, as given on the command line.
pub fn to_file(argument: &str) -> Result<Box<dyn Reporter>, Diagnostic> {
    let known = || FORMATS.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let Some((format, path)) = argument.split_once('=').filter(|(_, path)| !path.is_empty()) else {
        let problem = Diagnostic::new(format!("`--report {}` names no file", clipped(argument, 100)));
        return Err(problem.hint(format!("write `--report FORMAT=FILE`; formats are {}", known())));
    };
    let form: Box<dyn Form> = match format {
        "junit" => Box::new(Junit::new(Vec::new())),
        "github" => Box::new(GitHub::new(Vec::new())),
        "text" => {
            let options = Options { color: false, verbosity: Verbosity::Verbose, trace: false, width: 120 };
            Box::new(Terminal::new(Vec::new(), options))
        }
        other => {
            let problem = Diagnostic::new(format!("unknown report format `{}`", clipped(other, 100)));
            return Err(problem.hint(format!("formats are {}", known())));
        }
    };
    Ok(Box::new(ToFile { form, path: PathBuf::from(path) }))
}

/// A reporter that writes into memory.
trait Form: Reporter {
    /// What was written.
    fn written(&self) -> &[u8];
}

impl Form for Junit<Vec<u8>> {
    fn written(&self) -> &[u8] {
        self.out()
    }
}

impl Form for GitHub<Vec<u8>> {
    fn written(&self) -> &[u8] {
        self.out()
    }
}

impl Form for Terminal<Vec<u8>> {
    fn written(&self) -> &[u8] {
        self.out()
    }
}

struct ToFile {
    form: Box<dyn Form>,
    path: PathBuf,
}

impl Reporter for ToFile {
    fn event(&mut self, event: &RunEvent<'_>) -> io::Result<()> {
        self.form.event(event)?;
        match event {
            RunEvent::Finished(_) => write(&self.path, self.form.written()).map_err(|error| {
                io::Error::new(error.kind(), format!("can't write the report {}: {error}", self.path.display()))
            }),
            RunEvent::Started { .. } | RunEvent::Case(_) | RunEvent::Progress { .. } | RunEvent::Warning(_) => Ok(()),
        }
    }
}

/// Writes a file in one step: a reader sees the old report or the whole new one.
fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    // A pipe, a terminal or a link is written to; a rename would replace it.
    if path.symlink_metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return std::fs::write(path, contents);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let mut making = tempfile::Builder::new();
    making.prefix(".pwtest-").suffix(".tmp");
    #[cfg(unix)]
    {
        // tempfile's default is private to the user; a CI server may be another one.
        use std::os::unix::fs::PermissionsExt as _;
        making.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = making.tempfile_in(folder)?;
    io::Write::write_all(&mut temporary, contents)?;
    temporary.persist(path).map(drop).map_err(|error| error.error)
}

/// The path of the scenario as reports name it.
fn path(case: &CaseResult) -> String {
    escaped(&case.source.path.display().to_string())
}

/// The name of a case, with its host where there are several.
fn name(case: &CaseResult) -> String {
    let name = clipped(&case.name, 200);
    match &case.host {
        Some(host) => format!("{name} ({})", clipped(host, 100)),
        None => name,
    }
}

/// File and name: how people find a case.
fn label(case: &CaseResult) -> String {
    format!("{}: {}", path(case), name(case))
}

/// What could not be judged, each with the reason.
fn unseen(case: &CaseResult) -> String {
    let all: Vec<String> = case.unseen.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
    match all.is_empty() {
        true => "nothing is expected in words".to_owned(),
        false => clipped(&all.join("; "), 400),
    }
}

/// A duration that fits into six columns.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds, duration.as_millis()) {
        (0, 0) => "<1ms".to_owned(),
        (0, milliseconds) => format!("{milliseconds}ms"),
        (1..60, _) => format!("{:.1}s", duration.as_secs_f64()),
        _ => format!("{}m{:02}s", seconds / 60, seconds % 60),
    }
}

/// A number with its noun.
fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests;
