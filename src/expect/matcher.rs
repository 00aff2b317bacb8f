//! Whether a value is what it must be, and in words why not.
//!
//! Texts of several lines, and long ones, are given whole and end with a line break; where both sides do, the
//! report draws their difference. Short ones are in quotes, so that an empty value and a space can be seen.

use super::{Failure, json};
use crate::diagnostic::Span;
use crate::scenario::Matcher;
use crate::trace::show::{bytes, clipped};
use std::fmt::Write as _;

/// Values up to this many bytes stand in a title.
const SHORT: usize = 100;
/// How many lines of a hexadecimal dump are shown.
const DUMP_LINES: usize = 64;

/// Why a value is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// What is wrong, to follow the name of the thing; `None` where "is X, expected Y" says it.
    pub says: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What there was.
    pub actual: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Mismatch {
    /// A mismatch that "is X, expected Y" describes.
    fn plain(expected: String, actual: String) -> Self {
        Self { says: None, expected, actual, hint: None }
    }

    /// The failure, for a thing like `status at the client`.
    pub fn failure(self, subject: String, thing: &str, span: &Span, event: Option<usize>) -> Failure {
        let Self { says, expected, actual, hint } = self;
        let title = match says {
            Some(says) => format!("{thing} {says}"),
            None if is_short(&expected) && is_short(&actual) => format!("{thing} is {actual}, expected {expected}"),
            None if is_short(&expected) => format!("{thing} is not {expected}"),
            None => format!("{thing} is not what was expected"),
        };
        Failure {
            subject,
            title,
            span: Some(span.clone()),
            expected: Some(expected),
            actual: Some(actual),
            hint,
            event,
        }
    }
}

fn is_short(text: &str) -> bool {
    // Quotes and escapes may make it longer than the value was.
    text.len() <= 2 * SHORT && !text.contains('\n')
}

/// Compares one value; `None` where the matcher holds.
pub(super) fn check(matcher: &Matcher, value: Option<&[u8]>) -> Option<Mismatch> {
    if holds(matcher, value) {
        return None;
    }
    let Some(value) = value else {
        return Some(Mismatch::plain(describe(matcher), "absent".to_owned()));
    };
    Some(match matcher {
        Matcher::Equal(expected) => {
            let (left, right) = sides(expected, value);
            Mismatch { hint: near_miss(expected, value), ..Mismatch::plain(left, right) }
        }
        Matcher::File { path, content } => {
            let (left, right) = sides(content, value);
            let at = content.iter().zip(value).take_while(|(left, right)| left == right).count();
            let lengths = format!("it has {} bytes, here are {}", content.len(), value.len());
            let hint = format!(
                "the file is `{}`: {lengths}, and byte {at} is the first to differ",
                clipped(&path.display().to_string(), 200)
            );
            Mismatch { hint: Some(hint), ..Mismatch::plain(left, right) }
        }
        Matcher::Contains(part) => {
            let other_case =
                holds(&Matcher::Contains(part.to_ascii_lowercase().into()), Some(&value.to_ascii_lowercase()));
            let hint = other_case.then(|| "it is there in other upper and lower case".to_owned());
            Mismatch { hint, ..Mismatch::plain(describe(matcher), whole(value)) }
        }
        Matcher::Json(expected) => json::mismatch(expected, value),
        Matcher::Absent | Matcher::Matches(_) | Matcher::Not(_) => Mismatch::plain(describe(matcher), whole(value)),
    })
}

/// Compares all values of a name: a plain value must be the only one, `not` must hold for every one, and of the
/// others one that holds is enough.
pub(super) fn check_all(matcher: &Matcher, values: &[&[u8]]) -> Option<Mismatch> {
    match values {
        [] => check(matcher, None),
        [one] => check(matcher, Some(one)),
        several => {
            let fine = match matcher {
                Matcher::Equal(_) => false,
                other => any(other, several),
            };
            let expected = match matcher {
                Matcher::Equal(_) => format!("only {}", describe(matcher)),
                _ => describe(matcher),
            };
            let shown: Vec<String> = several.iter().map(|value| short(value)).collect();
            let hint = matches!(matcher, Matcher::Equal(_))
                .then(|| "a list of values is the repeated header: `[a, b]`".to_owned());
            (!fine).then(|| Mismatch { hint, ..Mismatch::plain(expected, shown.join(" and ")) })
        }
    }
}

fn any(matcher: &Matcher, values: &[&[u8]]) -> bool {
    match matcher {
        Matcher::Absent => values.is_empty(),
        Matcher::Not(inner) => !any(inner, values),
        other => values.iter().any(|value| holds(other, Some(value))),
    }
}

/// Whether a value is what it must be.
pub(super) fn holds(matcher: &Matcher, value: Option<&[u8]>) -> bool {
    match (matcher, value) {
        (Matcher::Absent, value) => value.is_none(),
        (Matcher::Not(inner), value) => !holds(inner, value),
        (Matcher::Equal(expected), Some(value)) => *expected == value,
        (Matcher::Contains(part), Some(value)) => {
            part.is_empty() || value.windows(part.len()).any(|window| *part == window)
        }
        (Matcher::Matches(pattern), Some(value)) => pattern.is_match(&String::from_utf8_lossy(value)),
        (Matcher::Json(expected), Some(value)) => json::holds(expected, value),
        (Matcher::File { content, .. }, Some(value)) => *content == value,
        (
            Matcher::Equal(_) | Matcher::Contains(_) | Matcher::Matches(_) | Matcher::Json(_) | Matcher::File { .. },
            None,
        ) => false,
    }
}

/// A matcher in words.
pub(super) fn describe(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Equal(value) => short(value),
        Matcher::Absent => "absent".to_owned(),
        Matcher::Contains(part) => format!("text with {} in it", short(part)),
        Matcher::Matches(pattern) => format!("text that matches `{}`", clipped(pattern.as_str(), 200)),
        Matcher::Json(value) => format!("JSON that holds {}", clipped(&value.to_string(), 200)),
        Matcher::File { path, .. } => format!("what is in `{}`", clipped(&path.display().to_string(), 200)),
        Matcher::Not(inner) => match inner.as_ref() {
            Matcher::Absent => "not absent".to_owned(),
            inner => format!("anything but {}", describe(inner)),
        },
    }
}

/// A value for one line; numbers go without quotes.
pub(super) fn short(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.is_empty() && text.len() <= 20 && text.bytes().all(|c| c.is_ascii_digit()) => text.to_owned(),
        Ok(_) | Err(_) => bytes(value),
    }
}

/// A value as a whole: on one line if it is short.
fn whole(value: &[u8]) -> String {
    match as_text(value) {
        Some(text) if text.len() > SHORT || text.contains('\n') => format!("{text}\n"),
        Some(_) | None => short(value),
    }
}

/// Both sides in the same form, so that they can be compared by eye or line by line.
fn sides(expected: &[u8], actual: &[u8]) -> (String, String) {
    match (as_text(expected), as_text(actual)) {
        (Some(left), Some(right)) => {
            match [left, right].iter().all(|text| text.len() <= SHORT && !text.trim_end_matches('\n').contains('\n')) {
                true => (short(expected), short(actual)),
                false => (format!("{left}\n"), format!("{right}\n")),
            }
        }
        _ if expected.len() <= 16 && actual.len() <= 16 => (short(expected), short(actual)),
        _ => {
            let differs = expected.iter().zip(actual).take_while(|(left, right)| left == right).count();
            (dump(expected, differs), dump(actual, differs))
        }
    }
}

fn as_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| !text.contains('\0'))
}

/// Sixteen bytes on each line, from shortly before the place that matters.
fn dump(value: &[u8], place: usize) -> String {
    let first = (place / 16).saturating_sub(2);
    let mut shown = String::new();
    for (nth, chunk) in value.chunks(16).enumerate().skip(first).take(DUMP_LINES) {
        let _ = write!(shown, "{:08x} ", nth * 16);
        for byte in chunk {
            let _ = write!(shown, " {byte:02x}");
        }
        let gap = " ".repeat((16 - chunk.len()) * 3 + 2);
        let text: String =
            chunk.iter().map(|byte| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' }).collect();
        let _ = writeln!(shown, "{gap}{text}");
    }
    let _ = writeln!(shown, "{} bytes in all", value.len());
    shown
}

fn near_miss(expected: &[u8], actual: &[u8]) -> Option<String> {
    let hint = if expected.eq_ignore_ascii_case(actual) {
        "they differ only in upper and lower case"
    } else if expected.trim_ascii() == actual.trim_ascii() {
        "they differ only in white space at the ends"
    } else {
        return None;
    };
    Some(hint.to_owned())
}
