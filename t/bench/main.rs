//! The speed that pwtest promises, measured: `cargo bench` prints one line for each promise.
//!
//! A plain program and not a statistics library: most of these are whole processes, memory, and ratios to another
//! program in the same run, and what matters is whether a promise holds, not whether it moved by 2 %. Every figure
//! is the median of several rounds. `cargo bench -- TEXT` measures only the lines that contain the text.

mod cases;
mod cycle;
mod load;
mod process;
mod rounds;

use rounds::Rounds;
use std::path::{Path, PathBuf};

/// One line of the table.
struct Line {
    what: &'static str,
    measured: String,
    target: String,
    verdict: Verdict,
}

/// Whether a promise holds.
enum Verdict {
    Kept,
    Missed,
    /// Nothing was promised: the figure puts another one in proportion.
    Told,
}

impl Line {
    /// A figure that may be this much at the most.
    fn at_most(what: &'static str, measured: f64, target: f64, unit: &str) -> Self {
        let verdict = if measured <= target { Verdict::Kept } else { Verdict::Missed };
        Self { what, measured: figure(measured, unit), target: format!("<= {}", figure(target, unit)), verdict }
    }

    /// A figure that has to be this much at the least.
    fn at_least(what: &'static str, measured: f64, target: f64, unit: &str) -> Self {
        let verdict = if measured >= target { Verdict::Kept } else { Verdict::Missed };
        Self { what, measured: figure(measured, unit), target: format!(">= {}", figure(target, unit)), verdict }
    }

    /// A figure without a promise.
    fn told(what: &'static str, measured: f64, unit: &str) -> Self {
        Self { what, measured: figure(measured, unit), target: String::new(), verdict: Verdict::Told }
    }
}

fn figure(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}")
}

/// What is measured together, by the text that selects it.
type Group = (&'static str, fn(&Rounds) -> anyhow::Result<Vec<Line>>);

const GROUPS: &[Group] = &[
    // First: a child counts the memory of the process that started it, so this one has to be small still.
    ("process", process::measure),
    ("cases", cases::measure),
    ("cycle", cycle::measure),
    ("load", load::measure),
];

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says so; without it (`cargo test --benches`) one round shows that everything still runs.
    let rounds = Rounds::new(args.iter().any(|arg| arg == "--bench"));
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    println!("{:<46} {:>16} {:>18}", "what", "measured", "target");
    for (name, measure) in GROUPS {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        for Line { what, measured, target, verdict } in measure(&rounds)? {
            let verdict = match verdict {
                Verdict::Kept => "ok",
                Verdict::Missed => "MISSED",
                Verdict::Told => "",
            };
            println!("{:<46} {measured:>16} {target:>18}  {verdict}", format!("{name}: {what}"));
        }
    }
    Ok(())
}

/// A plugin of the repository.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A folder for what a measurement writes, empty.
fn scratch(name: &str) -> std::io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench").join(name);
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}
