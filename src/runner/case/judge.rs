//! What failed in a run: what is expected and did not hold, and what fails a case without being asked.

use super::Job;
use crate::abi::{ExchangeId, PluginIndex};
use crate::expect::{self, Failure, Judged};
use crate::host::portability::Difference;
use crate::host::profile::Profile;
use crate::runner::drive::StepRun;
use crate::runner::result::CaseStatus;
use crate::runner::{Deny, verdict};
use crate::scenario::{Expect, Scenario, Step};
use crate::trace::Event;
use std::ops::Range;

/// A start that failed is a failure, unless the scenario expects it; then only what it expects is judged.
pub(in crate::runner) fn judge_start(
    job: &Job<'_>,
    failure: Failure,
    events: &[Event],
    names: &[String],
) -> Vec<Failure> {
    let plugins = numbered(names);
    let expects: Vec<_> =
        job.case.expect.iter().chain(job.case.steps.iter().take(1).filter_map(|s| s.expect.as_ref())).collect();
    if !expects.iter().any(|e| e.all().any(verdict::expects_start_failure)) {
        let mut failures: Vec<Failure> = trap_failures(events, 0..events.len(), &[]);
        failures.extend(crash_failures(events, 0..events.len(), &[]));
        failures.push(failure);
        return failures;
    }
    let judged = whole(job, &plugins, events, 0..events.len());
    let load = job.case.all_expectations().filter_map(|expect| expect.load.as_ref());
    let load: Vec<Failure> = load.filter_map(|load| expect::judge_load(load, None)).collect();
    expects.into_iter().flat_map(|expect| expect::judge(expect, &judged)).chain(load).collect()
}

/// A refusal that the scenario asks for: one of the reasons has to be the expected one, and what else is expected is
/// judged on a run in which nothing happened.
pub(in crate::runner) fn judge_refusal(job: &Job<'_>, reasons: &str, names: &[String]) -> (Vec<Failure>, CaseStatus) {
    let plugins = numbered(names);
    let nothing = whole(job, &plugins, &[], 0..0);
    let steps = job.case.steps.iter().flat_map(Step::parts);
    let expects = job.case.expect.iter().chain(steps.filter_map(|step| step.expect.as_ref()));
    let judge = |expect: &Expect| {
        let load = expect.all().filter_map(|e| e.load.as_ref());
        let load: Vec<_> = load.filter_map(|load| expect::judge_load(load, Some(reasons))).collect();
        load.into_iter().chain(expect::judge(expect, &nothing))
    };
    let failures: Vec<Failure> = expects.flat_map(judge).collect();
    let status = if failures.is_empty() { CaseStatus::Passed } else { CaseStatus::Failed };
    (failures, status)
}

/// Everything that a run failed in.
pub(in crate::runner) fn judge(job: &Job<'_>, steps: &[StepRun], events: &[Event], names: &[String]) -> Vec<Failure> {
    let plugins = numbered(names);
    let mut failures = Vec::new();
    for (step, run) in job.case.steps.iter().zip(steps) {
        let part = whole(job, &plugins, events, run.range.clone());
        let judged = Judged { exchange: run.exchange, stuck: run.stuck, ..part.clone() };
        failures.extend(unexpected_traps(job, step, run, events));
        let expects: Vec<&Expect> =
            step.parts().filter_map(|part| part.expect.as_ref()).chain(&job.case.expect).collect();
        failures.extend(crash_failures(events, run.range.clone(), &expects));
        failures.extend(run.failures.iter().cloned());
        if let Some(expect) = &step.expect {
            failures.extend(expect::judge(expect, &judged));
        }
        for (at, (item, of)) in step.items().iter().zip(&run.items).enumerate() {
            let (exchange, stuck) = (of.exchange, of.stuck);
            let judged = Judged { exchange, stuck, only: exchange, ..part.clone() };
            let expected = item.expect.iter().flat_map(|expect| expect::judge(expect, &judged));
            failures.extend(of.failures.iter().cloned().chain(expected).map(|failure| in_item(failure, at)));
        }
    }
    if let Some(expect) = &job.case.expect {
        let exchanges: Vec<ExchangeId> = steps.iter().filter_map(|s| s.exchange).collect();
        let stuck = steps.iter().any(|s| s.stuck);
        let all = whole(job, &plugins, events, 0..events.len());
        failures.extend(expect::judge(expect, &Judged { exchange: exchanges.last().copied(), stuck, ..all }));
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

/// A part of the trace, and no exchange in particular.
fn whole<'a>(
    job: &Job<'_>,
    plugins: &'a [(PluginIndex, String)],
    events: &'a [Event],
    range: Range<usize>,
) -> Judged<'a> {
    Judged { events, range, exchange: None, only: None, stuck: false, plugins, profile: job.profile }
}

/// Which of several requests a failure is about.
fn in_item(failure: Failure, at: usize) -> Failure {
    let name = format!("concurrent[{}]", at + 1);
    let subject = format!("{name}.{}", failure.subject);
    Failure { subject, title: format!("{name}: {}", failure.title), ..failure }
}

/// Traps that neither the case nor the step expects, nor the one of its requests that they happened to.
fn unexpected_traps(job: &Job<'_>, step: &Step, run: &StepRun, events: &[Event]) -> Vec<Failure> {
    let expects = |expect: &Option<Expect>| expect.as_ref().is_some_and(Expect::expects_trap);
    if expects(&job.case.expect) || expects(&step.expect) {
        return Vec::new();
    }
    let meant = step.items().iter().zip(&run.items).filter(|(item, _)| expects(&item.expect));
    let meant: Vec<ExchangeId> = meant.filter_map(|(_, run)| run.exchange).collect();
    trap_failures(events, run.range.clone(), &meant)
}

/// Traps, but for those of exchanges that are meant to have one.
fn trap_failures(events: &[Event], range: Range<usize>, meant: &[ExchangeId]) -> Vec<Failure> {
    let traps = events.iter().enumerate().filter_map(|(at, event)| match event {
        Event::Trap(trap) if range.contains(&at) => Some((at, trap)),
        _ => None,
    });
    let unexpected = traps.filter(|(_, trap)| !trap.exchange.is_some_and(|exchange| meant.contains(&exchange)));
    unexpected.map(|(at, trap)| expect::unexpected_trap(trap, events, at)).collect()
}

/// Where the real host would break and nobody expects it.
fn crash_failures(events: &[Event], range: Range<usize>, expects: &[&Expect]) -> Vec<Failure> {
    let crashes = events.iter().enumerate().filter(|(at, _)| range.contains(at));
    let unexpected = crashes.filter_map(|(at, event)| match event {
        Event::HostCrash { id, message } if !expects.iter().any(|e| e.expects_crash(id)) => {
            Some(expect::unexpected_crash(id, message, at))
        }
        _ => None,
    });
    unexpected.collect()
}

/// The plugins of a chain.
pub(in crate::runner) fn names(scenario: &Scenario) -> Vec<String> {
    scenario.plugins.iter().map(|plugin| plugin.name.clone()).collect()
}

fn numbered(names: &[String]) -> Vec<(PluginIndex, String)> {
    names.iter().enumerate().map(|(at, name)| (PluginIndex(at), name.clone())).collect()
}

/// Findings that the command line does not let pass.
pub(super) fn denied(events: &[Event], differences: &[Difference], profile: &Profile, deny: &Deny) -> Vec<Failure> {
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
