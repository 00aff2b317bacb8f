//! Finding, choosing, deciding.

use super::*;
use crate::snapshot::{Mode, Store};
use std::fs;

/// Three snapshots that wait, one of them the first of its case, and one that does not.
fn repository() -> (tempfile::TempDir, Found) {
    let root = tempfile::tempdir().expect("folder");
    for folder in [".git", "snapshots", "src/snapshots"] {
        fs::create_dir_all(root.path().join(folder)).expect("folder");
    }
    for (scenario, case, host, old, new) in [
        ("t/x/a.yaml", "adds a header", Some("envoy"), Some("old"), "new"),
        ("t/x/a.yaml", "first", None, None, "new"),
        ("t/x/target.yaml", "first", None, Some("old"), "new"),
        ("t/x/target.yaml", "same", None, Some("old"), "old"),
    ] {
        let store = Store::for_scenario(&root.path().join(scenario), []);
        if let Some(old) = old {
            store.check(case, host, old, Mode::Accept).expect("written");
        }
        store.check(case, host, new, Mode::Review).expect("written");
    }
    let rust = "---\nsource: src/lib.rs\nassertion_line: 3\nexpression: x\n---\nx\n";
    fs::write(root.path().join("src/snapshots/insta.snap.new"), rust).expect("written");
    let found = find(&[root.path().to_owned()]).expect("found");
    (root, found)
}

fn names<'a>(pending: impl IntoIterator<Item = &'a Pending>) -> Vec<&'a str> {
    pending.into_iter().map(|one| one.name.split_once("/snapshots/").expect("in a folder").1).collect()
}

#[test]
fn all_that_waits_is_found_in_order() {
    let (_root, found) = repository();
    assert_eq!(names(&found.pending), ["x/a/adds-a-header@envoy", "x/a/first", "x/target/first"]);
    let first = &found.pending[0];
    assert_eq!(
        (first.scenario(), first.case(), first.host()),
        (Some("t/x/a.yaml"), Some("adds a header"), Some("envoy"))
    );
    let change = found.pending[1].change.as_ref().expect("readable");
    assert_eq!((change.old.as_ref(), change.new.contents.as_str()), (None, "new"));
    assert_eq!(found.pending[1].host(), None);
}

#[test]
fn build_output_and_dependencies_are_passed_over() {
    let (root, found) = repository();
    for hidden in ["target", "node_modules", ".git"] {
        let folder = root.path().join(hidden).join("snapshots");
        fs::create_dir_all(&folder).expect("folder");
        fs::copy(&found.pending[0].path, folder.join("x.snap.new")).expect("copied");
    }
    fs::copy(&found.pending[0].path, root.path().join("t.snap.new")).expect("copied");
    assert_eq!(find(&[root.path().to_owned()]), Ok(found));
}

#[test]
fn a_scenario_or_a_file_can_be_named() {
    let (root, all) = repository();
    let scenario = root.path().join("t/x/a.yaml");
    fs::create_dir_all(scenario.parent().expect("parent")).expect("folder");
    fs::write(&scenario, "").expect("scenario");
    let found = |path: PathBuf| names(&find(&[path]).expect("found").pending).join(" ");
    assert_eq!(found(scenario), "x/a/adds-a-header@envoy x/a/first");
    assert_eq!(found(all.pending[0].target.clone()), "x/a/adds-a-header@envoy");
    assert_eq!(found(all.pending[1].path.clone()), "x/a/first");
    assert_eq!(found(all.pending[1].target.clone()), "x/a/first", "the snapshot itself isn't there yet");
    let error = find(&[root.path().join("nowhere")]).expect_err("nowhere");
    assert!(error.to_string().ends_with("nowhere: there is no such file or folder"), "{error}");
}

#[test]
fn accepting_and_rejecting() {
    let (root, found) = repository();
    let [changed, first, rejected] = found.pending.as_slice() else { panic!("three") };
    let new = fs::read(&changed.path).expect("there");
    changed.accept().expect("accepted");
    first.accept().expect("accepted");
    rejected.reject().expect("rejected");
    assert_eq!(fs::read(&changed.target).expect("there"), new, "byte for byte, metadata included");
    assert!(first.target.exists());
    assert!(fs::read_to_string(&rejected.target).expect("there").ends_with("---\nold\n"));
    assert_eq!(find(&[root.path().to_owned()]), Ok(Found::default()));
}

#[test]
fn what_has_changed_since_is_not_accepted() {
    let (root, found) = repository();
    let store = Store::for_scenario(&root.path().join("t/x/a.yaml"), []);
    store.check("first", None, "newer", Mode::Review).expect("written");
    assert!(found.pending[1].accept().is_err_and(|error| error.why.contains("a run has changed it")));
    store.check("adds a header", Some("envoy"), "old", Mode::Review).expect("passed");
    assert!(found.pending[0].accept().is_err_and(|error| error.why.contains("it is gone")));
    fs::write(&found.pending[2].target, "---\nsource: x\n---\nelse\n").expect("written");
    assert!(found.pending[2].accept().is_err_and(|error| error.why.contains("beside it has changed")));
    assert!(found.pending[0].reject().is_ok(), "it was to go, and is gone");
}

#[test]
fn what_is_damaged_can_be_rejected_and_not_accepted() {
    let (root, found) = repository();
    fs::write(&found.pending[0].target, "damaged").expect("written");
    fs::write(&found.pending[1].path, [0xff, 0xfe]).expect("written");
    let found = find(&[root.path().to_owned()]).expect("found");
    assert_eq!(found.pending.len(), 3, "they don't hide the others");
    let [old, new, _] = found.pending.as_slice() else { panic!("three") };
    assert!(old.accept().is_err_and(|error| error.path == old.target));
    assert!(new.accept().is_err_and(|error| error.why == "it is not UTF-8 text"));
    assert_eq!(fs::read_to_string(&old.target).expect("there"), "damaged");
    assert!(new.reject().is_ok() && !new.path.exists());
}

#[test]
fn names_are_exact_or_an_end_or_a_path_or_a_case() {
    let (_root, found) = repository();
    let select = |name: &str| found.select(&[name.to_owned()]).map(|chosen| names(chosen).join(" "));
    let target = &found.pending[2];
    for name in [
        &target.name,
        "target/first",
        "x/target/first",
        &target.path.display().to_string(),
        &target.target.display().to_string(),
    ] {
        assert_eq!(select(name).as_deref(), Ok("x/target/first"), "{name}");
    }
    assert_eq!(select("adds-a-header@envoy").as_deref(), Ok("x/a/adds-a-header@envoy"));
    assert_eq!(select("adds a header").as_deref(), Ok("x/a/adds-a-header@envoy"));
    assert!(matches!(select("first"), Err(SelectError::Ambiguous { all, .. }) if all.len() == 2));
    let error = select("frist").expect_err("unknown");
    assert!(error.to_string().contains("did you mean") && error.to_string().contains("first\"?)"), "{error}");
    let error = select("eader@envoy").expect_err("not from a slash on");
    assert!(error.to_string().contains("adds-a-header@envoy"), "{error}");
    assert_eq!(
        select("zzz").map_err(|error| error.to_string()),
        Err("no snapshot named \"zzz\" waits for a review".into())
    );
    let both = ["target/first".to_owned(), "adds a header".to_owned(), "x/target/first".to_owned()];
    assert_eq!(found.select(&both).map(names), Ok(vec!["x/a/adds-a-header@envoy", "x/target/first"]), "each once");
}

#[cfg(unix)]
#[test]
fn a_link_in_a_circle_is_not_followed() {
    let (root, found) = repository();
    std::os::unix::fs::symlink(root.path(), root.path().join("snapshots/again")).expect("link");
    assert_eq!(find(&[root.path().to_owned()]), Ok(found));
}
