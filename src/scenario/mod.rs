//! The scenario language: from the text of a YAML file to a checked [`Scenario`].
//!
//! Two stages. `yaml` turns text into a small tree in which every key and value
//! keeps its place and its raw text (`yes`, `1.0` and `007` stay what they are), and refuses what could
//! exhaust memory. `check` expands `with` tables and walks the tree into the [`model`], collecting every
//! mistake of the file, never stopping at the first one.
//!
//! serde's derive was not used: it stops at the first mistake, and loses places wherever a plain value or a
//! mapping is allowed, which in this language is nearly everywhere.

mod check;
mod hosts;
pub mod model;
#[cfg(test)]
mod tests;
mod units;
pub mod write;
pub(crate) mod yaml;

pub use hosts::HostKind;
pub use model::*;

use crate::diagnostic::{Diagnostic, Source};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// A scenario file may not be longer than this.
pub const MAX_FILE: u64 = 64 << 20;
/// More mistakes than this are counted, not listed.
const MAX_MISTAKES: usize = 100;

/// Reads and checks a scenario file.
pub fn load(path: &Path) -> Result<Scenario, Vec<Diagnostic>> {
    let text = read(path).map_err(|problem| vec![problem])?;
    parse(path, text)
}

/// Checks the text of a scenario file. Files that it names are looked up beside `path`.
pub fn parse(path: &Path, text: String) -> Result<Scenario, Vec<Diagnostic>> {
    let source = Arc::new(Source { path: path.to_path_buf(), text });
    let (tree, mut problems) = yaml::read(&source);
    let mut scenario = None;
    if let Some(tree) = tree {
        let (checked, more) = check::scenario(&source, &tree);
        scenario = checked;
        problems.extend(more);
    }
    match scenario {
        Some(scenario) if problems.is_empty() => Ok(scenario),
        Some(_) | None => Err(ordered(problems)),
    }
}

/// The mistakes in the order of the file, and no more than anybody reads.
fn ordered(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    problems.sort_by_key(|problem| problem.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
    let more = problems.len().saturating_sub(MAX_MISTAKES);
    problems.truncate(MAX_MISTAKES);
    if more > 0 {
        problems.push(Diagnostic::new(format!("and {more} more mistakes in this file")));
    }
    if problems.is_empty() {
        // Unreachable as long as every check that gives up says why; a wrong promise must not become a panic.
        problems.push(Diagnostic::new("this scenario could not be read"));
    }
    problems
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        let problem = Diagnostic::new(format!("can't read `{shown}`: {}", reason(&error)));
        match error.kind() {
            std::io::ErrorKind::NotFound => problem.hint("check the path; it is relative to the current folder"),
            _ => problem,
        }
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Diagnostic::new(format!("`{shown}` is a folder, not a scenario file")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Diagnostic::new(format!("`{shown}` is longer than 64 MiB"))
            .hint("large bodies belong in files of their own: `body: { file: … }`"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Diagnostic::new(format!("`{shown}` is not UTF-8 text: byte {at} is wrong"))
            .hint("write raw bytes as `{ hex: … }`, or save the file as UTF-8")
    })
}

/// The reason of an I/O error in the words of this program.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_string(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        _ => error.to_string().to_lowercase(),
    }
}
