//! Apache APISIX with wasm-nginx-module: what `apisix.md` says. Section numbers below are its own.

use super::{Deviation, Profile, WasiRules};
use crate::abi::{Callback, LogLevel, PeerType, Status};
use crate::host::Rebuild;
use crate::host::inspect::{Allocator, Known, StartFunctions, ValKind, WrongExport};

/// APISIX 3.11, wasm-nginx-module of 2024, the Wasmtime engine.
pub const APISIX: Profile = Profile {
    name: "apisix",
    about: "Apache APISIX 3.11 (wasm-nginx-module, Wasmtime)",
    documented: &super::documented::APISIX,
    quirks: super::quirks::APISIX,

    // 4: one flat set of functions.
    links_by_version: false,
    // 2.1: none counts as the newest.
    requires_marker: false,
    // 2.2: looked up per call.
    requires_allocator: false,
    // 2.2: a call that does not fit fails when it is made.
    wrong_callback: WrongExport::FailWhenCalled,
    // 2.1: they are asked for in turn, and the last one that is there wins.
    newest_marker_counts: true,
    // 2.1: requires an exported `memory`.
    memory_by_name: true,
    hostcalls: HOSTCALLS,
    // 2.1
    start_functions: StartFunctions::CommandFirst,
    // 2.2 (abi.md has it the other way round; the source agrees with this).
    allocators: &[Allocator::MemoryAllocate, Allocator::Malloc],
    // abi.md 2.5
    allocation_failure: Status::InternalFailure,
    // 2.2: "failed to malloc" in the log, and the hostcall fails.
    allocator_trap_fails_vm: false,
    // abi.md case headers.get.empty-value
    empty_keeps_pointer: true,

    // 2.1: hostcalls run.
    restricts_start: false,
    // By reading: no instance is current while the module is instantiated, and hostcalls look for its memory.
    start_section_crashes: true,
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

    // 2.3, 3.1
    plugins_run_in_turn: true,
    // 4
    hostcalls_act_on_request: true,
    // 2.3, 2.4, 4.3
    writes_log: true,
    // 0, fact 4.
    header_arguments: false,
    // 2.6: by descending priority in both directions.
    response_reversed: false,
    // 7.4: `upstream_host` is set to `$http_host` before plugins run.
    gateway_keeps_host: true,
    // 3.1
    request_pause_holds: true,
    // 0, fact 5.
    response_pause_holds: false,
    // There are no trailers there.
    made_trailers_lose_held_body: false,
    // 3.2: client_max_body_size is unlimited.
    buffer_limit: usize::MAX,

    // 4: "else 12".
    unknown_enum: Status::Unimplemented,
    // 4.5
    unknown_log_level: Some(LogLevel::Error),

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
    continue_closes_request_maps: false,
    // abi.md 3.4: in every HTTP phase.
    maps_always_open: true,

    // 3.2
    closed_body: Err(Status::NotFound),
    // 0, fact 7.
    closed_body_write: Status::Unimplemented,
    readonly_buffer: Status::Unimplemented,
    splice_in_the_middle: Some(Status::Unimplemented),
    // By reading: the state has no configuration then.
    configuration_in_context_create: false,
    vm_configuration_always: false,

    // 4.4: the last one wins.
    second_local_response: Status::Ok,
    // 4: OK, and nothing happens.
    continue_upstream: Status::Ok,
    // 4.3: the callback runs with (0, 0, 0).
    call_failure_is_response: false,
    // 4.3: a literal host and port.
    knows_upstreams: false,
    // abi.md case call.timeout-zero: the default of ngx_lua.
    default_call_timeout_ms: Some(60_000),
    call_timeout_for_each_step: true,
    // 7.4: 502 page, 504 page.
    upstream_failure: (502, 504),
    // 0, fact 6: continuing does nothing.
    continue_wrecks_running_streams: false,
    // 2.4: BAD_ARGUMENT.
    local_response_at_end_crashes: false,
    // 4.3
    call_ids: (0, 1),
    // abi.md case call.after-stream-end.
    answers_outlive_stream: false,

    // abi.md 3.6: UNIMPLEMENTED, all of it.
    grpc: None,

    // The hostcall is a stub.
    foreign_functions: &[],
    foreign_results_need_memory: false,

    // 4.2: only variables.
    reads_back_paths: false,
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
    trap_rebuilds_vm: Rebuild::Never,
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

const STUB: Deviation = Deviation::Answers(Status::Unimplemented);
const DUMMY: Deviation = Deviation::Answers(Status::Ok);

/// Section 4: what is absent, what has another signature, what is a stub, and what says OK and does nothing.
const HOSTCALLS: &[(&str, Deviation)] = &[
    ("proxy_get_log_level", Deviation::Undefined),
    ("proxy_get_buffer_status", Deviation::Undefined),
    ("proxy_get_header_map_size", Deviation::Undefined),
    ("emscripten_notify_memory_growth", Deviation::Undefined),
    ("pthread_equal", Deviation::Undefined),
    ("envoy_resolve_dns", Deviation::Undefined),
    (
        "proxy_get_metric",
        Deviation::Signature(Known {
            module: "env",
            name: "proxy_get_metric",
            params: &[ValKind::I32, ValKind::I64],
            results: &[ValKind::I32],
            versions: &[],
            alternatives: &[],
        }),
    ),
    ("proxy_set_buffer_bytes", STUB),
    ("proxy_set_header_map_pairs", STUB),
    ("proxy_get_shared_data", STUB),
    ("proxy_set_shared_data", STUB),
    ("proxy_register_shared_queue", STUB),
    ("proxy_resolve_shared_queue", STUB),
    ("proxy_dequeue_shared_queue", STUB),
    ("proxy_enqueue_shared_queue", STUB),
    ("proxy_get_current_time_nanoseconds", STUB),
    ("proxy_set_tick_period_milliseconds", STUB),
    ("proxy_clear_route_cache", STUB),
    ("proxy_get_status", STUB),
    ("proxy_done", STUB),
    ("proxy_call_foreign_function", STUB),
    ("proxy_grpc_call", STUB),
    ("proxy_grpc_stream", STUB),
    ("proxy_grpc_send", STUB),
    ("proxy_grpc_cancel", STUB),
    ("proxy_grpc_close", STUB),
    ("proxy_continue_stream", DUMMY),
    ("proxy_continue_request", DUMMY),
    ("proxy_continue_response", DUMMY),
    ("proxy_close_stream", DUMMY),
    ("proxy_set_effective_context", DUMMY),
    ("proxy_define_metric", DUMMY),
    ("proxy_increment_metric", DUMMY),
    ("proxy_record_metric", DUMMY),
];
