//! Foreign functions: what a host offers beside the ABI. The scenario's come first, then the host's own.
//!
//! What pwtest can't do as the host does is answered with UNIMPLEMENTED, and a finding says so: a success that was
//! made up would be worse than none.

mod declare_property;
mod expressions;
mod filter_state;
mod zlib;

use super::row::{Cx, Outcome, hostcall_rows};
use crate::abi::Status;
use bytes::Bytes;

hostcall_rows! {
    /// Calls a function of the host's own.
    proxy_call_foreign_function [V0_1_0 V0_2_0 V0_2_1] { slice function_name, slice arguments } -> { outcome results } = call;
}

/// A function that a host has of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `compress`: to a zlib stream.
    Compress,
    /// `uncompress`: from a zlib stream.
    Uncompress,
    /// `clear_route_cache`
    ClearRouteCache,
    /// `declare_property`: what `proxy_set_property` may do under a name.
    DeclareProperty,
    /// `set_envoy_filter_state`: an object for Envoy's other filters.
    SetEnvoyFilterState,
    /// `expr_create`: compiles a CEL expression.
    ExprCreate,
    /// `expr_evaluate`
    ExprEvaluate,
    /// `expr_delete`
    ExprDelete,
    /// `verify_signature`
    VerifySignature,
    /// `sign`
    Sign,
}

impl Function {
    /// The name that plugins call it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compress => "compress",
            Self::Uncompress => "uncompress",
            Self::ClearRouteCache => "clear_route_cache",
            Self::DeclareProperty => "declare_property",
            Self::SetEnvoyFilterState => "set_envoy_filter_state",
            Self::ExprCreate => "expr_create",
            Self::ExprEvaluate => "expr_evaluate",
            Self::ExprDelete => "expr_delete",
            Self::VerifySignature => "verify_signature",
            Self::Sign => "sign",
        }
    }
}

/// What a function gives: bytes that it asked the guest's memory for, none, or its failure.
type Answer = Result<Option<Bytes>, Status>;

fn call(cx: &mut Cx, name: &[u8], arguments: &[u8]) -> Result<Outcome, Status> {
    if let Some(given) = cx.state.world.foreign.get(name) {
        // A host that has nothing to give does not ask for memory.
        return Ok(Outcome(given.clone().map(|results| Some(results).filter(|bytes| !bytes.is_empty()))));
    }
    let own = cx.state.world.profile.foreign_functions;
    let function = own.iter().find(|function| function.name().as_bytes() == name).ok_or(Status::NotFound)?;
    Ok(Outcome(match function {
        Function::Compress => zlib::compress(cx, arguments),
        Function::Uncompress => zlib::uncompress(cx, arguments),
        // Envoy 1.40: everywhere, with and without arguments.
        Function::ClearRouteCache => Ok(None),
        Function::DeclareProperty => declare_property::declare(cx, arguments),
        Function::SetEnvoyFilterState => filter_state::set(cx, arguments),
        Function::ExprCreate => expressions::create(cx, arguments),
        Function::ExprEvaluate => expressions::evaluate(arguments),
        Function::ExprDelete => expressions::delete(arguments),
        Function::VerifySignature | Function::Sign => sign(cx, *function, arguments),
    }))
}

/// Envoy 1.40: without a key both are a bad argument; the rest takes keys and curves.
fn sign(cx: &mut Cx, function: Function, arguments: &[u8]) -> Answer {
    match crate::host::protobuf::fields(arguments) {
        None => Err(Status::BadArgument),
        Some(fields) if fields.is_empty() => Err(Status::BadArgument),
        Some(_) => not_modelled(cx, function, "pwtest has no cryptography"),
    }
}

/// Says that the answer is not the host's.
fn not_modelled(cx: &mut Cx, function: Function, why: &str) -> Answer {
    let plugin = Some(cx.state.current.plugin);
    let message = format!(
        "the foreign function `{}` got UNIMPLEMENTED here and would not on {}: {why}; give its answer in the scenario, \
         `foreign: {{ {}: … }}`",
        function.name(),
        cx.state.world.profile.name,
        function.name(),
    );
    cx.state.world.finding("foreign-not-modelled", plugin, message);
    Err(Status::Unimplemented)
}
