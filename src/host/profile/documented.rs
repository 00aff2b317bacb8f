//! What the references say each host can answer: the statuses of every hostcall, and the callbacks that are called.
//!
//! The rows say how a hostcall looks and the profiles what pwtest does; this says what there is to be seen, so that
//! `pwtest run --coverage` can tell what a suite has not reached, and `pwtest check` what will not work. It is
//! written from abi.md section 3 and what Envoy 1.40 did (`ENVOY.md` below `t/hostcalls`), not from our handlers.

use crate::abi::{Callback, Status};

/// What a host can answer, by its references.
#[derive(Debug)]
pub struct Documented {
    /// The hostcalls that it defines, with the statuses that each can return.
    pub statuses: &'static [(&'static str, &'static [Status])],
    /// Hostcalls that return OK and do nothing.
    pub dummies: &'static [&'static str],
    /// The errnos of WASI functions, where the host does not leave them to a whole WASI.
    pub errnos: &'static [(&'static str, &'static [u16])],
    /// Callbacks that it calls only when the plugin has set a property, and which (apisix.md 0, fact 9).
    pub body_properties: &'static [(Callback, &'static str)],
    /// The callbacks that it calls.
    pub callbacks: &'static [Callback],
}

/// How far a host supports a hostcall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what the specification says, more or less.
    Works,
    /// It returns OK and does nothing.
    Dummy,
    /// It returns UNIMPLEMENTED.
    Unimplemented,
    /// A module that imports it does not load.
    Undefined,
}

impl Documented {
    /// The statuses of a hostcall; empty where the host does not define it.
    pub fn statuses(&self, name: &str) -> &'static [Status] {
        let found = self.statuses.iter().find(|(hostcall, _)| *hostcall == name);
        found.map(|(_, statuses)| *statuses).unwrap_or_default()
    }

    /// The errnos of a WASI function, where they are written down.
    pub fn errnos(&self, name: &str) -> &'static [u16] {
        let found = self.errnos.iter().find(|(function, _)| *function == name);
        found.map(|(_, errnos)| *errnos).unwrap_or_default()
    }

    /// How far a hostcall is supported.
    pub fn support(&self, name: &str) -> Support {
        match self.statuses(name) {
            [] => Support::Undefined,
            [Status::Unimplemented] => Support::Unimplemented,
            _ if self.dummies.contains(&name) => Support::Dummy,
            _ => Support::Works,
        }
    }
}

macro_rules! statuses {
    ($($name:ident: $($status:ident)+;)+) => {
        &[$((stringify!($name), &[$(Status::$status),+]),)+]
    };
}

macro_rules! errnos {
    ($($name:ident: $($errno:literal)+;)+) => { &[$((stringify!($name), &[$($errno),+]),)+] };
}

/// abi.md section 3, column "spec".
pub(super) const SPEC: Documented = Documented {
    statuses: statuses! {
        proxy_log: Ok BadArgument InvalidMemoryAccess;
        proxy_get_log_level: Ok InvalidMemoryAccess;
        proxy_get_current_time_nanoseconds: Ok InvalidMemoryAccess;
        proxy_set_tick_period_milliseconds: Ok;
        proxy_set_effective_context: Ok BadArgument;
        proxy_done: Ok NotFound;
        proxy_get_buffer_bytes: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_get_buffer_status: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_set_buffer_bytes: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_get_configuration: Ok InvalidMemoryAccess;
        proxy_get_header_map_size: Ok BadArgument InvalidMemoryAccess;
        proxy_get_header_map_pairs: Ok BadArgument InvalidMemoryAccess;
        proxy_set_header_map_pairs: Ok BadArgument InvalidMemoryAccess;
        proxy_get_header_map_value: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_add_header_map_value: Ok BadArgument InvalidMemoryAccess;
        proxy_replace_header_map_value: Ok BadArgument InvalidMemoryAccess;
        proxy_remove_header_map_value: Ok BadArgument InvalidMemoryAccess;
        proxy_continue_stream: Ok BadArgument Unimplemented;
        proxy_close_stream: Ok BadArgument;
        proxy_continue_request: Ok;
        proxy_continue_response: Ok;
        proxy_clear_route_cache: Ok;
        proxy_send_local_response: Ok BadArgument InvalidMemoryAccess;
        proxy_get_status: Ok InvalidMemoryAccess;
        proxy_get_property: Ok NotFound SerializationFailure InvalidMemoryAccess;
        proxy_set_property: Ok NotFound InvalidMemoryAccess;
        proxy_http_call: Ok BadArgument InvalidMemoryAccess InternalFailure;
        proxy_grpc_call: Ok ParseFailure InvalidMemoryAccess InternalFailure;
        proxy_grpc_stream: Ok ParseFailure InvalidMemoryAccess InternalFailure;
        proxy_grpc_send: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_grpc_cancel: Ok NotFound BadArgument;
        proxy_grpc_close: Ok NotFound BadArgument;
        proxy_get_shared_data: Ok NotFound InvalidMemoryAccess;
        proxy_set_shared_data: Ok InvalidMemoryAccess CasMismatch;
        proxy_register_shared_queue: Ok InvalidMemoryAccess;
        proxy_resolve_shared_queue: Ok NotFound InvalidMemoryAccess;
        proxy_enqueue_shared_queue: Ok NotFound InvalidMemoryAccess;
        proxy_dequeue_shared_queue: Ok NotFound InvalidMemoryAccess Empty;
        proxy_define_metric: Ok BadArgument InvalidMemoryAccess;
        proxy_record_metric: Ok NotFound;
        proxy_increment_metric: Ok NotFound BadArgument;
        proxy_get_metric: Ok NotFound InvalidMemoryAccess;
        proxy_call_foreign_function: Ok NotFound InvalidMemoryAccess;
    },
    dummies: &[],
    errnos: &[],
    body_properties: &[],
    callbacks: SPECIFIED,
};

/// abi.md section 3, column "Envoy", and where Envoy 1.40 was asked, what it answered.
pub(super) const ENVOY: Documented = Documented {
    statuses: statuses! {
        proxy_log: Ok BadArgument InvalidMemoryAccess;
        proxy_get_log_level: Ok InvalidMemoryAccess;
        proxy_get_current_time_nanoseconds: Ok InvalidMemoryAccess;
        proxy_set_tick_period_milliseconds: Ok;
        proxy_set_effective_context: Ok BadArgument;
        proxy_done: Ok NotFound;
        proxy_get_buffer_bytes: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_get_buffer_status: Ok NotFound BadArgument InvalidMemoryAccess;
        // ENVOY.md 10: NOT_FOUND for what is not there, BAD_ARGUMENT for what is read-only.
        proxy_set_buffer_bytes: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_get_configuration: Ok InvalidMemoryAccess;
        proxy_get_header_map_size: Ok BadArgument InvalidMemoryAccess;
        proxy_get_header_map_pairs: Ok BadArgument InvalidMemoryAccess;
        proxy_set_header_map_pairs: Ok BadArgument InvalidMemoryAccess;
        proxy_get_header_map_value: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_add_header_map_value: Ok BadArgument InvalidMemoryAccess;
        proxy_replace_header_map_value: Ok BadArgument InvalidMemoryAccess;
        proxy_remove_header_map_value: Ok BadArgument InvalidMemoryAccess;
        proxy_continue_stream: Ok BadArgument Unimplemented;
        proxy_close_stream: Ok BadArgument;
        proxy_continue_request: Ok;
        proxy_continue_response: Ok;
        proxy_clear_route_cache: Ok;
        // ENVOY.md 6: always OK.
        proxy_send_local_response: Ok InvalidMemoryAccess;
        proxy_get_status: Ok InvalidMemoryAccess;
        proxy_get_property: Ok NotFound SerializationFailure InvalidMemoryAccess;
        // ENVOY.md 31: BAD_ARGUMENT where the property was declared read-only.
        proxy_set_property: Ok NotFound BadArgument InvalidMemoryAccess;
        // ENVOY.md 9: INTERNAL_FAILURE was never seen.
        proxy_http_call: Ok BadArgument InvalidMemoryAccess;
        // ENVOY.md 30: INTERNAL_FAILURE for a GrpcService whose cluster is unknown.
        proxy_grpc_call: Ok ParseFailure InvalidMemoryAccess InternalFailure;
        proxy_grpc_stream: Ok ParseFailure InvalidMemoryAccess InternalFailure;
        proxy_grpc_send: Ok NotFound BadArgument InvalidMemoryAccess;
        proxy_grpc_cancel: Ok NotFound BadArgument;
        proxy_grpc_close: Ok NotFound BadArgument;
        proxy_get_shared_data: Ok NotFound InvalidMemoryAccess;
        proxy_set_shared_data: Ok InvalidMemoryAccess CasMismatch;
        proxy_register_shared_queue: Ok InvalidMemoryAccess;
        proxy_resolve_shared_queue: Ok NotFound InvalidMemoryAccess;
        proxy_enqueue_shared_queue: Ok NotFound InvalidMemoryAccess;
        proxy_dequeue_shared_queue: Ok NotFound InvalidMemoryAccess Empty;
        proxy_define_metric: Ok BadArgument InvalidMemoryAccess;
        proxy_record_metric: Ok NotFound;
        proxy_increment_metric: Ok NotFound BadArgument;
        // ENVOY.md 11: a histogram has nothing to read.
        proxy_get_metric: Ok NotFound BadArgument InvalidMemoryAccess;
        // abi.md 8.7
        proxy_call_foreign_function: Ok NotFound BadArgument SerializationFailure InvalidMemoryAccess;
    },
    dummies: &[],
    // abi.md 3.12 and ENVOY.md 24.
    errnos: errnos! {
        fd_write: 0 8 21;
        fd_read: 52;
        fd_seek: 0;
        fd_close: 0;
        fd_fdstat_get: 0 8;
        fd_fdstat_set_flags: 52;
        fd_prestat_get: 8;
        fd_prestat_dir_name: 52;
        path_open: 44;
        fd_advise: 0;
        fd_allocate: 0 8;
        fd_datasync: 0 8;
        fd_sync: 0 8;
        fd_fdstat_set_rights: 0 8;
        fd_filestat_set_size: 0 8;
        fd_filestat_set_times: 0 8;
        fd_tell: 0 8 21;
        fd_pread: 52;
        fd_pwrite: 0 8 21;
        fd_readdir: 20 21;
        fd_renumber: 8 58;
        fd_filestat_get: 8;
        path_filestat_get: 58;
        path_create_directory: 58;
        path_link: 58;
        path_readlink: 21 58;
        path_remove_directory: 58;
        path_rename: 58;
        path_symlink: 58;
        path_unlink_file: 58;
        path_filestat_set_times: 58;
        sock_accept: 21 58;
        sock_recv: 21 58;
        sock_send: 21 58;
        sock_shutdown: 58;
        args_sizes_get: 0 21;
        args_get: 0;
        environ_sizes_get: 0 21;
        environ_get: 0 21;
        clock_time_get: 0 21 58;
        clock_res_get: 0 21 58;
        random_get: 0 21 28;
        sched_yield: 0;
        poll_oneoff: 0 21;
    },
    body_properties: &[],
    callbacks: CALLED_BY_ENVOY,
};

/// apisix.md section 4; what is not listed is not defined there. INTERNAL_FAILURE of what returns bytes: the guest gave no
/// memory for them (abi.md 2.5).
pub(super) const APISIX: Documented = Documented {
    statuses: statuses! {
        proxy_log: Ok InvalidMemoryAccess;
        proxy_get_current_time_nanoseconds: Unimplemented;
        proxy_set_tick_period_milliseconds: Unimplemented;
        proxy_set_effective_context: Ok;
        proxy_done: Unimplemented;
        proxy_get_buffer_bytes: Ok NotFound BadArgument InvalidMemoryAccess InternalFailure Unimplemented;
        proxy_set_buffer_bytes: Unimplemented;
        proxy_get_configuration: Ok NotFound InvalidMemoryAccess InternalFailure;
        // 4.1: NOT_FOUND for what a failed call answered.
        proxy_get_header_map_pairs: Ok NotFound BadArgument InvalidMemoryAccess InternalFailure Unimplemented;
        proxy_set_header_map_pairs: Unimplemented;
        proxy_get_header_map_value: Ok NotFound BadArgument InvalidMemoryAccess InternalFailure Unimplemented;
        proxy_add_header_map_value: Ok BadArgument InvalidMemoryAccess Unimplemented;
        proxy_replace_header_map_value: Ok BadArgument InvalidMemoryAccess Unimplemented;
        proxy_remove_header_map_value: Ok BadArgument InvalidMemoryAccess Unimplemented;
        proxy_continue_stream: Ok;
        proxy_close_stream: Ok;
        proxy_continue_request: Ok;
        proxy_continue_response: Ok;
        proxy_clear_route_cache: Unimplemented;
        proxy_send_local_response: Ok BadArgument InvalidMemoryAccess;
        proxy_get_status: Unimplemented;
        proxy_get_property: Ok NotFound BadArgument InvalidMemoryAccess InternalFailure;
        proxy_set_property: Ok NotFound BadArgument InvalidMemoryAccess InternalFailure;
        proxy_http_call: Ok BadArgument InvalidMemoryAccess InternalFailure;
        proxy_grpc_call: Unimplemented;
        proxy_grpc_stream: Unimplemented;
        proxy_grpc_send: Unimplemented;
        proxy_grpc_cancel: Unimplemented;
        proxy_grpc_close: Unimplemented;
        proxy_get_shared_data: Unimplemented;
        proxy_set_shared_data: Unimplemented;
        proxy_register_shared_queue: Unimplemented;
        proxy_resolve_shared_queue: Unimplemented;
        proxy_enqueue_shared_queue: Unimplemented;
        proxy_dequeue_shared_queue: Unimplemented;
        proxy_define_metric: Ok;
        proxy_record_metric: Ok;
        proxy_increment_metric: Ok;
        // With a signature that no module has (wasm-nginx-module #152), so nobody gets to see it.
        proxy_get_metric: Ok;
        proxy_call_foreign_function: Unimplemented;
    },
    dummies: &[
        "proxy_set_effective_context",
        "proxy_continue_stream",
        "proxy_close_stream",
        "proxy_continue_request",
        "proxy_continue_response",
        "proxy_define_metric",
        "proxy_record_metric",
        "proxy_increment_metric",
        "proxy_get_metric",
    ],
    errnos: &[],
    body_properties: &[
        (Callback::OnRequestBody, "wasm_process_req_body"),
        (Callback::OnResponseBody, "wasm_process_resp_body"),
    ],
    // apisix.md 0, fact 1.
    callbacks: &[
        Callback::OnContextCreate,
        Callback::OnConfigure,
        Callback::OnRequestHeaders,
        Callback::OnRequestBody,
        Callback::OnResponseHeaders,
        Callback::OnResponseBody,
        Callback::OnHttpCallResponse,
        Callback::OnDone,
        Callback::OnDelete,
    ],
};

/// The callbacks of the specification.
const SPECIFIED: &[Callback] = &[
    Callback::OnContextCreate,
    Callback::OnVmStart,
    Callback::OnConfigure,
    Callback::OnTick,
    Callback::OnNewConnection,
    Callback::OnDownstreamData,
    Callback::OnUpstreamData,
    Callback::OnDownstreamConnectionClose,
    Callback::OnUpstreamConnectionClose,
    Callback::OnRequestHeaders,
    Callback::OnRequestBody,
    Callback::OnRequestTrailers,
    Callback::OnResponseHeaders,
    Callback::OnResponseBody,
    Callback::OnResponseTrailers,
    Callback::OnHttpCallResponse,
    Callback::OnGrpcReceiveInitialMetadata,
    Callback::OnGrpcReceive,
    Callback::OnGrpcReceiveTrailingMetadata,
    Callback::OnGrpcClose,
    Callback::OnQueueReady,
    Callback::OnForeignFunction,
    Callback::OnDone,
    Callback::OnLog,
    Callback::OnDelete,
];

/// Beside those, Envoy 1.40 has two for HTTP/2's METADATA frames; it looks `proxy_validate_configuration` up, too, and never
/// calls it.
const CALLED_BY_ENVOY: &[Callback] = &[
    Callback::OnContextCreate,
    Callback::OnVmStart,
    Callback::OnConfigure,
    Callback::OnTick,
    Callback::OnNewConnection,
    Callback::OnDownstreamData,
    Callback::OnUpstreamData,
    Callback::OnDownstreamConnectionClose,
    Callback::OnUpstreamConnectionClose,
    Callback::OnRequestHeaders,
    Callback::OnRequestBody,
    Callback::OnRequestTrailers,
    Callback::OnRequestMetadata,
    Callback::OnResponseHeaders,
    Callback::OnResponseBody,
    Callback::OnResponseTrailers,
    Callback::OnResponseMetadata,
    Callback::OnHttpCallResponse,
    Callback::OnGrpcReceiveInitialMetadata,
    Callback::OnGrpcReceive,
    Callback::OnGrpcReceiveTrailingMetadata,
    Callback::OnGrpcClose,
    Callback::OnQueueReady,
    Callback::OnForeignFunction,
    Callback::OnDone,
    Callback::OnLog,
    Callback::OnDelete,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::hostcalls;
    use crate::host::profile;

    /// The hostcalls of the ABI: what is imported from `env` and belongs to a version.
    fn hostcalls() -> Vec<&'static str> {
        hostcalls::rows().filter(|row| !row.versions.is_empty()).map(|row| row.name).collect()
    }

    #[test]
    fn every_hostcall_has_its_statuses() {
        for documented in [&SPEC, &ENVOY] {
            for name in hostcalls() {
                assert!(!documented.statuses(name).is_empty(), "{name}");
            }
        }
        // apisix.md section 4: three are absent.
        let absent = ["proxy_get_log_level", "proxy_get_buffer_status", "proxy_get_header_map_size"];
        for name in hostcalls() {
            assert_eq!(APISIX.support(name) == Support::Undefined, absent.contains(&name), "{name}");
        }
    }

    #[test]
    fn nothing_is_listed_twice_or_unknown() {
        for profile in profile::ALL {
            let documented = profile.documented;
            for (at, (name, statuses)) in documented.statuses.iter().enumerate() {
                assert!(hostcalls().contains(name), "{name}");
                assert!(documented.statuses.iter().skip(at + 1).all(|(other, _)| other != name), "{name}");
                assert!(statuses.windows(2).all(|pair| pair[0] < pair[1]), "{name}: in the order of their numbers");
            }
            for name in documented.dummies {
                assert_eq!(documented.statuses(name), [Status::Ok], "{name}");
            }
            for (name, _) in documented.errnos {
                let wasi = hostcalls::rows().any(|row| row.name == *name && row.versions.is_empty());
                assert!(wasi, "{name}");
            }
        }
    }
}
