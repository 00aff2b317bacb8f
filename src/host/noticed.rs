//! Failures that a plugin does not seem to notice, read from the trace.
//!
//! Nobody can see from outside whether a plugin looks at a status. What can be seen is what it does next, so only this
//! counts: a hostcall that was to change something failed, and until the callback came back normally there was no log line
//! at all, no response of its own, no second attempt that went well and no `false`. Reads are left out, for "not found"
//! is an answer; so is what SDKs call by themselves (the effective context), and what is harmless when it is late.

use crate::abi::{Returns, Status};
use crate::trace::{CallbackLeft, Effect, Entry, Event, HostcallRecord, HostcallResult};

/// Hostcalls that are made for their effect.
const CHANGING: &[&str] = &[
    "proxy_set_buffer_bytes",
    "proxy_set_header_map_pairs",
    "proxy_add_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_register_shared_queue",
    "proxy_enqueue_shared_queue",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_send_local_response",
    "proxy_close_stream",
    "proxy_set_tick_period_milliseconds",
    "proxy_http_call",
    "proxy_grpc_call",
    "proxy_grpc_stream",
    "proxy_grpc_send",
];

/// The first failure in the events of one callback, its end included, that the plugin went on from as if nothing had been.
pub(super) fn ignored_failure(callback: &[Event]) -> Option<(&'static str, Status)> {
    let Some(Event::CallbackLeft(left)) = callback.last() else { return None };
    if refuses(left) {
        return None;
    }
    let records = || {
        callback.iter().enumerate().filter_map(|(at, event)| match event {
            Event::Hostcall(record) => Some((at, record)),
            _ => None,
        })
    };
    records().find_map(|(at, record)| {
        let HostcallResult::Status(status) = record.result else { return None };
        let failed = status != Status::Ok && CHANGING.contains(&record.name);
        let noticed = || records().any(|(later, next)| later > at && shows(next, record.name));
        (failed && !noticed()).then_some((record.name, status))
    })
}

/// Whether a hostcall shows that its plugin has noticed the failure of another.
fn shows(next: &HostcallRecord, failed: &str) -> bool {
    let said = next.effects.iter().any(|effect| matches!(effect, Effect::Log { .. } | Effect::LocalResponse(_)));
    said || (next.name == failed && next.result == HostcallResult::Status(Status::Ok))
}

/// `false` from a callback that can say so.
fn refuses(left: &CallbackLeft) -> bool {
    let Entry::Callback(callback) = left.callback else { return false };
    callback.returns() == Returns::Bool && left.result == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{Callback, ContextId, LogLevel, PluginIndex};
    use bytes::Bytes;

    fn call(name: &'static str, status: Status, effects: Vec<Effect>) -> Event {
        let (plugin, context, exchange) = (PluginIndex(0), ContextId(1), None);
        let (args, returned, result) = (Vec::new(), Vec::new(), HostcallResult::Status(status));
        Event::Hostcall(HostcallRecord { plugin, context, exchange, name, args, result, returned, effects })
    }

    fn left(callback: Callback, result: u32) -> Event {
        let (plugin, context, exchange) = (PluginIndex(0), ContextId(1), None);
        let (callback, result) = (Entry::Callback(callback), Some(result));
        Event::CallbackLeft(CallbackLeft { plugin, callback, context, exchange, result })
    }

    const SET: &str = "proxy_set_buffer_bytes";

    fn ignored(events: Vec<Event>) -> bool {
        ignored_failure(&events).is_some()
    }

    #[test]
    fn silence_is_what_counts() {
        let body = || left(Callback::OnRequestBody, 0);
        let log = || Effect::Log { level: LogLevel::Info, message: Bytes::new() };
        assert!(ignored(vec![call(SET, Status::Unimplemented, vec![]), body()]));
        assert!(ignored(vec![
            call("proxy_log", Status::Ok, vec![log()]),
            call(SET, Status::BadArgument, vec![]),
            body()
        ]));
        assert!(!ignored(vec![
            call(SET, Status::BadArgument, vec![]),
            call("proxy_log", Status::Ok, vec![log()]),
            body()
        ]));
        assert!(!ignored(vec![call(SET, Status::BadArgument, vec![]), call(SET, Status::Ok, vec![]), body()]));
        assert!(!ignored(vec![call(SET, Status::Ok, vec![]), body()]));
        // An answer, not a failure; a callback that never came back; and one that says so.
        assert!(!ignored(vec![call("proxy_get_shared_data", Status::NotFound, vec![]), body()]));
        assert!(!ignored(vec![call(SET, Status::BadArgument, vec![])]));
        assert!(!ignored(vec![
            call("proxy_define_metric", Status::BadArgument, vec![]),
            left(Callback::OnConfigure, 0)
        ]));
    }
}
