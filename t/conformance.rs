//! The conformance suite is complete: every id of the reference is a case or has a reason not to be one, and every
//! callback is reached under every host that has it.

use crate::support::root;
use libtest_mimic::{Failed, Trial};
use pwtest::abi::{ALL_CALLBACKS, Callback};
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::runner::{self, Plugins, RunEvent, RunOptions};
use pwtest::scenario::{self, Scenario};
use pwtest::trace::{Entry, Event};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The trials.
pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("conformance: every id is a case or has a reason", every_id),
        Trial::test("conformance: every callback is reached under every host", every_callback),
    ]
}

fn base() -> PathBuf {
    root().join("t/conformance")
}

/// Every scenario of the suite with its topic.
fn suite() -> Result<Vec<(String, Scenario)>, Failed> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(base())?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|extension| extension == "yaml") {
                let scenario =
                    scenario::load(&file).map_err(|problems| pwtest::diagnostic::render_all(&problems, false))?;
                found.push((name(&folder), scenario));
            }
        }
    }
    found.sort_by(|(_, left), (_, right)| left.source.path.cmp(&right.source.path));
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The id that a case is about: all of its name, or what stands before a colon.
fn id_of(case: &str) -> &str {
    case.split_once(": ").map_or(case, |(id, _)| id)
}

/// The ids of a part of the README: those in backticks at the beginning of a row or an item.
fn listed(readme: &str, heading: &str) -> BTreeSet<String> {
    let part = readme.split("\n## ").find(|part| part.starts_with(heading)).unwrap_or_default();
    let start = |line: &str| line.strip_prefix("| `").or_else(|| line.strip_prefix("- `")).map(str::to_owned);
    part.lines().filter_map(start).filter_map(|rest| rest.split_once('`').map(|(id, _)| id.to_owned())).collect()
}

fn every_id() -> Result<(), Failed> {
    let ids = std::fs::read_to_string(base().join("ids.txt"))?;
    let ids: Vec<(&str, &str)> =
        ids.lines().filter_map(|line| line.split_once(' ')).filter(|(t, _)| *t != "#").collect();
    let mut wrong = Vec::new();
    if ids.len() != 297 {
        wrong.push(format!("the reference has 297 cases, ids.txt {}", ids.len()));
    }
    let mut cases: BTreeMap<String, usize> = BTreeMap::new();
    for (topic, scenario) in suite()? {
        for case in &scenario.cases {
            let id = id_of(&case.name);
            match ids.iter().find(|(_, known)| *known == id) {
                None => wrong.push(format!("{}: no id is called `{id}`", scenario.source.path.display())),
                Some((right, _)) if *right != topic => {
                    wrong.push(format!("{}: `{id}` belongs into the folder {right}", scenario.source.path.display()));
                }
                Some(_) if case.skip.is_some() => wrong.push(format!("`{id}` is skipped: list it with the reason")),
                Some(_) => *cases.entry(id.to_owned()).or_default() += 1,
            }
        }
    }
    let readme = std::fs::read_to_string(base().join("README.md"))?;
    let (without, open) = (listed(&readme, "Ids without a case"), listed(&readme, "Ids whose cases are still"));
    for (_, id) in &ids {
        match (cases.contains_key(*id), without.contains(*id)) {
            (true, true) => wrong.push(format!("`{id}` is a case, and the README says why it is none")),
            (false, false) if !open.contains(*id) => {
                wrong.push(format!("`{id}` is no case, and the README gives no reason"));
            }
            _ => {}
        }
    }
    for id in without.iter().chain(&open).filter(|id| !ids.iter().any(|(_, known)| known == id)) {
        wrong.push(format!("the README lists `{id}`, which is no id"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// What a host never calls, by the reference (abi.md 4.1; apisix.md 0, 1 and 2) and what Envoy 1.40 was seen to do.
fn never_called(host: &str, callback: Callback) -> bool {
    use Callback::*;
    match host {
        // Everything but what runs for HTTP requests, their calls, and the life of contexts.
        "apisix" => !matches!(
            callback,
            OnContextCreate
                | OnConfigure
                | OnRequestHeaders
                | OnRequestBody
                | OnResponseHeaders
                | OnResponseBody
                | OnHttpCallResponse
                | OnDone
                | OnDelete
        ),
        // A host's own extension calls it, with what it likes: no hostcall of a plugin brings it about. METADATA frames
        // have no case in section 10; t/streams has them. The C++ host knows proxy_validate_configuration, and Envoy does
        // not call it (abi.md 4.1).
        _ => matches!(callback, OnValidateConfiguration | OnForeignFunction | OnRequestMetadata | OnResponseMetadata),
    }
}

fn every_callback() -> Result<(), Failed> {
    let suite: Vec<Scenario> = suite()?.into_iter().map(|(_, scenario)| scenario).collect();
    let plugins = Plugins::new(engine(&ModuleCache::User)?);
    let mut wrong = Vec::new();
    for host in ["spec", "envoy", "apisix"] {
        let meant: Vec<Scenario> = suite.iter().map(|scenario| scenario.meant_for(host)).collect();
        let options = RunOptions { hosts: vec![host.to_owned()], jobs: 2, ..RunOptions::default() };
        let mut reached: BTreeSet<Callback> = BTreeSet::new();
        runner::run(&meant, &plugins, &options, &mut |event| {
            let RunEvent::Case(result) = event else { return };
            let entered = result.events.iter().filter_map(|event| match event {
                Event::CallbackEntered(entered) => Some(entered.callback),
                _ => None,
            });
            reached.extend(entered.filter_map(|entry| match entry {
                Entry::Callback(callback) => Some(callback),
                Entry::Start(_) => None,
            }));
        })?;
        for callback in ALL_CALLBACKS {
            match (reached.contains(callback), never_called(host, *callback)) {
                (false, false) => wrong.push(format!("{host}: no case reaches {}", callback.export())),
                (true, true) => wrong.push(format!("{host} never calls {}, and a case does", callback.export())),
                _ => {}
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}
