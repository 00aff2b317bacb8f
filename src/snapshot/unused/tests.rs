//! Which files count as unused, and which must never.

use super::*;
use crate::snapshot::Mode;
use std::fs;

fn case(name: &str, hosts: &[&str]) -> SnapshotCase {
    SnapshotCase { name: name.into(), hosts: hosts.iter().map(|host| (*host).into()).collect() }
}

/// A repository with one scenario, whose case `old` has been renamed.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().expect("folder");
    for folder in [".git", "t/x", "snapshots", "src/snapshots"] {
        fs::create_dir_all(root.path().join(folder)).expect("folder");
    }
    let scenario = root.path().join("t/x/a.yaml");
    fs::write(&scenario, "").expect("scenario");
    let store = Store::for_scenario(&scenario, []);
    for (name, host) in [("one", None), ("two", Some("envoy")), ("two", Some("apisix")), ("old", None)] {
        store.check(name, host, "text", Mode::Accept).expect("written");
    }
    (root, scenario)
}

fn names(root: &Path, found: &Unused) -> Vec<String> {
    found.files.iter().map(|path| path.strip_prefix(root).expect("inside").display().to_string()).collect()
}

#[test]
fn files_of_no_case_are_found() {
    let (root, scenario) = repository();
    let cases = [case("one", &["envoy"]), case("two", &["envoy", "apisix"])];
    let cases_of = |path: &Path| (path == scenario).then(|| cases.to_vec());
    let found = unused(&[root.path().to_owned()], &cases_of).expect("found");
    assert_eq!(names(root.path(), &found), ["snapshots/x/a/old.snap"]);
    let found = unused(std::slice::from_ref(&scenario), &cases_of).expect("found");
    assert_eq!(names(root.path(), &found), ["snapshots/x/a/old.snap"], "by the scenario's own path");

    // One host less: the file has no host in its name any more.
    let cases_of = |_: &Path| Some(vec![case("one", &[]), case("two", &["envoy"]), case("old", &[])]);
    let found = unused(&[root.path().to_owned()], &cases_of).expect("found");
    assert_eq!(names(root.path(), &found), ["snapshots/x/a/two@apisix.snap", "snapshots/x/a/two@envoy.snap"]);
}

#[test]
fn what_waits_for_a_case_that_exists_is_used_and_else_is_not() {
    let (root, scenario) = repository();
    let store = Store::for_scenario(&scenario, []);
    store.check("one", None, "changed", Mode::Review).expect("written");
    store.check("gone", None, "changed", Mode::Review).expect("written");
    let cases_of = |_: &Path| Some(vec![case("one", &[]), case("two", &["envoy", "apisix"]), case("old", &[])]);
    let found = unused(&[root.path().to_owned()], &cases_of).expect("found");
    assert_eq!(names(root.path(), &found), ["snapshots/x/a/gone.snap.new"]);
}

#[test]
fn the_snapshots_of_a_scenario_that_is_gone_are_unused() {
    let (root, scenario) = repository();
    fs::remove_file(scenario).expect("removed");
    let found = unused(&[root.path().to_owned()], &|_| panic!("there is no scenario to read")).expect("found");
    assert_eq!(found.files.len(), 4);
}

#[test]
fn nothing_is_said_about_a_scenario_that_cannot_be_read() {
    let (root, scenario) = repository();
    let found = unused(&[root.path().to_owned()], &|_| None).expect("found");
    assert_eq!(found, Unused { files: vec![], unknown: vec![scenario] });
}

#[test]
fn snapshots_of_others_are_never_listed() {
    let (root, scenario) = repository();
    fs::remove_file(&scenario).expect("removed");
    let folder = root.path().join("src/snapshots");
    fs::write(folder.join("insta.snap"), "---\nsource: src/lib.rs\nexpression: x\n---\nx\n").expect("written");
    fs::write(folder.join("none.snap"), "---\nexpression: x\n---\nx\n").expect("written");
    fs::write(folder.join("jest.snap"), "// Jest Snapshot v1\n").expect("written");
    fs::write(folder.join("notes.txt"), "notes").expect("written");
    let found = unused(&[folder], &|_| Some(vec![])).expect("found");
    assert_eq!(found, Unused::default());
}

#[test]
fn what_a_killed_run_left_is_unused_after_a_while() {
    let (root, _) = repository();
    let cases_of = |_: &Path| Some(vec![case("one", &[]), case("two", &["envoy", "apisix"]), case("old", &[])]);
    let left = root.path().join("snapshots/x/a/.pwtest-x7Gb2.tmp");
    let file = fs::File::create(&left).expect("created");
    assert_eq!(unused(&[root.path().to_owned()], &cases_of), Ok(Unused::default()), "somebody may be writing it");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("time set");
    let found = unused(&[root.path().to_owned()], &cases_of).expect("found");
    assert_eq!(names(root.path(), &found), ["snapshots/x/a/.pwtest-x7Gb2.tmp"]);
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let error = unused(&[PathBuf::from("/no/such/folder")], &|_| None).expect_err("not there");
    assert_eq!(error.to_string(), "cannot read /no/such/folder: there is no such file or folder");
}
