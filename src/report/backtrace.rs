//! A trap as a report shows it: what the plugin said, what the engine said, and the frames with file and line.

use super::paint::Paint;
use crate::host::backtrace;
use crate::trace::Trap;
use crate::trace::show::clipped;
use std::fmt::Write as _;
use std::sync::Arc;

/// More frames than this are not shown.
const MOST_FRAMES: usize = 30;

/// Looks up the frames of traps.
#[derive(Default)]
pub(super) struct Backtraces(backtrace::Backtraces);

impl Backtraces {
    /// The trap in full, indented, each line ended.
    pub fn render(&mut self, trap: &Trap, modules: &[Arc<Vec<u8>>], paint: Paint) -> String {
        let mut out = String::new();
        if let Some(panic) = &trap.panic {
            out += "  the plugin's last words:\n";
            for line in last_lines(panic, 20) {
                let _ = writeln!(out, "    {}", clipped(line, 500));
            }
        }
        let _ = writeln!(out, "  the engine says: {}", clipped(&trap.message, 500));
        if !trap.frames.is_empty() {
            let _ = writeln!(out, "  in {}, innermost function first:", trap.callback.name());
            out += &self.frames(trap, modules.get(trap.plugin.0), paint);
        }
        out
    }

    fn frames(&mut self, trap: &Trap, wasm: Option<&Arc<Vec<u8>>>, paint: Paint) -> String {
        let (calls, skipped) = self.0.calls(trap, wasm);
        let mut out = String::new();
        if skipped > 0 {
            let _ = writeln!(
                out,
                "{}",
                paint.dim(format_args!(
                    "       ({} of the panic itself left out)",
                    super::count(skipped, "frame", "frames")
                ))
            );
        }
        for (nth, call) in calls.iter().enumerate().skip(skipped).take(MOST_FRAMES) {
            let _ = writeln!(out, "    {nth:>2}: {}", clipped(&call.function, 200));
            if let Some(place) = &call.place {
                let _ = writeln!(out, "{}", paint.dim(format_args!("          at {}", clipped(place, 200))));
            }
        }
        if let Some(more @ 1..) = calls.len().checked_sub(skipped + MOST_FRAMES) {
            let _ = writeln!(out, "        and {more} more");
        }
        if calls.iter().all(|call| call.place.is_none()) {
            out += "        (the module has no line tables; a build with debug information shows files and lines)\n";
        }
        out
    }
}

fn last_lines(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(most);
    lines.into_iter().skip(skipped)
}
