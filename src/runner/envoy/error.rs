//! What can go wrong with a real Envoy that is nobody's plugin's fault.

use std::path::PathBuf;

/// Envoy could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvoyError {
    /// The path names nothing that is Envoy.
    #[error("can't use {} as Envoy: {why}", path.display())]
    Unusable {
        /// The path as given.
        path: PathBuf,
        /// What is the matter with it.
        why: String,
    },
    /// It ended by itself.
    #[error("Envoy {}{}", ended(*code), said(tail))]
    Exited {
        /// The exit code as a shell gives it: 128 and the number of the signal.
        code: Option<i32>,
        /// The last lines of its log.
        tail: String,
    },
    /// It never came up.
    #[error("Envoy was not ready within {seconds} seconds{}", said(tail))]
    NotReady {
        /// The limit.
        seconds: u64,
        /// The last lines of its log.
        tail: String,
    },
    /// It does not answer any more: a plugin holds the worker.
    #[error("Envoy's worker did not answer within {seconds} seconds: a plugin hangs it")]
    Hangs {
        /// The limit.
        seconds: u64,
    },
    /// A plugin logs without end.
    #[error("Envoy logged more than {megabytes} MiB")]
    Floods {
        /// The limit.
        megabytes: u64,
    },
    /// The run was ended from outside.
    #[error("interrupted")]
    Interrupted,
    /// This build has no network.
    #[error("this build of pwtest can't run a real Envoy: build it with the feature `proxy`")]
    NotBuilt,
}

fn ended(code: Option<i32>) -> String {
    match code {
        Some(code @ 129..=192) => format!("was ended by signal {}{}", code - 128, signal(code - 128)),
        Some(code) => format!("exited with code {code}"),
        None => "was ended".to_owned(),
    }
}

fn signal(number: i32) -> &'static str {
    match number {
        4 => " (illegal instruction)",
        6 => " (aborted)",
        7 => " (bus error)",
        9 => " (killed)",
        11 => " (segmentation fault)",
        _ => "",
    }
}

fn said(tail: &str) -> String {
    if tail.is_empty() { "; it said nothing".to_owned() } else { format!("; it said:\n{}", indented(tail)) }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}", crate::trace::show::clipped(line, 400))).collect::<Vec<_>>().join("\n")
}

impl EnvoyError {
    /// Whether it was a signal that ended it, so that a plugin may have crashed it.
    pub fn is_crash(&self) -> bool {
        matches!(self, Self::Exited { code: Some(129..=192) | None, .. })
    }
}
