//! What a module that loads should know of a host: read from the fields of its profile.

use super::super::inspect::{Entry, Facts, Inspection};
use super::super::profile::Profile;
use super::{Level, Problem};

/// Everything there is to say.
pub(super) fn of(profile: &Profile, inspection: &Inspection, facts: &Facts, wasm: &[u8]) -> Vec<Problem> {
    let _ = wasm;
    let module = Reading { profile, inspection, facts };
    [module.memory(), module.start_section()].into_iter().flatten().collect()
}

struct Reading<'a> {
    profile: &'a Profile,
    inspection: &'a Inspection,
    facts: &'a Facts,
}

impl Reading<'_> {
    /// More memory at the start than the host gives.
    fn memory(&self) -> Option<Problem> {
        let bytes = self.inspection.memory.min_pages.saturating_mul(64 << 10);
        let limit = self.profile.memory_limit as u64;
        (bytes > limit).then(|| Problem {
            level: Level::Error,
            id: "memory-too-large",
            names: vec![self.inspection.memory.export.clone()],
            message: format!(
                "the module asks for {} MiB of memory at the start, and {} gives at most {} MiB",
                bytes >> 20,
                self.profile.name,
                limit >> 20
            ),
            hint: Some("lower the initial memory (`-Wl,--initial-memory=`); it grows when it is needed".to_owned()),
            source: Some("abi.md 9"),
        })
    }

    /// Code that runs before the host is ready for hostcalls.
    fn start_section(&self) -> Option<Problem> {
        (self.facts.start_section && self.profile.restricts_start && !self.inspection.has(Entry::Initialize)).then(
            || Problem {
                level: Level::Note,
                id: "start-section",
                names: Vec::new(),
                message: format!(
                    "a start section runs while the module is instantiated, and {} crashes on a hostcall there that \
                     touches memory",
                    self.profile.name
                ),
                hint: Some("do the work in `_initialize` or in a callback".to_owned()),
                source: Some("Envoy 1.40"),
            },
        )
    }
}
