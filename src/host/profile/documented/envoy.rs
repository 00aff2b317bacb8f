//! What Envoy does otherwise than the specification, or beyond it: abi.md section 3, column "Envoy", and where Envoy 1.40
//! was asked, what it answered.
//!
//! ENVOY.md 10 confirms the specification where one could doubt it: `proxy_set_buffer_bytes` gives NOT_FOUND for what is
//! not there and BAD_ARGUMENT for what is read-only. ENVOY.md 30 does for `proxy_grpc_call`: INTERNAL_FAILURE for a
//! GrpcService whose cluster is unknown.

use super::Documented;
use crate::abi::{Callback, Status};

/// Envoy 1.40.
pub(in crate::host::profile) const ENVOY: Documented = Documented {
    like: Some(&super::SPEC),
    statuses: statuses! {
        // ENVOY.md 6: always OK.
        proxy_send_local_response: Ok InvalidMemoryAccess;
        // ENVOY.md 31: BAD_ARGUMENT where the property was declared read-only.
        proxy_set_property: Ok NotFound BadArgument InvalidMemoryAccess;
        // ENVOY.md 9: INTERNAL_FAILURE was never seen.
        proxy_http_call: Ok BadArgument InvalidMemoryAccess;
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
    // For HTTP/2's METADATA frames. It looks `proxy_validate_configuration` up, too, and never calls it.
    callbacks: &[Callback::OnRequestMetadata, Callback::OnResponseMetadata],
};
