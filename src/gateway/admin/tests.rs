//! 7.2, 1.3 and 5.2; texts from there, or from APISIX's own tests of its admin API.

mod property;

use super::*;
use crate::gateway::model::{RequestPhase, WasmPlugin};

const NOW: u64 = 1_700_000_000;

pub(super) fn plugins() -> Vec<WasmPlugin> {
    let plugin = |name: &str, priority| WasmPlugin {
        name: name.into(),
        file: format!("{name}.wasm").into(),
        priority,
        http_request_phase: RequestPhase::Access,
    };
    vec![plugin("wasm_log", 7999), plugin("wasm_log2", 7998)]
}

fn resources() -> Resources {
    Resources::new(plugins())
}

struct Ask<'a> {
    resources: &'a mut Resources,
    keys: Vec<AdminKey>,
    headers: Headers,
    client: IpAddr,
    now: u64,
}

impl<'a> Ask<'a> {
    fn new(resources: &'a mut Resources) -> Self {
        Self { resources, keys: Vec::new(), headers: Headers::new(), client: [127, 0, 0, 1].into(), now: NOW }
    }

    fn send(&mut self, line: &str, body: &str) -> AdminReply {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let request = AdminRequest {
            method,
            target,
            headers: &self.headers,
            body: body.as_bytes(),
            now: self.now,
            keys: &self.keys,
            allowed: &Allowed::default(),
            client: self.client,
        };
        handle(self.resources, &request)
    }
}

fn ask(resources: &mut Resources, line: &str, body: &str) -> (u16, Value) {
    let reply = Ask::new(resources).send(line, body);
    let text = String::from_utf8(reply.body.to_vec()).expect("text");
    assert!(text.ends_with('\n'), "JSON ends with a line break: {text:?}");
    (reply.status, serde_json::from_str(&text).expect("JSON"))
}

/// The `error_msg` of a refusal.
fn refused(resources: &mut Resources, line: &str, body: &str) -> (u16, String) {
    let before = resources.clone();
    let (status, json) = ask(resources, line, body);
    assert_eq!(*resources, before, "what is refused changes nothing");
    (status, json["error_msg"].as_str().expect("an error_msg").to_owned())
}

const ROUTE: &str = r#"{"uri":"/hello","upstream":{"type":"roundrobin","nodes":{"127.0.0.1:1980":1}}}"#;

/// 7.1 and 7.2: the tutorial puts a route to the collection, with its id as a number in the body.
#[test]
fn the_route_of_the_tutorial() {
    let mut resources = resources();
    let body = r#"{"id":1,"uri":"/anything","plugins":{"wasm_log":{"conf":"hello apisix"}},
        "upstream":{"type":"roundrobin","nodes":{"httpbin.org:80":1}}}"#;
    let mut value = json!({
        "id": 1,
        "uri": "/anything",
        "plugins": { "wasm_log": { "conf": "hello apisix" } },
        "upstream": {
            "type": "roundrobin", "nodes": { "httpbin.org:80": 1 },
            "hash_on": "vars", "pass_host": "pass", "scheme": "http",
        },
        "priority": 0,
        "status": 1,
        "create_time": NOW,
        "update_time": NOW,
    });
    let reply = Ask::new(&mut resources).send("PUT /apisix/admin/routes", body);
    assert_eq!((reply.status, reply.effect), (201, AdminEffect::Changed));
    assert_eq!(reply.headers.get(b"x-api-version").map(|v| &v[..]), Some(&b"v3"[..]));
    assert_eq!(reply.headers.get(b"content-type").map(|v| &v[..]), Some(&b"application/json"[..]));
    assert_eq!(reply.headers.get(b"server").map(|v| v.starts_with(b"APISIX/")), Some(true));
    assert_eq!(reply.headers.get(b"access-control-allow-origin").map(|v| &v[..]), Some(&b"*"[..]));
    let sent: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(sent, json!({ "key": "/apisix/routes/1", "value": value }));

    let mut later = Ask::new(&mut resources);
    later.now = NOW + 5;
    assert_eq!(later.send("PUT /apisix/admin/routes", body).status, 200);
    value["update_time"] = (NOW + 5).into();
    let (status, shown) = ask(&mut resources, "GET /apisix/admin/routes/1", "");
    assert_eq!(status, 200);
    assert_eq!(shown["value"], value, "the time of the first write stays");
    assert!(shown["modifiedIndex"].as_u64() > shown["createdIndex"].as_u64());
    assert_eq!(resources.objects().routes[0].plugins[0].conf, "hello apisix");
}

/// 7.2.
#[test]
fn lists_are_empty_or_hold_what_single_objects_say() {
    let mut resources = resources();
    assert_eq!(ask(&mut resources, "GET /apisix/admin/routes", ""), (200, json!({ "list": [], "total": 0 })));
    assert_eq!(ask(&mut resources, "PUT /apisix/admin/routes/1", ROUTE).0, 201);
    let one = ask(&mut resources, "GET /apisix/admin/routes/1", "").1;
    assert_eq!(one["value"]["id"], "1", "an id from the path is text");
    let all = ask(&mut resources, "GET /apisix/admin/routes/", "").1;
    assert_eq!(all, json!({ "list": [one], "total": 1 }));
}

/// 7.2.
#[test]
fn what_is_missing_and_what_is_deleted() {
    let mut resources = resources();
    let missing = (404, json!({ "message": "Key not found" }));
    assert_eq!(ask(&mut resources, "GET /apisix/admin/routes/1", ""), missing);
    assert_eq!(ask(&mut resources, "DELETE /apisix/admin/routes/1", ""), missing);
    assert_eq!(ask(&mut resources, "PATCH /apisix/admin/routes/1", "{}"), missing);
    ask(&mut resources, "PUT /apisix/admin/routes/1", ROUTE);
    let deleted = ask(&mut resources, "DELETE /apisix/admin/routes/1", "");
    assert_eq!(deleted, (200, json!({ "deleted": "1", "key": "/apisix/routes/1" })));
    assert_eq!(ask(&mut resources, "GET /apisix/admin/routes/1", ""), missing);
}

/// 7.2: an id of twenty digits, from the number of the write.
#[test]
fn post_makes_the_id() {
    let mut resources = resources();
    let (status, first) = ask(&mut resources, "POST /apisix/admin/routes", ROUTE);
    let id = first["value"]["id"].as_str().expect("text").to_owned();
    assert_eq!((status, id.len()), (201, 20));
    assert!(id.bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(first["key"], format!("/apisix/routes/{id}"));
    let second = ask(&mut resources, "POST /apisix/admin/routes", ROUTE).1;
    assert_ne!(second["value"]["id"], first["value"]["id"]);
    assert_eq!(resources.objects().routes.len(), 2);
}

/// 7.2.
#[test]
fn patch_merges_objects_replaces_lists_and_deletes_with_null() {
    let mut resources = resources();
    let body = r#"{"uri":"/a","methods":["GET","POST"],"desc":"d","upstream":{"nodes":{"a:1":1,"b:1":1}}}"#;
    ask(&mut resources, "PUT /apisix/admin/routes/1", body);
    let change = r#"{"methods":["PUT"],"desc":null,"upstream":{"nodes":{"b:1":null,"c:1":2}}}"#;
    let mut later = Ask::new(&mut resources);
    later.now = NOW + 9;
    let reply = later.send("PATCH /apisix/admin/routes/1", change);
    let value = serde_json::from_slice::<Value>(&reply.body).expect("JSON")["value"].clone();
    assert_eq!(reply.status, 200);
    assert_eq!(value["methods"], json!(["PUT"]));
    assert_eq!(value.get("desc"), None);
    assert_eq!(value["upstream"]["nodes"], json!({ "a:1": 1, "c:1": 2 }));
    assert_eq!((&value["create_time"], &value["update_time"]), (&json!(NOW), &json!(NOW + 9)));

    let (status, reply) = ask(&mut resources, "PATCH /apisix/admin/routes/1/upstream/nodes", r#"{"d:1":1}"#);
    assert_eq!((status, &reply["value"]["upstream"]["nodes"]), (200, &json!({ "d:1": 1 })));
    let (status, reply) = ask(&mut resources, "PATCH /apisix/admin/routes/1/methods", r#"["GET"]"#);
    assert_eq!((status, &reply["value"]["methods"]), (200, &json!(["GET"])));
    assert_eq!(
        refused(&mut resources, "PATCH /apisix/admin/routes/1/uri/x", "1"),
        (400, "invalid sub-path: /uri".to_owned())
    );
}

/// 7.2 and 5.2: the texts of what is refused.
#[test]
fn refusals_of_the_admin_api() {
    let mut resources = resources();
    let with = |key: &str, value: Value| {
        let mut route: Value = serde_json::from_str(ROUTE).expect("JSON");
        route[key] = value;
        route.to_string()
    };
    let plugin = |conf: Value| with("plugins", json!({ "wasm_log": conf }));
    let none_fits = "failed to check the configuration of plugin wasm_log err: \
        property \"conf\" validation failed: value should match only one schema, but matches none";
    for (line, body, text) in [
        ("PUT /routes/1", String::new(), "missing configurations"),
        ("PUT /routes", ROUTE.to_owned(), "missing route id"),
        ("PUT /routes/2", with("id", json!(1)), "wrong route id"),
        ("POST /routes", with("id", json!(1)), "wrong route id, do not need it"),
        ("POST /routes/1", ROUTE.to_owned(), "wrong route id, do not need it"),
        (
            "PUT /routes/1",
            with("methods", json!(["GETT"])),
            "invalid configuration: property \"methods\" validation failed: \
             failed to validate item 1: matches none of the enum values",
        ),
        (
            "PUT /routes/a%20b",
            ROUTE.to_owned(),
            "invalid configuration: property \"id\" validation failed: object matches none of the required",
        ),
        (
            "PUT /routes/1",
            with("upstream_id", json!("no")),
            "failed to fetch upstream info by upstream id [no], response code: 404",
        ),
        (
            "PUT /routes/1",
            with("service_id", json!(7)),
            "failed to fetch service info by service id [7], response code: 404",
        ),
        (
            "PUT /routes/1",
            with("plugin_config_id", json!(7)),
            "failed to fetch plugin config info by plugin config id [7], response code: 404",
        ),
        ("PUT /routes/1", with("create_time", json!(7)), "the property is forbidden:  create_time"),
        ("PUT /routes/1", plugin(json!({ "conf": {} })), none_fits),
        ("PUT /routes/1", plugin(json!({ "conf": "" })), none_fits),
        (
            "PUT /routes/1",
            plugin(json!({ "setting": {} })),
            "failed to check the configuration of plugin wasm_log err: property \"conf\" is required",
        ),
        ("PUT /routes/1", plugin(json!("blah")), "invalid plugin conf \"blah\" for plugin [wasm_log]"),
        ("PUT /routes/1", with("plugins", json!({ "limit-count": {} })), "unknown plugin [limit-count]"),
        (
            "PUT /upstreams/1",
            r#"{"nodes":{"a:1":1},"pass_host":"rewrite"}"#.to_owned(),
            "`upstream_host` can't be empty when `pass_host` is `rewrite`",
        ),
        ("PUT /upstreams/1", r#"{"nodes":{"a:70000":1}}"#.to_owned(), "invalid port 70000"),
        ("PUT /global_rules/1", "{}".to_owned(), "invalid configuration: property \"plugins\" is required"),
        (
            "PUT /routes/1",
            with("vars", json!([["arg_a", "=", "1"]])),
            "failed to validate the 'vars' expression: invalid operator '='",
        ),
        ("DELETE /routes", String::new(), "missing route id"),
        ("PUT /routes/1?ttl=soon", ROUTE.to_owned(), "invalid argument ttl: should be a number"),
    ] {
        let line = line.replacen(" /", " /apisix/admin/", 1);
        assert_eq!(refused(&mut resources, &line, &body), (400, text.to_owned()), "{line} {body}");
    }
    let both = r#"{"uri":"/","host":"a","hosts":["b"],"plugins":{}}"#;
    let only_one = (400, "only one of host or hosts is allowed".to_owned());
    assert_eq!(refused(&mut resources, "PUT /apisix/admin/routes/1", both), only_one);
}

/// 5.2, tests 1 and 2: truncated JSON; the log says it, too.
#[test]
fn a_body_that_is_no_json() {
    let mut resources = resources();
    let reply = Ask::new(&mut resources).send("PUT /apisix/admin/routes/1", r#"{"uri":"/""#);
    let json: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(reply.status, 400);
    assert!(json["error_msg"].as_str().is_some_and(|text| text.starts_with("invalid request body: ")));
    assert_eq!(json["req_body"], r#"{"uri":"/""#);
    assert!(reply.logs[0].message.starts_with(r#"invalid request body: {"uri":"/" err: "#));
    assert_eq!(reply.logs[0].level, LogLevel::Error);
    let long = format!("\"{}\"", "x".repeat(MAX_BODY));
    assert_eq!(
        refused(&mut resources, "PUT /apisix/admin/routes/1", &long).1,
        "invalid request body: request size 1572866 is greater than the maximum size 1572864 allowed"
    );
}

/// 7.2: what is in use stays, except by force.
#[test]
fn what_is_in_use_is_not_deleted() {
    let mut resources = resources();
    let plugins = r#"{"plugins":{"wasm_log":{"conf":"x"}}}"#;
    ask(&mut resources, "PUT /apisix/admin/upstreams/u1", r#"{"type":"roundrobin","nodes":{"a:1":1}}"#);
    ask(&mut resources, "PUT /apisix/admin/services/1", r#"{"upstream_id":"u1"}"#);
    ask(&mut resources, "PUT /apisix/admin/plugin_configs/1", plugins);
    let in_use =
        |resources: &mut Resources, path: &str| refused(resources, &format!("DELETE /apisix/admin/{path}"), "").1;
    assert_eq!(
        in_use(&mut resources, "upstreams/u1"),
        "can not delete this upstream, service [1] is still using it now"
    );
    let route = r#"{"uri":"/","upstream_id":"u1","service_id":1,"plugin_config_id":"1"}"#;
    assert_eq!(ask(&mut resources, "PUT /apisix/admin/routes/1", route).0, 201);
    for (path, text) in [
        ("upstreams/u1", "can not delete this upstream, route [1] is still using it now"),
        ("services/1", "can not delete this service directly, route [1] is still using it now"),
        ("plugin_configs/1", "can not delete this plugin config, route [1] is still using it now"),
    ] {
        assert_eq!(in_use(&mut resources, path), text);
    }
    assert_eq!(ask(&mut resources, "DELETE /apisix/admin/services/1?force=true", "").0, 200);
}

/// 7.2: keys, roles, addresses.
#[test]
fn who_may_ask() {
    let mut resources = resources();
    let mut asks = Ask::new(&mut resources);
    let key = |key: &str, role| AdminKey { name: "n".to_owned(), key: key.to_owned(), role };
    asks.keys = vec![key("secret", Role::Admin), key("look", Role::Viewer)];
    let description = |reply: AdminReply| {
        let json: Value = serde_json::from_slice(&reply.body).expect("JSON");
        assert_eq!((reply.status, &json["error_msg"]), (401, &json!("failed to check token")));
        json["description"].as_str().expect("text").to_owned()
    };
    assert_eq!(description(asks.send("GET /apisix/admin/routes", "")), "missing apikey");
    assert_eq!(description(asks.send("GET /apisix/admin/routes?api_key=x", "")), "wrong apikey");
    assert_eq!(
        description(asks.send("PUT /apisix/admin/routes/1?api_key=look", ROUTE)),
        "invalid method for role viewer"
    );
    assert_eq!(asks.send("GET /apisix/admin/routes?api_key=look", "").status, 200);
    asks.headers.append("Cookie", "a=b; x_api_key=secret");
    assert_eq!(asks.send("PUT /apisix/admin/routes/1", ROUTE).status, 201);
    asks.headers.replace("X-API-KEY", "nothing");
    assert_eq!(description(asks.send("PUT /apisix/admin/routes/1", ROUTE)), "wrong apikey");
    asks.client = [192, 168, 0, 1].into();
    assert_eq!(asks.send("GET /apisix/admin/routes?api_key=secret", "").status, 403);
}

/// 7.2: paths and methods that there are not.
#[test]
fn paths_and_methods() {
    let mut resources = resources();
    let refused = |resources: &mut Resources, line| {
        let (status, json) = ask(resources, line, "");
        (status, json["error_msg"].as_str().expect("text").to_owned())
    };
    assert_eq!(
        refused(&mut resources, "GET /apisix/admin/nothing"),
        (404, "Unsupported resource type: nothing".to_owned())
    );
    assert_eq!(
        refused(&mut resources, "POST /apisix/admin/global_rules"),
        (405, "not supported `POST` method for global rule".to_owned())
    );
    assert_eq!(refused(&mut resources, "DELETE /apisix/admin/plugins/x"), (404, "not found".to_owned()));
    assert_eq!(
        refused(&mut resources, "GET /apisix/admin/plugins/x"),
        (404, "plugin not found in subsystem http".to_owned())
    );
    let mut asks = Ask::new(&mut resources);
    for line in ["GET /", "GET /apisix/admin", "GET /routes", "BREW /apisix/admin/routes"] {
        let reply = asks.send(line, "");
        assert_eq!(reply.status, 404, "{line}");
        assert!(reply.body.starts_with(b"<html>"), "{line}");
    }
    let options = asks.send("OPTIONS /apisix/admin/routes/1", "");
    assert_eq!((options.status, options.body.len()), (200, 0));
    assert!(options.headers.get(b"access-control-allow-methods").is_some());
    assert_eq!(asks.send("HEAD /apisix/admin", "").status, 200);
}

/// 7.2.
#[test]
fn plugins_and_schemas() {
    let mut resources = resources();
    let mut asks = Ask::new(&mut resources);
    let reload = asks.send("PUT /apisix/admin/plugins/reload", "");
    assert_eq!((reload.status, &reload.body[..], reload.effect), (200, &b"done"[..], AdminEffect::ReloadPlugins));
    assert_eq!(asks.send("GET /apisix/admin/plugins/reload", "").status, 405);
    assert_eq!(ask(&mut resources, "GET /apisix/admin/plugins/list", ""), (200, json!([])));
    let (status, schema) = ask(&mut resources, "GET /apisix/admin/plugins/wasm_log", "");
    assert_eq!((status, &schema["required"]), (200, &json!(["conf"])));
    let mut asks = Ask::new(&mut resources);
    assert_eq!(asks.send("POST /apisix/admin/schema/validate/routes", ROUTE).status, 200);
    assert_eq!(asks.send("POST /apisix/admin/schema/validate/routes", "{}").status, 400);
}

/// 7.2: pages are cut after filters, and only of ten and more.
#[test]
fn pages_and_filters() {
    let mut resources = resources();
    for number in (1..=12).rev() {
        let route = json!({
            "uri": format!("/u{number}"), "name": format!("name {number}"), "plugins": {},
            "labels": { format!("l{}", number % 2): "x" },
        });
        ask(&mut resources, &format!("PUT /apisix/admin/routes/{number}"), &route.to_string());
    }
    let mut ids = |query: &str| {
        let list = ask(&mut resources, &format!("GET /apisix/admin/routes?{query}"), "").1;
        let ids = list["list"].as_array().expect("a list").iter();
        (list["total"].as_u64(), ids.map(|item| item["value"]["id"].as_str().expect("an id").to_owned()).collect())
    };
    let of = |ids: &[&str]| -> Vec<String> { ids.iter().map(|id| (*id).to_owned()).collect() };
    assert_eq!(ids("page=2&page_size=10"), (Some(12), of(&["2", "1"])));
    assert_eq!(ids("name=name%201$"), (Some(1), of(&["1"])));
    assert_eq!(ids("uri=/u1"), (Some(4), of(&["1", "10", "11", "12"])));
    assert_eq!(ids("label=l1&uri=/u1"), (Some(2), of(&["1", "11"])));
    let bad = Ask::new(&mut resources).send("GET /apisix/admin/routes?page=1&page_size=2", "");
    assert_eq!((bad.status, &bad.body[..]), (400, &b"page_size must be between 10 and 500"[..]));
}

/// Nothing is as deep as the stack.
#[test]
fn depth_is_bounded() {
    let mut resources = resources();
    assert_eq!(ask(&mut resources, "PUT /apisix/admin/routes/1", ROUTE).0, 201);
    let path = format!("PATCH /apisix/admin/routes/1/plugins{}", "/a".repeat(20_000));
    assert_eq!(refused(&mut resources, &path, "1"), (400, "invalid sub-path: more than 32 parts".to_owned()));
    let deep = format!("{}1{}", "{\"a\":".repeat(98), "}".repeat(98));
    let body = format!("{{\"uri\":\"/\",\"plugins\":{{\"wasm_log\":{{\"conf\":{deep}}}}}}}");
    let text = "invalid configuration: nested more than 100 deep".to_owned();
    assert_eq!(refused(&mut resources, "PUT /apisix/admin/routes/1", &body), (400, text));
}

/// `ttl` is in seconds; what is over is gone, and the proxy hears of it.
#[test]
fn a_time_to_live_ends() {
    let mut resources = resources();
    assert_eq!(ask(&mut resources, "PUT /apisix/admin/routes/1?ttl=5", ROUTE).0, 201);
    assert_eq!(resources.next_expiry(), Some(NOW + 5));
    let mut asks = Ask::new(&mut resources);
    asks.now = NOW + 4;
    assert_eq!(asks.send("GET /apisix/admin/routes/1", "").status, 200);
    asks.now = NOW + 5;
    let reply = asks.send("GET /apisix/admin/routes/1", "");
    assert_eq!((reply.status, reply.effect), (404, AdminEffect::Changed));
}
