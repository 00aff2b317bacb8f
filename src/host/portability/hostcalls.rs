//! Hostcalls: what was asked for, where, and what came back.

use super::Walk;
use crate::abi::{BufferType, Callback, LogLevel, MapType, Status, property_path};
use crate::host::profile::{self, Support};
use crate::trace::{Effect, Entry, HostcallRecord, HostcallResult, HttpCall, MapChange, Value};
use bytes::Bytes;

/// The hostcalls that some host answers with nothing, by the kind of finding that says so.
const FAMILIES: &[(&str, &[&str])] = &[
    ("body-change", &["proxy_set_buffer_bytes"]),
    ("header-map-replacement", &["proxy_set_header_map_pairs"]),
    ("shared-data", &["proxy_get_shared_data", "proxy_set_shared_data"]),
    (
        "shared-queue",
        &[
            "proxy_register_shared_queue",
            "proxy_resolve_shared_queue",
            "proxy_enqueue_shared_queue",
            "proxy_dequeue_shared_queue",
        ],
    ),
    ("metrics", &["proxy_define_metric", "proxy_increment_metric", "proxy_record_metric"]),
    ("timer", &["proxy_set_tick_period_milliseconds"]),
    ("clock", &["proxy_get_current_time_nanoseconds"]),
    (
        "grpc-call",
        &["proxy_grpc_call", "proxy_grpc_stream", "proxy_grpc_send", "proxy_grpc_cancel", "proxy_grpc_close"],
    ),
    ("foreign-function", &["proxy_call_foreign_function"]),
    ("call-status", &["proxy_get_status"]),
    ("route-cache", &["proxy_clear_route_cache"]),
    ("proxy-done", &["proxy_done"]),
    ("close-stream", &["proxy_close_stream"]),
];

/// The properties by which APISIX is told to call body callbacks: made for setting.
const BODY_PROPERTIES: [&str; 2] = ["wasm_process_req_body", "wasm_process_resp_body"];

impl Walk {
    pub(super) fn hostcall(&mut self, record: &HostcallRecord) {
        let name = record.name;
        if name == "proc_exit" {
            self.note_running("process-exit", "");
        }
        if !name.starts_with("proxy_") {
            return;
        }
        let Some(running) = &mut self.running else { return };
        running.hostcalls += 1;
        if let Entry::Start(entry) = running.entry {
            if matches!(entry, "main" | "__main_void") {
                self.note_running("main-function", "");
            }
            if !crate::host::hostcalls::rows().any(|row| row.name == name && row.at_start) {
                self.note_running("start-hostcall", name);
            }
        }
        if profile::ALL.iter().any(|profile| profile.support(name) == Support::Undefined) {
            self.note_running("hostcall-not-defined", name);
        }
        if let Some((id, _)) = FAMILIES.iter().find(|(_, names)| names.contains(&name)) {
            self.note_running(id, name);
        }
        match name {
            "proxy_log" => self.log(record),
            "proxy_get_buffer_bytes" => self.buffer_read(record),
            "proxy_set_buffer_bytes" => self.buffer_written(record),
            "proxy_get_property" => self.property_read(record),
            "proxy_set_property" => self.property_set(record),
            "proxy_http_call" => self.http_call(record),
            "proxy_send_local_response" => self.local_response(record),
            "proxy_continue_stream" if !self.runs(&[Callback::OnHttpCallResponse]) => {
                self.note_running("continue-stream", "");
            }
            _ if name.contains("header_map") => self.header_map(record),
            _ => {}
        }
    }

    /// Whether one of these callbacks is running.
    fn runs(&self, callbacks: &[Callback]) -> bool {
        let entry = self.running.as_ref().map(|running| running.entry);
        callbacks.iter().any(|callback| entry == Some(Entry::Callback(*callback)))
    }

    fn log(&mut self, record: &HostcallRecord) {
        for effect in &record.effects {
            if let Effect::Log { level, .. } = effect
                && *level < LogLevel::Warn
            {
                self.note_running("log-level", level.name());
            }
        }
        if let Some(Value::U32(level)) = argument(record, "level") {
            self.note_running("unknown-log-level", &level.to_string());
        }
    }

    fn header_map(&mut self, record: &HostcallRecord) {
        let Some(map) = named(record, "map_type").and_then(MapType::from_name) else { return };
        let callbacks: &[Callback] = match map {
            MapType::HttpRequestHeaders => &[Callback::OnRequestHeaders],
            MapType::HttpResponseHeaders => &[Callback::OnResponseHeaders],
            MapType::HttpCallResponseHeaders => &[Callback::OnHttpCallResponse],
            _ => return self.note_running("trailers", map.name()),
        };
        let reads = record.name == "proxy_get_header_map_pairs" || record.name == "proxy_get_header_map_value";
        // Everybody can read both in on_log, and outside of every stream nobody can do anything.
        let in_log = reads && self.runs(&[Callback::OnLog]);
        let answered = matches!(record.result, HostcallResult::Status(Status::Ok | Status::NotFound));
        if answered && !in_log && !self.runs(callbacks) && record.exchange.is_some() && !record.returned_nothing() {
            self.note_running("header-map-phase", map.name());
        }
        if record.name == "proxy_get_header_map_pairs" && !record.returned_nothing() {
            self.note_running("header-map-order", map.name());
        }
        let key = argument(record, "key").and_then(bytes).unwrap_or_default();
        if record.name == "proxy_get_header_map_value"
            && map == MapType::HttpRequestHeaders
            && key.eq_ignore_ascii_case(b"host")
        {
            self.note_running("host-header", "");
        }
        let writes = !reads && record.name != "proxy_get_header_map_size";
        let plain = matches!(&key[..], b":path" | b":method" | b":status") && !removes(record);
        let with_query =
            &key[..] == b":path" && argument(record, "value").and_then(bytes).is_some_and(|v| v.contains(&b'?'));
        if writes && key.starts_with(b":") && (!plain || with_query) {
            self.note_running("pseudo-header-write", &String::from_utf8_lossy(&key));
        }
        for effect in &record.effects {
            match effect {
                Effect::Map { change: MapChange::Replace(key, value), .. }
                    if value.is_empty() && !key.starts_with(b":") =>
                {
                    self.note_running("empty-header-value", &String::from_utf8_lossy(key));
                }
                Effect::Map { change: MapChange::Add(key, _), .. } => {
                    let key = String::from_utf8_lossy(key).to_ascii_lowercase();
                    if profile::ALL.iter().any(|profile| profile.single_value_headers.contains(&&key[..])) {
                        self.note_running("joined-header", &key);
                    }
                }
                _ => {}
            }
        }
    }

    fn buffer_read(&mut self, record: &HostcallRecord) {
        let Some(buffer) = named(record, "buffer_type").and_then(BufferType::from_name) else { return };
        let own: &[Callback] = match buffer {
            BufferType::VmConfiguration => return self.note_running("vm-configuration", ""),
            BufferType::HttpRequestBody => &[Callback::OnRequestBody],
            BufferType::HttpResponseBody => &[Callback::OnResponseBody],
            _ => return,
        };
        if !self.runs(own) && record.returned_nothing() {
            self.note_running("body-phase", buffer.name());
        }
        if let Some(Value::U32(size)) = argument(record, "max_size")
            && *size > i32::MAX as u32
        {
            self.note_running("buffer-size", buffer.name());
        }
    }

    fn buffer_written(&mut self, record: &HostcallRecord) {
        let inside = record.effects.iter().any(|effect| match effect {
            Effect::Buffer { change, .. } => {
                let before = (change.length + change.size as usize).saturating_sub(change.data.len());
                change.start > 0 && (change.start as usize) < before
            }
            _ => false,
        });
        let start = match argument(record, "start") {
            Some(Value::U32(start)) => *start,
            _ => 0,
        };
        // Where it is refused, the trace does not say how long the buffer was; an append has a start of 2 GiB or more.
        let refused = record.result == HostcallResult::Status(Status::BadArgument)
            && (1..i32::MAX as u32).contains(&start)
            && self.runs(&[Callback::OnRequestBody, Callback::OnResponseBody]);
        if inside || refused {
            self.note_running("buffer-splice", "");
        }
    }

    fn property_read(&mut self, record: &HostcallRecord) {
        let Some(path) = argument(record, "path").and_then(bytes) else { return };
        let shown = property_path::dotted(&path);
        if shown == "plugin_root_id" {
            return self.note_running("root-id", "");
        }
        if record.result != HostcallResult::Status(Status::Ok) || self.set.contains(&shown) {
            return;
        }
        match property_path::segments(&path).count() {
            0 | 1 => self.note_running("property-name", &shown),
            _ => self.note_running("property-path", &shown),
        }
    }

    fn property_set(&mut self, record: &HostcallRecord) {
        let Some(path) = argument(record, "path").and_then(bytes) else { return };
        let shown = property_path::dotted(&path);
        if !BODY_PROPERTIES.contains(&&shown[..]) {
            self.note_running("property-set", &shown);
        }
        self.set.insert(shown);
    }

    fn http_call(&mut self, record: &HostcallRecord) {
        let lacks = |pairs: &[(Bytes, Bytes)]| {
            let has = |name: &str| pairs.iter().any(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
            !(has(":method") && has(":path") && (has(":authority") || has("host")))
        };
        if let Some(Value::Pairs(pairs)) = argument(record, "headers")
            && lacks(pairs)
        {
            self.note_running("call-headers", "");
        }
        for effect in &record.effects {
            if let Effect::HttpCall(call) = effect {
                self.call_started(record, call);
            }
        }
        // A second call that is refused is one as well.
        let busy = self.pending.values().any(|exchange| exchange.is_some() && *exchange == record.exchange);
        if record.result == HostcallResult::Status(Status::InternalFailure) && busy {
            self.note_running("parallel-calls", "");
        }
    }

    fn call_started(&mut self, record: &HostcallRecord, call: &HttpCall) {
        self.note_running("call-upstream", &String::from_utf8_lossy(&call.upstream));
        self.note_running("call-ids", &call.id.to_string());
        if !call.trailers.is_empty() {
            self.note_running("call-trailers", "");
        }
        if self.pending.values().any(|exchange| exchange.is_some() && *exchange == record.exchange) {
            self.note_running("parallel-calls", "");
        }
        let yieldable = [Callback::OnRequestHeaders, Callback::OnRequestBody, Callback::OnHttpCallResponse];
        if !self.runs(&yieldable) {
            let entry = self.running.as_ref().map_or("", |running| running.entry.name());
            self.note_running("call-phase", entry);
        }
        if let Some(running) = &mut self.running {
            running.calls += 1;
            self.pending.insert((running.plugin, call.id.0), record.exchange);
        }
    }

    fn local_response(&mut self, record: &HostcallRecord) {
        let status = match argument(record, "status_code") {
            Some(Value::U32(status)) => *status,
            _ => return,
        };
        if record.exchange.is_none() {
            return;
        }
        if let Some(running) = &mut self.running {
            running.local_responses += 1;
        }
        if status < 100 {
            self.note_running("local-response-status", &status.to_string());
        }
        if self.runs(&[Callback::OnResponseHeaders, Callback::OnResponseBody]) {
            self.note_running("late-local-response", "");
        } else if status >= 300 && argument(record, "body").and_then(bytes).is_some_and(|body| body.is_empty()) {
            self.note_running("error-page", &status.to_string());
        }
    }
}

fn argument<'a>(record: &'a HostcallRecord, name: &str) -> Option<&'a Value> {
    record.args.iter().find(|(argument, _)| *argument == name).map(|(_, value)| value)
}

/// An argument that is an enum, by its name.
fn named(record: &HostcallRecord, name: &str) -> Option<&'static str> {
    match argument(record, name)? {
        Value::Name(name) => Some(name),
        _ => None,
    }
}

fn bytes(value: &Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

fn removes(record: &HostcallRecord) -> bool {
    record.name == "proxy_remove_header_map_value"
}

impl HostcallRecord {
    /// Whether nothing but emptiness came back: the answer of hosts for what is not there.
    fn returned_nothing(&self) -> bool {
        let empty = |value: &Value| match value {
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Pairs(pairs) => pairs.is_empty(),
            _ => false,
        };
        let reads = self.name.starts_with("proxy_get_");
        let found = self.result == HostcallResult::Status(Status::NotFound);
        reads && self.name != "proxy_get_header_map_value" && (found || self.returned.iter().all(|(_, v)| empty(v)))
    }
}
