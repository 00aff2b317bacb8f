//! Where files lie, and what each mode does with them.

use super::*;
use std::collections::BTreeMap;
use std::fs;

fn folder_with(paths: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("folder");
    // So that no folder above the temporary one has a say.
    for path in paths.iter().chain(&[".git/"]) {
        let path = root.path().join(path);
        match path.to_string_lossy().ends_with('/') {
            true => fs::create_dir_all(path).expect("folder"),
            false => {
                fs::create_dir_all(path.parent().expect("parent")).expect("folder");
                fs::write(path, "").expect("file");
            }
        }
    }
    root
}

fn all_files(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).expect("list") {
            let path = entry.expect("entry").path();
            match path.is_dir() {
                true => waiting.push(path),
                false => drop(found.insert(
                    path.strip_prefix(root).expect("inside").display().to_string(),
                    fs::read_to_string(&path).expect("text"),
                )),
            }
        }
    }
    found
}

#[test]
fn snapshots_lie_where_the_scenario_does() {
    let root = folder_with(&["snapshots/", "t/hostcalls/fields/replace.yaml", "other/nested/snapshots/"]);
    for (scenario, folder, source) in [
        ("t/hostcalls/fields/replace.yaml", "snapshots/hostcalls/fields/replace", "t/hostcalls/fields/replace.yaml"),
        ("top.yml", "snapshots/top", "top.yml"),
        ("other/a.yaml", "snapshots/other/a", "other/a.yaml"),
        ("other/t/a.yaml", "snapshots/other/t/a", "other/t/a.yaml"),
        ("other/nested/t/a.v2.yaml", "other/nested/snapshots/a.v2", "t/a.v2.yaml"),
        ("t/../other/./b.json", "snapshots/other/b.json", "other/b.json"),
    ] {
        let store = Store::for_scenario(&root.path().join(scenario), []);
        assert_eq!(store.folder(), root.path().join(folder), "{scenario}");
        assert_eq!(store.source, source);
    }
}

#[test]
fn without_a_folder_above_they_lie_beside_the_scenario() {
    let root = folder_with(&["snapshots/", "repository/.git/", "repository/t/a.yaml"]);
    let store = Store::for_scenario(&root.path().join("repository/t/a.yaml"), []);
    assert_eq!(store.folder(), root.path().join("repository/t/snapshots/a"), "not above the repository");
    assert_eq!(store.source, "a.yaml");
    assert!(!store.folder().exists(), "made by the first write only");
    store.check("c", None, "x", Mode::Review).expect("written");
    assert!(store.folder().join("c.snap.new").is_file());
}

#[test]
fn hosts_are_told_apart() {
    let store = Store::for_scenario(Path::new("/x/t/a.yaml"), []);
    assert_eq!(store.path("a case", Some("envoy")).file_name(), Some(OsStr::new("a-case@envoy.snap")));
    assert_ne!(store.path("a@envoy", None), store.path("a", Some("envoy")));
    assert!(store.path("a", Some("../x")).parent() == Some(store.folder()));
}

#[test]
fn the_life_of_a_snapshot() {
    let root = folder_with(&["snapshots/"]);
    let store = Store::for_scenario(&root.path().join("t/a.yaml"), ["c"]);
    let (path, pending) = (store.path("c", None), pending_path(&store.path("c", None)));
    let check = |text, mode| store.check("c", None, text, mode).expect("no error");

    // Nothing yet, and nobody to look: nothing is written.
    assert_eq!(check("one\n", Mode::ReadOnly), Outcome::New { pending: None, new: "one".into() });
    assert!(all_files(root.path()).is_empty());
    // The first run says what it would be.
    assert_eq!(check("one\n", Mode::Review), Outcome::New { pending: Some(pending.clone()), new: "one".into() });
    assert_eq!(fs::read_to_string(&pending).expect("text"), "---\nsource: t/a.yaml\nexpression: c\n---\none\n");
    assert!(!path.exists());
    // Accepting in passing.
    assert_eq!(check("one\n", Mode::Accept), Outcome::Accepted { path: path.clone(), old: None });
    assert!(!pending.exists() && path.exists());
    assert_eq!(check("one\n\n", Mode::ReadOnly), Outcome::Match);
    // A difference.
    let differs = Outcome::Differs { pending: Some(pending.clone()), old: "one".into(), new: "two".into() };
    assert_eq!(check("two", Mode::Review), differs);
    assert_eq!(store.read("c", None).expect("read").expect("there").contents, "one");
    // CI sees the same and touches nothing, also when it passes.
    let before = all_files(root.path());
    assert_eq!(
        check("three", Mode::ReadOnly),
        Outcome::Differs { pending: None, old: "one".into(), new: "three".into() }
    );
    assert_eq!(check("one", Mode::ReadOnly), Outcome::Match);
    assert_eq!(all_files(root.path()), before);
    // A pass removes what waited.
    assert_eq!(check("one", Mode::Review), Outcome::Match);
    assert!(!pending.exists());
    // Gone for good.
    assert_eq!(store.remove("c", None), Ok(true));
    assert_eq!(store.remove("c", None), Ok(false));
    assert!(all_files(root.path()).is_empty());
}

#[test]
fn the_same_difference_again_is_not_written_again() {
    let root = folder_with(&["snapshots/"]);
    let store = Store::for_scenario(&root.path().join("a.yaml"), []);
    store.check("c", None, "x", Mode::Review).expect("written");
    let pending = pending_path(&store.path("c", None));
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::File::options().write(true).open(&pending).and_then(|file| file.set_modified(long_ago)).expect("time set");
    store.check("c", None, "x", Mode::Review).expect("nothing to do");
    assert_eq!(pending.metadata().and_then(|found| found.modified()).expect("time"), long_ago);
    store.check("c", None, "y", Mode::Review).expect("written");
    assert_ne!(pending.metadata().and_then(|found| found.modified()).expect("time"), long_ago);
}

#[test]
fn a_damaged_snapshot_is_kept_in_every_mode() {
    let root = folder_with(&["snapshots/a/c.snap", "snapshots/a/c.snap.new"]);
    let store = Store::for_scenario(&root.path().join("a.yaml"), []);
    let before = all_files(root.path());
    for mode in [Mode::Review, Mode::ReadOnly, Mode::Accept] {
        let error = store.check("c", None, "x", mode).expect_err("damaged");
        assert!(error.to_string().ends_with("c.snap: it does not begin with a line `---`"), "{error}");
        assert!(error.hint.is_some_and(|hint| hint.contains("delete it")));
        assert_eq!(all_files(root.path()), before);
    }
    // What waits is the run's own, and written anew.
    store.remove("c", None).expect("removed");
    fs::write(root.path().join("snapshots/a/c.snap.new"), "damaged").expect("written");
    store.check("c", None, "x", Mode::Review).expect("written over");
    assert!(all_files(root.path())["snapshots/a/c.snap.new"].ends_with("---\nx\n"));
}

#[test]
fn a_folder_in_the_way_is_an_error() {
    let root = folder_with(&["snapshots/a/c.snap/", "snapshots/a/d.snap.new/", "snapshots/b"]);
    let a = Store::for_scenario(&root.path().join("a.yaml"), []);
    assert!(a.check("c", None, "x", Mode::Review).is_err_and(|error| error.why.contains("folder")));
    assert!(a.check("d", None, "x", Mode::Review).is_err_and(|error| error.why.contains("folder")));
    let b = Store::for_scenario(&root.path().join("b.yaml"), []);
    assert!(b.check("c", None, "x", Mode::Review).is_err_and(|error| error.why.contains("is a file")));
}

#[test]
fn ci_is_what_the_variable_says() {
    for value in [None, Some(""), Some("False"), Some("0")] {
        assert_eq!(Mode::for_ci(value.map(OsStr::new)), Mode::Review, "{value:?}");
    }
    for value in ["true", "1", "woodpecker"] {
        assert_eq!(Mode::for_ci(Some(OsStr::new(value))), Mode::ReadOnly, "{value:?}");
    }
}

#[test]
fn many_threads_at_once() {
    let root = folder_with(&[]);
    let cases: Vec<String> = (0..64).map(|nth| format!("case {nth}")).collect();
    let store = Store::for_scenario(&root.path().join("a.yaml"), cases.iter().map(String::as_str));
    std::thread::scope(|scope| {
        for part in cases.chunks(8) {
            let store = &store;
            scope.spawn(move || {
                part.iter().for_each(|case| drop(store.check(case, None, case, Mode::Accept).expect("written")))
            });
        }
    });
    for case in &cases {
        assert_eq!(store.check(case, None, case, Mode::ReadOnly), Ok(Outcome::Match));
    }
    assert_eq!(all_files(root.path()).len(), 64, "no temporary file is left");
}
