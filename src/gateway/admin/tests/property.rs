//! Whatever is sent: an answer, objects that are typed, and a state that comes back.

use super::super::*;
use crate::gateway::config::samples::plugins;
use proptest::prelude::*;

/// Words that lead somewhere, and some that don't.
const WORDS: [&str; 44] = [
    "uri",
    "uris",
    "host",
    "hosts",
    "methods",
    "remote_addr",
    "remote_addrs",
    "vars",
    "priority",
    "status",
    "timeout",
    "connect",
    "send",
    "read",
    "plugins",
    "wasm_log",
    "wasm_log2",
    "conf",
    "_meta",
    "disable",
    "error_response",
    "filter",
    "upstream",
    "upstream_id",
    "service_id",
    "plugin_config_id",
    "nodes",
    "type",
    "chash",
    "hash_on",
    "key",
    "pass_host",
    "upstream_host",
    "rewrite",
    "weight",
    "port",
    "127.0.0.1:1980",
    "[::1]:80",
    "a.test",
    "id",
    "1",
    "create_time",
    "labels",
    "é\u{0}/\"\\",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => "/[a-z*]{0,4}",
        1 => any::<String>(),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number(), word().prop_map(Value::from),];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word(), inner), 0..6).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// A route that is mostly one, with something of the above in it.
fn route() -> impl Strategy<Value = Value> {
    (word(), json(), any::<bool>()).prop_map(|(key, value, keep)| {
        let mut route =
            json!({ "uri": "/a", "upstream": { "nodes": { "a:1": 1 } }, "plugins": { "wasm_log": { "conf": "x" } } });
        if !keep && let Some(entries) = route.as_object_mut() {
            entries.insert(key, value);
        }
        route
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => json().prop_map(|value| value.to_string().into_bytes()),
        6 => route().prop_map(|value| value.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::sample::select(vec!["1e400", "[", "{\"a\":", "\"\\ud800\"", "-", "", "NaN"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => (1..4000_usize).prop_map(|deep| "[".repeat(deep).into_bytes()),
    ]
}

fn target() -> impl Strategy<Value = String> {
    let kinds = Kind::ALL.map(Kind::name);
    let part = prop_oneof![
        4 => prop::sample::select(vec!["1", "a", "plugins", "reload", "list", "schema", "validate", "upstream", "conf"])
            .prop_map(str::to_owned),
        1 => word(),
        1 => prop::sample::select(vec!["%2F", "%", "%zz", "%ff", "..", ".", "", "a%00b"]).prop_map(str::to_owned),
    ];
    let query = prop_oneof![
        4 => Just(String::new()),
        1 => "\\?(page|page_size|ttl|name|force|label|uri|subsystem|all)=[-0-9a-z.*+(%]{0,6}(&page_size=10)?",
        1 => any::<String>().prop_map(|text| format!("?{text}")),
    ];
    prop_oneof![
        12 => (prop::sample::select(kinds.to_vec()), prop::collection::vec(part, 0..5), query)
            .prop_map(|(kind, parts, query)| format!("/apisix/admin/{kind}/{}{query}", parts.join("/"))),
        1 => any::<String>(),
    ]
}

fn request() -> impl Strategy<Value = (&'static str, String, Vec<u8>)> {
    let methods = vec!["PUT", "PUT", "PUT", "POST", "PATCH", "PATCH", "GET", "DELETE", "OPTIONS", "HEAD", "", "put"];
    (prop::sample::select(methods), target(), body())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_sent_breaks_anything(requests in prop::collection::vec(request(), 1..12)) {
        let mut resources = Resources::new(plugins());
        let headers = Headers::new();
        for (at, (method, target, body)) in requests.iter().enumerate() {
            let before = resources.clone();
            let request = AdminRequest {
                method,
                target,
                headers: &headers,
                body,
                now: at as u64,
                keys: &[],
                allowed: &Allowed::default(),
                client: [127, 0, 0, 1].into(),
            };
            let reply = handle(&mut resources, &request);
            prop_assert!((200..500).contains(&reply.status));
            prop_assert_eq!(reply.effect == AdminEffect::Changed, resources != before);
            let objects = resources.objects();
            let count: usize = Kind::ALL.iter().map(|kind| resources.list(*kind).count()).sum();
            let typed = objects.routes.len() + objects.services.len() + objects.upstreams.len()
                + objects.plugin_configs.len() + objects.global_rules.len();
            prop_assert_eq!(typed, count);
        }
        let state: Value = serde_json::from_str(&resources.to_state().to_string()).expect("JSON");
        let restored = Resources::restore(plugins(), &state).expect("a state that comes back");
        prop_assert_eq!(restored, resources);
    }
}
