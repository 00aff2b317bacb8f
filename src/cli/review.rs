//! `pwtest review`: shows what changed in a plugin's behaviour, and takes the decision.
//!
//! With a terminal it asks, one snapshot after the other. Without one it prints each difference and
//! the command that accepts it, and changes nothing: a pipe can't have meant yes. The decisions are
//! `snapshot::review`'s; this only talks.

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use crate::snapshot::review::find;
use crate::snapshot::{CasesOf, DiffOptions, Found, Pending, SnapshotError, diff, shown, unused};

mod interactive;

/// Nothing waits any more.
const PASSED: u8 = 0;
/// Snapshots wait for a review.
const PENDING: u8 = 1;
/// A path or a name that leads nowhere.
const INVALID: u8 = 2;

/// Look at what changed since the accepted snapshots; accept or reject it
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ReviewArgs {
    #[command(subcommand)]
    decision: Option<Decision>,
    /// Folders, scenario files or snapshot files to look at [default: the current folder]
    paths: Vec<PathBuf>,
    /// Only list the names of what waits for a review, one on each line
    #[arg(long, conflicts_with = "delete_unused")]
    list: bool,
    /// Only remove the snapshot files that no case uses
    #[arg(long)]
    delete_unused: bool,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Decision {
    /// Make new results the snapshots
    Accept(Which),
    /// Drop new results and keep the snapshots
    Reject(Which),
}

#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// Names as `pwtest review --list` shows them, or their ends, or the names of cases
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// All that wait, below the current folder
    #[arg(long)]
    all: bool,
}

/// Runs the command; returns the exit code. `cases_of` reads a scenario, for the files that no case
/// uses.
pub fn run(args: &ReviewArgs, colour: bool, cases_of: &CasesOf<'_>) -> anyhow::Result<u8> {
    match dispatch(args, colour, cases_of) {
        // Whoever reads has seen enough: `pwtest review | head` is no failure.
        Err(error) => match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::BrokenPipe) => Ok(PENDING),
            Some(_) | None => Err(error),
        },
        result => result,
    }
}

fn dispatch(args: &ReviewArgs, colour: bool, cases_of: &CasesOf<'_>) -> anyhow::Result<u8> {
    if let Some(decision) = &args.decision {
        return decide(decision);
    }
    let paths = match args.paths.is_empty() {
        true => vec![PathBuf::from(".")],
        false => args.paths.clone(),
    };
    if args.delete_unused {
        return delete_unused(&paths, cases_of);
    }
    let Some(found) = look(&paths)? else { return Ok(INVALID) };
    let code = if args.list {
        list(&found)?
    } else if found.pending.is_empty() {
        say("no snapshot waits for a review\n")?;
        PASSED
    } else if can_ask() {
        interactive::review(&found.pending, colour, &mut interactive::Terminal::default())?
    } else {
        print_all(&found.pending, colour)?
    };
    list_unused(&paths, cases_of)?;
    Ok(if found.unreadable.is_empty() { code } else { code.max(PENDING) })
}

/// Whether somebody sits there, at something that can redraw a page.
fn can_ask() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb
}

/// Finds what waits; says what is wrong with a path that can't be looked at.
fn look(paths: &[PathBuf]) -> io::Result<Option<Found>> {
    match find(paths) {
        Ok(found) => {
            for error in &found.unreadable {
                complain(error)?;
            }
            Ok(Some(found))
        }
        Err(error) => complain(&error).map(|()| None),
    }
}

fn list(found: &Found) -> io::Result<u8> {
    let mut out = io::stdout().lock();
    for pending in &found.pending {
        writeln!(out, "{}", pending.name)?;
    }
    Ok(PASSED)
}

fn print_all(pending: &[Pending], colour: bool) -> io::Result<u8> {
    let mut out = io::stdout().lock();
    for (at, one) in pending.iter().enumerate() {
        out.write_all(title(one, at, pending.len()).as_bytes())?;
        out.write_all(body(one, colour).as_bytes())?;
        writeln!(out, "accept it with: pwtest review accept {}\n", quoted(&one.name))?;
    }
    out.flush()?;
    let waiting = count(pending.len(), "snapshot waits", "snapshots wait");
    say(&format!("{waiting} for a review; `pwtest review accept --all` accepts all\n"))?;
    Ok(PENDING)
}

/// Which one it is, and where it comes from.
fn title(pending: &Pending, at: usize, of: usize) -> String {
    let mut text = format!("[{}/{of}] {}\n", at + 1, pending.name);
    if let (Some(scenario), Some(case)) = (pending.scenario(), pending.case()) {
        text += &format!("scenario {scenario}, case {case:?}");
        if let Some(host) = pending.host() {
            text += &format!(", host {host}");
        }
        text.push('\n');
    }
    text
}

/// What would change, or why that can't be told.
fn body(pending: &Pending, colour: bool) -> String {
    match &pending.change {
        Err(error) => explained(error),
        Ok(change) => {
            let old = change.old.as_ref().map(|old| old.contents.as_str());
            let text = diff(old, &change.new.contents, DiffOptions { colour, ..DiffOptions::default() });
            match text.is_empty() {
                true => "the new results are the same as the old snapshot\n".into(),
                false => text,
            }
        }
    }
}

fn decide(decision: &Decision) -> anyhow::Result<u8> {
    let (which, verb) = match decision {
        Decision::Accept(which) => (which, "accepted"),
        Decision::Reject(which) => (which, "rejected"),
    };
    // A file that is named outright may lie elsewhere.
    let is_file = |name: &&String| name.ends_with(".snap") || name.ends_with(".snap.new");
    let named = which.names.iter().filter(is_file).map(PathBuf::from);
    let exists = |path: &PathBuf| path.is_file() || path.with_extension("snap.new").is_file();
    let paths: Vec<PathBuf> = std::iter::once(PathBuf::from(".")).chain(named.filter(exists)).collect();
    let Some(found) = look(&paths)? else { return Ok(INVALID) };
    let chosen = match which.all {
        true => found.pending.iter().collect(),
        // All names are looked up before anything is decided: a typing error decides nothing.
        false => match found.select(&which.names) {
            Ok(chosen) => chosen,
            Err(error) => {
                say(&format!("error: {error}\n  hint: `pwtest review --list` shows the names\n"))?;
                return Ok(INVALID);
            }
        },
    };
    if chosen.is_empty() {
        say("no snapshot waits for a review\n")?;
    }
    let mut code = PASSED;
    for pending in chosen {
        let done = match decision {
            Decision::Accept(_) => pending.accept(),
            Decision::Reject(_) => pending.reject(),
        };
        match done {
            Ok(()) => say(&format!("{verb} {}\n", pending.name))?,
            Err(error) => {
                complain(&error)?;
                code = PENDING;
            }
        }
    }
    Ok(code)
}

fn list_unused(paths: &[PathBuf], cases_of: &CasesOf<'_>) -> io::Result<()> {
    let Ok(found) = unused(paths, cases_of) else { return Ok(()) }; // the paths were fine a moment ago
    if found.files.is_empty() {
        return Ok(());
    }
    let files = count(found.files.len(), "snapshot file is used by no case", "snapshot files are used by no case");
    let mut text = format!("{files}:\n");
    for path in &found.files {
        text += &format!("  {}\n", shown(path).display());
    }
    say(&(text + "  hint: `pwtest review --delete-unused` removes them\n"))
}

fn delete_unused(paths: &[PathBuf], cases_of: &CasesOf<'_>) -> anyhow::Result<u8> {
    let found = match unused(paths, cases_of) {
        Ok(found) => found,
        Err(error) => return Ok(complain(&error).map(|()| INVALID)?),
    };
    for scenario in &found.unknown {
        say(&format!("warning: {} can't be read as a scenario; its snapshots stay\n", shown(scenario).display()))?;
    }
    if found.files.is_empty() {
        say("every snapshot file is used by a case\n")?;
    }
    let mut code = PASSED;
    for path in &found.files {
        match crate::snapshot::file::remove(path) {
            Ok(_) => say(&format!("removed {}\n", shown(path).display()))?,
            Err(error) => {
                complain(&error)?;
                code = PENDING;
            }
        }
        remove_if_empty(path.parent());
    }
    Ok(code)
}

/// A folder whose last snapshot went may go as well; that it stays for another reason is no error.
fn remove_if_empty(folder: Option<&Path>) {
    if let Some(folder) = folder.filter(|folder| folder.file_name().is_some_and(|name| name != "snapshots")) {
        let _ = std::fs::remove_dir(folder);
    }
}

fn complain(error: &SnapshotError) -> io::Result<()> {
    say(&explained(error))
}

/// To the standard error, in one piece: what others write there doesn't get in between.
fn say(text: &str) -> io::Result<()> {
    io::stderr().write_all(text.as_bytes())
}

fn explained(error: &SnapshotError) -> String {
    match &error.hint {
        Some(hint) => format!("error: {error}\n  hint: {hint}\n"),
        None => format!("error: {error}\n"),
    }
}

fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// A word that a shell passes on as it is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_shell() {
        assert_eq!(quoted("it's a/b c"), r"'it'\''s a/b c'");
    }
}
