//! gRPC calls and streams. Linked, so that modules load; answered with UNIMPLEMENTED, which the trace shows.

use super::row::{Cx, PairsArg, hostcall_rows};
use crate::abi::{CallId, Status};

hostcall_rows! {
    /// Starts a unary call.
    proxy_grpc_call [V0_1_0 V0_2_0 V0_2_1] (unimplemented) {
        slice upstream_name, slice service_name, slice method_name, pairs initial_metadata, slice message,
        word timeout_milliseconds: u32
    } -> { word call_id } = call;
    /// Opens a stream.
    proxy_grpc_stream [V0_1_0 V0_2_0 V0_2_1] (unimplemented) {
        slice upstream_name, slice service_name, slice method_name, pairs initial_metadata
    } -> { word stream_id } = stream;
    /// Sends a message on a stream.
    proxy_grpc_send [V0_1_0 V0_2_0 V0_2_1] (unimplemented) {
        word stream_id: CallId, slice message, word end_of_stream: u32
    } -> {} = send;
    /// Breaks a call or stream off.
    proxy_grpc_cancel [V0_1_0 V0_2_0 V0_2_1] (unimplemented) { word call_id: CallId } -> {} = end;
    /// Closes a call or stream.
    proxy_grpc_close [V0_1_0 V0_2_0 V0_2_1] (unimplemented) { word call_id: CallId } -> {} = end;
}

fn call(_: &mut Cx, _: &[u8], _: &[u8], _: &[u8], _: PairsArg, _: &[u8], _: u32) -> Result<u32, Status> {
    Err(Status::Unimplemented)
}

fn stream(_: &mut Cx, _: &[u8], _: &[u8], _: &[u8], _: PairsArg) -> Result<u32, Status> {
    Err(Status::Unimplemented)
}

fn send(_: &mut Cx, _: CallId, _: &[u8], _: u32) -> Result<(), Status> {
    Err(Status::Unimplemented)
}

fn end(_: &mut Cx, _: CallId) -> Result<(), Status> {
    Err(Status::Unimplemented)
}
