//! One case under one host: makes the world, drives every variant, judges, and compares the snapshot.

mod judge;
mod setting;
mod variants;

use judge::denied;
pub(super) use judge::{judge, judge_refusal, judge_start, names};
pub use setting::plugin_config;

use super::drive::{Driver, StepRun};
use super::message::Variant;
use super::plugins::Plugins;
use super::result::{CaseResult, CaseStatus, SnapshotResult};
use super::verdict;
use crate::expect::Failure;
use crate::gateway::document::Gateway;
use crate::host::Host;
use crate::host::env::{Clock, Entropy};
use crate::host::plugin::LoadedPlugin;
use crate::host::portability;
use crate::host::profile::Profile;
use crate::host::world::World;
use crate::scenario::{Case, Scenario, SnapshotMode};
use crate::snapshot::{self, Mode, Outcome, Store, render};
use crate::trace::{Event, Recording};
use setting::{limits, policy};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use variants::{End, cut_variants, ends_differently, ends_of};

/// A case to be run.
pub struct Job<'a> {
    /// The file.
    pub scenario: &'a Scenario,
    /// The case, with what it expects under this host.
    pub case: Cow<'a, Case>,
    /// The host to imitate.
    pub profile: &'static Profile,
    /// The host's name, where the scenario runs under several.
    pub host: Option<String>,
    /// Where its snapshots lie.
    pub store: &'a Store,
    /// The gateway that its requests go through, if there is one.
    pub gateway: Option<&'a Gateway>,
    /// The binary that is to run it, where it is a real host and no profile.
    pub real: Option<PathBuf>,
}

impl Job<'_> {
    /// The same case of the same file, to be judged in another form.
    #[cfg(all(feature = "proxy", unix))]
    pub(super) fn with_case(&self, case: Case) -> Job<'_> {
        let Self { scenario, profile, store, gateway, .. } = *self;
        let (host, real) = (self.host.clone(), self.real.clone());
        Job { scenario, case: Cow::Owned(case), profile, host, store, gateway, real }
    }
}

/// What a run of one variant gave.
struct Run {
    events: Vec<Event>,
    failures: Vec<Failure>,
    started: bool,
    /// The plugins' names, by their numbers.
    plugins: Vec<String>,
    #[cfg_attr(not(all(feature = "proxy", unix)), expect(dead_code, reason = "only a real host asks"))]
    steps: Vec<StepRun>,
}

/// The result of a case that nobody has run yet.
pub(super) fn empty_result(job: &Job<'_>) -> CaseResult {
    CaseResult {
        source: job.scenario.source.clone(),
        span: job.case.span.clone(),
        name: job.case.name.clone(),
        host: job.host.clone(),
        profile: job.profile.name,
        status: CaseStatus::Passed,
        duration: std::time::Duration::ZERO,
        failures: Vec::new(),
        refusal: None,
        snapshot: SnapshotResult::None,
        events: Arc::default(),
        differences: Vec::new(),
        plugins: names(job.scenario),
        modules: Vec::new(),
        variant: String::new(),
        unseen: Vec::new(),
        chance: std::collections::BTreeSet::new(),
    }
}

/// Runs a case to its verdict.
pub fn run(job: &Job<'_>, plugins: &Plugins, mode: Mode, deny: &super::Deny) -> CaseResult {
    let begun = Instant::now();
    let mut result = empty_result(job);
    if let Some(reason) = &job.case.skip {
        result.status = CaseStatus::Skipped(reason.clone());
        return result;
    }
    match load(job, plugins) {
        Ok(modules) => {
            run_loaded(job, &modules, mode, deny, &mut result);
        }
        Err(failures) => {
            let reasons: Vec<&str> = failures.iter().map(|reason| reason.title.as_str()).collect();
            let text = reasons.join("\n");
            let expected = job.case.all_expectations().any(|expect| expect.load.is_some());
            (result.failures, result.status) = match expected {
                true => judge_refusal(job, &text, &names(job.scenario)),
                false => (failures, CaseStatus::NotStarted),
            };
            result.refusal = Some(text);
        }
    }
    result.duration = begun.elapsed();
    result
}

fn load(job: &Job<'_>, plugins: &Plugins) -> Result<Vec<Arc<LoadedPlugin>>, Vec<Failure>> {
    let mut failures = Vec::new();
    let mut modules = Vec::new();
    let of_chain = job.scenario.plugins.iter().map(|spec| (&spec.file, spec.file_span.clone()));
    let of_gateway = job.gateway.into_iter().flat_map(|gateway| gateway.resources.plugins());
    let at = job.scenario.gateway.as_ref().map(|spec| spec.span.start..spec.span.start).unwrap_or_default();
    for (file, span) in of_chain.chain(of_gateway.map(|plugin| (&plugin.file, at.clone()))) {
        match plugins.get(file, job.profile) {
            Ok(module) => modules.push(module),
            Err(error) => failures.extend(super::load_failures(&error, file, span)),
        }
    }
    if failures.is_empty() { Ok(modules) } else { Err(failures) }
}

fn run_loaded(job: &Job<'_>, modules: &[Arc<LoadedPlugin>], mode: Mode, deny: &super::Deny, result: &mut CaseResult) {
    let mut first = drive(job, modules, None);
    let ways = cut_variants(&job.case);
    let mut ends: Option<Vec<End>> = None;
    let mut variant_events = None;
    for variant in ways {
        let run = drive(job, modules, Some(variant));
        let end = ends_of(&run.events);
        let differs = match &ends {
            None => {
                ends = Some(end);
                None
            }
            Some(expected) => (*expected != end).then(|| ends_differently(expected, &end, variant)),
        };
        if let Some(failure) = differs {
            first.failures.push(failure);
        } else if !run.failures.is_empty() && first.failures.is_empty() {
            first.failures = run.failures;
        } else {
            continue;
        }
        result.variant = format!("body {variant}");
        variant_events = Some(run.events);
        break;
    }
    result.failures.append(&mut first.failures);
    result.modules = modules_of(job, modules, &first.plugins);
    result.plugins = std::mem::take(&mut first.plugins);
    result.differences = portability::differences(&first.events, job.profile);
    result.failures.extend(denied(&first.events, &result.differences, job.profile, deny));
    compare(job, mode, &first.events, result);
    result.status = match (first.started, result.failures.is_empty(), &result.snapshot) {
        (false, false, _) => CaseStatus::NotStarted,
        (_, false, _) | (_, _, SnapshotResult::Compared(Outcome::Differs { .. }) | SnapshotResult::Error(_)) => {
            CaseStatus::Failed
        }
        // On a CI server nobody reviews: a case that expects nothing in words and has no snapshot tests nothing.
        (_, _, SnapshotResult::Compared(Outcome::New { pending: None, .. }))
            if mode == Mode::ReadOnly && !expects_anything(&job.case) =>
        {
            CaseStatus::Failed
        }
        _ => CaseStatus::Passed,
    };
    result.events = Arc::new(variant_events.unwrap_or(first.events));
}

/// The binaries of the plugins, by their numbers.
fn modules_of(job: &Job<'_>, modules: &[Arc<LoadedPlugin>], names: &[String]) -> Vec<Arc<Vec<u8>>> {
    let Some(gateway) = job.gateway else { return modules.iter().map(|module| module.wasm.clone()).collect() };
    let entries = gateway.resources.plugins().iter().zip(modules);
    let of = |name: &String| entries.clone().find(|(plugin, _)| *plugin.name == **name).map(|(_, module)| module);
    names.iter().map(|name| of(name).map(|module| module.wasm.clone()).unwrap_or_default()).collect()
}

fn expects_anything(case: &Case) -> bool {
    case.expect.is_some() || case.steps.iter().any(|step| step.expect.is_some())
}

/// What a case does in memory, for somebody who is about to do the same with a real host.
#[cfg(all(feature = "proxy", unix))]
pub(super) fn rehearse(job: &Job<'_>, plugins: &Plugins) -> super::envoy::Rehearsal {
    match load(job, plugins) {
        Ok(modules) => {
            let Run { events, failures, started, steps, plugins: _ } = drive(job, &modules, None);
            super::envoy::Rehearsal { events, steps, started, failures, refused: Vec::new() }
        }
        Err(refused) => super::envoy::Rehearsal { refused, ..super::envoy::Rehearsal::default() },
    }
}

/// Runs one variant and judges it.
fn drive(job: &Job<'_>, modules: &[Arc<LoadedPlugin>], variant: Option<Variant>) -> Run {
    let (scenario, case) = (job.scenario, &*job.case);
    let mut world =
        World::new(job.profile, Clock::starting_at(scenario.clock_ns), Entropy::seeded(scenario.seed), Recording::On);
    world.properties = scenario.properties.iter().map(|(path, value)| (path.value.clone(), value.into())).collect();
    world.foreign = scenario.foreign.iter().map(|(name, answer)| (name.value.clone().into(), answer.clone())).collect();
    if let Some(buffer) = scenario.limits.buffer {
        world.buffer_limit = usize::try_from(buffer).unwrap_or(usize::MAX);
    }
    let host = Host::new(world, limits(scenario), policy(scenario, job.profile));
    let mut driver = Driver::new(scenario, case, variant, host);
    let started = match job.gateway {
        Some(gateway) => driver.start_gateway(gateway, setting::of_gateway(gateway, modules)),
        None => driver.start(setting::of_chain(scenario, modules)),
    };
    if let Err(error) = started {
        let (events, plugins) = driver.into_events();
        let failure = verdict::start_failure(&error, Some(job.case.span.clone()));
        let failures = judge_start(job, failure, &events, &plugins);
        return Run { events, failures, started: false, plugins, steps: Vec::new() };
    }
    let (steps, events, plugins) = driver.run();
    let failures = judge(job, &steps, &events, &plugins);
    Run { events, failures, started: true, plugins, steps }
}

fn compare(job: &Job<'_>, mode: Mode, events: &[Event], result: &mut CaseResult) {
    let detail = match job.case.snapshot {
        SnapshotMode::Off => return,
        SnapshotMode::Behaviour => render::Detail::Behaviour,
        SnapshotMode::Hostcalls => render::Detail::Hostcalls,
    };
    let text = render::render(events, &result.plugins, detail);
    let text = job.scenario.redact.iter().fold(text, |text, redaction| {
        redaction.matches.replace_all(&text, regex::NoExpand(&redaction.replacement)).into_owned()
    });
    // A case that failed in words is not offered for acceptance: its behaviour is known to be wrong.
    let mode = if result.failures.is_empty() { mode } else { Mode::ReadOnly };
    result.snapshot = match job.store.check(&job.case.name, job.host.as_deref(), &text, mode) {
        Ok(outcome) => SnapshotResult::Compared(outcome),
        Err(error) => SnapshotResult::Error(describe(&error)),
    };
}

fn describe(error: &snapshot::SnapshotError) -> String {
    error.to_diagnostic().render(false)
}
