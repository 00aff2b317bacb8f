//! The words about hosts, held against the fields of their profiles; and small traces.

use super::*;
use crate::abi::{Callback, Status};
use crate::host::profile::{APISIX, ENVOY, SPEC, Support};
use crate::trace::{CallbackArgs, CallbackLeft, HostcallRecord, HostcallResult, Value};

/// A kind of finding, and when a host does otherwise than most.
type Otherwise = (&'static str, fn(&Profile) -> bool);

const FIELDS: &[Otherwise] = &[
    ("hostcall-not-defined", |p| p.support("proxy_get_log_level") == Support::Undefined),
    ("body-change", |p| p.support("proxy_set_buffer_bytes") != Support::Works),
    ("header-map-replacement", |p| p.support("proxy_set_header_map_pairs") != Support::Works),
    ("shared-data", |p| p.support("proxy_set_shared_data") != Support::Works),
    ("shared-queue", |p| p.support("proxy_enqueue_shared_queue") != Support::Works),
    ("metrics", |p| p.support("proxy_increment_metric") != Support::Works),
    ("timer", |p| p.support("proxy_set_tick_period_milliseconds") != Support::Works),
    ("clock", |p| p.support("proxy_get_current_time_nanoseconds") != Support::Works),
    ("grpc-call", |p| p.support("proxy_grpc_call") != Support::Works),
    ("foreign-function", |p| p.support("proxy_call_foreign_function") != Support::Works),
    ("call-status", |p| p.support("proxy_get_status") != Support::Works),
    ("route-cache", |p| p.support("proxy_clear_route_cache") != Support::Works),
    ("proxy-done", |p| p.support("proxy_done") != Support::Works),
    ("close-stream", |p| p.support("proxy_close_stream") != Support::Works),
    ("continue-stream", |p| p.support("proxy_continue_stream") != Support::Works),
    ("callback-not-called", |p| !p.documented.calls(Callback::OnTick)),
    ("start-hostcall", |p| p.restricts_start),
    ("header-arguments", |p| !p.header_arguments),
    ("pause-response", |p| !p.response_pause_holds),
    ("done-refused", |p| !p.root_waits_for_done),
    ("response-order", |p| !p.response_reversed),
    ("header-map-phase", |p| p.maps_always_open),
    ("joined-header", |p| !p.single_value_headers.is_empty()),
    ("body-phase", |p| p.closed_body.is_ok()),
    ("buffer-splice", |p| p.splice_in_the_middle == Some(Status::BadArgument)),
    ("call-ids", |p| p.call_ids.0 == 0),
    ("call-failure", |p| p.call_failure_is_response),
    ("late-answer", |p| !p.answers_outlive_stream),
    ("process-exit", |p| p.exit_returns),
    ("after-trap", |p| !p.trap_disables_vm),
];

#[test]
fn quirks_are_what_the_fields_say() {
    for (id, otherwise) in FIELDS {
        assert!(kind(id).is_some(), "{id}");
        for profile in profile::ALL {
            assert_eq!(quirk(profile, id).is_some(), otherwise(profile), "{id} on {}", profile.name);
        }
    }
}

#[test]
fn every_kind_differs_somewhere_and_every_quirk_has_its_kind() {
    for kind in KINDS.iter().filter(|kind| kind.scope == Scope::Portability) {
        assert!(profile::ALL.iter().any(|profile| quirk(profile, kind.id).is_some()), "{}", kind.id);
    }
    for profile in profile::ALL {
        for (at, one) in profile.quirks.iter().enumerate() {
            let known = kind(one.id).filter(|kind| kind.scope == Scope::Portability);
            assert_ne!(known.expect("a kind").usual, one.does, "{}", one.id);
            assert!(!one.source.is_empty(), "{}", one.id);
            assert!(profile.quirks.iter().skip(at + 1).all(|other| other.id != one.id), "{} twice", one.id);
        }
    }
}

fn entered(callback: Callback, args: &[u32]) -> Event {
    let (plugin, context, exchange) = (PluginIndex(0), ContextId(2), Some(ExchangeId(1)));
    let (callback, args) = (Entry::Callback(callback), CallbackArgs::new(args));
    Event::CallbackEntered(CallbackEntered { plugin, callback, context, exchange, args })
}

fn left(callback: Callback, result: u32) -> Event {
    let (plugin, context, exchange) = (PluginIndex(0), ContextId(2), Some(ExchangeId(1)));
    let (callback, result) = (Entry::Callback(callback), Some(result));
    Event::CallbackLeft(CallbackLeft { plugin, callback, context, exchange, result })
}

fn call(name: &'static str, status: Status, args: &[(&'static str, Value)]) -> Event {
    Event::Hostcall(HostcallRecord {
        plugin: PluginIndex(0),
        context: ContextId(2),
        exchange: Some(ExchangeId(1)),
        name,
        args: args.to_vec(),
        result: HostcallResult::Status(status),
        returned: Vec::new(),
        effects: Vec::new(),
    })
}

#[test]
fn one_difference_for_each_id_with_all_that_it_was_about() {
    let headers = Callback::OnRequestHeaders;
    let events = [
        entered(headers, &[3, 1]),
        call("proxy_get_shared_data", Status::NotFound, &[]),
        call("proxy_set_shared_data", Status::Ok, &[]),
        call("proxy_set_shared_data", Status::Ok, &[]),
        left(headers, 0),
    ];
    let found = differences(&events, &ENVOY);
    let ids: Vec<_> = found.iter().map(Difference::id).collect();
    assert_eq!(ids, ["shared-data"]);
    assert_eq!(found[0].subjects, ["proxy_get_shared_data", "proxy_set_shared_data"]);
    assert_eq!(
        found[0].message("envoy"),
        "the plugin used shared data (proxy_get_shared_data, proxy_set_shared_data): on apisix, it answers unimplemented \
         (apisix.md 4); envoy keeps it for all VMs of the same id; keep state in the VM, as far as one worker will do"
    );
    // From the other side, both others do what is usual.
    let hosts: Vec<_> = differences(&events, &APISIX).iter().flat_map(|d| d.elsewhere.clone()).collect();
    assert_eq!(hosts.iter().map(|other| other.host).collect::<Vec<_>>(), ["spec", "envoy"]);
}

#[test]
fn hosts_that_do_the_same_are_left_out() {
    let body = Callback::OnRequestBody;
    let size = [("buffer_type", Value::Name("http_request_body")), ("max_size", Value::U32(u32::MAX))];
    let events = [entered(body, &[3, 1]), call("proxy_get_buffer_bytes", Status::Ok, &size), left(body, 0)];
    let on =
        |here| differences(&events, here).iter().flat_map(|d| d.elsewhere.clone()).map(|o| o.host).collect::<Vec<_>>();
    assert_eq!(on(&ENVOY), ["apisix"]);
    assert_eq!(on(&SPEC), ["apisix"]);
}

#[test]
fn an_empty_trace_has_none() {
    assert_eq!(differences(&[], &ENVOY), []);
}
