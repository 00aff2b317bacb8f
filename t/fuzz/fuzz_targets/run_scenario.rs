//! Whatever a scenario says, running it ends with a verdict, and twice with the same one.
//!
//! The plugin is one of the repository's, whatever the text says: this is about the runner.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::runner::{self, Plugins, RunEvent, RunOptions};
use pwtest::scenario::{self, Scenario};
use std::path::Path;
use std::sync::LazyLock;

const PLUGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/rust/censor.wasm");

fuzz_target!(|bytes: &[u8]| {
    static PLUGINS: LazyLock<Plugins> =
        LazyLock::new(|| Plugins::new(engine(&ModuleCache::Off).expect("the engine starts")));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(mut scenario) = scenario::parse(Path::new("fuzz.yaml"), text.to_owned()) else { return };
    for plugin in &mut scenario.plugins {
        plugin.file = PLUGIN.into();
    }
    scenario.hosts.truncate(1);
    scenario.cases.truncate(3);
    scenario.limits.fuel = Some(10_000_000);
    let [first, second] = [(); 2].map(|()| run(&scenario, &PLUGINS));
    assert_eq!(first, second, "the same scenario ended in two ways");
});

fn run(scenario: &Scenario, plugins: &Plugins) -> Vec<String> {
    let options = RunOptions { hosts: vec!["envoy".to_owned()], ..RunOptions::default() };
    let mut results = Vec::new();
    let mut on_event = |event: &RunEvent<'_>| {
        if let RunEvent::Case(case) = event {
            results.push(format!("{:?} {:?} {:?}", case.status, case.failures, case.events));
        }
    };
    runner::run(std::slice::from_ref(scenario), plugins, &options, &mut on_event).expect("envoy is there");
    results
}
