//! `expr_create`, `expr_evaluate`, `expr_delete`: CEL, which pwtest does not have.

use super::{Answer, Function, not_modelled};
use crate::abi::Status;
use crate::host::hostcalls::row::Cx;

/// Bytes of a token.
const TOKEN: usize = 4;

/// The empty expression is the one that is known to be none (Envoy 1.40).
pub(super) fn create(cx: &mut Cx, arguments: &[u8]) -> Answer {
    if arguments.is_empty() {
        return Err(Status::BadArgument);
    }
    not_modelled(cx, Function::ExprCreate, "pwtest does not compile CEL")
}

/// No token is ever given out here.
pub(super) fn evaluate(arguments: &[u8]) -> Answer {
    Err(if arguments.len() == TOKEN { Status::NotFound } else { Status::BadArgument })
}

/// Envoy 1.40: any token will do.
pub(super) fn delete(arguments: &[u8]) -> Answer {
    if arguments.len() == TOKEN { Ok(None) } else { Err(Status::BadArgument) }
}
