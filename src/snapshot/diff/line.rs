//! One line of a difference: which part of it differs, which part is shown, and how it is made safe
//! for a terminal.

use std::ops::Range;
use std::time::Instant;

use similar::{ChangeTag, TextDiff};

/// Lines longer than this are compared from both ends only, not word by word.
const LONGEST_FOR_WORDS: usize = 2000;

/// A part of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Shown.
    Text { text: &'a str, differs: bool },
    /// So many characters are not.
    LeftOut(usize),
}

/// Splits a line at the parts that differ. Of a line of more than `width` characters it leaves out
/// the middle; where something differs, what is far from the first difference.
pub(super) fn crop<'a>(text: &'a str, differs: &[Range<usize>], width: usize) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for kept in kept(text, differs, width) {
        if at < kept.start {
            pieces.push(Piece::LeftOut(text[at..kept.start].chars().count()));
        }
        at = kept.start;
        for marked in differs {
            let (start, end) = (marked.start.clamp(at, kept.end), marked.end.clamp(at, kept.end));
            for (part, differs) in [(at..start, false), (start..end, true)] {
                if !part.is_empty() {
                    pieces.push(Piece::Text { text: &text[part], differs });
                }
            }
            at = end;
        }
        if at < kept.end {
            pieces.push(Piece::Text { text: &text[at..kept.end], differs: false });
        }
        at = kept.end;
    }
    if at < text.len() {
        pieces.push(Piece::LeftOut(text[at..].chars().count()));
    }
    pieces
}

/// The two parts of a line that are shown; one may be empty.
fn kept(text: &str, differs: &[Range<usize>], width: usize) -> [Range<usize>; 2] {
    let whole = [0..text.len(), text.len()..text.len()];
    if text.len() <= width {
        return whole; // it can't have more characters than bytes
    }
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    if places.len() <= width {
        return whole;
    }
    let place = |nth: usize| places.get(nth).copied().unwrap_or(text.len());
    let Some(first) = differs.first() else {
        return [0..place(width / 2), place(places.len() - (width - width / 2))..text.len()];
    };
    let first = places.partition_point(|at| *at < first.start);
    let (head, window) = (width / 4, width - width / 4);
    if first < window {
        return [0..place(width), place(width)..place(width)];
    }
    // A part of the window stands before the difference, so that one sees where it is. The window
    // can't reach back into the head: `first` is at least `window`, which is three times the head.
    let from = (first - window / 4).min(places.len() - window).max(head);
    [0..place(head), place(from)..place(from + window)]
}

/// Where two lines differ, in bytes of each: by words; for long lines, or when time is up, all but
/// the ends that are equal.
pub(super) fn differing(old: &str, new: &str, until: Instant) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    if old.len().max(new.len()) > LONGEST_FOR_WORDS || Instant::now() > until {
        return between_equal_ends(old, new);
    }
    let words = TextDiff::configure().deadline(until).diff_words(old, new);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (mut in_old, mut in_new, mut alike) = (0, 0, 0);
    for change in words.iter_all_changes() {
        let length = change.value().len();
        match change.tag() {
            ChangeTag::Equal => {
                alike += change.value().trim().len();
                in_old += length;
                in_new += length;
            }
            ChangeTag::Delete => {
                push(&mut left, in_old..in_old + length);
                in_old += length;
            }
            ChangeTag::Insert => {
                push(&mut right, in_new..in_new + length);
                in_new += length;
            }
        }
    }
    // Lines with next to nothing in common are two lines, and marking all of both says nothing.
    match alike * 4 < old.len().min(new.len()) {
        true => (Vec::new(), Vec::new()),
        false => (left, right),
    }
}

fn push(ranges: &mut Vec<Range<usize>>, next: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if last.end == next.start => last.end = next.end,
        Some(_) | None => ranges.push(next),
    }
}

fn between_equal_ends(old: &str, new: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let equal = |(left, right): &(char, char)| left == right;
    let start: usize = old.chars().zip(new.chars()).take_while(equal).map(|(c, _)| c.len_utf8()).sum();
    let (left, right) = (&old[start..], &new[start..]);
    let end: usize = left.chars().rev().zip(right.chars().rev()).take_while(equal).map(|(c, _)| c.len_utf8()).sum();
    let between = |length: usize| std::iter::once(start..length - end).collect();
    (between(old.len()), between(new.len()))
}

/// The text with whatever a terminal would obey, or would hide, made visible.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let obeyed = c.is_control() && c != '\t';
        let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match obeyed || reorders {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// A number with a comma between each three digits.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
