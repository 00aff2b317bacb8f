//! A tree as JSON, typed by the core schema of YAML 1.2: what is plain and looks like a number, `true`,
//! `false` or `null` is that; everything else is text. `yes` is text.

use super::{Node, Text, Value};
use crate::diagnostic::Span;
use serde_json::{Map, Number, Value as Json};

/// The JSON of a tree, keys in the order of the file. `Err` is the place of a number that JSON does not have.
pub(crate) fn to_json(node: &Node) -> Result<Json, Span> {
    match &node.value {
        Value::Nothing | Value::Null => Ok(Json::Null),
        Value::Text(text) => scalar(text).ok_or_else(|| node.span.clone()),
        Value::List(items) => items.iter().map(to_json).collect::<Result<_, _>>().map(Json::Array),
        Value::Map(entries) => {
            let mut map = Map::with_capacity(entries.len());
            for (key, value) in entries {
                map.insert(key.text.clone(), to_json(value)?);
            }
            Ok(Json::Object(map))
        }
    }
}

fn scalar(text: &Text) -> Option<Json> {
    if !text.plain {
        return Some(Json::String(text.text.clone()));
    }
    match text.text.as_str() {
        "true" | "True" | "TRUE" => Some(Json::Bool(true)),
        "false" | "False" | "FALSE" => Some(Json::Bool(false)),
        other => match number(other) {
            Numeral::Number(number) => Some(Json::Number(number)),
            Numeral::NotInJson => None,
            Numeral::Text => Some(Json::String(other.to_string())),
        },
    }
}

enum Numeral {
    Number(Number),
    /// `.inf` and `.nan`.
    NotInJson,
    Text,
}

fn number(text: &str) -> Numeral {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some((digits, radix)) = unsigned
        .strip_prefix("0x")
        .map(|digits| (digits, 16))
        .or_else(|| unsigned.strip_prefix("0o").map(|digits| (digits, 8)))
    {
        // The core schema has no sign before these.
        let whole = !digits.is_empty() && unsigned.len() == text.len() && digits.chars().all(|c| c.is_digit(radix));
        return match u64::from_str_radix(digits, radix) {
            Ok(number) if whole => Numeral::Number(number.into()),
            _ => Numeral::Text,
        };
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Numeral::NotInJson;
    }
    if unsigned.is_empty() {
        return Numeral::Text;
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let whole = text.strip_prefix('+').unwrap_or(text);
        if let Ok(number) = whole.parse::<i64>() {
            return Numeral::Number(number.into());
        }
        if let Ok(number) = whole.parse::<u64>() {
            return Numeral::Number(number.into());
        }
    }
    if !is_float(unsigned) {
        return Numeral::Text;
    }
    match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Numeral::Number(number),
        None => Numeral::NotInJson,
    }
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_ok && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let json = |text: &str| scalar(&Text { text: text.to_string(), plain: true }).map(|json| json.to_string());
        for (text, expected) in [
            ("1", "1"),
            ("-1", "-1"),
            ("+5", "5"),
            ("007", "7"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("1.0", "1.0"),
            ("1.5e3", "1500.0"),
            (".5", "0.5"),
            ("18446744073709551615", "18446744073709551615"),
            ("true", "true"),
            ("FALSE", "false"),
            ("yes", "\"yes\""),
            ("1.2.3", "\"1.2.3\""),
            ("-", "\"-\""),
            ("0x", "\"0x\""),
            ("-0x1", "\"-0x1\""),
            ("1e", "\"1e\""),
            ("e5", "\"e5\""),
            ("0o8", "\"0o8\""),
        ] {
            assert_eq!(json(text).as_deref(), Some(expected), "{text}");
        }
        for text in [".nan", ".inf", "-.inf", "1e999"] {
            assert_eq!(json(text), None, "{text}");
        }
        let quoted = Text { text: "1".to_string(), plain: false };
        assert_eq!(scalar(&quoted).map(|json| json.to_string()).as_deref(), Some("\"1\""));
    }
}
