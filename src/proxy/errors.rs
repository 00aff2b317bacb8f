//! What the error log says of an upstream that fails: nginx's words, which people search for.

use super::upstream::Fault;

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
        Fault::Refused => "connect() failed (111: Connection refused)",
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
