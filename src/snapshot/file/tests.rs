//! The format, with insta itself as the judge.

use super::*;
use insta::internals::TextSnapshotContents;
use proptest::prelude::*;

fn snapshot(source: &str, case: &str, contents: &str) -> Snapshot {
    Snapshot { metadata: Metadata::new(source, case), contents: contents.to_owned() }
}

/// What the metadata and contents of a snapshot may be, with a taste for what breaks YAML.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}",
        proptest::collection::vec(any::<char>(), 0..12).prop_map(String::from_iter),
        "(---|---\r|- a|a: b| #|'|\"|\\\\|\n|\r\n|\t|true|null|~|0o17|1e3|0x1f|2014-12-31|[{]|\u{85}|\u{2028}|\u{feff}){0,5}",
    ]
}

#[test]
fn a_file_looks_like_this() {
    let made = snapshot("t/headers/add.yaml", "401: no token", "[request_headers]\n  log \"hi\"");
    let text = "---\nsource: t/headers/add.yaml\nexpression: \"401: no token\"\n---\n[request_headers]\n  log \"hi\"\n";
    assert_eq!(made.to_text(), text);
    assert_eq!(Snapshot::parse(text), Ok(made));
}

#[test]
fn plain_names_are_not_quoted() {
    for plain in ["adds a header", "401 without a token", "t/a-b/c_d.yaml"] {
        assert!(is_plain(plain), "{plain}");
    }
    for quoted in
        ["", "yes", "No", "NaN", "infinity", "1e3", "0o17", "2014-12-31", "12", "1 2", "a: b", "a ", "- a", "é"]
    {
        assert!(!is_plain(quoted), "{quoted}");
    }
}

#[test]
fn what_is_no_snapshot_says_why() {
    for (text, why) in [
        ("", "does not begin"),
        ("hello", "does not begin"),
        ("---\nsource: a", "does not end"),
        ("---\nsource: [\n---\n", "not valid"),
        ("---\nsource: a\nsource: b\n---\n", "not valid"),
        ("---\n- a\n---\n", "not valid"),
        ("---\n<<<<<<< HEAD\nsource: a\n=======\n---\n", "merge conflict"),
        ("---\nextension: png\nsnapshot_kind: binary\n---\n", "binary"),
    ] {
        let error = Snapshot::parse(text).expect_err(text);
        assert!(error.contains(why) && !error.contains('\n'), "{text:?}: {error}");
    }
}

#[test]
fn keys_that_only_insta_knows_are_read_over() {
    let text = "---\nsource: src/a.rs\nassertion_line: 7\ndescription: |\n  two\n  lines\nexpression: f(1)\n\
                info:\n  a: [1, {b: ~}]\ninput_file: x\nsnapshot_kind: text\n---\nx\n";
    let read = Snapshot::parse(text).expect("insta's");
    assert_eq!(read.metadata.source.as_deref(), Some("src/a.rs"));
    assert_eq!(read.metadata.description.as_deref(), Some("two\nlines\n"));
    assert_eq!(read.contents, "x");
}

#[test]
fn a_checkout_with_crlf_reads_the_same() {
    let made = snapshot("t/a.yaml", "b", "one\ntwo");
    let read = Snapshot::parse(&made.to_text().replace('\n', "\r\n")).expect("crlf");
    assert_eq!(read.metadata, made.metadata);
    assert_eq!(read.contents, "one\r\ntwo");
    assert!(read.matches("one\ntwo\n"));
}

#[test]
fn insta_itself_passes_and_fails_against_our_file() {
    let folder = tempfile::tempdir().expect("folder");
    write(&folder.path().join("ours.snap"), &snapshot("t/a.yaml", "it: works", "---\n  a\u{1f980}\n---\nb"))
        .expect("written");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder.path());
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        insta::assert_snapshot!("ours", "---\n  a\u{1f980}\n---\nb\n");
        let differs = std::panic::catch_unwind(|| insta::assert_snapshot!("ours", "something else"));
        assert!(differs.is_err(), "insta must see the difference");
    });
    // With CI set, insta writes nothing; else this is a pending file from its own hand.
    if let Some(new) = read(&folder.path().join("ours.snap.new")).expect("insta's own file") {
        assert_eq!(new.contents, "something else");
        assert!(new.metadata.source.is_some_and(|source| source.ends_with("file/tests.rs")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_comes_back_as_it_was(source in text(), case in text(), contents in text(), described in proptest::option::of(text())) {
        let mut made = snapshot(&source, &case, &contents);
        made.metadata.description = described;
        prop_assert_eq!(Snapshot::parse(&made.to_text()), Ok(made));
    }

    #[test]
    fn no_file_makes_the_reader_panic(file in "(---\n)?\\PC{0,60}\n?(---\n)?\\PC{0,20}") {
        let _ = Snapshot::parse(&file);
    }

    #[test]
    fn what_is_stored_is_what_is_compared(contents in text()) {
        let once = normalise(&contents);
        prop_assert_eq!(&normalise(&once), &once);
        prop_assert!(snapshot("", "", &once).matches(&contents));
    }
}

proptest! {
    // Each case writes and syncs two files.
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: ProptestConfig::default().cases / 4,
        ..ProptestConfig::default()
    })]

    #[test]
    fn insta_reads_what_we_write_and_we_read_what_insta_writes(source in text(), case in text(), contents in text()) {
        let folder = tempfile::tempdir()?;
        let (ours, theirs) = (folder.path().join("ours.snap"), folder.path().join("theirs.snap"));
        let made = snapshot(&source, &case, &normalise(&contents));
        write(&ours, &made).expect("written");

        let loaded = insta::Snapshot::from_file(&ours).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(loaded.metadata().source(), Some(source.as_str()));
        prop_assert_eq!(loaded.metadata().expression(), Some(case.as_str()));
        let same = TextSnapshotContents::new(made.contents.clone(), insta::TextSnapshotKind::File);
        prop_assert!(loaded.as_text().is_some_and(|text| text.matches_latest(&same)));

        // This is what `cargo insta accept` does with a pending file.
        loaded.save(&theirs).expect("insta writes");
        // insta leaves bare what YAML does not allow: such a case name is the only thing that is lost.
        let bare = |c| matches!(c, '\u{b}' | '\u{1b}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
        if !source.contains(bare) && !case.contains(bare) {
            let back = read(&theirs).expect("readable").expect("there");
            prop_assert_eq!(&back.contents, &made.contents);
            prop_assert_eq!(back.metadata, made.metadata);
        }
    }
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.snap");
    let old = snapshot("t/a.yaml", "a", "old");
    write(&path, &old).expect("written");

    // A folder where the file belongs.
    let blocked = folder.path().join("b.snap");
    std::fs::create_dir(&blocked).expect("folder");
    let error = write(&blocked, &old).expect_err("a folder");
    assert!(error.why.contains("folder") && error.path == blocked, "{error}");
    assert!(rename(&path, &blocked).is_err() && remove(&blocked).is_err() && read(&blocked).is_err());

    // A file where the folder belongs.
    let error = write(&path.join("c.snap"), &old).expect_err("below a file");
    assert!(error.why.contains("is a file, where a folder belongs"), "{error}");

    // A name that the file system refuses: the temporary file is there by then, and must go.
    let error = write(&folder.path().join(format!("{}.snap", "x".repeat(300))), &old).expect_err("too long");
    assert!(error.to_string().starts_with("cannot write "), "{error}");

    assert_eq!(read(&path), Ok(Some(old)));
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["a.snap", "b.snap"]);
}

/// The device says yes to everything except that there is room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_says_so() {
    let mut full = std::fs::File::create("/dev/full").expect("device");
    let error = full.write_all(b"x").expect_err("full");
    let error = SnapshotError::io(FileAction::Write, Path::new("/x/a.snap"), &error);
    assert_eq!(error.to_string(), "cannot write /x/a.snap: the disk is full");
}

#[cfg(unix)]
#[test]
fn links_are_read_through_and_never_replaced() {
    let folder = tempfile::tempdir().expect("folder");
    let (file, link, dangling) =
        (folder.path().join("a.snap"), folder.path().join("b.snap"), folder.path().join("c.snap"));
    let old = snapshot("t/a.yaml", "a", "old");
    write(&file, &old).expect("written");
    std::os::unix::fs::symlink(&file, &link).expect("link");
    std::os::unix::fs::symlink(folder.path().join("gone"), &dangling).expect("link");
    assert_eq!(read(&link), Ok(Some(old.clone())));
    for path in [&link, &dangling] {
        assert!(write(path, &old).is_err_and(|error| error.why.contains("symbolic link")));
    }
    assert!(read(&dangling).is_err_and(|error| error.why.contains("does not exist")));
    assert!(link.symlink_metadata().is_ok_and(|found| found.is_symlink()));
}

/// Whoever reads while others write sees one whole text or another whole text.
#[test]
fn no_reader_ever_sees_half_a_file() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("a.snap");
    let texts: Vec<String> = ["a", "b"].iter().map(|letter| letter.repeat(100_000)).collect();
    write(&path, &snapshot("s", "c", &texts[0])).expect("written");
    std::thread::scope(|scope| {
        let path = &path;
        let write = |text| move || (0..20).for_each(|_| write(path, &snapshot("s", "c", text)).expect("written"));
        let writers: Vec<_> = texts.iter().map(|text| scope.spawn(write(text))).collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let seen = read(path).expect("whole").expect("there").contents;
            assert!(texts.contains(&seen), "{} characters", seen.len());
        }
    });
}

#[cfg(unix)]
#[test]
fn others_may_read_what_was_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("folder");
    let (ours, usual) = (folder.path().join("a.snap"), folder.path().join("usual"));
    write(&ours, &Snapshot::default()).expect("written");
    std::fs::write(&usual, "").expect("written");
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode();
    assert_eq!(mode(&ours), mode(&usual));
}
