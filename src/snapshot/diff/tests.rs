//! What a difference looks like.

use super::*;
use proptest::prelude::*;

fn plain_diff(old: &str, new: &str) -> String {
    diff(Some(old), new, DiffOptions::default())
}

#[test]
fn signs_and_numbers_tell_the_sides_apart_without_colour() {
    let old: String = (1..=20).map(|nth| format!("line {nth}\n")).collect();
    let new = old.replace("line 5\n", "line five\nand more\n").replace("line 16\n", "");
    let expected = "\
- old snapshot
+ new results
    2     2 │   line 2
    3     3 │   line 3
    4     4 │   line 4
    5       │ - line 5
          5 │ + line five
          6 │ + and more
    6     7 │   line 6
    7     8 │   line 7
    8     9 │   line 8
          ⋮ ┊
   13    14 │   line 13
   14    15 │   line 14
   15    16 │   line 15
   16       │ - line 16
   17    17 │   line 17
   18    18 │   line 18
   19    19 │   line 19
";
    assert_eq!(plain_diff(&old, &new), expected);
}

#[test]
fn colour_is_the_flag_and_nothing_else() {
    let coloured = DiffOptions { colour: true, ..DiffOptions::default() };
    for global in [true, false] {
        console::set_colors_enabled(global);
        assert!(!plain_diff("a x", "a y").contains('\u{1b}'));
        let text = diff(Some("say hello to me"), "say goodbye to me", coloured);
        assert!(text.contains("\u{1b}[32m\u{1b}[1m\u{1b}[4mgoodbye\u{1b}[0m"), "{text:?}");
        assert!(text.contains("\u{1b}[31m\u{1b}[1m\u{1b}[4mhello\u{1b}[0m"), "{text:?}");
    }
}

#[test]
fn a_first_snapshot_is_all_new() {
    let expected = "- no snapshot yet\n+ new results\n          1 │ + a\n          2 │ +\n          3 │ + b\n";
    assert_eq!(diff(None, "a\n\nb", DiffOptions::default()), expected);
    assert_eq!(diff(None, "", DiffOptions::default()), "- no snapshot yet\n+ new results\n");
}

#[test]
fn equal_texts_have_no_difference() {
    assert_eq!(plain_diff("a\nb", "a\nb"), "");
}

#[test]
fn a_newline_at_the_end_is_a_note_and_not_a_line() {
    assert_eq!(plain_diff("a\n", "a"), "- old snapshot\n+ new results\n\\ the new results end without a newline\n");
    assert_eq!(plain_diff("a", "a\n"), "- old snapshot\n+ new results\n\\ the old snapshot ends without a newline\n");
    assert!(plain_diff("a\n", "a\n\n").ends_with("          2 │ +\n"));
}

#[test]
fn control_characters_are_shown_and_not_obeyed() {
    let text = plain_diff("a\r", "a\u{1b}[2Jb\u{202e}c\td");
    assert!(text.contains("- a\\r\n"), "{text}");
    assert!(text.contains("+ a\\u{1b}[2Jb\\u{202e}c\td\n"), "{text}");
    assert_eq!(plain("x\u{7}\ny"), "x\\u{7}\ny\n");
}

#[test]
fn the_difference_in_a_long_line_is_within_sight() {
    let (before, after) = ("é".repeat(5000), "x".repeat(3000));
    let text = plain_diff(&format!("{before} old {after}"), &format!("{before} new {after}"));
    let lines: Vec<&str> = text.lines().skip(2).collect();
    assert!(lines[0].contains(" old xxx") && lines[1].contains(" new xxx"), "{text}");
    assert!(lines[1].contains("ééé …4,8"), "{text}");
    assert!(lines.iter().all(|line| line.chars().count() < 240 + 60), "{text}");
}

#[test]
fn a_long_line_without_a_counterpart_loses_its_middle() {
    let text =
        diff(None, &format!("begin {} end", "x".repeat(10_000)), DiffOptions { width: 40, ..DiffOptions::default() });
    assert!(text.contains("+ begin xxxxxxxxxxxxxx …9,970 characters… xxxxxxxxxxxxxxxx end\n"), "{text}");
}

#[test]
fn a_huge_difference_is_cut_short_and_soon() {
    let side =
        |word: &str| (0..60_000).map(|nth| format!("{word} {} {nth}\n", nth * 7919 % 104_729)).collect::<String>();
    let before = Instant::now();
    let text = plain_diff(&side("left"), &side("right"));
    assert!(before.elapsed() < Duration::from_secs(60), "{:?}", before.elapsed());
    assert_eq!(text.lines().count(), 2 + 1000 + 1);
    assert!(text.ends_with("\\ 119,000 more lines are not shown\n"), "{}", text.lines().last().unwrap_or_default());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the texts, both can be read off the lines that are shown.
    #[test]
    fn nothing_is_lost(old in "([ab é]{0,3}\n){0,8}[ab]{0,2}", new in "([ab é]{0,3}\n){0,8}[ab]{0,2}", colour: bool) {
        let text = diff(Some(&old), &new, DiffOptions { context: 100, colour, ..DiffOptions::default() });
        prop_assert_eq!(text.is_empty(), old == new);
        if !colour && lines(&old).0 != lines(&new).0 {
            let side = |sign: char| -> Vec<String> {
                let body = text.lines().skip(2).filter_map(|line| Some(line.split_once("│ ")?.1));
                let body = body.filter(|rest| rest.starts_with([' ', sign]));
                body.map(|rest| rest.get(2..).unwrap_or_default().to_owned()).collect()
            };
            prop_assert_eq!(side('-'), lines(&old).0);
            prop_assert_eq!(side('+'), lines(&new).0);
        }
    }

    #[test]
    fn cropping_keeps_to_the_width_and_counts_what_it_leaves_out(
        text in "[a-cé🦀]{0,60}", width in 0usize..40, from in 0usize..60, length in 0usize..20
    ) {
        let at = |nth: usize| text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at);
        let marked = std::iter::once(at(from)..at(from + length)).collect::<Vec<_>>();
        for differs in [&marked[..], &[]] {
            let (mut shown, mut left_out) = (0, 0);
            for piece in crop(&text, differs, width) {
                match piece {
                    Piece::Text { text, .. } => shown += text.chars().count(),
                    Piece::LeftOut(count) => left_out += count,
                }
            }
            prop_assert_eq!(shown + left_out, text.chars().count());
            prop_assert!(shown <= width);
            prop_assert!(left_out == 0 || shown == width, "{} of {}", shown, width);
        }
    }
}
