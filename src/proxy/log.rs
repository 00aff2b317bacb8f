//! The error log: who may write, how bad it must be, and in which form.
//!
//! Lines are nginx's (apisix.md 4.5) or JSON. They are made on the thread that has something to say and written by
//! another one, so a worker never waits. What is below the level costs a comparison.

mod backtrace;
mod line;
mod sink;
mod stamp;

pub use line::{Controls, Entry, Format, Request};
pub(super) use line::{Object, put};
pub use sink::{Destination, OnDropped, Sink};
pub(super) use stamp::{Form, now};

use crate::abi::LogLevel;
use crate::trace::Trap;
use backtrace::TrapLine;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// nginx's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// `debug`
    Debug,
    /// `info`
    Info,
    /// `notice`
    Notice,
    /// `warn`
    Warn,
    /// `error`
    Error,
    /// `crit`
    Crit,
    /// `alert`
    Alert,
    /// `emerg`
    Emerg,
}

impl Severity {
    /// From the mildest.
    pub const ALL: &'static [Self] =
        &[Self::Debug, Self::Info, Self::Notice, Self::Warn, Self::Error, Self::Crit, Self::Alert, Self::Emerg];

    /// As nginx writes and reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Crit => "crit",
            Self::Alert => "alert",
            Self::Emerg => "emerg",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|severity| severity.name() == name)
    }

    /// The mildest level of plugins that is written where this one is the mildest.
    pub fn plugin_level(self) -> LogLevel {
        match self {
            Self::Debug => LogLevel::Trace,
            Self::Info => LogLevel::Info,
            Self::Notice | Self::Warn => LogLevel::Warn,
            Self::Error => LogLevel::Error,
            Self::Crit | Self::Alert | Self::Emerg => LogLevel::Critical,
        }
    }
}

impl From<LogLevel> for Severity {
    /// apisix.md 4.5
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace | LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
            LogLevel::Critical => Self::Emerg,
        }
    }
}

/// The error log.
#[derive(Clone)]
pub struct ErrorLog {
    sink: Sink,
    level: Severity,
    format: Format,
    controls: Controls,
}

thread_local! {
    /// The line that is being made.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ErrorLog {
    /// Opens it.
    pub fn start(destination: Destination, level: Severity, format: Format, controls: Controls) -> io::Result<Self> {
        let dropped = move |count: u64, out: &mut Vec<u8>| {
            let message =
                format!("{count} lines of this log were dropped: they came faster than they could be written");
            let entry = Entry { severity: Severity::Alert, message: message.as_bytes(), plugin: None, request: None };
            render(&entry, format, controls, out);
        };
        let sink = Sink::start("error", destination, Box::new(dropped))?;
        Ok(Self { sink, level, format, controls })
    }

    /// The mildest level that is written.
    pub fn level(&self) -> Severity {
        self.level
    }

    /// Whether such a line is written at all.
    pub fn wants(&self, severity: Severity) -> bool {
        severity >= self.level
    }

    /// Writes an entry, if it is bad enough.
    pub fn write(&self, entry: &Entry<'_>) {
        if self.wants(entry.severity) {
            SCRATCH.with_borrow_mut(|scratch| {
                scratch.clear();
                render(entry, self.format, self.controls, scratch);
                self.sink.write(scratch);
            });
        }
    }

    /// Writes a message of the proxy itself, outside of any request.
    pub fn say(&self, severity: Severity, message: &str) {
        self.write(&Entry { severity, message: message.as_bytes(), plugin: None, request: None });
    }

    /// Writes a trap with its backtrace. `wasm` is the module, for files and lines.
    pub fn trap(
        &self,
        plugin: &Arc<str>,
        trap: &Arc<Trap>,
        wasm: Option<&Arc<Vec<u8>>>,
        request: Option<&Request<'_>>,
    ) {
        if !self.wants(Severity::Error) {
            return;
        }
        let mut head = Vec::new();
        if self.format == Format::Text {
            now(Form::ErrorLog, &mut head);
            head.extend_from_slice(b" [error] ");
            stamp::process_and_thread(&mut head);
            head.extend_from_slice(b": ");
            if let Some(request) = request {
                put(&mut head, format_args!("*{} ", request.connection));
            }
        }
        let (plugin, trap, wasm) = (plugin.clone(), trap.clone(), wasm.cloned());
        self.sink.trap(TrapLine { head, format: self.format, controls: self.controls, plugin, trap, wasm });
    }

    /// Where it goes, for text that is no entry.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Writes what is there; `false` when there was no time for it.
    pub fn stop(&self, within: Duration) -> bool {
        self.sink.stop(within)
    }
}

fn render(entry: &Entry<'_>, format: Format, controls: Controls, out: &mut Vec<u8>) {
    match format {
        Format::Text => line::text(entry, controls, out),
        Format::Json => line::json(entry, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{ContextId, PluginIndex};
    use crate::trace::{Entry as Export, Frame, TrapKind};

    // apisix.md 4.5, the table.
    #[test]
    fn levels_of_plugins_become_those_of_nginx() {
        let names: Vec<_> = LogLevel::ALL.iter().map(|level| Severity::from(*level).name()).collect();
        assert_eq!(names, ["debug", "debug", "info", "warn", "error", "emerg"]);
        for severity in Severity::ALL {
            assert_eq!(Severity::from_name(severity.name()), Some(*severity));
            // What plugins are asked for is all that is written, and nothing that is not.
            for level in LogLevel::ALL {
                assert_eq!(
                    *level >= severity.plugin_level(),
                    Severity::from(*level) >= *severity,
                    "{level} {severity:?}"
                );
            }
        }
    }

    #[test]
    fn a_trap_is_one_entry_with_its_frames_and_in_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let file = Destination::File(path.clone());
        let log = ErrorLog::start(file, Severity::Warn, Format::Text, Controls::Raw).expect("a file");
        let trap = Trap {
            plugin: PluginIndex(0),
            callback: Export::Start("_start"),
            context: ContextId(1),
            exchange: None,
            kind: TrapKind::Guest,
            message: "wasm `unreachable` instruction executed".to_owned(),
            panic: Some("panicked at src/lib.rs".to_owned()),
            frames: vec![Frame { function: "outer\x1b".to_owned(), offset: None }],
        };
        log.say(Severity::Info, "not bad enough");
        log.say(Severity::Warn, "before");
        log.trap(&"p".into(), &Arc::new(trap), None, None);
        log.say(Severity::Error, "after");
        assert!(log.stop(Duration::from_secs(20)));
        let text = std::fs::read_to_string(path).expect("the file");
        let lines: Vec<_> = text.lines().map(|line| line.split_once(": ").map_or(line, |(_, rest)| rest)).collect();
        assert_eq!(
            lines,
            [
                "before",
                "plugin p trapped in _start: wasm `unreachable` instruction executed",
                "panicked at src/lib.rs",
                "outer\\u{1b}",
                "after"
            ]
        );
    }
}
