//! The hostcalls, one family per file, each a table of rows.

pub mod buffers;
pub mod clock;
pub mod contexts;
pub mod fields;
pub mod foreign;
pub mod grpc_call;
pub mod http_call;
pub mod logging;
pub mod metrics;
pub mod properties;
pub mod queues;
pub mod row;
pub mod shared_data;
pub mod streams;
pub mod timers;
pub mod wasi;

use super::state::RestrictedPhase;
use row::Row;

/// The families, by the name that their file, fixture, tests and snapshots share.
pub static FAMILIES: &[(&str, &[Row])] = &[
    ("logging", logging::ROWS),
    ("clock", clock::ROWS),
    ("timers", timers::ROWS),
    ("contexts", contexts::ROWS),
    ("buffers", buffers::ROWS),
    ("fields", fields::ROWS),
    ("streams", streams::ROWS),
    ("properties", properties::ROWS),
    ("http_call", http_call::ROWS),
    ("grpc_call", grpc_call::ROWS),
    ("shared_data", shared_data::ROWS),
    ("queues", queues::ROWS),
    ("metrics", metrics::ROWS),
    ("foreign", foreign::ROWS),
    ("wasi", wasi::ROWS),
];

/// Every hostcall.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|(_, rows)| rows.iter())
}

/// Whether a host that restricts start functions and allocators lets this hostcall through there (abi.md 2.2:
/// the lists of the C++ host).
pub fn allowed_when_restricted(name: &str, phase: RestrictedPhase) -> bool {
    match phase {
        RestrictedPhase::Allocator => {
            matches!(name, "proxy_log" | "fd_write" | "clock_time_get" | "poll_oneoff")
        }
        // Envoy 1.40 crashes on every hostcall there that touches memory.
        RestrictedPhase::Section => false,
        RestrictedPhase::Start => rows().any(|row| row.name == name && row.at_start),
    }
}
