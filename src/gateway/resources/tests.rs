//! 7.2-7.5, and the state that survives a restart.

use super::*;
use crate::gateway::config::samples::entry;
use crate::gateway::model::{Balance, HashOn, PassHost, Scheme, Timeout, UpstreamRef};
use serde_json::json;

fn resources() -> Resources {
    Resources::new(vec![entry("wasm_log", 7999)])
}

fn put(resources: &mut Resources, kind: Kind, value: Value) {
    resources.put(kind, value, Checks::Admin).expect("a valid object");
}

/// 7.3 and 7.4.
#[test]
fn a_route_with_everything() {
    let mut resources = resources();
    let route = json!({
        "id": 5, "uris": ["/a", "/b*"], "hosts": ["*.Foo.com"], "methods": ["GET"], "remote_addr": "10.0.0.0/8",
        "vars": [["arg_x", "==", "1"]], "priority": -3, "status": 0, "enable_websocket": true,
        "timeout": { "connect": 0.5, "send": 6, "read": 1e300 },
        "plugins": { "wasm_log": { "conf": "x", "_meta": {
            "disable": true, "priority": 9, "error_response": { "a": 1 }, "filter": [["uri", "==", "/"]],
        } } },
        "upstream": {
            "type": "chash", "hash_on": "header", "key": "x-key", "scheme": "http", "retries": 2, "retry_timeout": 1.5,
            "pass_host": "rewrite", "upstream_host": "b.test", "keepalive_pool": { "size": 7 },
            "nodes": [{ "host": "[::1]", "port": 81, "weight": 2, "priority": -1 }, { "host": "a.test", "weight": 0 }],
        },
    });
    put(&mut resources, Kind::Routes, route);
    let route = resources.objects().routes[0].clone();
    assert_eq!((&*route.id, route.revision), ("5", Revision(1)));
    assert_eq!((route.uris.len(), route.hosts.as_slice()), (2, ["*.foo.com".to_owned()].as_slice()));
    assert_eq!((route.remote_addrs.len(), route.priority, route.enabled), (1, -3, false));
    assert!(route.vars.is_some() && route.enable_websocket);
    let timeout = route.timeout.expect("a timeout");
    assert_eq!((timeout.connect_ms, timeout.send_ms), (500, 6000));
    assert_eq!(timeout.read_ms, 365 * 24 * 3_600_000, "a deadline that can be reached");
    let meta = &route.plugins[0].meta;
    assert_eq!((meta.disable, meta.priority), (true, Some(9)));
    assert_eq!(meta.error_response.as_deref(), Some(&b"{\"a\":1}\n"[..]));
    let Some(UpstreamRef::Inline(upstream)) = &route.upstream else { panic!("an upstream of its own") };
    assert_eq!(upstream.balance, Balance::Chash { hash_on: HashOn::Header, key: "x-key".to_owned() });
    assert_eq!((upstream.scheme, &upstream.pass_host), (Scheme::Http, &PassHost::Rewrite("b.test".to_owned())));
    assert_eq!((upstream.retries, upstream.retry_timeout, upstream.keepalive_pool.size), (Some(2), Some(1.5), 7));
    assert_eq!(upstream.timeout, Timeout::default());
    let nodes: Vec<_> = upstream.nodes.iter().map(|n| (&*n.host, n.port, n.weight, n.priority)).collect();
    assert_eq!(nodes, [("::1", 81, 2, -1), ("a.test", 80, 0, 0)]);
}

/// 7.4: the keys of `nodes`.
#[test]
fn addresses_of_nodes() {
    for (text, expected) in [
        ("127.0.0.1:1980", Ok(("127.0.0.1", 1980))),
        ("httpbin.org", Ok(("httpbin.org", 80))),
        ("[::1]:81", Ok(("::1", 81))),
        ("[::1]", Ok(("::1", 80))),
        ("a:65536", Err("invalid port 65536")),
        ("a:0", Err("invalid port 0")),
        ("a:b", Err("invalid node address \"a:b\", expected `host:port`")),
        ("", Err("invalid node address \"\", expected `host:port`")),
        ("::1", Err("invalid node address \"::1\", expected `host:port`")),
        ("http://a:1", Err("invalid node address \"http://a:1\", expected `host:port`")),
    ] {
        assert_eq!(address(text), expected.map_err(str::to_owned), "{text}");
    }
}

/// 7.2-7.4: what is refused, in words.
#[test]
fn values_that_are_refused() {
    let resources = resources();
    let route = |key: &str, value: Value| {
        let mut route = json!({ "id": 1, "uri": "/", "plugins": {} });
        route[key] = value;
        resources.check(Kind::Routes, &mut route, Checks::Admin).expect_err(key).to_string()
    };
    for (key, value) in [
        ("uri", json!("")),
        ("uri", json!(1)),
        ("uri", json!("/x".repeat(4096))),
        ("uris", json!([])),
        ("methods", json!(["GET", "GET"])),
        ("host", json!("a/b")),
        ("remote_addr", json!("10.0.0.256")),
        ("remote_addr", json!("10.0.0.0/33")),
        ("remote_addrs", json!(["::1/129"])),
        ("priority", json!(1.5)),
        ("status", json!(2)),
        ("timeout", json!({ "connect": 1, "send": 0, "read": 1 })),
        ("timeout", json!({ "connect": 1 })),
        ("vars", json!({ "a": 1 })),
        ("vars", json!([["a", "=", "b"]])),
        ("plugins", json!({ "wasm_log": { "conf": "x", "_meta": { "other": 1 } } })),
        ("plugins", json!({ "wasm_log": { "conf": "x", "_meta": { "filter": [["a", "=", "b"]] } } })),
        ("upstream", json!({ "nodes": { "a:1": -1 } })),
        ("upstream", json!({ "nodes": [{ "host": "a", "port": 65536, "weight": 1 }] })),
        ("upstream", json!({ "type": "roundrobin" })),
        ("upstream", json!({ "nodes": {}, "type": "chash" })),
        ("upstream", json!({ "nodes": {}, "type": "chash", "key": "nothing" })),
        ("script", json!("return function() end")),
        ("id", json!(0)),
        ("id", json!("x".repeat(65))),
        ("labels", json!({ "a": 1 })),
    ] {
        assert!(!route(key, value).is_empty());
    }
    assert_eq!(
        route("upstream", json!({ "nodes": { "a:1": -1 } })),
        "invalid configuration: property \"upstream\" validation failed: property \"nodes\" validation failed: \
         object matches none of the required"
    );
    assert_eq!(
        route("remote_addr", json!("x")),
        "invalid configuration: property \"remote_addr\" validation failed: object matches none of the required"
    );
    let mut nothing = json!({ "id": 1, "uri": "/" });
    let text = resources.check(Kind::Routes, &mut nothing, Checks::Admin).expect_err("no target").to_string();
    assert!(text.starts_with("invalid configuration: object matches none of the required: [\"plugins\",\"uri\"] or "));
}

/// A number of a write for each table, as etcd's: what was written anew is another table (2.3).
#[test]
fn every_write_has_a_number() {
    let mut resources = resources();
    let route = |id: &str| json!({ "id": id, "uri": "/", "plugins": {} });
    put(&mut resources, Kind::Routes, route("b"));
    put(&mut resources, Kind::Routes, route("a"));
    put(&mut resources, Kind::Routes, route("b"));
    let objects = resources.objects();
    let routes: Vec<_> = objects.routes.iter().map(|route| (&*route.id, route.revision.0)).collect();
    assert_eq!(routes, [("b", 3), ("a", 2)], "in the order of the first write");
    assert_eq!(resources.revision(), Revision(3));
    assert!(resources.remove(Kind::Routes, "a") && !resources.remove(Kind::Routes, "a"));
    assert_eq!(resources.revision(), Revision(4));
}

/// 1.2: a plugin that is no more is left out, and what uses it stays.
#[test]
fn plugins_that_are_gone_are_left_out() {
    let mut resources = resources();
    let route = json!({ "id": 1, "uri": "/", "plugins": { "wasm_log": { "conf": "x" } } });
    put(&mut resources, Kind::Routes, route);
    let state = resources.to_state();
    assert_eq!(resources.objects().routes[0].plugins.len(), 1);
    resources.set_plugins(Vec::new());
    assert_eq!(resources.objects().routes[0].plugins.len(), 0);
    let restored = Resources::restore(Vec::new(), &state).expect("restored");
    assert_eq!(restored, resources);
}

#[test]
fn the_state_comes_back() {
    let mut resources = resources();
    put(&mut resources, Kind::Upstreams, json!({ "id": "u", "nodes": { "a:1": 1 } }));
    put(&mut resources, Kind::Routes, json!({ "id": 1, "uri": "/", "upstream_id": "u" }));
    put(&mut resources, Kind::Upstreams, json!({ "id": "u", "nodes": { "a:1": 2 } }));
    let text = resources.to_state().to_string();
    let state: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(Resources::restore(resources.plugins().to_vec(), &state).expect("restored"), resources);
}

#[test]
fn garbage_is_no_state() {
    let error = |state: Value| Resources::restore(Vec::new(), &state).expect_err("garbage").to_string();
    let entry = |value: Value| {
        let entry = json!({ "value": value, "createdIndex": 1, "modifiedIndex": 1 });
        json!({ "pwtest_state": 1, "revision": 1, "objects": { "routes": [entry] } })
    };
    for (state, text) in [
        (json!(null), "this is not a state of pwtest: `pwtest_state` is missing"),
        (json!({ "routes": [] }), "this is not a state of pwtest: `pwtest_state` is missing"),
        (json!({ "pwtest_state": 1 }), "this is not a state of pwtest: `revision` is not a number"),
        (
            json!({ "pwtest_state": 1, "revision": 1, "objects": { "others": [] } }),
            "this is not a state of pwtest: `others` is no kind of object",
        ),
        (entry(json!({ "uri": "/" })), "routes[0] of the state: invalid configuration: object matches none of the"),
        (entry(json!({ "uri": "/", "plugins": {} })), "this is not a state of pwtest: routes[0]: its id is missing"),
        (entry(json!(7)), "routes[0] of the state: invalid configuration: wrong type: expected object, got number"),
    ] {
        let found = error(state);
        assert!(found.starts_with(text), "{found}");
    }
    assert!(error(json!({ "pwtest_state": 2 })).contains("remove the file"));
}
