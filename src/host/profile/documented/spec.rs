//! What the specification says: abi.md section 3, column "spec".

use super::Documented;
use crate::abi::{Callback, Status};

/// The specification.
pub(in crate::host::profile) const SPEC: Documented = Documented {
    like: None,
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
    callbacks: &[
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
    ],
};
