//! Files that somebody broke, or that try to exhaust memory: refused quickly, never a panic.

use super::{Folder, GOOD};
use crate::diagnostic::render_all;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// The title of the first mistake, and that it came quickly.
fn refused(folder: &Folder, text: &str) -> String {
    let start = Instant::now();
    let problems = folder.parse(text).expect_err("refused");
    render_all(&problems, true);
    // Generous, for debug builds on busy machines; what grows without bound takes minutes.
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    problems[0].title.clone()
}

#[test]
fn deep_nesting_is_refused() {
    let folder = Folder::new();
    for opener in ["[", "{a: ", "- ", "? ", "[{", "a:\n"] {
        let title = refused(&folder, &opener.repeat(100_000));
        assert!(opener == "a:\n" || opener == "? " || title.contains("nested more than 100 deep"), "{opener}: {title}");
    }
    let indented: String = (0..1000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(refused(&folder, &indented).contains("nested more than 100 deep"));
    // Two aliases of 60 levels each.
    let deep = format!("a: &a {}{}\nb: {}*a{}\n", "[".repeat(60), "]".repeat(60), "[".repeat(60), "]".repeat(60));
    assert!(refused(&folder, &deep).contains("nested more than 100 deep"));
}

#[test]
fn aliases_and_tables_do_not_explode() {
    let folder = Folder::new();
    let mut laughs = String::from("a0: &a0 [lol]\n");
    for level in 1..20 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("a{level}: &a{level} [{below}]\n");
    }
    assert!(refused(&folder, &laughs).contains("too much") || refused(&folder, &laughs).contains("too large"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
    assert!(refused(&folder, &long).contains("too much"));
    let table = format!(
        "plugin: plugin.wasm\ncases:\n- name: a\n  with: [{}]\n  request: {{send: GET http://a, body: [{}]}}\n",
        "{x: 1}, ".repeat(5000),
        "y, ".repeat(5000)
    );
    assert!(refused(&folder, &table).contains("expand to too much"));
    let bodies: String = (0..9)
        .map(|n| format!("- {{name: n{n}, request: {{send: PUT http://a, body: {{repeat: x{n}, times: 64MiB}}}}}}\n"))
        .collect();
    assert!(refused(&folder, &format!("plugin: plugin.wasm\ncases:\n{bodies}")).contains("512 MiB together"));
}

#[test]
fn many_mistakes_are_counted() {
    let folder = Folder::new();
    let text: String = (0..500).map(|n| format!("key{n}: 1\n")).collect();
    let problems = folder.parse(&text).expect_err("refused");
    assert_eq!(problems.len(), 101);
    assert!(problems[100].title.starts_with("and 4"), "{}", problems[100].title);
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let folder = Folder::new();
    let text = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
    let scenario = folder.parse(&text).unwrap_or_else(|problems| panic!("{}", render_all(&problems, false)));
    assert_eq!(scenario.cases.len(), 6);
    let problems = folder.parse(&text.replace("advance: 60s", "advance: 60")).expect_err("no unit");
    let drawn = render_all(&problems, false);
    assert!(drawn.contains("      - advance: 60\n"), "{drawn}");
    assert!(drawn.contains("^^ the unit is missing"), "{drawn}");
}

/// A piece of text put in place of a stretch of the good file.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, String)>> {
    let piece = prop_oneof![
        "[ -~\n\t]{0,6}",
        "\\PC{0,3}",
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ": ",
            "- ",
            "\n",
            "\r\n",
            "\t",
            "*a",
            "&a ",
            "!x ",
            "${",
            "${user}",
            "|\n",
            ">\n",
            "'",
            "\"",
            "null",
            "~",
            "<<: ",
            "? ",
            "---\n",
            "\u{feff}",
            "日本",
            "\0",
            "%",
            "with: ",
            "every",
            "99999999999999999999",
            "name: ",
            "{hex: 0}",
        ])
        .prop_map(str::to_string),
    ];
    prop::collection::vec((0..GOOD.len(), 0..40usize, piece), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_a_good_file_panics(edits in edits()) {
        let folder = Folder::new();
        let mut text = GOOD.to_string();
        for (start, length, piece) in edits {
            let boundary = |mut at: usize| {
                at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let (start, end) = (boundary(start), boundary(start + length));
            text.replace_range(start..end.max(start), &piece);
        }
        if let Err(problems) = folder.parse(&text) {
            prop_assert!(!problems.is_empty());
            for problem in &problems {
                let span = problem.span.clone().unwrap_or_default();
                prop_assert!(span.start <= span.end && span.end <= text.len());
            }
            render_all(&problems, false);
            render_all(&problems, true);
        }
    }
}
