//! Foreign functions: what a host offers beside the ABI. None yet.

use super::row::{Cx, hostcall_rows};
use crate::abi::Status;
use bytes::Bytes;

hostcall_rows! {
    /// Calls a function of the host's own.
    proxy_call_foreign_function [V0_1_0 V0_2_0 V0_2_1] (unimplemented) { slice function_name, slice arguments } -> { bytes results } = call;
}

fn call(_: &mut Cx, _: &[u8], _: &[u8]) -> Result<Bytes, Status> {
    Err(Status::Unimplemented)
}
