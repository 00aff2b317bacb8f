//! Everything that is needed to understand a case that failed, as one block of text.

use super::backtrace::Backtraces;
use super::paint::Paint;
use super::slice::{before, indented, last_logs};
use crate::diagnostic::{Diagnostic, Source};
use crate::expect::Failure;
use crate::runner::{CaseResult, SnapshotResult};
use crate::snapshot::{DiffOptions, Outcome, diff, shown};
use crate::trace::Event;
use crate::trace::show::{clipped, escaped};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The trace is shown at so many places of one case.
const MOST_SLICES: usize = 3;

/// How a block is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    /// Colour.
    pub paint: Paint,
    /// Whether parts of the trace stand beside the failures; not where all of it was shown.
    pub slices: bool,
}

/// The block of a case: its failures, each with its line and what happened before, its logs, and what became of
/// its snapshot.
pub(super) fn render(case: &CaseResult, drawing: Drawing, backtraces: &mut Backtraces) -> String {
    let mut out = String::new();
    if !case.variant.is_empty() {
        let _ = writeln!(out, "with the {}", escaped(&case.variant));
    }
    let source = safe(&case.source);
    let (mut slices, mut traps): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for failure in &case.failures {
        out += &failed(failure, &source, case, drawing.paint);
        let at = failure.event.filter(|at| *at < case.events.len());
        // A trap is often to blame for more than one failure, and told once.
        if let Some((at, Event::Trap(trap))) = at.and_then(|at| Some((at, case.events.get(at)?)))
            && !traps.contains(&at)
        {
            traps.push(at);
            out += &backtraces.render(trap, &case.modules, drawing.paint);
        }
        if let Some(at) = at.filter(|at| drawing.slices && slices.len() < MOST_SLICES && !slices.contains(at)) {
            slices.push(at);
            out += &before(case, Some(at), drawing.paint);
        }
        out.push('\n');
    }
    if !case.failures.is_empty() {
        if slices.is_empty() && drawing.slices {
            out += &before(case, None, drawing.paint);
        }
        out += &last_logs(case);
    }
    out + &snapshot(case, drawing.paint)
}

/// One failure: the line of the scenario under a caret, what was expected and what there was.
fn failed(failure: &Failure, source: &Arc<Source>, case: &CaseResult, paint: Paint) -> String {
    let span = failure.span.clone().unwrap_or_else(|| case.span.clone());
    let mut problem = Diagnostic::new(failure.title.clone()).at(source, span);
    problem.hint = failure.hint.clone();
    let mut out = problem.render(paint.color);
    let said = |text: &str| text.len() < 200 && failure.title.contains(text);
    match (&failure.expected, &failure.actual) {
        // A failure that gives both as whole lines wants them compared.
        (Some(expected), Some(actual)) if expected.ends_with('\n') && actual.ends_with('\n') => {
            let drawn =
                diff(Some(expected), actual, DiffOptions { colour: paint.color, lines: 200, ..DiffOptions::default() });
            let _ = writeln!(out, "  {}\n  {}", paint.red("- expected"), paint.green("+ actual"));
            // Its own two lines of heading speak of snapshots.
            out += &drawn.lines().skip(2).map(|line| format!("  {line}\n")).collect::<String>();
        }
        (Some(expected), Some(actual)) if said(expected) && said(actual) => {}
        (expected, actual) => {
            for (name, text) in [("expected", expected), ("  actual", actual)] {
                if let Some(text) = text {
                    out += &side(name, text, paint);
                }
            }
        }
    }
    out
}

fn side(name: &str, text: &str, paint: Paint) -> String {
    const MOST_LINES: usize = 50;
    match text.trim_end_matches('\n').contains('\n') || text.len() > 500 {
        false => format!("  {}: {}\n", paint.bold(name), escaped(text.trim_end_matches('\n'))),
        true => {
            let lines: Vec<&str> = text.lines().collect();
            let kept: Vec<String> = lines.iter().take(MOST_LINES).map(|line| clipped(line, 1000)).collect();
            let more = lines.len().saturating_sub(MOST_LINES);
            let rest = if more > 0 { format!("    … {more} more lines\n") } else { String::new() };
            format!("  {}:\n{}{rest}", paint.bold(name), indented(&kept.join("\n"), "    "))
        }
    }
}

/// What became of the snapshot, where that is a reason to fail.
fn snapshot(case: &CaseResult, paint: Paint) -> String {
    match &case.snapshot {
        SnapshotResult::Compared(Outcome::Differs { pending, old, new }) => {
            let mut out = format!("{}: the behaviour is not as accepted\n", paint.red("snapshot"));
            out += &diff(Some(old), new, DiffOptions { colour: paint.color, ..DiffOptions::default() });
            out + &match pending {
                Some(pending) => format!("if this is right, accept it with: {}\n", accept(pending)),
                None if !case.failures.is_empty() => {
                    "nothing was written, because the case fails in words, too\n".to_owned()
                }
                None => {
                    "nothing was written, because CI is set; if this is right, run without it and review\n".to_owned()
                }
            }
        }
        SnapshotResult::Error(error) => format!("{}: {}\n", paint.red("snapshot"), escaped(error)),
        SnapshotResult::Compared(Outcome::New { pending: None, .. }) if case.failures.is_empty() => {
            "this case expects nothing in words and has no snapshot, so it tests nothing; none was written, because \
             CI is set; run without it, review, and commit the snapshot\n"
                .to_owned()
        }
        SnapshotResult::None
        | SnapshotResult::Compared(Outcome::Match)
        | SnapshotResult::Compared(Outcome::New { .. })
        | SnapshotResult::Compared(Outcome::Accepted { .. }) => String::new(),
    }
}

/// The reason that a case failed, in one line.
pub(super) fn headline(case: &CaseResult) -> String {
    let more = case.failures.len().saturating_sub(1);
    match (case.failures.first(), &case.snapshot) {
        (Some(first), _) if more > 0 => format!("{} (and {more} more)", escaped(&first.title)),
        (Some(first), _) => escaped(&first.title),
        (None, SnapshotResult::Compared(Outcome::Differs { .. })) => "the behaviour is not as accepted".to_owned(),
        (None, SnapshotResult::Error(error)) => format!("snapshot: {}", escaped(error)),
        (None, SnapshotResult::Compared(Outcome::New { .. })) => {
            "no snapshot was accepted, and nothing is expected in words".to_owned()
        }
        (
            None,
            SnapshotResult::None
            | SnapshotResult::Compared(Outcome::Match)
            | SnapshotResult::Compared(Outcome::Accepted { .. }),
        ) => "it failed".to_owned(),
    }
}

/// The command that accepts a pending snapshot.
pub(super) fn accept(pending: &Path) -> String {
    format!("pwtest review accept '{}'", review_name(pending).replace('\'', r"'\''"))
}

/// The name of a snapshot as `pwtest review` lists it.
pub(super) fn review_name(pending: &Path) -> String {
    let path = shown(&pending.with_extension("").with_extension(""));
    escaped(&match path.is_absolute() {
        true => path.display().to_string(),
        false => path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"),
    })
}

/// The source as it can be drawn: the drawing escapes its text, but not its path.
pub(super) fn safe(source: &Arc<Source>) -> Arc<Source> {
    let path = source.path.display().to_string();
    match path.chars().any(char::is_control) {
        false => source.clone(),
        true => Arc::new(Source { path: PathBuf::from(escaped(&path)), text: source.text.clone() }),
    }
}
