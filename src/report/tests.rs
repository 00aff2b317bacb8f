//! What reports look like, from results made by hand.

mod machines;
mod results;
mod terminal;

use super::*;
use crate::runner::Summary;
use results::*;

/// Sends a whole run to a reporter.
fn run(reporter: &mut dyn Reporter, cases: &[CaseResult], summary: Summary) {
    reporter.event(&RunEvent::Started { cases: cases.len(), files: 1 }).expect("written");
    for case in cases {
        reporter.event(&RunEvent::Case(case)).expect("written");
    }
    reporter.event(&RunEvent::Progress { done: 1 }).expect("written");
    reporter.event(&RunEvent::Finished(summary)).expect("written");
}

#[test]
fn durations_fit_into_six_columns() {
    for (milliseconds, text) in
        [(0, "<1ms"), (3, "3ms"), (999, "999ms"), (1250, "1.2s"), (59_900, "59.9s"), (61_000, "1m01s")]
    {
        assert_eq!(duration(Duration::from_millis(milliseconds)), text);
    }
}

#[test]
fn a_report_argument_names_a_format_and_a_file() {
    let problem =
        |argument: &str| to_file(argument).err().map(|problem| (problem.title, problem.hint.unwrap_or_default()));
    let (title, hint) = problem("html=x").expect("a problem");
    assert_eq!(
        (title.as_str(), hint.as_str()),
        ("unknown report format `html`", "formats are `junit`, `github`, `text`")
    );
    for without in ["junit", "junit="] {
        assert!(
            problem(without)
                .is_some_and(|(title, hint)| title.contains("names no file") && hint.contains("FORMAT=FILE"))
        );
    }
}

#[test]
fn a_report_is_written_in_one_step_and_into_new_folders() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/b/junit.xml");
    for format in ["junit", "github", "text"] {
        let mut reporter = to_file(&format!("{format}={}", path.display())).expect("a reporter");
        run(reporter.as_mut(), &[passed("fine"), failed()], Summary::default());
        let written = std::fs::read_to_string(&path).expect("the report");
        assert!(written.contains("x-greeting"), "{format}: {written}");
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).expect("the folder").count(), 1, "no leftovers");
    }
    let mut reporter = to_file(&format!("junit={}", folder.path().display())).expect("a reporter");
    let error = reporter.event(&RunEvent::Finished(Summary::default())).expect_err("a folder is no file");
    assert!(error.to_string().starts_with("can't write the report "), "{error}");
}
