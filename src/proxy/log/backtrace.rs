//! A trap in the error log: one entry of several lines, with the functions and their places in the source.
//!
//! Finding the places reads the module's DWARF, so it is done by the thread that writes the log, and once for each
//! place. The entry is exempt from nginx's bound for a line: it is why somebody opens the log.

use super::line::{Controls, Format, Object, message, put};
use crate::host::backtrace::{Backtraces, Call};
use crate::trace::Trap;
use crate::trace::show::clipped;
use std::sync::Arc;

/// What a trap counts as, among the bytes that wait.
pub(super) const SIZE: usize = 4 << 10;
/// More frames than this are not written.
const MOST_FRAMES: usize = 30;
/// More than this of the plugin's last words is not written.
const MOST_WORDS: usize = 2000;

/// A trap that waits to be written.
pub(super) struct TrapLine {
    /// The beginning of the entry: time, level, process, connection; or the object up to here.
    pub head: Vec<u8>,
    /// How the log is written.
    pub format: Format,
    /// What a terminal gets.
    pub controls: Controls,
    /// The plugin's name.
    pub plugin: Arc<str>,
    /// What happened.
    pub trap: Arc<Trap>,
    /// Its module.
    pub wasm: Option<Arc<Vec<u8>>>,
}

impl TrapLine {
    /// The entry, ended.
    pub fn render(self, backtraces: &mut Backtraces) -> Vec<u8> {
        let (calls, skipped) = backtraces.calls(&self.trap, self.wasm.as_ref());
        match self.format {
            Format::Text => self.text(&calls, skipped),
            Format::Json => self.json(&calls, skipped),
        }
    }

    fn title(&self) -> String {
        let trap = &self.trap;
        format!("plugin {} trapped in {}: {}", self.plugin, trap.callback.name(), clipped(&trap.message, 500))
    }

    fn text(mut self, calls: &[Call], skipped: usize) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.head);
        message(self.title().as_bytes(), self.controls, &mut out);
        if let Some(panic) = &self.trap.panic {
            for line in panic.lines().take(20) {
                put(&mut out, format_args!("\n    it said: {}", clipped(line, 500)));
            }
        }
        for (nth, call) in calls.iter().enumerate().skip(skipped).take(MOST_FRAMES) {
            put(&mut out, format_args!("\n    {nth:>2}: {}", clipped(&call.function, 200)));
            if let Some(place) = &call.place {
                put(&mut out, format_args!(" at {}", clipped(place, 200)));
            }
        }
        if let Some(more @ 1..) = calls.len().checked_sub(skipped + MOST_FRAMES) {
            put(&mut out, format_args!("\n        and {more} more"));
        }
        out.push(b'\n');
        out
    }

    fn json(mut self, calls: &[Call], skipped: usize) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.head);
        let mut object = Object::open(&mut out);
        object.time();
        object.text("level", b"error");
        object.text("plugin", self.plugin.as_bytes());
        object.text("message", self.title().as_bytes());
        if let Some(panic) = &self.trap.panic {
            object.text("panic", clipped(panic, MOST_WORDS).as_bytes());
        }
        let frame = |call: &Call| serde_json::json!({ "function": call.function, "place": call.place });
        let frames: Vec<_> = calls.iter().skip(skipped).take(MOST_FRAMES).map(frame).collect();
        object.raw("frames", &serde_json::Value::from(frames).to_string());
        object.close();
        out
    }
}
