//! Time and place of a line: local time as nginx writes it, and process and thread.
//!
//! Both are kept for each thread: the time is drawn anew once a second.

use jiff::{Timestamp, tz::TimeZone};
use std::cell::RefCell;
use std::sync::LazyLock;

/// The machine's zone, asked for once.
static ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

/// The forms in which a moment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `2024/05/13 08:08:52`
    ErrorLog,
    /// `13/May/2024:08:08:52 +0000`
    AccessLog,
    /// `2024-05-13T08:08:52.123+00:00`
    Rfc3339,
}

/// A moment, drawn.
fn draw(at: Timestamp, form: Form, zone: &TimeZone) -> String {
    let format = match form {
        Form::ErrorLog => "%Y/%m/%d %H:%M:%S",
        Form::AccessLog => "%d/%b/%Y:%H:%M:%S %z",
        Form::Rfc3339 => "%Y-%m-%dT%H:%M:%S.%3f%:z",
    };
    at.to_zoned(zone.clone()).strftime(format).to_string()
}

thread_local! {
    /// The second that was drawn last, in the two forms that are precise to it.
    static DRAWN: RefCell<[(i64, String); 2]> = const { RefCell::new([(i64::MIN, String::new()), (i64::MIN, String::new())]) };
    static PLACE: String = place();
}

/// Appends the time.
pub fn now(form: Form, out: &mut Vec<u8>) {
    let now = Timestamp::now();
    let at = match form {
        Form::ErrorLog => 0,
        Form::AccessLog => 1,
        Form::Rfc3339 => {
            out.extend_from_slice(draw(now, form, &ZONE).as_bytes());
            return;
        }
    };
    DRAWN.with_borrow_mut(|drawn| {
        let (second, text) = &mut drawn[at];
        if *second != now.as_second() {
            (*second, *text) = (now.as_second(), draw(now, form, &ZONE));
        }
        out.extend_from_slice(text.as_bytes());
    });
}

/// Appends `128#128`: process and thread.
pub fn process_and_thread(out: &mut Vec<u8>) {
    PLACE.with(|place| out.extend_from_slice(place.as_bytes()));
}

/// The number of the thread is the system's where it tells (Linux does), else that of the process.
fn place() -> String {
    let process = std::process::id();
    let thread = std::fs::read_link("/proc/thread-self").ok();
    let thread = thread.and_then(|link| link.file_name()?.to_str()?.parse::<u32>().ok()).unwrap_or(process);
    format!("{process}#{thread}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // apisix.md 4.5, and nginx's `$time_local`.
    #[test]
    fn a_moment_in_each_form() {
        let at: Timestamp = "2024-05-13T08:08:52.123456Z".parse().expect("a timestamp");
        assert_eq!(draw(at, Form::ErrorLog, &TimeZone::UTC), "2024/05/13 08:08:52");
        assert_eq!(draw(at, Form::AccessLog, &TimeZone::UTC), "13/May/2024:08:08:52 +0000");
        assert_eq!(draw(at, Form::Rfc3339, &TimeZone::UTC), "2024-05-13T08:08:52.123+00:00");
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(draw(at, Form::ErrorLog, &east), "2024/05/13 10:08:52");
        assert_eq!(draw(at, Form::AccessLog, &east), "13/May/2024:10:08:52 +0200");
    }

    #[test]
    fn threads_of_one_process_differ() {
        let here = || {
            let mut out = Vec::new();
            process_and_thread(&mut out);
            String::from_utf8(out).expect("digits")
        };
        let other = std::thread::spawn(here).join().expect("no panic");
        let own = here();
        let (process, _) = own.split_once('#').expect("two numbers");
        assert_eq!(other.split_once('#').map(|(process, _)| process), Some(process));
        assert_eq!(process, std::process::id().to_string());
    }
}
