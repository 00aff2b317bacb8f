//! Many cases and many steps in one file: what a large test suite costs.

use super::rounds::{Rounds, millis};
use super::{Line, fixture};
use anyhow::{anyhow, ensure};
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::runner::{self, Plugins, RunOptions};
use pwtest::scenario::{self, Scenario};
use std::fmt::Write;
use std::path::Path;

const CASES: usize = 1_000;
const STEPS: usize = 5_000;

pub fn measure(rounds: &Rounds) -> anyhow::Result<Vec<Line>> {
    let many_steps = file_of_steps();
    let parsing = rounds.median(15, || parse(&many_steps).map(drop))?;

    let scenarios = [parse(&file_of_cases())?];
    let plugins = Plugins::new(engine(&ModuleCache::Off)?);
    let options = RunOptions::default();
    let running = rounds.median(15, || {
        let summary = runner::run(&scenarios, &plugins, &options, &mut |_| {})?;
        ensure!(summary.passed == CASES, "{} of {CASES} cases passed", summary.passed);
        Ok(())
    })?;
    Ok(vec![
        Line::at_least("1,000 of one step, one thread", CASES as f64 / running.as_secs_f64(), 10_000.0, "/s"),
        Line::at_most("5,000 steps parsed", millis(parsing), 150.0, "ms"),
    ])
}

fn parse(text: &str) -> anyhow::Result<Scenario> {
    scenario::parse(Path::new("bench.yaml"), text.to_owned())
        .map_err(|problems| anyhow!("{}", problems.iter().map(|p| p.render(false)).collect::<String>()))
}

fn file_of_cases() -> String {
    let mut text = head();
    for case in 0..CASES {
        let _ = write!(
            text,
            "  - name: case {case}\n    snapshot: false\n    request: GET http://app.test/{case}\n    expect:\n      \
             upstream_sees: {{ path: /{case}, headers: {{ x-pwtest: 1 }} }}\n      client_sees: {{ status: 200, \
             headers: {{ x-done: 1 }} }}\n"
        );
    }
    text
}

fn file_of_steps() -> String {
    let mut text = head() + "  - name: steps\n    steps:\n";
    for step in 0..STEPS {
        let _ = write!(
            text,
            "      - request: {{ send: GET http://app.test/{step}, headers: {{ x-in: a{step} }} }}\n        \
             expect: {{ client_sees: {{ status: 200, headers: {{ x-done: 1 }} }} }}\n"
        );
    }
    text
}

fn head() -> String {
    format!("plugin: {:?}\ncases:\n", fixture("rust/header.wasm"))
}
