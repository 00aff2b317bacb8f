//! Envoy with the V8 runtime: the specification where it speaks, Envoy where it is silent or differs.

use super::{Deviation, Grpc, Profile, WasiRules};
use crate::abi::{Callback, PeerType, Status};
use crate::host::Rebuild;
use crate::host::hostcalls::foreign::Function;
use crate::host::inspect::{Allocator, StartFunctions, WrongExport};

/// Envoy 1.40.
pub const ENVOY: Profile = Profile {
    name: "envoy",
    about: "Envoy 1.40 (V8 runtime), and with it Istio and other Envoy-based hosts",
    documented: &super::documented::ENVOY,
    quirks: super::quirks::ENVOY,

    links_by_version: true,
    requires_marker: true,
    requires_allocator: true,
    // Envoy 1.40: "Bad function signature".
    wrong_callback: WrongExport::Refuse,
    // Envoy 1.40: the first in the order of the exports.
    newest_marker_counts: false,
    // Envoy 1.40: under any name; pwtest asks for one that is exported, for without it every hostcall crashes.
    memory_by_name: false,
    hostcalls: &[("proxy_send_http_response", Deviation::Undefined)],
    // Envoy 1.40
    start_functions: StartFunctions::ReactorFirst,
    // Envoy 1.40
    allocators: &[Allocator::Malloc, Allocator::MemoryAllocate],
    // Envoy 1.40
    allocation_failure: Status::InvalidMemoryAccess,
    // Envoy 1.40
    allocator_trap_fails_vm: true,
    // Envoy 1.40: pointer 0.
    empty_keeps_pointer: false,

    restricts_start: true,
    // Envoy 1.40: SEGV at start.
    start_section_crashes: true,
    calls_vm_start: true,
    // Envoy 1.40: on_log runs without an access logger, before on_done.
    stream_end: &[Callback::OnLog, Callback::OnDone, Callback::OnDelete],
    calls_metadata: true,
    // Envoy 1.40: looked up, and its signature checked, but never called.
    calls_validate_configuration: false,
    has_tcp: true,
    // Envoy 1.40: after on_done, other than for HTTP.
    connection_end: &[Callback::OnDone, Callback::OnLog, Callback::OnDelete],
    upstream_close: PeerType::Unknown,
    // Envoy 1.40: on SIGTERM on_done and on_delete, no on_log on roots.
    root_end: &[Callback::OnDone, Callback::OnDelete],
    root_waits_for_done: true,

    plugins_run_in_turn: false,
    hostcalls_act_on_request: false,
    // Its own lines are about Envoy, not about plugins.
    writes_log: false,
    header_arguments: true,
    response_reversed: true,
    // Envoy 1.40: the router sends `:authority` as the filters left it.
    gateway_keeps_host: false,
    request_pause_holds: true,
    response_pause_holds: true,
    // Envoy 1.40: and it writes the trailers twice.
    made_trailers_lose_held_body: true,
    // per_connection_buffer_limit_bytes, 1 MiB by default.
    buffer_limit: 1 << 20,

    // Envoy 1.40
    unknown_enum: Status::BadArgument,
    unknown_log_level: None,

    closed_map_value: Status::BadArgument,
    closed_map_pairs: Status::Ok,
    closed_map_write: Status::BadArgument,
    host_is_authority: true,
    // Those of Envoy's inline headers that plugins have to do with; seen for the pseudo headers, content-type,
    // content-length and, in gRPC metadata, grpc-timeout, user-agent, via, x-forwarded-for and x-request-id.
    single_value_headers: &[
        ":authority",
        ":method",
        ":path",
        ":scheme",
        ":status",
        "connection",
        "content-length",
        "content-type",
        "date",
        "grpc-timeout",
        "server",
        "te",
        "transfer-encoding",
        "user-agent",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    ],
    lowercases_names: true,
    malformed_pairs_are_empty: true,
    maps_in_log: true,
    // Envoy 1.40, ENVOY.md 5.
    continue_closes_request_maps: true,
    maps_always_open: false,

    closed_body: Ok(()),
    closed_body_write: Status::BadArgument,
    readonly_buffer: Status::BadArgument,
    splice_in_the_middle: Some(Status::BadArgument),
    // Envoy 1.40, ENVOY.md 7.
    configuration_in_context_create: true,
    vm_configuration_always: true,

    second_local_response: Status::Ok,
    continue_upstream: Status::Unimplemented,
    call_failure_is_response: true,
    // Clusters.
    knows_upstreams: true,
    // Envoy 1.40: none.
    default_call_timeout_ms: None,
    call_timeout_for_each_step: false,
    // Envoy 1.40
    upstream_failure: (503, 504),
    // Envoy 1.40, ENVOY.md 14.
    continue_wrecks_running_streams: true,
    // Envoy 1.40, ENVOY.md 6.
    local_response_at_end_crashes: true,
    call_ids: (4, 4),
    answers_outlive_stream: true,

    grpc: Some(Grpc {
        call_ids: (5, 4),
        stream_ids: (6, 4),
        unknown_service: Status::ParseFailure,
        service_may_be_message: true,
        appends_details: true,
        message_writable: true,
    }),

    // ENVOY.md 31
    foreign_functions: &[
        Function::Compress,
        Function::Uncompress,
        Function::ClearRouteCache,
        Function::DeclareProperty,
        Function::SetEnvoyFilterState,
        Function::ExprCreate,
        Function::ExprEvaluate,
        Function::ExprDelete,
        Function::VerifySignature,
        Function::Sign,
    ],
    foreign_results_need_memory: true,

    // Envoy 1.40, ENVOY.md 12: only paths of one segment.
    reads_back_paths: false,
    binary_properties: true,
    added_request_headers: &[("x-forwarded-proto", "http")],
    checks_buffer_ranges: false,
    checks_header_bytes: false,
    // Envoy 1.40: whatever it is, 16 bits of it are sent.
    local_statuses: (0, u32::MAX),
    // Envoy 1.40: not even if there were some.
    request_trailers_in_log: false,
    last_chunk_ends: false,
    // Envoy 1.40: not without allow_on_headers_stop_iteration.
    body_while_headers_held: false,
    // Envoy 1.40: max_request_headers_count, and the Host line counts.
    request_header_lines: 100,

    // Envoy 1.40: always last, except on responses that Envoy makes itself.
    added_call_response_headers: &[("x-envoy-upstream-service-time", "0")],
    checks_messages: true,

    trap_fails_request: true,
    trap_rebuilds_vm: Rebuild::Never,
    trap_disables_vm: true,
    exit_returns: true,
    // ENVOY.md 17.
    wasi: WasiRules::CPP,
    // ENVOY.md 18: "import type mismatch".
    links_without_result: false,
    memory_limit: 1 << 30,
};
