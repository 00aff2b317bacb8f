//! Whether hosts load a module, and what will not work there, without running it: the judgement behind `pwtest check`.
//!
//! The reasons for refusing come from [`inspect`] with the rules of each profile, so what is said here
//! is what `pwtest run` does. What a module that loads should know of a host is `advice`, read from the
//! fields of the profile. Function bodies are validated, not compiled.

mod advice;
#[cfg(test)]
mod tests;

use super::inspect::{self, Facts, LoadError, Reason, Warning};
use super::plugin::{link_rules, table};
use super::profile::Profile;
use std::path::Path;
use wasmtime::{Engine, Module};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The host does not load the module, or never gets it to start.
    Error,
    /// It loads, and something in it does not work.
    Warning,
    /// Worth knowing.
    Note,
}

impl Level {
    /// The word for people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to say about a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// What kind of problem it is, by a stable name.
    pub id: &'static str,
    /// The imports and exports that it is about, where it has a list of them.
    pub names: Vec<String>,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where the claim comes from, if it is one about a host.
    pub source: Option<&'static str>,
}

/// What one host makes of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The host.
    pub host: &'static str,
    /// The worst first.
    pub problems: Vec<Problem>,
}

impl Verdict {
    /// Whether the host loads and starts the module, as far as can be told without running it.
    pub fn loads(&self) -> bool {
        self.problems.iter().all(|problem| problem.level != Level::Error)
    }
}

/// What there is to say about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What the module is; `None` if the file is none.
    pub facts: Option<Facts>,
    /// What is wrong whatever the host: no host loads it.
    pub file: Vec<Problem>,
    /// What each host makes of it; empty where the file is no module.
    pub hosts: Vec<Verdict>,
}

impl Checked {
    /// Whether every host that was asked for loads it.
    pub fn loads(&self) -> bool {
        self.file.is_empty() && self.hosts.iter().all(Verdict::loads)
    }

    fn not_a_module(error: &LoadError) -> Self {
        Self { facts: None, file: error.reasons().iter().map(refusal).collect(), hosts: Vec::new() }
    }
}

/// Checks the contents of a file against some hosts.
pub fn check(engine: &Engine, path: &Path, bytes: Vec<u8>, hosts: &[&'static Profile]) -> Checked {
    let wasm = match inspect::to_wasm(bytes, path) {
        Ok(wasm) => wasm,
        Err(error) => return Checked::not_a_module(&error),
    };
    let facts = match Facts::read(&wasm) {
        Ok(facts) => facts,
        Err(error) => return Checked::not_a_module(&error),
    };
    let mut verdicts: Vec<Verdict> = hosts.iter().map(|profile| verdict(profile, &wasm, &facts)).collect();
    // What every host refuses for the same reason is said better by that reason than by the engine.
    let mut file = Vec::new();
    if verdicts.iter().any(Verdict::loads)
        && let Err(error) = Module::validate(engine, &wasm)
    {
        let offset = error.downcast_ref::<wasmparser::BinaryReaderError>().map(|error| error.offset());
        let message = error.root_cause().to_string();
        file.push(refusal(&Reason::Invalid { offset, message }));
        for verdict in &mut verdicts {
            verdict.problems.retain(|problem| problem.level == Level::Error);
        }
    }
    Checked { facts: Some(facts), file, hosts: verdicts }
}

fn verdict(profile: &'static Profile, wasm: &[u8], facts: &Facts) -> Verdict {
    let mut problems = match inspect::inspect(wasm, table(profile), &link_rules(profile)) {
        Ok(inspection) => {
            let mut problems: Vec<Problem> = inspection.warnings.iter().map(|w| warning(w, profile)).collect();
            problems.extend(advice::of(profile, &inspection, facts, wasm));
            problems
        }
        Err(error) => error.reasons().iter().map(refusal).collect(),
    };
    // Stable: within a level they stay in the order of the module.
    problems.sort_by_key(|problem| problem.level);
    Verdict { host: profile.name, problems }
}

fn refusal(reason: &Reason) -> Problem {
    let (id, message, hint) = (reason.id(), reason.to_string(), reason.hint());
    Problem { level: Level::Error, id, names: reason.names(), message, hint, source: None }
}

fn warning(warning: &Warning, profile: &Profile) -> Problem {
    let (id, message) = (warning.id(), warning.to_string());
    // A run takes Higress's marker everywhere; a host that asks for a marker does not.
    let refused = *warning == Warning::HigressMarker && profile.requires_marker;
    let level = if refused { Level::Error } else { Level::Warning };
    Problem { level, id, names: Vec::new(), message, hint: None, source: None }
}
