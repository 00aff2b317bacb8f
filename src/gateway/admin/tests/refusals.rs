//! Who is refused, and what, and with which words.

use super::*;

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
