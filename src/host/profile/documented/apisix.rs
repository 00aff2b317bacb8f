//! What APISIX does: apisix.md section 4.

use super::Documented;
use crate::abi::{Callback, Status};

/// What is not listed is not defined there. INTERNAL_FAILURE of what returns bytes: the guest gave no
/// memory for them (abi.md 2.5).
pub(in crate::host::profile) const APISIX: Documented = Documented {
    like: None,
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
