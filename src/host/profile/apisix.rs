//! Apache APISIX with wasm-nginx-module: what `apisix.md` says. Section numbers below are its own.

use super::{Profile, WasiRules};
use crate::abi::{Callback, PeerType, Status};

/// APISIX 3.11, wasm-nginx-module of 2024, the Wasmtime engine.
pub const APISIX: Profile = Profile {
    name: "apisix",
    about: "Apache APISIX 3.11 (wasm-nginx-module, Wasmtime)",
    documented: &super::documented::APISIX,

    // 4: one flat set of functions.
    links_by_version: false,
    // 2.1: none counts as the newest.
    requires_marker: false,
    // 2.2: looked up per call.
    requires_allocator: false,
    // 2.2: a call that does not fit fails when it is made.
    checks_callback_signatures: false,

    // 2.1: hostcalls run.
    restricts_start: false,
    // 0, fact 1.
    calls_vm_start: false,
    // 2.4
    stream_end: &[Callback::OnDone, Callback::OnDelete],
    // abi.md 4.1: Envoy only.
    calls_metadata: false,
    calls_validate_configuration: false,
    has_tcp: false,
    // nginx's stream subsystem runs no plugins.
    connection_end: &[Callback::OnDone, Callback::OnLog, Callback::OnDelete],
    upstream_close: PeerType::Unknown,
    // 2.3
    root_end: &[Callback::OnDone, Callback::OnDelete],
    root_waits_for_done: false,

    // 0, fact 4.
    header_arguments: false,
    // 2.6: by descending priority in both directions.
    response_reversed: false,
    // 3.1
    request_pause_holds: true,
    // 0, fact 5.
    response_pause_holds: false,
    // There are no trailers there.
    made_trailers_lose_held_body: false,
    // 3.2: client_max_body_size is unlimited.
    buffer_limit: usize::MAX,

    // 4: "req".
    closed_map_value: Status::BadArgument,
    closed_map_pairs: Status::BadArgument,
    closed_map_write: Status::BadArgument,
    // 4.1: both are there.
    host_is_authority: false,
    single_value_headers: &[],
    lowercases_names: true,
    malformed_pairs_are_empty: false,
    // 2.4: on_log is not called.
    maps_in_log: false,
    // abi.md 3.4: in every HTTP phase.
    maps_always_open: true,

    // 3.2
    closed_body: Err(Status::NotFound),
    // 0, fact 7.
    closed_body_write: Status::Unimplemented,
    readonly_buffer: Status::Unimplemented,
    splice_in_the_middle: Some(Status::Unimplemented),
    vm_configuration_always: false,

    // 4.4: the last one wins.
    second_local_response: Status::Ok,
    // 4: OK, and nothing happens.
    continue_upstream: Status::Ok,
    // 4.3: the callback runs with (0, 0, 0).
    call_failure_is_response: false,
    // 4.3
    call_ids: (0, 1),
    // abi.md case call.after-stream-end.
    answers_outlive_stream: false,

    // 4.2
    binary_properties: false,
    added_request_headers: &[],
    checks_buffer_ranges: true,
    checks_header_bytes: false,
    local_statuses: (0, u32::MAX),
    request_trailers_in_log: false,
    // 3.4: responses do not; requests come in one call (3.2).
    last_chunk_ends: false,
    body_while_headers_held: false,
    // abi.md, case headers.pairs.over-100.
    request_header_lines: usize::MAX,
    added_call_response_headers: &[],
    checks_messages: false,

    // 3.1
    trap_fails_request: true,
    // 2.1: the instance stays as the trap left it.
    trap_rebuilds_vm: false,
    trap_disables_vm: false,
    // abi.md 3.12: traps.
    exit_returns: false,
    // 2.1, abi.md 3.12.
    wasi: WasiRules::WASMTIME,
    // 4: every function is defined with a result.
    links_without_result: false,
    // Wasmtime's own: none below 4 GiB.
    memory_limit: 4 << 30,
};
