//! A profile is what one host does, as data. Code reads fields; it never asks which host it imitates.
//!
//! Every field says where the claim comes from: `abi.md` is the reference beside the design, `Envoy 1.40` is what
//! the real binary was seen to do.

mod apisix;
mod documented;
mod envoy;
mod quirks;
mod spec;
mod wasi;

pub use apisix::APISIX;
pub use documented::{Documented, Support};
pub use envoy::ENVOY;
pub use quirks::Quirk;
pub use spec::SPEC;
pub use wasi::WasiRules;

use super::hostcalls::foreign::Function;
use super::inspect::{Allocator, Known, StartFunctions, WrongExport};
use crate::abi::{Callback, LogLevel, PeerType, Status};
use crate::host::Rebuild;

/// What one host does where hosts differ.
#[derive(Debug)]
pub struct Profile {
    /// The name on the command line and in scenarios.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// What the references say that the host can answer.
    pub documented: &'static Documented,
    /// Where it does otherwise than most, in words for people.
    pub quirks: &'static [Quirk],

    /// Hostcalls of another version of the ABI than the module's are not linked (abi.md 1.2).
    pub links_by_version: bool,
    /// A module without a marker of its ABI version is refused (abi.md 1.1).
    pub requires_marker: bool,
    /// A module must export an allocator (abi.md 2.1).
    pub requires_allocator: bool,
    /// What becomes of an export of a callback's name with another signature (abi.md 2.1).
    pub wrong_callback: WrongExport,
    /// Of several markers the newest counts, not the first that is exported (abi.md 1.1).
    pub newest_marker_counts: bool,
    /// Only a memory that is exported as `memory` will do (abi.md 2.1).
    pub memory_by_name: bool,
    /// The hostcalls that are not as the table of rows has them (abi.md 1.3 and section 3).
    pub hostcalls: &'static [(&'static str, Deviation)],
    /// Which entry points are called, and in which order (abi.md 2.2).
    pub start_functions: StartFunctions,
    /// Which allocator is taken where both are exported (abi.md 0.4, 4).
    pub allocators: &'static [Allocator],
    /// What a hostcall returns when the guest gives no memory (abi.md 2.5).
    pub allocation_failure: Status,
    /// An allocator that traps has broken the VM, not only the hostcall that needed it (Envoy 1.40; apisix.md 2.2).
    pub allocator_trap_fails_vm: bool,
    /// A value of no bytes leaves the guest's pointer as it was, and writes only the size (case `headers.get.empty-value`).
    pub empty_keeps_pointer: bool,

    /// Hostcalls from start functions and allocators that are not on the list trap (abi.md 2.2).
    pub restricts_start: bool,
    /// A hostcall that the start section makes kills the worker (Envoy 1.40; wasm-nginx-module by reading).
    pub start_section_crashes: bool,
    /// `proxy_on_vm_start` is called (abi.md 2.3).
    pub calls_vm_start: bool,
    /// What a stream context sees at its end, in order (abi.md 2.6). Callbacks before [`Callback::OnDone`] run
    /// for all filters first, the rest filter by filter.
    pub stream_end: &'static [Callback],
    /// HTTP/2 METADATA frames reach the metadata callbacks (abi.md 4.1; Envoy 1.40 with allow_metadata).
    pub calls_metadata: bool,
    /// `proxy_validate_configuration` is called before `proxy_on_configure` (abi.md 4.1).
    pub calls_validate_configuration: bool,
    /// Whether plugins can be put into TCP connections (abi.md 4.5).
    pub has_tcp: bool,
    /// What a TCP stream's context sees behind `on_downstream_connection_close`, filter by filter (abi.md 2.6).
    pub connection_end: &'static [Callback],
    /// Who `on_upstream_connection_close` says closed it when the upstream ends its side (abi.md 4.5).
    pub upstream_close: PeerType,
    /// What a root context sees at its end, in order.
    pub root_end: &'static [Callback],
    /// Whether a root whose `on_done` returned false waits for `proxy_done` (abi.md 2.6).
    pub root_waits_for_done: bool,

    /// Plugins run to completion one after the other, each with a context that the first request makes; a call
    /// blocks the request, and what callbacks return says little (apisix.md 2 and 3). Else they are filters that
    /// messages flow through.
    pub plugins_run_in_turn: bool,
    /// Hostcalls act on the request that the host is at, whatever the context, and see it as nginx does: header
    /// maps, one body, variables, calls to addresses (apisix.md 4). Else on the stream of the effective context.
    pub hostcalls_act_on_request: bool,
    /// The host writes lines of its own into its log that plugins' authors look for (apisix.md 2.3, 2.4, 4.3).
    pub writes_log: bool,
    /// The header callbacks get the number of headers and the end of the stream, not (0, 1) (abi.md 4.1).
    pub header_arguments: bool,
    /// Responses go through the chain from its end to its beginning.
    pub response_reversed: bool,
    /// Behind a gateway the upstream gets `Host` as the client sent it, whatever plugins made of it.
    pub gateway_keeps_host: bool,
    /// A Pause of the request holds it (abi.md 4.2).
    pub request_pause_holds: bool,
    /// A Pause of the response holds it (abi.md 4.2).
    pub response_pause_holds: bool,
    /// A body that is held loses its bytes if its plugin made trailers for it meanwhile (Envoy 1.40).
    pub made_trailers_lose_held_body: bool,
    /// Bytes of body that a paused stage may hold before the request gets 413, the response 500 (abi.md 4.3).
    pub buffer_limit: usize,

    /// A map, buffer or stream type that the specification does not have (abi.md 3.1).
    pub unknown_enum: Status,
    /// The level of a message that was logged at a level that does not exist; `None` refuses it (abi.md 3.2).
    pub unknown_log_level: Option<LogLevel>,

    /// Reading a value of a header map that can't be reached (abi.md 3.4).
    pub closed_map_value: Status,
    /// Reading the pairs of a header map that can't be reached.
    pub closed_map_pairs: Status,
    /// Writing to a header map that can't be reached, or asking for its size.
    pub closed_map_write: Status,
    /// `host` is another name of `:authority` in request headers (Envoy 1.40).
    pub host_is_authority: bool,
    /// Headers that can be there only once: adding joins the values with a comma (Envoy 1.40).
    pub single_value_headers: &'static [&'static str],
    /// Header names are lower-cased before they are looked at or written (abi.md 3.4).
    pub lowercases_names: bool,
    /// A header map that does not decode counts as empty (abi.md section 6).
    pub malformed_pairs_are_empty: bool,
    /// Header maps of the stream can be reached from its `on_log` (abi.md 3.4).
    pub maps_in_log: bool,
    /// Continuing either direction closes the request's maps and buffer at once (Envoy 1.40).
    pub continue_closes_request_maps: bool,
    /// Header maps can be reached in every callback of the stream (abi.md 3.4, nginx hosts).
    pub maps_always_open: bool,

    /// Reading a body buffer outside its callback: OK and empty, or this status (abi.md 3.3).
    pub closed_body: Result<(), Status>,
    /// Writing a body buffer outside its callback.
    pub closed_body_write: Status,
    /// Writing a buffer that is read-only.
    pub readonly_buffer: Status,
    /// Replacing bytes in the middle of a buffer; `None` does what the specification says.
    pub splice_in_the_middle: Option<Status>,
    /// The plugin configuration can be read while the plugin's context is made, too.
    pub configuration_in_context_create: bool,
    /// The VM configuration can be read at any time (abi.md 3.3).
    pub vm_configuration_always: bool,

    /// A second local response of one stream (abi.md 3.5).
    pub second_local_response: Status,
    /// `proxy_continue_stream` and `proxy_close_stream` of an upstream TCP stream.
    pub continue_upstream: Status,
    /// A failed call comes back as a response of the host's own (503, 504), not as (0, 0, 0) (abi.md 8.1).
    pub call_failure_is_response: bool,
    /// Upstreams are names that the host knows, so that it refuses others at once; else they are addresses.
    pub knows_upstreams: bool,
    /// What a call with timeout 0 waits; `None` is for ever (abi.md case call.timeout-zero).
    pub default_call_timeout_ms: Option<u32>,
    /// The timeout of a call is for the connection and for each read and write by itself (apisix.md 4.3); else for all of it.
    pub call_timeout_for_each_step: bool,
    /// What the client gets when the upstream fails before it answers, and when it takes too long.
    pub upstream_failure: (u32, u32),
    /// Continuing a stream that is not paused sends its head twice, or kills the worker where there is none (Envoy
    /// 1.40).
    pub continue_wrecks_running_streams: bool,
    /// A local response from a callback of a stream's end kills the worker (Envoy 1.40).
    pub local_response_at_end_crashes: bool,
    /// First call id, and the step to the next one (abi.md 8.1).
    pub call_ids: (u32, u32),
    /// Whether the answer is delivered to root contexts when the stream is gone (abi.md 8.1).
    pub answers_outlive_stream: bool,

    /// gRPC calls; `None` where every one of them is UNIMPLEMENTED (abi.md 3.6).
    pub grpc: Option<Grpc>,

    /// The foreign functions that the host has of its own (abi.md 8.7).
    pub foreign_functions: &'static [Function],
    /// A result of a foreign function that finds no memory in the guest kills the worker (Envoy 1.40).
    pub foreign_results_need_memory: bool,

    /// What a plugin set can be read under the same path, of however many segments.
    pub reads_back_paths: bool,
    /// Numbers in properties are 8 bytes little-endian, not text (abi.md 7.2).
    pub binary_properties: bool,
    /// Headers that the host adds to every request before the plugins see it.
    pub added_request_headers: &'static [(&'static str, &'static str)],

    /// A range of a buffer that does not fit into 32 bits is a bad argument; else sums are taken in 64 (abi.md 3.3).
    pub checks_buffer_ranges: bool,
    /// A header with an empty name, or with a line break or a zero byte in its value, is a bad argument (abi.md 6).
    pub checks_header_bytes: bool,
    /// Statuses that a local response may have, the first and the last; others are a bad argument (abi.md 3.5).
    pub local_statuses: (u32, u32),
    /// The trailers of the request can be read in on_log (abi.md 3.4).
    pub request_trailers_in_log: bool,
    /// On HTTP/1.1 too the last chunk of a body carries the end of the stream (abi.md 4.4).
    pub last_chunk_ends: bool,
    /// Body callbacks come while the headers are held, and see what has come so far (abi.md 4.2).
    pub body_while_headers_held: bool,
    /// Header lines that a request may have: with more, it is answered with 431 before any plugin sees it.
    pub request_header_lines: usize,
    /// Headers that the host appends to every response of a call before the plugin sees it.
    pub added_call_response_headers: &'static [(&'static str, &'static str)],
    /// Messages that can't be put on the wire are answered by the host (Envoy 1.40: 404, 502, 503).
    pub checks_messages: bool,

    /// A trap answers the request with 503 (abi.md section 9).
    pub trap_fails_request: bool,
    /// Whether a VM that trapped is replaced.
    pub trap_rebuilds_vm: Rebuild,
    /// A VM that trapped is never entered again.
    pub trap_disables_vm: bool,
    /// `proc_exit` returns to the guest (abi.md 3.12).
    pub exit_returns: bool,
    /// What WASI does.
    pub wasi: WasiRules,
    /// The hostcalls of 0.1.0 that the specification gives no result link without one (abi.md 1.2).
    pub links_without_result: bool,
    /// Linear memory of one VM, in bytes (abi.md section 9).
    pub memory_limit: usize,
}

/// How a hostcall differs from the row of its name.
#[derive(Debug, Clone, Copy)]
pub enum Deviation {
    /// The host does not define it: a module that imports it does not load.
    Undefined,
    /// The host defines it with another signature; a module that imports it so gets OK, and nothing happens.
    Signature(Known),
    /// It returns this and does nothing.
    Answers(Status),
}

impl Profile {
    /// How a hostcall differs here from the row of its name.
    pub fn deviation(&self, hostcall: &str) -> Option<&'static Deviation> {
        self.hostcalls.iter().find(|(name, _)| *name == hostcall).map(|(_, deviation)| deviation)
    }

    /// What a hostcall returns here instead of being carried out.
    pub fn stub(&self, hostcall: &str) -> Option<Status> {
        match self.deviation(hostcall)? {
            Deviation::Answers(status) => Some(*status),
            Deviation::Undefined | Deviation::Signature(_) => None,
        }
    }

    /// How far a hostcall is supported, for a module that imports it as the ABI has it.
    pub fn support(&self, hostcall: &str) -> Support {
        match self.deviation(hostcall) {
            Some(Deviation::Undefined | Deviation::Signature(_)) => Support::Undefined,
            Some(Deviation::Answers(Status::Ok)) => Support::Dummy,
            Some(Deviation::Answers(_)) => Support::Unimplemented,
            None => Support::Works,
        }
    }
}

/// What one host does with gRPC calls.
#[derive(Debug)]
pub struct Grpc {
    /// First id of a call, and the step to the next one. The two low bits tell calls from streams (abi.md 8.2).
    pub call_ids: (u32, u32),
    /// The same for streams.
    pub stream_ids: (u32, u32),
    /// What a service that the host does not know is answered with (abi.md 3.6).
    pub unknown_service: Status,
    /// The name is read as a serialised `GrpcService` first (abi.md 8.2; Envoy 1.40 crashes on a message without a
    /// target).
    pub service_may_be_message: bool,
    /// The message of an end has the host's own words for how it came about behind it (Envoy 1.40).
    pub appends_details: bool,
    /// The message that has come can be changed in its callback (Envoy 1.40).
    pub message_writable: bool,
}

/// The profiles there are.
pub const ALL: &[&Profile] = &[&SPEC, &ENVOY, &APISIX];

/// The profile of this name.
pub fn by_name(name: &str) -> Option<&'static Profile> {
    ALL.iter().find(|p| p.name == name).copied()
}
