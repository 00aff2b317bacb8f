//! What is put, changed, listed and deleted.

use super::*;

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
