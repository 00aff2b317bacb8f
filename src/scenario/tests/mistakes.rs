//! What is said of mistakes: the line, the title, and what to do. Here is how one is looked at; the mistakes themselves
//! are grouped by where they stand.

mod file;
mod messages;
mod steps;

use super::Folder;
use crate::diagnostic::{Diagnostic, render_all};

/// Line, part of the title, part of the hint or label.
type Expected = (usize, &'static str, &'static str);

fn check(problems: &[Diagnostic], text: &str, expected: &[Expected]) {
    let drawn = render_all(problems, false);
    let found: Vec<usize> = problems
        .iter()
        .map(|problem| {
            problem
                .source
                .as_ref()
                .map_or(0, |source| source.position(problem.span.clone().unwrap_or_default().start).0)
        })
        .collect();
    assert_eq!(found, expected.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), "{text}\n{drawn}");
    for (problem, (_, title, help)) in problems.iter().zip(expected) {
        assert!(problem.title.contains(title), "{title:?} in\n{text}\n{drawn}");
        let said = format!("{:?} {:?}", problem.label, problem.hint);
        assert!(said.contains(help), "{help:?} in\n{text}\n{drawn}");
    }
}

/// Lines are those of `text`.
fn in_file(text: &str, expected: &[Expected]) {
    match Folder::new().parse(text) {
        Ok(_) => panic!("nothing was found wrong with\n{text}"),
        Err(problems) => check(&problems, text, expected),
    }
}

/// One mistake in a file that is otherwise good; line 1 is the first line of `text`.
fn top(text: &str, title: &'static str, help: &'static str) {
    in_file(
        &format!("{text}\nplugin: plugin.wasm\ncases: [ {{ name: a, request: GET http://a/ }} ]\n"),
        &[(1, title, help)],
    );
}

/// One mistake in a case; `text` is the inside of a mapping in braces.
fn case(text: &str, title: &'static str, help: &'static str) {
    in_file(&format!("plugin: plugin.wasm\ncases:\n- {{ name: a, {text} }}\n"), &[(3, title, help)]);
}

/// One mistake in the mapping of a request.
fn request(text: &str, title: &'static str, help: &'static str) {
    case(&format!("request: {{ send: PUT http://a/, {text} }}"), title, help);
}

/// One mistake in the expectations of a case.
fn expect(text: &str, title: &'static str, help: &'static str) {
    case(&format!("request: GET http://a/, expect: {{ {text} }}"), title, help);
}
