//! What a module that loads should know of a host: read from the fields of its profile.

use super::super::inspect::{Entry, Facts, Inspection, Sdk, StartFunctions, mentions};
use super::super::profile::{Profile, Support};
use super::{Level, Problem};
use crate::abi::{Callback, CallbackKind};

/// Everything there is to say.
pub(super) fn of(profile: &Profile, inspection: &Inspection, facts: &Facts, wasm: &[u8]) -> Vec<Problem> {
    let module = Reading { profile, inspection, facts, wasm };
    let mut problems: Vec<Problem> = [
        module.memory(),
        module.configure(),
        module.main(),
        module.start_order(),
        module.start_section(),
        module.unimplemented(),
        module.without_effect(),
        module.never_called(),
    ]
    .into_iter()
    .flatten()
    .collect();
    problems.extend(module.bodies());
    problems
}

struct Reading<'a> {
    profile: &'a Profile,
    inspection: &'a Inspection,
    facts: &'a Facts,
    wasm: &'a [u8],
}

fn listed(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Reading<'_> {
    /// Where the profile says otherwise than most of a kind of finding: what it does, and the source.
    fn quirk(&self, id: &str) -> Option<(&'static str, &'static str)> {
        self.profile.quirks.iter().find(|quirk| quirk.id == id).map(|quirk| (quirk.does, quirk.source))
    }

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

    /// A host that needs a callback that others can do without.
    fn configure(&self) -> Option<Problem> {
        let (does, source) = self.quirk("configure-missing")?;
        let name = Callback::OnConfigure.export();
        (!self.inspection.callbacks.contains(&Callback::OnConfigure)).then(|| Problem {
            level: Level::Error,
            id: "configure-missing",
            names: vec![name.to_owned()],
            message: format!("`{name}` is not exported; {} {does}", self.profile.name),
            hint: Some("export it, and return 1; the SDKs do".to_owned()),
            source: Some(source),
        })
    }

    /// `main` is not for every host.
    fn main(&self) -> Option<Problem> {
        let never = self.profile.start_functions == StartFunctions::CommandFirst;
        let main = self.facts.entries.iter().find(|entry| matches!(entry, Entry::Main | Entry::MainVoid))?;
        // Behind `_start` the toolchain's own start function calls it.
        let by_start = self.facts.entries.contains(&Entry::Start);
        (never && !by_start).then(|| Problem {
            level: Level::Warning,
            id: "main-function",
            names: vec![main.export().to_owned()],
            message: format!("`{}` is exported, and {} never calls it", main.export(), self.profile.name),
            hint: Some("do the work in `_initialize` (Go: in `init`) or in a callback".to_owned()),
            source: Some("apisix.md 2.1"),
        })
    }

    /// Hosts choose differently between the two ways of starting.
    fn start_order(&self) -> Option<Problem> {
        let both = [Entry::Initialize, Entry::Start].iter().all(|entry| self.facts.entries.contains(entry));
        let chosen = match self.profile.start_functions {
            StartFunctions::ReactorFirst => Entry::Initialize,
            StartFunctions::CommandFirst => Entry::Start,
        };
        both.then(|| Problem {
            level: Level::Note,
            id: "two-start-functions",
            names: vec![Entry::Initialize.export().to_owned(), Entry::Start.export().to_owned()],
            message: format!(
                "`_initialize` and `_start` are both exported; {} calls `{}`, and others choose differently",
                self.profile.name,
                chosen.export()
            ),
            hint: Some("export one of them".to_owned()),
            source: Some("abi.md 2.2"),
        })
    }

    /// Code that runs before the host is ready for hostcalls.
    fn start_section(&self) -> Option<Problem> {
        let hostcalls = self.facts.imports.iter().any(|import| import.module == "env");
        (self.facts.start_section && self.profile.start_section_crashes && hostcalls).then(|| Problem {
            level: Level::Note,
            id: "start-section",
            names: Vec::new(),
            message: format!(
                "a start section runs while the module is instantiated, and {} crashes on a hostcall there",
                self.profile.name
            ),
            hint: Some("do the work in `_initialize` or in a callback".to_owned()),
            source: Some("Envoy 1.40; wasm-nginx-module by reading"),
        })
    }

    /// The imported hostcalls that are supported so far and no further.
    fn imported(&self, support: Support) -> Vec<String> {
        let hostcalls = self.facts.imports.iter().filter(|import| import.module == "env");
        let found = hostcalls.filter(|import| self.profile.support(&import.name) == support);
        found.map(|import| import.name.clone()).collect()
    }

    /// Hostcalls that the host answers with UNIMPLEMENTED.
    fn unimplemented(&self) -> Option<Problem> {
        let names = self.imported(Support::Unimplemented);
        let host = self.profile.name;
        let hint = match self.facts.sdk {
            Some(Sdk::Rust) => {
                "the Rust SDK panics on that status (`unexpected status: 12`): the callback traps and the request fails; \
                 don't call them there"
            }
            Some(Sdk::Go) => "the Go SDK returns an error for that status: look at it, and do without",
            None => "look at the status, and do without",
        };
        (!names.is_empty()).then(|| Problem {
            level: Level::Warning,
            id: "hostcall-unimplemented",
            message: format!("{host} answers unimplemented to {}, which the module imports", listed(&names)),
            names,
            hint: Some(hint.to_owned()),
            source: Some("apisix.md 4"),
        })
    }

    /// Hostcalls that say OK and do nothing.
    fn without_effect(&self) -> Option<Problem> {
        let names = self.imported(Support::Dummy);
        // SDKs bring them along, and the host does by itself what they ask for.
        const HARMLESS: [&str; 2] = ["proxy_set_effective_context", "proxy_continue_stream"];
        (names.iter().any(|name| !HARMLESS.contains(&&name[..]))).then(|| Problem {
            level: Level::Warning,
            id: "hostcall-without-effect",
            message: format!("{} says ok and does nothing for {}", self.profile.name, listed(&names)),
            names,
            hint: Some("nothing tells the plugin; don't rely on what they do".to_owned()),
            source: Some("apisix.md 4"),
        })
    }

    /// Callbacks that the host does not call.
    fn never_called(&self) -> Option<Problem> {
        let exported = &self.inspection.callbacks;
        // SDKs export the callbacks of HTTP and TCP alike, so there the others are of no interest.
        let tcp = exported.contains(&Callback::OnRequestHeaders);
        let names = exported.iter().filter(|callback| !self.profile.documented.calls(**callback));
        let names: Vec<String> = names
            .filter(|callback| !(tcp && callback.kind() == CallbackKind::Tcp))
            .map(|callback| callback.export().to_owned())
            .collect();
        (!names.is_empty()).then(|| Problem {
            level: Level::Note,
            id: "callback-not-called",
            message: format!("{} never calls {}", self.profile.name, listed(&names)),
            names,
            hint: Some("SDKs export all callbacks; it matters only if yours does something there".to_owned()),
            source: Some("apisix.md 0, fact 1"),
        })
    }

    /// Body callbacks that have to be asked for.
    fn bodies(&self) -> Vec<Problem> {
        let asked = self.profile.documented.body_properties.iter();
        let missing = asked.filter(|(callback, property)| {
            self.inspection.callbacks.contains(callback) && !mentions(self.wasm, property.as_bytes())
        });
        missing
            .map(|(callback, property)| Problem {
                level: if self.facts.sdk.is_some() { Level::Note } else { Level::Warning },
                id: "body-callback-not-enabled",
                names: vec![callback.export().to_owned()],
                message: format!(
                    "{} calls `{}` only when the plugin has set the property `{property}`, and the module does not \
                     mention it",
                    self.profile.name,
                    callback.export()
                ),
                hint: Some("set it to a non-empty value in the headers callback, if you want the body".to_owned()),
                source: Some("apisix.md 0, fact 9"),
            })
            .collect()
    }
}
