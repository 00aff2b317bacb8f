//! `declare_property`: what `proxy_set_property` may do under a name.
//!
//! Only what was declared in the root context counts for streams, and only `readonly` shows (Envoy 1.40).

use super::Answer;
use crate::abi::Status;
use crate::host::hostcalls::row::Cx;
use crate::host::protobuf::{are_text, bytes, fields, varint_of};
use bytes::Bytes;

/// Fields of `DeclarePropertyArguments`.
const NAME: u64 = 1;
const READONLY: u64 = 2;
const SCHEMA: u64 = 4;

pub(super) fn declare(cx: &mut Cx, arguments: &[u8]) -> Answer {
    let refused = Status::BadArgument;
    let fields = fields(arguments).filter(|fields| are_text(fields, &[NAME, SCHEMA])).ok_or(refused)?;
    let (name, readonly) = (bytes(&fields, NAME), varint_of(&fields, READONLY) != 0);
    let acting = cx.state.acting_context();
    let context = cx.state.contexts.get_mut(&acting).ok_or(refused)?;
    // Envoy 1.40: the second one of a name in the same context is refused.
    if context.declared.contains_key(name) {
        return Err(refused);
    }
    context.declared.insert(Bytes::copy_from_slice(name), readonly);
    Ok(None)
}
