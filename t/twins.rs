//! Twins: every case that HTTP can carry runs a second time, through the served proxy over loopback, and what its ends see
//! there has to be what they saw in memory. That is how it is known that both have one host core.
//!
//! The pieces that came in from both ends in memory are sent to the proxy in the same order, each when the one before has
//! been taken. Services answer the calls of plugins, over HTTP and gRPC, as the scenario planned it; the admin API is
//! called over HTTP, too. What no message can say (that time passes, a new configuration of a plugin in a chain) is told
//! to the host behind the sockets (`told`). What is compared and what is not stands in `compare`; which cases can't be
//! played, in `cast`; what differs although it could be played, in `twins.txt`, with a reason.

mod cast;
mod client;
mod compare;
mod grpc;
mod memory;
mod origin;
mod plan;
mod play;
mod player;
mod said;
mod served;
mod services;
mod stage;
mod told;
mod wire;

use crate::scenarios;
use crate::support::root;
use libtest_mimic::{Failed, Trial};
use pwtest::host::profile;
use pwtest::runner::CaseResult;
use pwtest::scenario::{self, Scenario};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

/// One line for each case that differs: `FILE | CASE | HOST | REASON`.
const EXCEPTIONS: &str = include_str!("twins.txt");
/// Folders of scenarios below `t`.
const FOLDERS: [&str; 7] = ["plugins", "streams", "apisix", "conformance", "hostcalls", "hosts", "findings"];
/// Cases under a host that are played, at least: a test that plays nothing finds nothing.
const LEAST: usize = 2300;

/// What became of a file.
#[derive(Debug, Default, Clone)]
struct Outcome {
    /// Cases under a host that are alike.
    equal: BTreeSet<String>,
    /// Those that differ, and in what.
    differ: BTreeMap<String, Vec<String>>,
    /// Those that can't be played, by reason.
    left: BTreeMap<&'static str, usize>,
    /// What went wrong before.
    broken: Option<String>,
}

/// One trial for each file, and one for all of them.
pub fn trials() -> Vec<Trial> {
    let trial = |(file, ran): (&'static PathBuf, &'static OnceLock<Outcome>)| {
        let run = move || judge(ran.get_or_init(|| play_file(file)));
        Trial::test(format!("twins: {}", name(file)), run).with_kind("twins")
    };
    let mut trials: Vec<Trial> = outcomes().iter().map(trial).collect();
    trials.push(Trial::test("twins: all together", together));
    trials
}

fn outcomes() -> &'static BTreeMap<PathBuf, OnceLock<Outcome>> {
    static OUTCOMES: OnceLock<BTreeMap<PathBuf, OnceLock<Outcome>>> = OnceLock::new();
    OUTCOMES.get_or_init(|| {
        let folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root().join("t").join(folder)).collect();
        let within = |file: &&PathBuf| folders.iter().any(|folder| file.starts_with(folder));
        scenarios::files().filter(within).map(|file| (file.clone(), OnceLock::new())).collect()
    })
}

fn name(file: &Path) -> String {
    let base = root().join("t");
    file.strip_prefix(&base).unwrap_or(file).with_extension("").display().to_string()
}

/// What became of a case under a host.
enum Became {
    Left(&'static str),
    Played { label: String, differences: Vec<String> },
}

/// Plays every case of a file. They wait more than they compute, so each thread of the tests has some under way at once.
fn play_file(file: &Path) -> Outcome {
    const AT_ONCE: usize = 2;
    let broken = |problem| Outcome { broken: Some(problem), ..Outcome::default() };
    let scenario = match scenario::load(file) {
        Ok(scenario) => memory::cut(scenario),
        Err(problems) => return broken(pwtest::diagnostic::render_all(&problems, false)),
    };
    let runs = memory::run(&scenario).and_then(|plain| Ok((plain, memory::run(&memory::written(&scenario))?)));
    let (results, written) = match runs {
        Ok(runs) => runs,
        Err(error) => return broken(error),
    };
    let (outcome, waiting) = (Mutex::new(Outcome::default()), Mutex::new(results.iter().zip(&written)));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(results.len()) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().expect("no panic").next();
                    let Some((result, written)) = next else { return };
                    let became = play_case(file, &scenario, result, written);
                    outcome.lock().expect("no panic").take(became);
                }
            });
        }
    });
    outcome.into_inner().expect("no panic")
}

impl Outcome {
    fn take(&mut self, became: Option<Became>) {
        match became {
            None => {}
            Some(Became::Left(reason)) => *self.left.entry(reason).or_default() += 1,
            Some(Became::Played { label, differences }) if differences.is_empty() => {
                self.equal.insert(label);
            }
            Some(Became::Played { label, differences }) => {
                self.differ.insert(label, differences);
            }
        }
    }
}

/// Plays a case. One whose plugins give a call little time may be played again: on a busy machine it takes longer.
fn play_case(file: &Path, scenario: &Scenario, result: &CaseResult, written: &CaseResult) -> Option<Became> {
    const TRIES: usize = 3;
    let case = scenario.cases.iter().find(|case| case.name == result.name)?;
    let profile = profile::by_name(result.profile)?;
    if let Some(reason) = cast::reason(scenario, case, profile, result) {
        return Some(Became::Left(reason));
    }
    let label = format!("{} | {} | {}", name(file), result.name, result.profile);
    let tries = if exceptions().contains_key(&label) { 1 } else { TRIES };
    let mut differences = Vec::new();
    for _ in 0..tries {
        let hurried;
        (differences, hurried) = match play::play(scenario, case, profile, &result.events) {
            Ok(played) => (compare::differences(&result.events, &written.events, &played), played.hurried),
            Err(error) => (vec![error], false),
        };
        if differences.is_empty() || !hurried {
            break;
        }
    }
    Some(Became::Played { label, differences })
}

/// The exceptions, with their reasons.
fn exceptions() -> BTreeMap<String, String> {
    let lines = EXCEPTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (label, reason) = line.rsplit_once(" | ").unwrap_or((line, ""));
            (label.to_owned(), reason.to_owned())
        })
        .collect()
}

/// A file is good if all that differs is excepted.
fn judge(outcome: &Outcome) -> Result<(), Failed> {
    if let Some(broken) = &outcome.broken {
        return Err(broken.as_str().into());
    }
    let excepted = exceptions();
    let unknown = outcome.differ.iter().filter(|(label, _)| !excepted.contains_key(*label));
    let problems: Vec<String> =
        unknown.map(|(label, lines)| format!("{label}\n    {}", lines.join("\n    "))).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

/// That enough is played, and that no exception has outlived its reason.
fn together() -> Result<(), Failed> {
    let mut problems = Vec::new();
    let (mut equal, mut differ) = (BTreeSet::new(), BTreeSet::new());
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for (file, ran) in outcomes() {
        let outcome = ran.get_or_init(|| play_file(file));
        equal.extend(outcome.equal.iter().cloned());
        differ.extend(outcome.differ.keys().cloned());
        for (reason, count) in &outcome.left {
            *left.entry(reason).or_default() += count;
        }
    }
    for (label, reason) in exceptions() {
        if reason.trim().is_empty() {
            problems.push(format!("{label}: has no reason"));
        }
        if equal.contains(&label) {
            problems.push(format!("{label}: is alike; take it out of t/twins.txt"));
        } else if !differ.contains(&label) {
            problems.push(format!("{label}: stands in t/twins.txt and is not played"));
        }
    }
    let played = equal.len() + differ.len();
    println!("twins: {played} cases played, {} alike, {} excepted", equal.len(), differ.len());
    for (reason, count) in &left {
        println!("twins: {count} not played: {reason}");
    }
    if played < LEAST {
        problems.push(format!("{played} cases were played; there were at least {LEAST}"));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}
