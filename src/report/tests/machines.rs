//! JUnit XML and GitHub's annotations.

use super::super::{GitHub, Junit};
use super::*;
use crate::diagnostic::Source;
use crate::runner::CaseStatus;
use std::sync::Arc;

fn hostile() -> CaseResult {
    let mut case = failed();
    case.name = "a,b: 100%\n::x \u{1b}[1m\u{0}\u{ffff} <&]]>".to_owned();
    case.failures[0].title = "it's <b> & \u{1b} \u{fffe} ]]> 50%\r\n::error::x".to_owned();
    case
}

#[test]
fn junit_is_xml_with_a_suite_for_each_file() {
    let skipped = CaseResult { status: CaseStatus::Skipped("later".to_owned()), ..passed("c") };
    let broken = CaseResult { status: CaseStatus::NotStarted, ..differing() };
    let other = Arc::new(Source { path: PathBuf::from("t/other.yaml"), text: String::new() });
    let elsewhere = CaseResult { source: other, ..passed("d") };
    let cases = [passed("a"), elsewhere, hostile(), trapped(), snapshot_differs(), skipped, broken];
    let mut junit = Junit::new(Vec::new());
    run(&mut junit, &cases, Summary { duration: Duration::from_millis(20), ..Summary::default() });
    let text = String::from_utf8(junit.out().clone()).expect("text");
    let legal = |c: char| matches!(c, '\n' | '\t' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(legal), "{text:?}");
    let report = quick_junit::Report::deserialize_from_str(&text).expect("XML");
    let names: Vec<&str> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["t/hello.yaml", "t/other.yaml"]);
    assert_eq!((report.tests, report.failures, report.errors, report.skipped), (7, 3, 1, 1));
    let suite = &report.test_suites[0];
    assert_eq!(suite.test_cases[3].name.as_str(), "it's (apisix)");
    assert!(text.contains(r#"file="t/hello.yaml" line="3""#), "{text}");
    assert!(text.contains("message=\"the behaviour is not as accepted\" type=\"snapshot\""), "{text}");
    assert!(text.contains("type=\"client_sees.headers.x-greeting\""), "{text}");
    assert!(
        suite.test_cases[1].system_out.as_ref().is_some_and(|out| out.as_str().starts_with("[hello] warn: looking\n")),
        "{text}"
    );
    assert!(text.contains(&format!("/fragile/src/lib.rs:{}:", unwrapping_line())), "{text}");
}

#[test]
fn annotations_point_at_the_line_and_can_not_be_broken_out_of() {
    let mut github = GitHub::new(Vec::new());
    let events = Arc::new(vec![finding("wrong")]);
    let cases = [passed("a"), failed(), hostile(), CaseResult { events, ..passed("f") }, snapshot_differs()];
    run(&mut github, &cases, Summary::default());
    let text = String::from_utf8(github.out().clone()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let expected = "::error file=t/hello.yaml,line=6,col=45,title=adds its header::header `x-greeting` at the client is absent, \
                    expected \"hi\"%0Ahelp: there is `x-greetings`";
    assert_eq!(lines[0], expected);
    let hostile = "::error file=t/hello.yaml,line=6,col=45,title=a%2Cb%3A 100%25\\n%3A%3Ax \\u{1b}[1m\\u{0}\u{ffff} <&]]>::it's <b> & \\u{1b} \u{fffe} ]]> 50%25";
    assert!(lines[1].starts_with(hostile), "{}", lines[1]);
    assert!(lines[1].contains("50%25%0A::error::x%0Aexpected: \"hi\"%0Aactual: absent%0Ahelp: "), "{}", lines[1]);
    assert!(
        lines[2].starts_with(
            "::error file=t/hello.yaml,line=3,col=11,title=it's (apisix)::the behaviour is not as accepted%0A"
        ),
        "{}",
        lines[2]
    );
    assert_eq!(lines[3], "::warning file=t/hello.yaml,line=3,col=11,title=content-length-stale::wrong (in 1 case)");
}
