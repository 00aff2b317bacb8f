//! Which scenario files a command is about.

use super::exit;
use crate::runner;
use crate::scenario::{self, Scenario, SnapshotMode};
use crate::snapshot::SnapshotCase;
use std::path::{Path, PathBuf};

/// The scenario files below the paths, each once, in order. Without paths: those under `t`, or else under the
/// current folder.
pub fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let default = [if Path::new("t").is_dir() { PathBuf::from("t") } else { PathBuf::from(".") }];
    let paths = if paths.is_empty() { &default[..] } else { paths };
    let mut found = Vec::new();
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        if kind.is_dir() {
            let before = found.len();
            walk(path, &mut found, 0)?;
            found[before..].sort();
        } else {
            found.push(path.clone());
        }
    }
    let mut unique = Vec::new();
    for path in found {
        if !unique.contains(&path) {
            unique.push(path);
        }
    }
    Ok(unique)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>, depth: usize) -> anyhow::Result<()> {
    // Deeper than any project, and not as deep as the stack: links may go round in circles.
    if depth > 40 {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(|error| anyhow::anyhow!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind, name) = (entry.path(), entry.file_type()?, entry.file_name());
        let name = name.to_string_lossy();
        if kind.is_dir() {
            let skipped = name.starts_with('.') || matches!(&*name, "target" | "node_modules" | "snapshots");
            if !skipped {
                walk(&path, found, depth + 1)?;
            }
        } else if (name.ends_with(".yaml") || name.ends_with(".yml")) && looks_like_scenario(&path) {
            let path = path.strip_prefix("./").map(Path::to_path_buf).unwrap_or(path);
            found.push(path);
        }
    }
    Ok(())
}

/// A folder may hold other YAML: only a file with a line `cases:` is one of ours. A file that is named on the command
/// line is always read.
fn looks_like_scenario(path: &Path) -> bool {
    match std::fs::read(path) {
        Ok(bytes) => bytes.starts_with(b"cases:") || bytes.windows(7).any(|window| window == b"\ncases:"),
        // What can't be read is reported by the one who reads it in earnest.
        Err(_) => true,
    }
}

/// Reads all scenarios; prints every mistake of every file.
pub fn scenarios(files: &[PathBuf], colour: bool) -> Result<Vec<Scenario>, u8> {
    let mut scenarios = Vec::new();
    let mut mistakes = 0;
    for file in files {
        let loaded = scenario::load(file).and_then(|scenario| match runner::check_gateway(&scenario) {
            Ok(()) => Ok(scenario),
            Err(problem) => Err(vec![*problem]),
        });
        match loaded {
            Ok(scenario) => scenarios.push(scenario),
            Err(problems) => {
                mistakes += problems.len();
                for problem in problems {
                    eprintln!("{}", problem.render(colour));
                }
            }
        }
    }
    match mistakes {
        0 => Ok(scenarios),
        1 => {
            eprintln!("1 mistake; nothing was run");
            Err(exit::INVALID_INPUT)
        }
        more => {
            eprintln!("{more} mistakes; nothing was run");
            Err(exit::INVALID_INPUT)
        }
    }
}

/// The cases of a scenario that have snapshots, for `pwtest review` to tell which files are used.
pub fn cases_of(path: &Path) -> Option<Vec<SnapshotCase>> {
    let scenario = scenario::load(path).ok()?;
    let cases = scenario.cases.iter().filter(|case| case.snapshot != SnapshotMode::Off);
    let hosts = |case| scenario.hosts_of(case).iter().map(|host| host.value.clone()).collect();
    Some(cases.map(|case| SnapshotCase { name: case.name.clone(), hosts: hosts(case) }).collect())
}
