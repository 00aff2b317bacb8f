//! Numbers as Lua has them: `1.0` is `1`, and is written so.

use serde_json::{Number, Value};

/// Up to here every whole number is its own floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Makes whole numbers of what is whole.
pub(in crate::gateway) fn plain(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = whole(number) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(entries) => entries.values_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn whole(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    // The cast saturates and the range is checked, so nothing is lost.
    (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64)
}

/// A whole number, cut off at the ends of its type.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|float| float as i64))
}

/// A whole number that is not negative, cut off at the ends of its type.
pub(super) fn count(value: &Value) -> Option<u32> {
    let number = integer(value)?;
    Some(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// Seconds as milliseconds: at least one, at most a year, so that no deadline overflows.
pub(super) fn milliseconds(value: &Value) -> Option<u64> {
    const YEAR: f64 = 365.0 * 24.0 * 3_600_000.0;
    let milliseconds = value.as_f64()? * 1000.0;
    Some(milliseconds.clamp(1.0, YEAR) as u64)
}
