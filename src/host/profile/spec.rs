//! The specification, version 0.2.1, read strictly: where it speaks, what it says; where it is silent, the rule that
//! abi.md proposes for pwtest, or the mildest reading. No proxy behaves exactly so; a plugin that passes here
//! relies on nothing that is not written down.

use super::{Deviation, Grpc, Profile, WasiRules};
use crate::abi::{Callback, PeerType, Status};
use crate::host::Rebuild;
use crate::host::inspect::{Allocator, StartFunctions, WrongExport};

/// The specification 0.2.1.
pub const SPEC: Profile = Profile {
    name: "spec",
    about: "the specification 0.2.1, read strictly",
    documented: &super::documented::SPEC,
    quirks: super::quirks::SPEC,

    // "Functions exposed by the host" are listed by version.
    links_by_version: true,
    // abi.md 1.1: pwtest fails on none.
    requires_marker: true,
    // "malloc ... is called only in its absence": one of the two has to be there.
    requires_allocator: true,
    // Case abi.version.021-headers-arity-wrong: a load error.
    wrong_callback: WrongExport::Refuse,
    // abi.md 1.1: the first in export order, with a warning.
    newest_marker_counts: false,
    memory_by_name: false,
    hostcalls: &[("proxy_send_http_response", Deviation::Undefined)],
    // "_start is called only if _initialize is not exported"
    start_functions: StartFunctions::ReactorFirst,
    // "malloc is called only in the absence of proxy_on_memory_allocate."
    allocators: &[Allocator::MemoryAllocate, Allocator::Malloc],
    // Cases mem.alloc.returns-zero and -oob: silent.
    allocation_failure: Status::InvalidMemoryAccess,
    // Silent.
    allocator_trap_fails_vm: true,
    // Case mem.alloc.not-called-for-empty: silent.
    empty_keeps_pointer: false,

    // The specification does not restrict them.
    restricts_start: false,
    start_section_crashes: false,
    calls_vm_start: true,
    // "on_log: called after true was returned from on_done"; on_delete removes the context.
    stream_end: &[Callback::OnDone, Callback::OnLog, Callback::OnDelete],
    // The specification does not have these callbacks.
    calls_metadata: false,
    calls_validate_configuration: false,
    has_tcp: true,
    // The peer that closed it.
    connection_end: &[Callback::OnDone, Callback::OnLog, Callback::OnDelete],
    upstream_close: PeerType::Remote,
    root_end: &[Callback::OnDone, Callback::OnLog, Callback::OnDelete],
    root_waits_for_done: true,

    plugins_run_in_turn: false,
    hostcalls_act_on_request: false,
    writes_log: false,
    header_arguments: true,
    // Silent; every host that has a chain for responses of its own turns it around.
    response_reversed: true,
    // Silent; a plugin that sets `:authority` wants it to be seen.
    gateway_keeps_host: false,
    request_pause_holds: true,
    response_pause_holds: true,
    made_trailers_lose_held_body: false,
    // Silent; some bound there has to be.
    buffer_limit: 1 << 20,

    // "BAD_ARGUMENT for unknown map_id", and so on.
    unknown_enum: Status::BadArgument,
    // "BAD_ARGUMENT for unknown log_level."
    unknown_log_level: None,

    // "BAD_ARGUMENT for unknown map_id": a map that can't be reached counts as unknown.
    closed_map_value: Status::BadArgument,
    // Case headers.pairs.empty-map: a map that is not there has no pairs.
    closed_map_pairs: Status::Ok,
    closed_map_write: Status::BadArgument,
    host_is_authority: false,
    // "Adds key with value to the map": nothing is joined.
    single_value_headers: &[],
    // Case headers.get.case-insensitive: silent, HTTP/2 style.
    lowercases_names: true,
    // abi.md section 6: BAD_ARGUMENT.
    malformed_pairs_are_empty: false,
    maps_in_log: true,
    continue_closes_request_maps: false,
    maps_always_open: false,

    // "NOT_FOUND when requested buffer_id isn't available."
    closed_body: Err(Status::NotFound),
    closed_body_write: Status::NotFound,
    // Case buffer.set.readonly: silent.
    readonly_buffer: Status::BadArgument,
    // "inject and replace (start smaller than the existing buffer size)".
    splice_in_the_middle: None,
    // "PLUGIN_CONFIGURATION can be read in proxy_on_configure"; milder, as Envoy, so that probes know what to do.
    configuration_in_context_create: true,
    // "VM_CONFIGURATION can be read in proxy_on_vm_start."
    vm_configuration_always: false,

    // Silent: the first one stands.
    second_local_response: Status::Ok,
    // Case tcp.resume-upstream.
    continue_upstream: Status::Ok,
    // "If num_headers is 0, then the HTTP call failed."
    call_failure_is_response: false,
    // "BAD_ARGUMENT for unknown upstream."
    knows_upstreams: true,
    // Silent.
    default_call_timeout_ms: None,
    call_timeout_for_each_step: false,
    // HTTP: unavailable, and gateway timeout.
    upstream_failure: (503, 504),
    // Silent: continuing what is not paused does nothing.
    continue_wrecks_running_streams: false,
    // Silent: nothing.
    local_response_at_end_crashes: false,
    // Opaque.
    call_ids: (1, 1),
    answers_outlive_stream: true,

    grpc: Some(Grpc {
        // Opaque; Envoy's, so that "BAD_ARGUMENT when the id is of the wrong kind" can be told.
        call_ids: (5, 4),
        stream_ids: (6, 4),
        // "PARSE_FAILURE when upstream_name can't be parsed."
        unknown_service: Status::ParseFailure,
        service_may_be_message: false,
        appends_details: false,
        // Case buffer.set.readonly: silent.
        message_writable: false,
    }),

    // Which ones there are is the host's business.
    foreign_functions: &[],
    foreign_results_need_memory: false,

    // Case prop.set-get.
    reads_back_paths: true,
    // Silent; the encoding of every host but those on nginx (abi.md 7.2).
    binary_properties: true,
    added_request_headers: &[],
    // "BAD_ARGUMENT ... in case of buffer overflow due to invalid start and/or max_size values."
    checks_buffer_ranges: true,
    checks_header_bytes: true,
    // Cases local.status-99 and local.status-1000.
    local_statuses: (100, 999),
    // "HTTP_REQUEST_TRAILERS can be read in proxy_on_log."
    request_trailers_in_log: true,
    last_chunk_ends: true,
    // "Called for each chunk ..., even when the processing is paused."
    body_while_headers_held: true,
    // Silent.
    request_header_lines: usize::MAX,
    added_call_response_headers: &[],
    // Silent: routing and writing are no part of the ABI.
    checks_messages: false,

    // Silent, as all of the rest.
    trap_fails_request: true,
    trap_rebuilds_vm: Rebuild::Never,
    trap_disables_vm: true,
    exit_returns: false,
    wasi: WasiRules::CPP,
    links_without_result: true,
    memory_limit: 1 << 30,
};
