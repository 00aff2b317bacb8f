//! What the scenarios below `t` reach of what the references document: every status of every hostcall and every callback,
//! under every host. What none of them can reach, and what comes without being documented, stands in
//! `coverage.txt`, with a reason.

use crate::scenarios;
use libtest_mimic::{Failed, Trial};
use pwtest::host::profile;
use std::collections::BTreeSet;

/// One line for each thing that is documented and not reached, or the other way round: `HOST NAME STATUS: REASON`, or `HOST CALLBACK: REASON`.
const EXCEPTIONS: &str = include_str!("coverage.txt");

/// The trial; it runs after the scenarios, or runs them itself.
pub fn trials() -> Vec<Trial> {
    vec![Trial::test("coverage/every-documented-status", run)]
}

fn run() -> Result<(), Failed> {
    let mut reached = BTreeSet::new();
    let mut missing = BTreeSet::new();
    let mut undocumented = BTreeSet::new();
    let mut problems = Vec::new();
    let hosts = scenarios::coverage();
    for profile in profile::ALL {
        if hosts.iter().all(|host| host.host != profile.name) {
            problems.push(format!("{}: no case runs under it", profile.name));
        }
    }
    for host in hosts {
        for hostcall in &host.hostcalls {
            for (outcome, count) in &hostcall.documented {
                let what = format!("{} {} {outcome}", host.host, hostcall.name);
                if *count == 0 {
                    missing.insert(what)
                } else {
                    reached.insert(what)
                };
            }
            for (outcome, _) in &hostcall.undocumented {
                undocumented.insert(format!("{} {} {outcome}", host.host, hostcall.name));
            }
        }
        for (callback, count) in &host.callbacks {
            let what = format!("{} {}", host.host, callback.export());
            if *count == 0 {
                missing.insert(what)
            } else {
                reached.insert(what)
            };
        }
    }
    let mut excepted = BTreeSet::new();
    for line in EXCEPTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((what, reason)) = line.split_once(": ").filter(|(_, reason)| !reason.trim().is_empty()) else {
            problems.push(format!("{line}: has no reason"));
            continue;
        };
        if reached.contains(what) {
            problems.push(format!("{what}: is reached; take it out of t/coverage.txt"));
        } else if !missing.contains(what) && !undocumented.contains(what) {
            problems.push(format!("{what}: stands in t/coverage.txt, is not documented and does not come"));
        }
        if !excepted.insert(what.to_owned()) {
            problems.push(format!("{what}: stands twice in t/coverage.txt, the second time because {reason}"));
        }
    }
    let unknown = undocumented.difference(&excepted);
    problems.extend(
        unknown.map(|what| format!("{what}: came, and is not documented; add it to documented.rs with its source")),
    );
    let unreached = missing.difference(&excepted);
    problems.extend(
        unreached.map(|what| format!("{what}: no case reaches it; write one, or give t/coverage.txt a reason")),
    );
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}
