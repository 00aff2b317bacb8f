//! The words of 1.1, 1.3 and 7.2.

use super::*;
use crate::gateway::resources::Kind as Objects;
use serde_json::json;

fn text(schema: &Schema, mut value: Value) -> String {
    schema.check(&mut value).expect_err("a mismatch").text
}

#[test]
fn every_keyword_of_every_schema_is_understood() {
    let mut unread = Vec::new();
    for kind in Objects::ALL {
        Schema::read(&written(kind), &mut unread);
    }
    Schema::read(&wasm_plugin_schema(), &mut unread);
    assert_eq!(unread, Vec::<String>::new());
}

/// 1.1.
#[test]
fn wasm_plugins_are_checked_as_the_command_line_of_apisix_does() {
    let plugins = |item: Value| json!({ "wasm": { "plugins": [item] } });
    let inside =
        "property \"wasm\" validation failed: property \"plugins\" validation failed: failed to validate item 1: ";
    for (item, end) in [
        (json!({ "name": "a", "file": "a.wasm" }), "property \"priority\" is required"),
        (json!({ "name": "a", "priority": 1 }), "property \"file\" is required"),
        (
            json!({ "name": "a", "file": "a.wasm", "priority": 1, "http_request_phase": "log" }),
            "property \"http_request_phase\" validation failed: matches none of the enum values",
        ),
    ] {
        assert_eq!(text(wasm(), plugins(item)), format!("{inside}{end}"));
    }
    let mut good = plugins(json!({ "name": "a", "file": "a.wasm", "priority": 1, "other": 1 }));
    assert_eq!(wasm().check(&mut good), Ok(()));
    assert_eq!(good["wasm"]["plugins"][0]["http_request_phase"], "access");
}

/// 1.3: `conf` is text or an object, and neither is empty.
#[test]
fn a_conf_is_text_or_an_object_that_is_not_empty() {
    for conf in [json!(""), json!({}), json!(1), json!(true), json!(null), json!([1])] {
        assert_eq!(
            text(plugin(), json!({ "conf": conf })),
            "property \"conf\" validation failed: value should match only one schema, but matches none"
        );
    }
    assert_eq!(text(plugin(), json!({ "setting": {} })), "property \"conf\" is required");
    for good in [json!({ "conf": "x", "id": "log" }), json!({ "conf": { "a": 1 }, "_meta": { "disable": true } })] {
        assert_eq!(plugin().check(&mut good.clone()), Ok(()));
    }
}

/// 7.2.
#[test]
fn the_texts_of_the_admin_api() {
    let wrong = |key: &str, value: Value| {
        let mut route = json!({ "uri": "/", "plugins": {} });
        route[key] = value;
        text(route_schema(), route)
    };
    assert_eq!(
        wrong("methods", json!(["GETT"])),
        "property \"methods\" validation failed: failed to validate item 1: matches none of the enum values"
    );
    assert_eq!(wrong("id", json!("a/b")), "property \"id\" validation failed: object matches none of the required");
    assert_eq!(wrong("other", json!(1)), "additional properties forbidden, found other");
    assert_eq!(text(global_rule(), json!({ "id": 1 })), "property \"plugins\" is required");
    assert_eq!(
        text(route_schema(), json!({ "plugins": {} })),
        "allOf 1 failed: value should match only one schema, but matches none"
    );
}

fn route_schema() -> &'static Schema {
    route()
}

/// 7.2: 3.11 stores the defaults of its schemas.
#[test]
fn defaults_are_filled_in() {
    let mut value = json!({ "uri": "/", "upstream": { "nodes": [{ "host": "a", "port": 1, "weight": 1 }] } });
    assert_eq!(route().check(&mut value), Ok(()));
    assert_eq!(
        value,
        json!({
            "uri": "/",
            "upstream": {
                "nodes": [{ "host": "a", "port": 1, "weight": 1, "priority": 0 }],
                "type": "roundrobin", "hash_on": "vars", "scheme": "http", "pass_host": "pass",
            },
            "priority": 0,
            "status": 1,
        })
    );
}

#[test]
fn a_mismatch_knows_its_place() {
    let mut value = json!({ "uri": "/", "upstream": { "nodes": {}, "retries": -1 } });
    let wrong = route().check(&mut value).expect_err("a mismatch");
    assert_eq!(wrong.path, [Step::Key("upstream".into()), Step::Key("retries".into())]);
}

/// What t/admin/health-check.t sends, and how the library says what is wrong with it.
#[test]
fn health_checks_are_checked() {
    let check = |checks: Value| {
        let mut value = json!({ "nodes": {}, "checks": checks });
        upstream().check(&mut value).map(|()| value["checks"].clone()).map_err(|wrong| wrong.text)
    };
    let wrong = |checks: Value, text: &str| {
        let expected = format!("property \"checks\" validation failed: {text}");
        assert_eq!(check(checks), Err(expected));
    };
    let healthy = "property \"active\" validation failed: property \"healthy\" validation failed: ";
    let unhealthy = "property \"unhealthy\" validation failed: ";
    wrong(
        json!({ "active": { "healthy": { "successes": 255 } } }),
        &format!("{healthy}property \"successes\" validation failed: expected 255 to be at most 254"),
    );
    wrong(
        json!({ "active": { "healthy": { "successes": 0 } } }),
        &format!("{healthy}property \"successes\" validation failed: expected 0 to be at least 1"),
    );
    wrong(
        json!({ "active": { "healthy": { "http_statuses": [200, 200] } } }),
        &format!(
            "{healthy}property \"http_statuses\" validation failed: expected unique items but items 1 and 2 are equal"
        ),
    );
    wrong(
        json!({ "active": { "type": "udp" } }),
        "property \"active\" validation failed: property \"type\" validation failed: matches none of the enum values",
    );
    wrong(
        json!({ "active": { "unhealthy": { "http_failures": 3.1 } } }),
        &format!(
            "property \"active\" validation failed: {unhealthy}property \"http_failures\" validation failed: wrong \
             type: expected integer, got number"
        ),
    );
    wrong(
        json!({ "active": {}, "passive": { "unhealthy": { "http_statuses": [500, 600] } } }),
        &format!(
            "property \"passive\" validation failed: {unhealthy}property \"http_statuses\" validation failed: failed to \
             validate item 2: expected 600 to be at most 599"
        ),
    );
    wrong(json!({ "passive": {} }), "object matches none of the required: [\"active\"] or [\"active\",\"passive\"]");
    let filled = check(json!({ "active": { "http_path": "/status" }, "passive": { "healthy": { "successes": 0 } } }));
    let filled = filled.expect("checks");
    assert_eq!(filled["active"]["timeout"], json!(1));
    assert_eq!(filled["passive"]["healthy"]["http_statuses"].as_array().map(Vec::len), Some(19));
}
