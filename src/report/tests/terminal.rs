//! The report for people, to the letter.

use super::super::{Options, Terminal, Verbosity};
use super::*;
use crate::runner::{CaseStatus, SnapshotResult};
use crate::snapshot::Outcome;
use std::sync::Arc;

const PLAIN: Options = Options { color: false, verbosity: Verbosity::Normal, trace: false, width: 80 };

fn text(cases: &[CaseResult], options: Options, summary: Summary) -> String {
    let mut terminal = Terminal::new(Vec::new(), options);
    run(&mut terminal, cases, summary);
    let text = String::from_utf8(terminal.out().clone()).expect("text");
    if !options.color {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
    assert!(text.lines().all(|line| !line.trim_start().starts_with("::")), "a command to a CI server: {text}");
    text
}

fn summary(passed: usize, failed: usize, skipped: usize, pending: usize) -> Summary {
    Summary { passed, failed, skipped, pending, not_started: 0, unseen: 0, duration: Duration::from_millis(1234) }
}

#[test]
fn a_line_for_each_case_and_a_summary() {
    let skipped = CaseResult { status: CaseStatus::Skipped("needs a\nproxy".to_owned()), ..passed("later") };
    let host = CaseResult { host: Some("apisix".to_owned()), ..passed("fine") };
    let expected = "\
running 2 cases of 1 file
PASS [   3ms] t/hello.yaml: fine (apisix)
SKIP [      ] t/hello.yaml: later (needs a\\nproxy)
Summary [  1.2s] 1 case: 1 passed, 1 skipped
";
    assert_eq!(text(&[host, skipped], PLAIN, summary(1, 0, 1, 0)), expected);
    let all = Summary { not_started: 1, ..summary(118, 2, 3, 2) };
    assert!(text(&[], PLAIN, all).ends_with(
        "121 cases: 118 passed, 2 failed, 1 could not be started, 3 skipped; 2 snapshots to review (pwtest review)\n"
    ));
}

#[test]
fn a_failure_explains_itself() {
    let expected = r#"running 1 case of 1 file
FAIL [   3ms] t/hello.yaml: adds its header

── FAIL t/hello.yaml: adds its header ─────────────────────────────────────────
error: header `x-greeting` at the client is absent, expected "hi"
 --> t/hello.yaml:6:45
  |
6 |       client_sees: { headers: { x-greeting: hi } }
  |                                             ^^^^
  |
  = help: there is `x-greetings`
  what happened just before:
      … 1 event (--trace shows all)
      client -> GET http://app.test/hello {}, end of stream
      … 2 events (--trace shows all)
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "looking") = ok
        proxy_log(warn, "said \u{1b}[2J\n::error::evil") = ok
      [hello] on_request_headers -> continue
    > -> client 200 {}, end of stream

  logs:
LOOKING    [hello] warn: said \u{1b}[2J
    | ::error::evil

Summary [  1.2s] 1 case: 0 passed, 1 failed
"#;
    let expected = expected.replace("LOOKING", &"    [hello] warn: looking\n".repeat(10));
    assert_eq!(text(&[failed()], PLAIN, summary(0, 1, 0, 0)), expected);
}

#[test]
fn long_texts_are_compared() {
    let shown = text(&[differing()], PLAIN, summary(0, 1, 0, 0));
    let expected = "\
with the body cut after byte 3
error: body at the client is not what was expected
 --> t/hello.yaml:6:7
  |
6 |       client_sees: { headers: { x-greeting: hi } }
  |       ^^^^^^^^^^^
  - expected
  + actual
      1     1 │   one
      2       │ - two
            2 │ + 2\\u{1b}
";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn a_trap_shows_the_panic_and_the_way_to_it() {
    let shown = text(&[trapped()], PLAIN, summary(0, 1, 0, 0));
    let expected = r#"error: the plugin trapped in on_request_headers: panicked: called `Result::unwrap()` on an `Err` value: FromUtf8Error
 --> t/hello.yaml:3:11
  |
3 |   - name: adds its header
  |           ^^^^^^^^^^^^^^^
  |
  = help: a value was not UTF-8, and the SDK promised text: use the function that gives bytes, such as `get_http_request_header_bytes`
  the plugin's last words:
    panicked at src/hostcalls.rs:1:2:
    called `Result::unwrap()` on an `Err` value: FromUtf8Error
  the engine says: wasm trap: wasm `unreachable` instruction executed
  in on_request_headers, innermost function first:
       (2 frames of the panic itself left out)
"#;
    assert!(shown.contains(expected), "{shown}");
    assert!(shown.contains(&format!("/fragile/src/lib.rs:{}:", unwrapping_line())), "{shown}");
    assert!(shown.contains(": proxy_on_request_headers\n"), "{shown}");
    let mut twice = trapped();
    twice.failures.push(twice.failures[0].clone());
    assert_eq!(text(&[twice], PLAIN, summary(0, 1, 0, 0)).matches("the engine says").count(), 1);
    let slice = "  what happened just before:
      exchange 1 opened
      client -> GET http://app.test/hello {}, end of stream
      [hello] on_request_headers(ctx 2, num_headers 4, end_of_stream 1)
    > [hello] on_request_headers trapped: wasm trap: wasm `unreachable` instruction executed
";
    assert!(shown.contains(slice), "{shown}");
}

#[test]
fn a_snapshot_that_differs_comes_with_the_command_that_accepts_it() {
    let expected = "\
FAIL [   3ms] t/hello.yaml: it's (apisix) (snapshot differs)

── FAIL t/hello.yaml: it's (apisix) ───────────────────────────────────────────
snapshot: the behaviour is not as accepted
- old snapshot
+ new results
    1     1 │   a
    2       │ - b
          2 │ + c
if this is right, accept it with: pwtest review accept 'snapshots/hello/it'\\''s'

Summary [  1.2s] 1 case: 0 passed, 1 failed; 1 snapshot to review (pwtest review)
";
    let shown = text(&[snapshot_differs()], PLAIN, summary(0, 1, 0, 1));
    assert!(shown.ends_with(expected), "{shown}");
    let SnapshotResult::Compared(Outcome::Differs { old, new, .. }) = snapshot_differs().snapshot else {
        panic!("it differs")
    };
    let on_ci = CaseResult {
        snapshot: SnapshotResult::Compared(Outcome::Differs { pending: None, old, new }),
        ..snapshot_differs()
    };
    assert!(
        text(std::slice::from_ref(&on_ci), PLAIN, summary(0, 1, 0, 0))
            .contains("nothing was written, because CI is set")
    );
    let twice = CaseResult { failures: failed().failures, ..on_ci };
    assert!(
        text(&[twice], PLAIN, summary(0, 1, 0, 0))
            .contains("nothing was written, because the case fails in words, too")
    );
}

#[test]
fn new_snapshots_are_listed_with_where_they_are() {
    let one = text(&[new_snapshot("a")], PLAIN, summary(1, 0, 0, 1));
    let expected = "PASS [   3ms] t/hello.yaml: a (new snapshot)
── new snapshots ─────────────────────────────────────────────────────────────
  snapshots/hello/a.snap.new
look at them with `pwtest review`, or accept them as they are: pwtest review accept 'snapshots/hello/a'

Summary";
    assert!(one.contains(expected), "{one}");
    let two = text(&[new_snapshot("a"), new_snapshot("b")], PLAIN, summary(2, 0, 0, 2));
    assert!(
        two.contains("a.snap.new\n  snapshots/hello/b.snap.new\n") && two.contains("pwtest review accept --all\n"),
        "{two}"
    );
    let snapshot = SnapshotResult::Compared(Outcome::New { pending: None, new: String::new() });
    let on_ci = text(&[CaseResult { snapshot, status: CaseStatus::Failed, ..passed("a") }], PLAIN, summary(0, 1, 0, 0));
    let snapshot = SnapshotResult::Compared(Outcome::New { pending: None, new: String::new() });
    let failing = text(&[CaseResult { snapshot, ..failed() }], PLAIN, summary(0, 1, 0, 0));
    assert!(!failing.contains("snapshot"), "{failing}");
    assert!(on_ci.contains("this case expects nothing in words and has no snapshot, so it tests nothing"), "{on_ci}");
}

#[test]
fn findings_are_explained_once() {
    let with =
        |message: &str| CaseResult { events: Arc::new(vec![finding(message), finding("other words")]), ..passed("a") };
    let message = "the client was sent content-length 3 and 4 bytes of body: hosts other than Kong do not correct it";
    let cases = [with(message), with(message)];
    let shown = text(&cases, PLAIN, summary(2, 0, 0, 0));
    let expected = "── findings ──────────────────────────────────────────────────────────────────
content-length-stale in 2 cases
  the client was sent content-length 3 and 4 bytes of body: hosts other than
  Kong do not correct it
  first in t/hello.yaml: a; others differ in detail, --verbose shows each
";
    assert!(shown.contains(expected), "{shown}");
    let quiet = Options { verbosity: Verbosity::Quiet, ..PLAIN };
    assert_eq!(text(&cases, quiet, summary(2, 0, 0, 0)), "Summary [  1.2s] 2 cases: 2 passed\n");
    let verbose = text(&cases, Options { verbosity: Verbosity::Verbose, ..PLAIN }, summary(2, 0, 0, 0));
    assert!(
        verbose.contains("PASS [   3ms] t/hello.yaml: a\n    finding content-length-stale: the client"),
        "{verbose}"
    );
}

#[test]
fn verbose_shows_logs_and_trace_shows_everything() {
    let verbose = text(&[failed()], Options { verbosity: Verbosity::Verbose, ..PLAIN }, summary(0, 1, 0, 0));
    assert!(verbose.contains("adds its header\n    [hello] warn: looking\n"), "{verbose}");
    let traced = text(&[failed()], Options { trace: true, ..PLAIN }, summary(0, 1, 0, 0));
    assert!(traced.contains("adds its header\n    exchange 1 opened\n    client -> GET"), "{traced}");
    assert!(!traced.contains("what happened just before"), "it stands above already");
    let failure = CaseResult { status: CaseStatus::NotStarted, ..differing() };
    assert!(text(&[failure], PLAIN, summary(0, 0, 0, 0)).contains("ERROR [  3ms] t/hello.yaml: adds its header\n"));
}

#[test]
fn colour_repeats_what_words_say() {
    let cases = [passed("a"), failed(), differing(), trapped(), snapshot_differs(), new_snapshot("b")];
    let plain = text(&cases, PLAIN, summary(2, 4, 0, 2));
    let coloured = text(&cases, Options { color: true, ..PLAIN }, summary(2, 4, 0, 2));
    assert!(coloured.contains("\u{1b}[32m"));
    // annotate-snippets draws its frames with other signs where there is colour, but the words are the same.
    let codes = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    let is_word = |word: &&str| word.chars().any(char::is_alphanumeric);
    let words = |text: &str| {
        codes.replace_all(text, "").split_whitespace().filter(is_word).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(&plain), words(&coloured));
}
