//! What holds, what does not, and what is said about it. Expectations are written as people write them.

mod messages;
mod others;
mod trace;
mod traps;

use super::*;
use crate::scenario::{Expect, parse};
use std::path::Path;
use trace::Trace;

/// An `expect` from its YAML.
fn expect(yaml: &str) -> Expect {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("plugin.wasm"), "").expect("written");
    std::fs::write(folder.path().join("body.txt"), "from a file\nwith two lines\n").expect("written");
    let indented: String = yaml.lines().map(|line| format!("      {line}\n")).collect();
    let text =
        format!("plugin: plugin.wasm\ncases:\n  - name: a\n    request: GET http://app.test/\n    expect:\n{indented}");
    let mut scenario = match parse(&folder.path().join(Path::new("a.yaml")), text) {
        Ok(scenario) => scenario,
        Err(problems) => panic!("{}", crate::diagnostic::render_all(&problems, false)),
    };
    scenario.cases[0].steps[0].expect.take().expect("an expectation")
}

/// What does not hold of an expectation.
fn judged(yaml: &str, trace: &Trace) -> Vec<Failure> {
    judge(&expect(yaml), &trace.judged())
}

/// The one failure of an expectation.
fn failure(yaml: &str, trace: &Trace) -> Failure {
    let mut failures = judged(yaml, trace);
    assert_eq!(failures.len(), 1, "{yaml}: {failures:#?}");
    let failure = failures.remove(0);
    assert!(!failure.title.contains('\n') && !failure.title.contains('\u{1b}'), "{failure:?}");
    failure
}

fn holds(yaml: &str, trace: &Trace) {
    let failures = judged(yaml, trace);
    assert!(failures.is_empty(), "{yaml}: {failures:#?}");
}
