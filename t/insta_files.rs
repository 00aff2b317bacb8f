//! insta reads our snapshot files, and takes what we wrote for what it would have written.

use crate::support::{check, pwtest, workspace};
use libtest_mimic::{Failed, Trial};

/// One trial.
pub fn trials() -> Vec<Trial> {
    vec![Trial::test("insta reads our snapshots", reads)]
}

fn reads() -> Result<(), Failed> {
    let text = "plugin: FIXTURES/rust/header.wasm\ncases:\n  - name: one\n    request: GET http://app.test/hello\n";
    let folder = workspace(&[("a.yaml", text)]);
    let ran = pwtest(folder.path(), &["run", "a.yaml"]);
    let pending = folder.path().join("snapshots/a/one.snap.new");
    check(ran.code == 0 && pending.is_file(), "a first run writes a pending snapshot", &ran)?;
    let read = insta::Snapshot::from_file(&pending).map_err(|error| error.to_string())?;
    check(read.metadata().source() == Some("a.yaml"), "insta reads where it came from", &ran)?;
    check(read.metadata().expression() == Some("one"), "insta reads the case's name", &ran)?;
    let contents = read.as_text().map(ToString::to_string).unwrap_or_default();
    check(contents.contains("x-pwtest: 1"), "insta reads the contents", &ran)
}
