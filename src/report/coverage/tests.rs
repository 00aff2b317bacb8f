//! Coverage of small traces.

use super::*;
use crate::abi::{ContextId, PluginIndex};
use crate::trace::{CallbackArgs, CallbackEntered, HostcallRecord};

fn call(name: &'static str, result: HostcallResult) -> Event {
    Event::Hostcall(HostcallRecord {
        plugin: PluginIndex(0),
        context: ContextId(1),
        exchange: None,
        name,
        args: Vec::new(),
        result,
        returned: Vec::new(),
        effects: Vec::new(),
    })
}

fn entered(callback: Callback) -> Event {
    let (plugin, context) = (PluginIndex(0), ContextId(1));
    let (callback, args) = (Entry::Callback(callback), CallbackArgs::default());
    Event::CallbackEntered(CallbackEntered { plugin, callback, context, exchange: None, args })
}

fn coverage() -> Coverage {
    let mut coverage = Coverage::default();
    let status = HostcallResult::Status;
    coverage.add(
        "envoy",
        &[
            entered(Callback::OnTick),
            call("proxy_log", status(Status::Ok)),
            call("proxy_log", status(Status::BadArgument)),
            call("proxy_log", status(Status::Empty)),
            call("fd_write", HostcallResult::Errno(0)),
            call("proc_exit", HostcallResult::None),
        ],
    );
    coverage.add("envoy", &[call("proxy_log", status(Status::Ok))]);
    coverage.add("apisix", &[call("proxy_log", status(Status::Ok))]);
    coverage
}

fn find<'a>(host: &'a HostCoverage, name: &str) -> Option<&'a HostcallCoverage> {
    host.hostcalls.iter().find(|hostcall| hostcall.name == name)
}

#[test]
fn reached_and_missing_are_told_apart() {
    let hosts = coverage().hosts();
    let names: Vec<_> = hosts.iter().map(|host| (host.host, host.cases)).collect();
    assert_eq!(names, [("envoy", 2), ("apisix", 1)]);
    let envoy = &hosts[0];
    let log = find(envoy, "proxy_log").expect("a hostcall");
    assert_eq!(log.calls, 4);
    assert_eq!(log.documented[0], (Outcome::Status(Status::Ok), 2));
    assert_eq!(log.missing().collect::<Vec<_>>(), [Outcome::Status(Status::InvalidMemoryAccess)]);
    assert_eq!(log.undocumented, [(Outcome::Status(Status::Empty), 1)]);
    let write = find(envoy, "fd_write").expect("a function");
    assert_eq!(write.missing().collect::<Vec<_>>(), [Outcome::Errno(8), Outcome::Errno(21)]);
    assert_eq!(find(envoy, "proc_exit").map(|exit| exit.calls), Some(1));
    assert!(envoy.callbacks.contains(&(Callback::OnTick, 1)) && envoy.callbacks.contains(&(Callback::OnLog, 0)));
}

#[test]
fn what_a_host_does_not_have_is_not_missing() {
    let hosts = coverage().hosts();
    assert!(find(&hosts[1], "proxy_get_log_level").is_none());
    assert!(hosts[1].callbacks.iter().all(|(callback, _)| *callback != Callback::OnTick));
}

#[test]
fn the_table_says_all_of_it() {
    let page = text(&coverage(), false, 100);
    for line in [
        "envoy reached by 2 cases: 1 of 43 hostcalls, 2 of ",
        " statuses, 1 of ",
        "  proxy_log  ok ×2, bad_argument ×1; not invalid_memory_access; undocumented: empty ×1",
        "  proc_exit  1 call",
        "  callbacks: on_tick ×1",
        "  hostcalls not called: proxy_get_log_level, ",
    ] {
        assert!(page.contains(line), "{line:?} is missing in\n{page}");
    }
    let value: serde_json::Value = serde_json::from_str(&json(&coverage())).expect("JSON");
    assert_eq!(value["hosts"][0]["hostcalls"][0]["documented"]["ok"], 2);
    assert_eq!(value["hosts"][0]["hostcalls"][0]["missing"][0], "invalid_memory_access");
    assert_eq!(value["hosts"][0]["callbacks"]["proxy_on_tick"], 1);
}
