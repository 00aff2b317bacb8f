//! Buffers of a host that keeps one body for each request and lets nobody write (`apisix.md` 3.2, 4).

use super::Cx;
use crate::abi::{BufferType, Callback, Status};
use crate::trace::Entry;
use bytes::Bytes;

/// Bytes of a buffer. Both body buffers are the body that the running callback is about; a configuration comes whole.
pub(super) fn get(cx: &mut Cx, buffer: BufferType, start: u32, size: u32) -> Result<Bytes, Status> {
    let content = match buffer {
        BufferType::PluginConfiguration => {
            let found = configuration(cx);
            return if found.is_empty() { Err(Status::NotFound) } else { Ok(found) };
        }
        BufferType::HttpRequestBody | BufferType::HttpResponseBody => {
            let stream = cx.state.acting_stream().ok_or(Status::NotFound)?;
            cx.state.world.exchanges.get(&stream.exchange).and_then(|e| e.phases.shown.clone()).unwrap_or_default()
        }
        BufferType::HttpCallResponseBody => {
            cx.state.acting_stream().ok_or(Status::BadArgument)?;
            cx.state.world.answer.as_ref().map(|answer| answer.body.clone()).unwrap_or_default()
        }
        BufferType::DownstreamData
        | BufferType::UpstreamData
        | BufferType::GrpcCallMessage
        | BufferType::VmConfiguration
        | BufferType::ForeignFunctionArguments => return Err(Status::Unimplemented),
    };
    if content.is_empty() {
        return Err(Status::NotFound);
    }
    // Both are signed.
    let (start, size) = match (usize::try_from(start as i32), usize::try_from(size as i32)) {
        (Ok(start), Ok(size @ 1..)) if start < content.len() => (start, size),
        _ => return Err(Status::BadArgument),
    };
    Ok(content.slice(start..start.saturating_add(size).min(content.len())))
}

/// There while a request is, and while the plugin is configured; not while contexts are made or end.
pub(super) fn configuration(cx: &Cx) -> Bytes {
    let there = cx.state.acting_stream().is_some() || cx.state.current.entry == Entry::Callback(Callback::OnConfigure);
    let root = cx.state.acting_root().filter(|_| there).and_then(|root| cx.state.roots.get(&root));
    root.map_or_else(Bytes::new, |root| root.config.clone())
}
