//! The conversation, with keys from a list.

use super::*;
use crate::snapshot::review::find;
use crate::snapshot::{Mode, Store};
use std::collections::VecDeque;

struct Script {
    keys: VecDeque<Key>,
    pages: Vec<String>,
    last: String,
}

impl Screen for Script {
    fn show(&mut self, text: &str) -> io::Result<()> {
        self.pages.push(text.to_owned());
        Ok(())
    }

    fn key(&mut self) -> io::Result<Key> {
        Ok(self.keys.pop_front().unwrap_or(Key::CtrlC))
    }

    fn end(&mut self, text: &str) -> io::Result<()> {
        self.last += text;
        Ok(())
    }
}

/// Reviews three snapshots (`one`, `three`, `two`) with these keys; returns the exit code, what was
/// shown, and what then lies in the folder.
fn talk(keys: &str, before: impl Fn(&Store)) -> (u8, Script, Vec<String>) {
    let root = tempfile::tempdir().expect("folder");
    std::fs::create_dir_all(root.path().join(".git")).expect("folder");
    let store = Store::for_scenario(&root.path().join("a.yaml"), []);
    for case in ["one", "two", "three"] {
        store.check(case, None, "old", Mode::Accept).expect("written");
        store.check(case, None, "new\nthat was that", Mode::Review).expect("written");
    }
    let found = find(&[root.path().to_owned()]).expect("found");
    before(&store);
    let mut script = Script { keys: keys.chars().map(Key::Char).collect(), pages: Vec::new(), last: String::new() };
    let code = review(&found.pending, false, &mut script).expect("no trouble");
    let mut files: Vec<String> = std::fs::read_dir(store.folder())
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .map(|path| {
            let new = std::fs::read_to_string(&path).expect("text").contains("new");
            format!("{}{}", path.file_name().expect("name").display(), if new { "=new" } else { "=old" })
        })
        .collect();
    files.sort();
    (code, script, files)
}

#[test]
fn one_key_for_each() {
    let (code, script, files) = talk("ars", |_| {});
    assert_eq!(code, PENDING, "one was left");
    assert_eq!(files, ["one.snap=new", "three.snap=old", "two.snap.new=new", "two.snap=old"]);
    assert!(
        script.pages[1].starts_with("[2/3] ") && script.pages[1].contains("scenario a.yaml, case \"three\"\n"),
        "{}",
        script.pages[1]
    );
    assert!(script.pages[0].contains("    1       │ - old\n          1 │ + new\n"), "{}", script.pages[0]);
    for (what, name) in [("accepted:\n", "/one\n"), ("rejected:\n", "/three\n"), ("left for later:\n", "/two\n")] {
        assert!(script.last.split_once(what).is_some_and(|(_, rest)| rest.contains(name)), "{}", script.last);
    }
}

#[test]
fn all_means_this_one_and_the_rest() {
    let (code, _, files) = talk("rA", |_| {});
    assert_eq!((code, files), (PASSED, vec!["one.snap=old".into(), "three.snap=new".into(), "two.snap=new".into()]));
    let (code, _, files) = talk("aR", |_| {});
    assert_eq!((code, files), (PASSED, vec!["one.snap=new".into(), "three.snap=old".into(), "two.snap=old".into()]));
}

#[test]
fn quitting_and_ctrl_c_keep_what_was_decided() {
    for keys in ["aq", "a\u{4}", "a"] {
        let (code, _, files) = talk(keys, |_| {});
        assert_eq!(code, PENDING);
        assert_eq!(files, ["one.snap=new", "three.snap.new=new", "three.snap=old", "two.snap.new=new", "two.snap=old"]);
    }
}

#[test]
fn other_keys_decide_nothing() {
    let (_, script, files) = talk("xyz 1?", |_| {});
    assert_eq!((script.pages.len(), files.len()), (1, 6));
}

#[test]
fn the_whole_text_instead_of_the_difference() {
    let (_, script, _) = talk("dd", |_| {});
    assert!(
        script.pages[1].contains("\nnew\nthat was that\n") && !script.pages[1].contains('│'),
        "{}",
        script.pages[1]
    );
    assert_eq!(script.pages[0], script.pages[2]);
}

#[test]
fn a_decision_that_fails_is_explained_on_the_same_page() {
    let changed = |store: &Store| drop(store.check("one", None, "newer", Mode::Review).expect("written"));
    let (code, script, files) = talk("as", changed);
    assert_eq!(code, PENDING);
    assert!(
        script.pages[1].starts_with("[1/3]") && script.pages[1].contains("a run has changed it since it was shown"),
        "{}",
        script.pages[1]
    );
    assert!(files.contains(&"one.snap=old".to_owned()));
    let (code, script, _) = talk("A", changed);
    assert_eq!(code, PENDING);
    assert!(script.last.contains("a run has changed it") && script.last.contains("left for later"), "{}", script.last);
}
