//! One case under one host: makes the world, drives every variant, judges, and compares the snapshot.

use super::drive::{Driver, StepRun};
use super::message::{Variant, variants};
use super::plugins::Plugins;
use super::result::{CaseResult, CaseStatus, SnapshotResult};
use super::verdict;
use crate::abi::{ExchangeId, PluginIndex};
use crate::expect::{self, Failure, Judged};
use crate::host::env::{Clock, Entropy};
use crate::host::limits::{Limits, Work};
use crate::host::plugin::LoadedPlugin;
use crate::host::portability::{self, Difference};
use crate::host::profile::Profile;
use crate::host::store::properties::Property;
use crate::host::world::World;
use crate::host::{Host, PluginConfig, TrapPolicy};
use crate::scenario::{
    Body, Case, Cut, Expect, PropertyValue, Scenario, SnapshotMode, StepKind, TrapRequest, TrapVm, Upstream,
};
use crate::snapshot::{self, Mode, Outcome, Store, render};
use crate::trace::views::{self, SeenMessage};
use crate::trace::{Event, Peer, Recording};
use bytes::Bytes;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

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
    /// The binary that is to run it, where it is a real host and no profile.
    pub real: Option<PathBuf>,
}

impl Job<'_> {
    /// The same case of the same file, to be judged in another form.
    #[cfg(all(feature = "proxy", unix))]
    pub(super) fn with_case(&self, case: Case) -> Job<'_> {
        let Self { scenario, profile, store, .. } = *self;
        Job { scenario, case: Cow::Owned(case), profile, host: self.host.clone(), store, real: self.real.clone() }
    }
}

/// What a run of one variant gave.
struct Run {
    events: Vec<Event>,
    failures: Vec<Failure>,
    started: bool,
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
        plugins: job.scenario.plugins.iter().map(|p| p.name.clone()).collect(),
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
            result.modules = modules.iter().map(|m| m.wasm.clone()).collect();
            run_loaded(job, &modules, mode, deny, &mut result);
        }
        Err(failures) => {
            let reasons: Vec<&str> = failures.iter().map(|reason| reason.title.as_str()).collect();
            let text = reasons.join("\n");
            let expected = job.case.all_expectations().any(|expect| expect.load.is_some());
            (result.failures, result.status) = match expected {
                true => judge_refusal(job, &text),
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
    for spec in &job.scenario.plugins {
        match plugins.get(&spec.file, job.profile) {
            Ok(module) => modules.push(module),
            Err(error) => failures.extend(super::load_failures(&error, spec)),
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
    result.differences = portability::differences(&first.events, job.profile);
    result.failures.extend(denied(&first.events, &result.differences, job.profile, deny));
    compare(job, mode, &first.events, result);
    result.status = match (first.started, result.failures.is_empty(), &result.snapshot) {
        (false, false, _) => CaseStatus::NotStarted,
        (_, false, _) | (_, _, SnapshotResult::Differs { .. } | SnapshotResult::Error(_)) => CaseStatus::Failed,
        // On a CI server nobody reviews: a case that expects nothing in words and has no snapshot tests nothing.
        (_, _, SnapshotResult::New { pending: None, .. }) if mode == Mode::ReadOnly && !expects_anything(&job.case) => {
            CaseStatus::Failed
        }
        _ => CaseStatus::Passed,
    };
    result.events = Arc::new(variant_events.unwrap_or(first.events));
}

fn expects_anything(case: &Case) -> bool {
    case.expect.is_some() || case.steps.iter().any(|step| step.expect.is_some())
}

/// What a case does in memory, for somebody who is about to do the same with a real host.
#[cfg(all(feature = "proxy", unix))]
pub(super) fn rehearse(job: &Job<'_>, plugins: &Plugins) -> super::envoy::Rehearsal {
    match load(job, plugins) {
        Ok(modules) => {
            let Run { events, failures, started, steps } = drive(job, &modules, None);
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
    world.properties = scenario.properties.iter().map(|(path, value)| (path.value.clone(), property(value))).collect();
    world.foreign = scenario.foreign.iter().map(|(name, answer)| (name.value.clone().into(), answer.clone())).collect();
    if let Some(buffer) = scenario.limits.buffer {
        world.buffer_limit = usize::try_from(buffer).unwrap_or(usize::MAX);
    }
    let host = Host::new(world, limits(scenario), policy(scenario, job.profile));
    let mut driver = Driver::new(scenario, case, variant, host);
    let configs = scenario.plugins.iter().zip(modules).map(|(spec, code)| PluginConfig {
        code: code.clone(),
        name: spec.name.clone(),
        root_id: spec.root_id.clone(),
        config: spec.config.clone(),
        configured: spec.configured,
        vm_config: spec.vm_config.clone(),
        holds_only_headers: spec.allow_on_headers_stop_iteration,
        error_response: None,
        environment: spec.env.iter().map(|(k, v)| Bytes::from(format!("{k}={v}"))).collect(),
    });
    if let Err(error) = driver.start(configs.collect()) {
        let events = driver.into_events();
        let failure = verdict::start_failure(&error, Some(job.case.span.clone()));
        let failures = judge_start(job, failure, &events);
        return Run { events, failures, started: false, steps: Vec::new() };
    }
    let (steps, events) = driver.run();
    let failures = judge(job, &steps, &events);
    Run { events, failures, started: true, steps }
}

/// A start that failed is a failure, unless the scenario expects it; then only what it expects is judged.
pub(super) fn judge_start(job: &Job<'_>, failure: Failure, events: &[Event]) -> Vec<Failure> {
    let plugins = names(job.scenario);
    let expects: Vec<_> =
        job.case.expect.iter().chain(job.case.steps.iter().take(1).filter_map(|s| s.expect.as_ref())).collect();
    if !expects.iter().any(|e| e.all().any(verdict::expects_start_failure)) {
        let mut failures: Vec<Failure> = trap_failures(events, 0..events.len());
        failures.extend(crash_failures(events, 0..events.len(), &[]));
        failures.push(failure);
        return failures;
    }
    let judged = Judged {
        events,
        range: 0..events.len(),
        exchange: None,
        stuck: false,
        plugins: &plugins,
        profile: job.profile,
    };
    let load = job.case.all_expectations().filter_map(|expect| expect.load.as_ref());
    let load: Vec<Failure> = load.filter_map(|load| expect::judge_load(load, None)).collect();
    expects.into_iter().flat_map(|expect| expect::judge(expect, &judged)).chain(load).collect()
}

/// A refusal that the scenario asks for: one of the reasons has to be the expected one, and what else is expected is
/// judged on a run in which nothing happened.
pub(super) fn judge_refusal(job: &Job<'_>, reasons: &str) -> (Vec<Failure>, CaseStatus) {
    let plugins = names(job.scenario);
    let nothing =
        Judged { events: &[], range: 0..0, exchange: None, stuck: false, plugins: &plugins, profile: job.profile };
    let expects = job.case.expect.iter().chain(job.case.steps.iter().filter_map(|step| step.expect.as_ref()));
    let judge = |expect: &Expect| {
        let load = expect.all().filter_map(|e| e.load.as_ref());
        let load: Vec<_> = load.filter_map(|load| expect::judge_load(load, Some(reasons))).collect();
        load.into_iter().chain(expect::judge(expect, &nothing))
    };
    let failures: Vec<Failure> = expects.flat_map(judge).collect();
    let status = if failures.is_empty() { CaseStatus::Passed } else { CaseStatus::Failed };
    (failures, status)
}

pub(super) fn judge(job: &Job<'_>, steps: &[StepRun], events: &[Event]) -> Vec<Failure> {
    let plugins = names(job.scenario);
    let mut failures = Vec::new();
    let trap_expected = job.case.expect.as_ref().is_some_and(Expect::expects_trap);
    for (step, run) in job.case.steps.iter().zip(steps) {
        let judged = Judged {
            events,
            range: run.range.clone(),
            exchange: run.exchange,
            stuck: run.stuck,
            plugins: &plugins,
            profile: job.profile,
        };
        let expected_here = step.expect.as_ref().is_some_and(Expect::expects_trap);
        if !expected_here && !trap_expected {
            failures.extend(trap_failures(events, run.range.clone()));
        }
        let expects: Vec<&Expect> = step.expect.iter().chain(&job.case.expect).collect();
        failures.extend(crash_failures(events, run.range.clone(), &expects));
        failures.extend(run.failures.iter().cloned());
        if let Some(expect) = &step.expect {
            failures.extend(expect::judge(expect, &judged));
        }
    }
    if let Some(expect) = &job.case.expect {
        let exchanges: Vec<ExchangeId> = steps.iter().filter_map(|s| s.exchange).collect();
        let judged = Judged {
            events,
            range: 0..events.len(),
            exchange: exchanges.last().copied(),
            stuck: steps.iter().any(|s| s.stuck),
            plugins: &plugins,
            profile: job.profile,
        };
        failures.extend(expect::judge(expect, &judged));
    }
    let load = job.case.all_expectations().filter_map(|expect| expect.load.as_ref());
    failures.extend(load.filter_map(|load| expect::judge_load(load, None)));
    let mut unique: Vec<Failure> = Vec::new();
    for failure in failures {
        if !unique.contains(&failure) {
            unique.push(failure);
        }
    }
    unique
}

fn trap_failures(events: &[Event], range: std::ops::Range<usize>) -> Vec<Failure> {
    let traps = events.iter().enumerate().filter_map(|(at, event)| match event {
        Event::Trap(trap) if range.contains(&at) => Some((at, trap)),
        _ => None,
    });
    traps.map(|(at, trap)| expect::unexpected_trap(trap, events, at)).collect()
}

/// Where the real host would break and nobody expects it.
fn crash_failures(events: &[Event], range: std::ops::Range<usize>, expects: &[&Expect]) -> Vec<Failure> {
    let crashes = events.iter().enumerate().filter(|(at, _)| range.contains(at));
    let unexpected = crashes.filter_map(|(at, event)| match event {
        Event::HostCrash { id, message } if !expects.iter().any(|e| e.expects_crash(id)) => {
            Some(expect::unexpected_crash(id, message, at))
        }
        _ => None,
    });
    unexpected.collect()
}

fn names(scenario: &Scenario) -> Vec<(PluginIndex, String)> {
    scenario.plugins.iter().enumerate().map(|(at, p)| (PluginIndex(at), p.name.clone())).collect()
}

/// Findings that the command line does not let pass.
fn denied(events: &[Event], differences: &[Difference], profile: &Profile, deny: &super::Deny) -> Vec<Failure> {
    let own = events.iter().enumerate().filter_map(|(at, event)| match event {
        Event::Finding(finding) if deny.denies(finding.id) => Some((finding.id, finding.message.clone(), Some(at))),
        _ => None,
    });
    let elsewhere = differences.iter().filter(|difference| deny.denies_elsewhere(difference.id()));
    let elsewhere = elsewhere.map(|difference| (difference.id(), difference.message(profile.name), None));
    own.chain(elsewhere)
        .map(|(id, title, event)| Failure {
            subject: format!("finding {id}"),
            title,
            span: None,
            expected: None,
            actual: None,
            hint: Some(format!("--deny {id} makes this finding fail the case")),
            event,
        })
        .collect()
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
        Ok(Outcome::Match) => SnapshotResult::Matched,
        Ok(Outcome::New { pending, new }) => SnapshotResult::New { pending, contents: new },
        Ok(Outcome::Differs { pending, old, new }) => SnapshotResult::Differs { pending, old, new },
        Ok(Outcome::Accepted { path, .. }) => SnapshotResult::Accepted { path },
        Err(error) => SnapshotResult::Error(describe(&error)),
    };
}

fn describe(error: &snapshot::SnapshotError) -> String {
    error.to_diagnostic().render(false)
}

fn limits(scenario: &Scenario) -> Limits {
    let default = Limits::default();
    let fuel = scenario.limits.fuel.map(Work::Fuel);
    Limits {
        callback: fuel.unwrap_or(default.callback),
        start: fuel.unwrap_or(default.start),
        memory: scenario.limits.memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

fn policy(scenario: &Scenario, profile: &Profile) -> TrapPolicy {
    TrapPolicy {
        fail_request: match scenario.on_trap.request {
            Some(TrapRequest::FailClosed) => true,
            Some(TrapRequest::FailOpen) => false,
            None => profile.trap_fails_request,
        },
        rebuild: match scenario.on_trap.vm {
            Some(TrapVm::Rebuild) => true,
            Some(TrapVm::Keep) => false,
            None => profile.trap_rebuilds_vm,
        },
    }
}

fn property(value: &PropertyValue) -> Property {
    match value {
        PropertyValue::Absent => Property::Absent,
        PropertyValue::Bytes(bytes) => Property::Bytes(bytes.clone()),
        PropertyValue::Int(number) => Property::Int(*number),
        PropertyValue::Bool(truth) => Property::Bool(*truth),
        PropertyValue::Map(entries) => {
            Property::Map(entries.iter().map(|(k, v)| (Bytes::from(k.clone()), property(v))).collect())
        }
        PropertyValue::List(items) => Property::List(items.iter().map(property).collect()),
    }
}

/// What both ends saw of one exchange: what `cut: every` wants to be the same in every variant.
#[derive(Debug, PartialEq, Eq)]
struct End {
    upstream: SeenMessage,
    client: SeenMessage,
    calls: usize,
}

fn ends_of(events: &[Event]) -> Vec<End> {
    let opened = events.iter().filter_map(|event| match event {
        Event::ExchangeOpened(id) => Some(*id),
        _ => None,
    });
    let calls = views::calls(events);
    opened
        .map(|id| End {
            upstream: views::seen(events, id, Peer::Upstream),
            client: views::seen(events, id, Peer::Client),
            calls,
        })
        .collect()
}

fn ends_differently(expected: &[End], actual: &[End], variant: Variant) -> Failure {
    let show = |ends: &[End]| {
        let one = |end: &End| {
            format!(
                "upstream saw {}\nclient saw {}\n{} calls\n",
                render::seen(&end.upstream),
                render::seen(&end.client),
                end.calls
            )
        };
        ends.iter().map(one).collect::<String>()
    };
    Failure {
        subject: "cut".to_owned(),
        title: format!("it ends otherwise when the body comes {variant}"),
        span: None,
        expected: Some(show(expected)),
        actual: Some(show(actual)),
        hint: Some(
            "a word that lies across two chunks is in neither of them: buffer the body (Pause until end_of_stream), \
             or keep what may go on in the next chunk"
                .to_owned(),
        ),
        event: None,
    }
}

/// The variants that a case is run with beside the plain one.
fn cut_variants(case: &Case) -> Vec<Variant> {
    let every =
        |body: Option<&Body>| body.filter(|b| b.cut == Some(Cut::Every)).map(|b| b.chunks.iter().map(Bytes::len).sum());
    let lengths = case.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Request(request) => every(request.body.as_ref()).or(match &request.upstream {
            Upstream::Reply(reply) => every(reply.body.as_ref()),
            Upstream::Never(_) | Upstream::Fail(_) => None,
        }),
        StepKind::Connect(_)
        | StepKind::Advance(_)
        | StepKind::Reconfigure { .. }
        | StepKind::ForeignFunction { .. }
        | StepKind::Shutdown => None,
    });
    lengths.max().map_or_else(Vec::new, variants)
}
