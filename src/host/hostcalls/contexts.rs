//! Contexts: which one hostcalls act on, and the end that a plugin has delayed.

use super::row::{Cx, hostcall_rows};
use crate::abi::{ContextId, Status};
use crate::trace::Effect;

hostcall_rows! {
    /// Hostcalls act on this context until the running callback returns.
    proxy_set_effective_context [V0_1_0 V0_2_0 V0_2_1] { word context_id: ContextId } -> {} = set_effective_context;
    /// The context that returned false from `proxy_on_done` is done now.
    proxy_done [V0_1_0 V0_2_0 V0_2_1] {} -> {} = done;
}

fn set_effective_context(cx: &mut Cx, context: ContextId) -> Result<(), Status> {
    // 0 is the VM's own context.
    if context.0 != 0 && !cx.state.contexts.contains_key(&context) {
        return Err(Status::BadArgument);
    }
    cx.state.current.effective = Some(context);
    cx.effect(|| Effect::EffectiveContext(context));
    Ok(())
}

fn done(cx: &mut Cx) -> Result<(), Status> {
    let root = cx.state.acting_root().ok_or(Status::NotFound)?;
    let root = cx.state.roots.get_mut(&root).ok_or(Status::NotFound)?;
    if !root.pending_done {
        return Err(Status::NotFound);
    }
    root.pending_done = false;
    root.done = true;
    cx.effect(|| Effect::Done);
    Ok(())
}
