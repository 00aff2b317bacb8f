//! The date of a response, made once a second for each thread.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// As HTTP writes a date: always so many bytes.
pub type HttpDate = [u8; 29];

thread_local! {
    static LAST: Cell<(u64, HttpDate)> = const { Cell::new((0, [b' '; 29])) };
}

/// Now. None before the year 1970, and after the year 9999.
pub fn now() -> Option<HttpDate> {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (last, text) = LAST.get();
    if last == second {
        return Some(text);
    }
    const YEAR_10000: u64 = 253_402_300_800;
    let text = httpdate::HttpDate::from(Some(now).filter(|_| second < YEAR_10000)?).to_string();
    let text: HttpDate = text.into_bytes().try_into().ok()?;
    LAST.set((second, text));
    Some(text)
}

#[cfg(test)]
mod tests {
    // RFC 9110 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`
    #[test]
    fn it_is_an_http_date() {
        let text = super::now().expect("a date");
        let text = std::str::from_utf8(&text).expect("text");
        assert!(text.ends_with(" GMT") && &text[3..5] == ", ", "{text}");
        assert!(httpdate::parse_http_date(text).is_ok(), "{text}");
    }
}
