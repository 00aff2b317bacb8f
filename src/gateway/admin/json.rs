//! Bodies as JSON, as far as APISIX's library takes them: line breaks and other control characters may stand in a string
//! as they are, which RFC 8259 forbids and people who write a configuration within a configuration do.

use serde_json::{Error, Value};
use std::borrow::Cow;

/// Reads a body; an error is about the body as it was sent.
pub(super) fn read(body: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(body).or_else(|error| match escaped(body) {
        Cow::Borrowed(_) => Err(error),
        // Places move with the escapes; what is wrong beside them is told of the body as it would have to be.
        Cow::Owned(body) => serde_json::from_slice(&body),
    })
}

/// The same with the control characters of strings escaped.
fn escaped(body: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let (mut within, mut after_backslash, mut any) = (false, false, false);
    for byte in body {
        if within && !after_backslash && *byte < b' ' {
            any = true;
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
            continue;
        }
        if *byte == b'"' && !after_backslash {
            within = !within;
        }
        after_backslash = within && *byte == b'\\' && !after_backslash;
        out.push(*byte);
    }
    if any { Cow::Owned(out) } else { Cow::Borrowed(body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// t/wasm/forward-auth.t writes its plugin's configuration over several lines.
    #[test]
    fn strings_may_have_line_breaks() {
        let read = |body: &str| read(body.as_bytes()).ok();
        assert_eq!(read("{\"conf\": \"{\n\t\\\"a\\\": 1\r\n}\"}"), Some(json!({ "conf": "{\n\t\"a\": 1\r\n}" })));
        assert_eq!(read("{\n\"a\":\t\"\\\\\", \"b\": \"\n\"}"), Some(json!({ "a": "\\", "b": "\n" })));
        assert_eq!(read("{\"a\": \"\\\n\"}"), None, "an escape of nothing");
        for broken in ["{\"a\": \"\n}", "{\"a\": \n", "", "\u{1}"] {
            assert_eq!(read(broken), None, "{broken:?}");
        }
    }
}
