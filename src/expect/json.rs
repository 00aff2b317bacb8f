//! JSON as a subset: what is expected must be there, what else is there does not matter.
//!
//! Objects may have more keys than expected; lists must have the same length. A failure names the paths that
//! differ instead of showing two documents.

use super::matcher::Mismatch;
use crate::trace::show::{bytes, clipped, escaped};
use serde_json::Value;

/// More differences than this are not listed.
const MOST: usize = 10;

/// One place that differs.
struct Difference {
    path: String,
    expected: String,
    actual: String,
    hint: Option<&'static str>,
}

/// Whether these bytes are JSON that holds at least this.
pub(super) fn holds(expected: &Value, actual: &[u8]) -> bool {
    serde_json::from_slice(actual).is_ok_and(|actual| differences(expected, &actual).is_empty())
}

/// Why they don't.
pub(super) fn mismatch(expected: &Value, actual: &[u8]) -> Mismatch {
    let parsed: Value = match serde_json::from_slice(actual) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Mismatch {
                says: Some(format!("is not JSON: {}", escaped(&error.to_string()))),
                expected: format!("JSON that holds {}", clipped(&expected.to_string(), 200)),
                actual: bytes(actual),
                hint: None,
            };
        }
    };
    let found = differences(expected, &parsed);
    let hint = found.iter().find_map(|one| one.hint).map(str::to_owned);
    match found.as_slice() {
        [one] => Mismatch {
            says: Some(format!("is {} at `{}`, expected {}", one.actual, one.path, one.expected)),
            expected: one.expected.clone(),
            actual: one.actual.clone(),
            hint,
        },
        several => {
            let count = if several.len() >= MOST { format!("{MOST} or more") } else { several.len().to_string() };
            let first = several.first().map(|one| one.path.as_str()).unwrap_or("$");
            let side = |pick: fn(&Difference) -> &String| -> String {
                several.iter().map(|one| format!("{}: {}\n", one.path, pick(one))).collect()
            };
            Mismatch {
                says: Some(format!("differs from the expected JSON in {count} places, first at `{first}`")),
                expected: side(|one| &one.expected),
                actual: side(|one| &one.actual),
                hint,
            }
        }
    }
}

fn differences(expected: &Value, actual: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("$", expected, Some(actual), &mut found);
    found
}

fn compare(path: &str, expected: &Value, actual: Option<&Value>, found: &mut Vec<Difference>) {
    if found.len() >= MOST {
        return;
    }
    match (expected, actual) {
        (Value::Object(wanted), Some(Value::Object(there))) => {
            for (key, value) in wanted {
                compare(&format!("{path}{}", step(key)), value, there.get(key), found);
            }
        }
        (Value::Array(wanted), Some(Value::Array(there))) if wanted.len() == there.len() => {
            for (at, (value, there)) in wanted.iter().zip(there).enumerate() {
                compare(&format!("{path}[{at}]"), value, Some(there), found);
            }
        }
        (Value::Array(wanted), Some(Value::Array(there))) => found.push(Difference {
            path: path.to_owned(),
            expected: format!("a list of {}", wanted.len()),
            actual: format!("a list of {}: {}", there.len(), clipped(&Value::Array(there.clone()).to_string(), 200)),
            hint: None,
        }),
        (expected, Some(actual)) if equal(expected, actual) => {}
        (expected, actual) => found.push(Difference {
            path: path.to_owned(),
            expected: clipped(&expected.to_string(), 200),
            actual: actual.map_or_else(|| "absent".to_owned(), |actual| clipped(&actual.to_string(), 200)),
            hint: actual.and_then(|actual| type_hint(expected, actual)),
        }),
    }
}

/// `1` and `1.0` are the same number.
fn equal(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(left), Value::Number(right)) if left.is_f64() || right.is_f64() => {
            left.as_f64() == right.as_f64()
        }
        (left, right) => left == right,
    }
}

fn type_hint(expected: &Value, actual: &Value) -> Option<&'static str> {
    match (expected, actual) {
        (Value::Number(_) | Value::Bool(_) | Value::Null, Value::String(text)) if *text == printed(expected) => {
            Some("it is text there: write it in quotes")
        }
        (Value::String(text), Value::Number(_) | Value::Bool(_) | Value::Null) if *text == printed(actual) => {
            Some("it is not text there: write it without quotes")
        }
        _ => None,
    }
}

/// A value as JSON. Not `==`: a value compares with text by what the text says, and `1` is not `"1"`.
fn printed(value: &Value) -> String {
    value.to_string()
}

fn step(key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
    match plain {
        true => format!(".{key}"),
        false => format!("[{}]", clipped(&Value::from(key).to_string(), 60)),
    }
}
