//! The order of plugins (2.6) and the identity of their contexts (2.3), through `Config::route`.

use super::super::config::Config;
use super::super::config::samples::*;
use super::super::facts::tests::facts;
use super::super::model::*;
use super::*;
use crate::message::Headers;
use serde_json::json;

fn chain_of(config: &Config, target: &str) -> Chain {
    config.route(&facts("GET", target, "foo.com", &Headers::new())).chain
}

fn names(chain: &Chain) -> Vec<String> {
    chain.plugins.iter().map(|plugin| plugin.name.to_string()).collect()
}

fn confs(chain: &Chain) -> Vec<String> {
    chain.plugins.iter().map(|plugin| String::from_utf8_lossy(&plugin.conf).into_owned()).collect()
}

fn in_response_order(chain: &Chain) -> Vec<String> {
    let names = names(chain);
    chain.response_order.iter().map(|at| names[*at].clone()).collect()
}

fn rule(id: &str, plugins: Vec<PluginConf>) -> Arc<GlobalRule> {
    Arc::new(GlobalRule { id: id.into(), revision: Revision(1), plugins })
}

fn with_meta(name: &str, meta: Meta) -> PluginConf {
    PluginConf { meta, ..conf(name, "c") }
}

/// 2.6: global rules before the route, and in each list the rewrite phase before the access phase; responses by
/// priority alone.
#[test]
fn the_order_of_phases() {
    let rewrites =
        |name: &str, priority| WasmPlugin { http_request_phase: RequestPhase::Rewrite, ..entry(name, priority) };
    let known = [entry("a", 1), rewrites("b", 2), entry("c", 3), rewrites("d", 0)];
    let all = || ["a", "b", "c", "d"].map(|name| conf(name, name)).to_vec();
    let objects = Objects {
        global_rules: vec![rule("2", vec![conf("a", "x"), conf("d", "x")]), rule("1", vec![conf("c", "x")])],
        ..routes(vec![Route { plugins: all(), ..route("1", "/hello") }])
    };
    let config = Config::compile(&known, objects);
    let chain = chain_of(&config, "/hello");
    assert_eq!(names(&chain), ["d", "a", "c", "b", "d", "c", "a"]);
    assert_eq!(in_response_order(&chain), ["a", "d", "c", "c", "b", "a", "d"]);
    assert_eq!(chain.of_global_rules, 3);
    // No route: the global rules run all the same.
    let chain = chain_of(&config, "/else");
    assert_eq!(names(&chain), ["d", "a", "c"]);
    assert_eq!(in_response_order(&chain), ["a", "d", "c"]);
}

/// 2.6: `_meta.priority` reorders within one list, `_meta.disable` removes, `_meta.filter` is asked of each request.
#[test]
fn what_meta_changes() {
    let last = Meta { priority: Some(-1), ..Meta::default() };
    let off = Meta { disable: true, ..Meta::default() };
    let filter = Meta { filter: Some(json!([["arg_a", "==", "1"]])), ..Meta::default() };
    let known = [entry("a", 5), entry("b", 4), entry("c", 3), entry("d", 2)];
    let plugins =
        vec![with_meta("a", last), with_meta("b", filter), with_meta("c", off), conf("d", "c"), conf("unknown", "c")];
    let config = Config::compile(&known, routes(vec![Route { plugins, ..route("1", "/hello") }]));
    assert_eq!(names(&chain_of(&config, "/hello?a=1")), ["b", "d", "a"]);
    let filtered = chain_of(&config, "/hello");
    assert_eq!(names(&filtered), ["d", "a"]);
    assert_eq!(*filtered.response_order, [0, 1]);
}

/// 2.3: the route's configuration wins over the plugin_config's, and that one over the service's, each as a whole.
#[test]
fn what_is_merged() {
    let shared =
        PluginConfig { id: "p".into(), revision: Revision(2), plugins: vec![conf("a", "config"), conf("b", "config")] };
    let all = ["a", "b", "c"].map(|name| conf(name, "service")).to_vec();
    let merged = Route {
        plugins: vec![conf("a", "route")],
        plugin_config_id: Some("p".into()),
        service_id: Some("s".into()),
        ..route("1", "/hello")
    };
    let disabled = Meta { disable: true, ..Meta::default() };
    let without =
        Route { id: "2".into(), uris: vec!["/2".into()], plugins: vec![with_meta("a", disabled)], ..merged.clone() };
    let known = [entry("a", 5), entry("b", 4), entry("c", 3)];
    let objects = Objects {
        services: vec![Arc::new(service("s", all))],
        plugin_configs: vec![Arc::new(shared)],
        ..routes(vec![merged, without])
    };
    let config = Config::compile(&known, objects);
    assert_eq!(confs(&chain_of(&config, "/hello")), ["route", "config", "service"]);
    assert_eq!(names(&chain_of(&config, "/2")), ["b", "c"]);
    let scope = |at: usize| chain_of(&config, "/hello").plugins[at].key.scope.to_string();
    assert_eq!([scope(0), scope(1), scope(2)], ["route&service#1&s"; 3]);
}

/// Two routes, `/1` and `/2`, of a service `s` or a plugin_config `p`, at the given revisions.
fn shared(service_of: u64, plugin_config_of: u64, first_route: u64, by_service: bool) -> Config {
    let uses = |id: &str, revision: u64| Route {
        revision: Revision(revision),
        service_id: by_service.then(|| "s".into()),
        plugin_config_id: (!by_service).then(|| "p".into()),
        ..route(id, &format!("/{id}"))
    };
    let of_service = Service { revision: Revision(service_of), ..service("s", vec![conf("wasm_log", "x")]) };
    let plugins = vec![conf("wasm_log", "x")];
    let plugin_config = PluginConfig { id: "p".into(), revision: Revision(plugin_config_of), plugins };
    compile(Objects {
        services: vec![Arc::new(of_service)],
        plugin_configs: vec![Arc::new(plugin_config)],
        ..routes(vec![uses("1", first_route), uses("2", 2)])
    })
}

fn key(config: &Config, target: &str) -> ContextKey {
    chain_of(config, target).plugins[0].key.clone()
}

/// 2.3: two routes that inherit a service have two contexts, which end when the route or the service is written.
#[test]
fn contexts_of_a_service() {
    let before = shared(1, 1, 1, true);
    let (one, two) = (key(&before, "/1"), key(&before, "/2"));
    assert_ne!(one, two);
    assert_eq!(&*one.scope, "route&service#1&s");
    let route_written = shared(1, 1, 9, true);
    assert_ne!(key(&route_written, "/1"), one);
    assert_eq!(key(&route_written, "/2"), two);
    assert!(!route_written.has(&one.table) && route_written.has(&two.table));
    let service_written = shared(9, 1, 1, true);
    assert!(!service_written.has(&one.table) && !service_written.has(&two.table));
}

/// 2.3: a plugin_config that two routes use makes two contexts, which live until the plugin_config is written, even if
/// a route is written or deleted.
#[test]
fn contexts_of_a_plugin_config() {
    let before = shared(1, 1, 1, false);
    let (one, two) = (key(&before, "/1"), key(&before, "/2"));
    assert_ne!(one, two);
    assert_eq!(&*one.scope, "route#1");
    assert_eq!(key(&shared(1, 1, 9, false), "/1"), one);
    let config = PluginConfig { id: "p".into(), revision: Revision(1), plugins: vec![] };
    let all_deleted = compile(Objects { plugin_configs: vec![Arc::new(config)], ..Objects::default() });
    assert!(all_deleted.has(&one.table) && all_deleted.has(&two.table));
    let written = shared(1, 9, 1, false);
    assert_ne!(key(&written, "/1"), one);
    assert!(!written.has(&one.table));
}

/// 2.3: any write to a route is a new table, and so a new context; a route's own configuration outlives its service's.
#[test]
fn contexts_of_a_route() {
    let config = |route_revision: u64, service_revision: u64| {
        let route = Route {
            revision: Revision(route_revision),
            service_id: Some("s".into()),
            plugins: vec![conf("wasm_log", "x")],
            ..route("1", "/1")
        };
        let service = Service { revision: Revision(service_revision), ..service("s", vec![]) };
        compile(Objects { services: vec![Arc::new(service)], ..routes(vec![route]) })
    };
    let first = key(&config(1, 1), "/1");
    assert_eq!(key(&config(1, 2), "/1"), first);
    assert_ne!(key(&config(3, 1), "/1"), first);
    assert!(!config(3, 1).has(&first.table));
}

/// 2.3 (3.11): the context of a global rule is by the rule's id; 2.6: a route's context of the same plugin is another.
#[test]
fn contexts_of_a_global_rule() {
    let objects = Objects {
        global_rules: vec![rule("7", vec![conf("wasm_log", "x")])],
        ..routes(vec![Route { plugins: vec![conf("wasm_log", "x")], ..route("1", "/1") }])
    };
    let config = compile(objects);
    let chain = chain_of(&config, "/1");
    assert_eq!(&*chain.plugins[0].key.scope, "global_rule#7");
    assert_eq!(&*chain.plugins[1].key.scope, "route#1");
    assert_eq!(key(&config, "/none"), chain.plugins[0].key);
}

/// 2.6: where a reference leads nowhere APISIX answers before it looks at any plugin, those of global rules included.
#[test]
fn a_missing_service_has_no_plugins() {
    let objects = Objects {
        global_rules: vec![rule("7", vec![conf("wasm_log", "x")])],
        ..routes(vec![Route { service_id: Some("none".into()), ..route("1", "/1") }])
    };
    assert!(chain_of(&compile(objects), "/1").plugins.is_empty());
}
