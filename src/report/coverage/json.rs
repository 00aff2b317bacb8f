//! The coverage for machines. Keys are only ever added; `format` counts changes of meaning.

use super::{Coverage, HostCoverage, HostcallCoverage, Outcome};
use serde_json::{Map, Value, json};

/// One object, on one page.
pub fn json(coverage: &Coverage) -> String {
    let hosts: Vec<Value> = coverage.hosts().iter().map(host).collect();
    serde_json::to_string_pretty(&json!({ "format": 1, "hosts": hosts })).unwrap_or_default() + "\n"
}

fn host(host: &HostCoverage) -> Value {
    let callbacks = host.callbacks.iter().map(|(callback, count)| (callback.export().to_owned(), json!(count)));
    json!({
        "host": host.host,
        "cases": host.cases,
        "hostcalls": host.hostcalls.iter().map(hostcall).collect::<Vec<_>>(),
        "callbacks": callbacks.collect::<Map<_, _>>(),
    })
}

fn hostcall(hostcall: &HostcallCoverage) -> Value {
    let map = |outcomes: &[(Outcome, usize)]| {
        outcomes.iter().map(|(outcome, count)| (outcome.to_string(), json!(count))).collect::<Map<_, _>>()
    };
    json!({
        "name": hostcall.name,
        "family": hostcall.family,
        "calls": hostcall.calls,
        "documented": map(&hostcall.documented),
        "undocumented": map(&hostcall.undocumented),
        "missing": hostcall.missing().map(|outcome| outcome.to_string()).collect::<Vec<_>>(),
    })
}
