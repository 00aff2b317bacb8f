//! What the error log says of an upstream that fails: nginx's words, which people search for.

use super::upstream::Fault;
use std::io;

/// How far a request had come with its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The connection was being made.
    Connecting,
    /// The request was being sent.
    Sending,
    /// The response's head was being waited for.
    Head,
    /// The response had begun.
    Body,
}

/// The line.
pub(super) fn words(fault: Fault, phase: Phase) -> String {
    let what = match fault {
        Fault::TimedOut => "upstream timed out (110: Connection timed out)",
        Fault::Unresolved | Fault::Refused => "connect() failed (111: Connection refused)",
        Fault::Reset => "upstream prematurely closed connection",
        Fault::Garbage => "upstream sent an invalid response",
    };
    let when = match phase {
        Phase::Connecting => "connecting to upstream",
        Phase::Sending => "sending request to upstream",
        Phase::Head => "reading response header from upstream",
        Phase::Body => "reading upstream",
    };
    format!("{what} while {when}")
}

/// The line of a connection that was not made, with the system's reason.
pub(super) fn no_connection(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else { return error.to_string() };
    let text = error.to_string();
    let reason = text.split(" (os error ").next().unwrap_or_default();
    format!("connect() failed ({code}: {reason}) while connecting to upstream")
}

/// That a name says of nobody where it is, in APISIX's words.
pub(super) fn unresolved(host: &str, reason: &str) -> io::Error {
    let reason = reason.strip_prefix("failed to lookup address information: ").unwrap_or(reason);
    io::Error::new(io::ErrorKind::NotFound, format!("failed to parse domain: {host}, error: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nginx's `connect() failed (CODE: REASON) while connecting to upstream`; the number is the system's.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_connection_that_is_not_made_says_why() {
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(no_connection(&refused), "connect() failed (111: Connection refused) while connecting to upstream");
        let far = io::Error::from_raw_os_error(113);
        assert_eq!(no_connection(&far), "connect() failed (113: No route to host) while connecting to upstream");
        let name = unresolved("app.test", "failed to lookup address information: Name or service not known");
        assert_eq!(no_connection(&name), "failed to parse domain: app.test, error: Name or service not known");
    }
}
