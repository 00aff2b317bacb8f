//! The report of `pwtest check`: a block for each file, a line for each host, and below it what is wrong there.

mod json;

pub use json::json;

use super::count;
use super::paint::{Paint, wrapped};
use crate::host::check::{Checked, Level, Problem, Verdict};
use crate::host::inspect::Facts;
use crate::trace::show::{clipped, escaped};
use std::fmt::Write as _;
use std::path::Path;

/// The report for people.
pub fn text(path: &Path, checked: &Checked, color: bool, width: usize) -> String {
    let page = Page { paint: Paint { color }, width: width.clamp(60, 120) };
    let name = page.paint.bold(escaped(&path.display().to_string()));
    let mut out = match &checked.facts {
        Some(facts) => format!("{name}: {}\n", describe(facts)),
        None => format!("{name}\n"),
    };
    for problem in &checked.file {
        page.problem(&mut out, problem);
    }
    let column = checked.hosts.iter().map(|verdict| verdict.host.len()).max().unwrap_or(0);
    for verdict in &checked.hosts {
        page.verdict(&mut out, verdict, column, checked.file.is_empty());
    }
    out
}

/// Size, ABI and the rest, on one line.
fn describe(facts: &Facts) -> String {
    let mut parts = vec![size(facts.size as u64)];
    parts.push(match &facts.markers[..] {
        [] => "no ABI version".to_owned(),
        markers => {
            let versions = markers.iter().map(|m| m.trim_start_matches("proxy_abi_version_").replace('_', "."));
            format!("ABI {}", clipped(&versions.collect::<Vec<_>>().join(" and "), 60))
        }
    });
    parts.extend(facts.sdk.map(|sdk| sdk.name().to_owned()));
    parts.push(match &facts.memory {
        None => "no memory".to_owned(),
        Some(memory) => {
            let pages = count(usize::try_from(memory.min_pages).unwrap_or(usize::MAX), "page", "pages");
            let most = memory.max_pages.map(|pages| format!(", at most {pages}")).unwrap_or_default();
            format!("memory of {pages} ({}{most})", size(memory.min_pages.saturating_mul(64 << 10)))
        }
    });
    parts.extend(facts.entries.iter().map(|entry| entry.export().to_owned()));
    parts.join(", ")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

struct Page {
    paint: Paint,
    width: usize,
}

impl Page {
    fn verdict(&self, out: &mut String, verdict: &Verdict, column: usize, valid: bool) {
        let says = match (verdict.loads() && valid, verdict.problems.is_empty()) {
            (true, true) => self.paint.green("loads"),
            (true, false) => format!("{}, and", self.paint.green("loads")),
            (false, _) => self.paint.red("does not load"),
        };
        let _ = writeln!(out, "  {:column$}  {says}", verdict.host);
        for problem in &verdict.problems {
            self.problem(out, problem);
        }
    }

    fn problem(&self, out: &mut String, problem: &Problem) {
        let word = problem.level.name();
        let painted = match problem.level {
            Level::Error => self.paint.red(word),
            Level::Warning => self.paint.yellow(word),
            Level::Note => self.paint.bold(word),
        };
        let from = problem.source.map(|source| format!(" ({source})")).unwrap_or_default();
        let text = wrapped(&format!("{word}[{}]: {}{from}", problem.id, problem.message), "    ", self.width);
        // Wrapped first: the codes of a colour would count as text.
        *out += &text.replacen(word, &painted, 1);
        if let Some(hint) = &problem.hint {
            *out += &self.paint.dim(wrapped(&format!("help: {hint}"), "      ", self.width).trim_end());
            out.push('\n');
        }
    }
}
