//! The list of findings is whole: each has a test where it is made and one where it is not, stands in the README, and
//! none is made that is not in the list.

use crate::support::{check, pwtest, root};
use libtest_mimic::{Failed, Trial};
use pwtest::host::portability::{KINDS, Scope};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

type Test = fn() -> Result<(), Failed>;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("findings: each has its cases", cases),
        ("findings: each that the code makes is in the list", made),
        ("findings: the README has the list", readme),
        ("findings: one is explained by its id", explained),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

/// Findings whose cases need more than a probe, and stand where that is at home.
const ELSEWHERE: &[(&str, &str)] = &[
    ("local-response-in-log", "t/hostile/events.yaml"),
    ("local-response-on-tcp", "t/streams/tcp/close.yaml"),
    ("higress-abi", "t/hostcalls/loading/higress.yaml"),
    ("grpc-send-after-end", "t/hostcalls/grpc_call/stream.yaml"),
    ("endless-queue", "t/hostile/events.yaml"),
    ("endless-events", "t/hostile/events.yaml"),
];

fn cases() -> Result<(), Failed> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let mut missing = Vec::new();
    for kind in KINDS {
        let id = kind.id;
        if let Some((_, path)) = ELSEWHERE.iter().find(|(other, _)| *other == id) {
            if !read(&root().join(path)).contains(&format!("findings: [ {id} ]")) {
                missing.push(format!("{path} does not expect {id}"));
            }
            continue;
        }
        let folder = root().join("t/findings");
        let text = read(&folder.join(format!("{id}.yaml"))) + &read(&folder.join(format!("{id}-absent.yaml")));
        let named = |key: &str| {
            let lists = text.match_indices(key).filter_map(|(at, _)| text.get(at + key.len()..)?.split(']').next());
            lists.into_iter().any(|list| list.split(',').any(|word| word.trim() == id))
        };
        // `no_findings: [` ends like `findings: [`, so the character before tells them apart.
        if !named(" findings: [") {
            missing.push(format!("no case of t/findings/{id}.yaml has {id}"));
        }
        if !named("no_findings: [") {
            missing.push(format!("no case of t/findings/{id}.yaml or {id}-absent.yaml is without {id}"));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n").into()) }
}

/// Every `finding("id"` and `note("id"` of the sources.
fn made() -> Result<(), Failed> {
    let mut ids = BTreeSet::new();
    collect(&root().join("src"), &mut ids)?;
    if ids.len() < 10 {
        return Err(format!("only {} findings in the sources: the search is broken", ids.len()).into());
    }
    let unknown: Vec<&String> = ids.iter().filter(|id| KINDS.iter().all(|kind| kind.id != id.as_str())).collect();
    if unknown.is_empty() { Ok(()) } else { Err(format!("not in the catalogue: {unknown:?}").into()) }
}

fn collect(folder: &Path, ids: &mut BTreeSet<String>) -> std::io::Result<()> {
    let pattern = regex::Regex::new(r#"(?:finding|note|note_running)\(\s*"([a-z-]+)","#).expect("a pattern");
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, ids)?;
        } else if path.extension().is_some_and(|e| e == "rs") && !path.to_string_lossy().contains("tests") {
            let text = fs::read_to_string(&path)?;
            ids.extend(pattern.captures_iter(&text).map(|found| found[1].to_owned()));
        }
    }
    Ok(())
}

fn readme() -> Result<(), Failed> {
    let text = fs::read_to_string(root().join("README.md"))?;
    let missing: Vec<&str> = KINDS.iter().map(|k| k.id).filter(|id| !text.contains(&format!("| `{id}` |"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("not in the README: {missing:?}").into()) }
}

fn explained() -> Result<(), Failed> {
    let all = pwtest(&root(), &["findings"]);
    check(all.code == 0, "the list is printed", &all)?;
    for kind in KINDS {
        check(all.stdout.contains(&format!("  {} ", kind.id)), &format!("{} is listed", kind.id), &all)?;
    }
    let one = pwtest(&root(), &["findings", "parallel-calls"]);
    // apisix.md 4.3
    for text in ["spec makes any number", "apisix refuses the second one with internal_failure", "  help: "] {
        check(one.stdout.contains(text), &format!("it says {text:?}"), &one)?;
    }
    let wrong = pwtest(&root(), &["findings", "paralel-calls"]);
    check(wrong.code == 2 && wrong.stderr.contains("did you mean `parallel-calls`"), "a slip is put right", &wrong)?;
    let portable = KINDS.iter().filter(|kind| kind.scope == Scope::Portability).count();
    check(portable >= 40, "there are many", &all)
}
