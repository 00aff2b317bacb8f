//! Connections of clients: which protocol one speaks shows in its first bytes.

mod answer;
mod http1;
mod http2;

pub(super) use http1::Connection;

use std::time::Duration;

/// Bytes of a request's body that are read for nothing behind its answer, so that the client gets that.
const DISCARDED: u64 = 256 << 10;
/// How long a client may take to read what was written, when nothing more is wanted of it.
const LINGER: Duration = Duration::from_secs(2);
