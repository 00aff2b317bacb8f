//! APISIX's tests of contexts (`apisix.md` 5.2, 5.3), with the tutorial's program: the ids in its lines are plugin
//! context and http context.

use super::super::config::samples::*;
use super::super::facts::tests::facts;
use super::super::model::{
    GlobalRule, Objects, PluginConf, PluginConfig as SharedPlugins, RequestPhase, Revision, Route, WasmPlugin,
};
use super::super::target::Target;
use super::*;
use crate::abi::{ExchangeId, LogLevel};
use crate::host::engine::{Metering, ModuleCache, metered_engine};
use crate::host::env::{Clock, Entropy};
use crate::host::exchange::ConnectionInfo;
use crate::host::limits::Limits;
use crate::host::plugin::LoadedPlugin;
use crate::host::world::World;
use crate::host::{Output, Rebuild, TrapPolicy, profile};
use crate::message::{Headers, Part};
use crate::trace::Recording;
use bytes::Bytes;
use std::path::Path;
use std::sync::OnceLock;

/// Compiled once for all tests: a Go module is megabytes.
fn code() -> Arc<LoadedPlugin> {
    static CODE: OnceLock<Arc<LoadedPlugin>> = OnceLock::new();
    let load = || {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/go/log.wasm");
        let engine = metered_engine(&ModuleCache::User, Metering::Fuel).expect("an engine");
        Arc::new(LoadedPlugin::load(&engine, &path, &profile::APISIX).expect("the plugin loads"))
    };
    CODE.get_or_init(load).clone()
}

/// A gateway of one worker.
struct Gateway {
    host: Host,
    contexts: Contexts,
    config: Config,
    log: Vec<String>,
}

impl Gateway {
    fn new(config: Config) -> Self {
        let mut world = World::new(&profile::APISIX, Clock::starting_at(0), Entropy::seeded(1), Recording::Off);
        world.log_level = Some(LogLevel::Info);
        let mut host =
            Host::new(world, Limits::default(), TrapPolicy { fail_request: true, rebuild: Rebuild::ForNextRequest });
        let plugins = ["wasm_log", "wasm_log2"].map(|name| PluginConfig::gateway_entry(name, code()));
        for plugin in &plugins {
            host.load(plugin.clone()).expect("the VM boots");
        }
        Self { host, contexts: Contexts::new(plugins), config, log: Vec::new() }
    }

    /// Sends a request up to the upstream; its lines at warn are what was logged.
    fn send(&mut self, authority: &str) -> ExchangeId {
        let none = Headers::new();
        let facts = facts("GET", "/hello", authority, &none);
        let routed = self.config.route(&facts);
        let (chain, order) = self.contexts.bind(&mut self.host, &routed.chain);
        let id = self.host.open_chain(ConnectionInfo::new("HTTP/1.1"), &chain, &order);
        let mut headers = Headers::new();
        for (name, value) in [(":method", "GET"), (":path", "/hello"), (":scheme", "http")] {
            headers.append(name, value);
        }
        headers.append(":authority", authority.to_owned());
        self.host.from_client(id, Part::Headers { headers, end_of_stream: true });
        if let Some(refusal) = routed.upstream.refusal() {
            assert_eq!(routed.upstream, Target::NoRoute);
            self.host.reply(id, refusal.status.into(), Headers::new(), Bytes::from_static(b"x"));
        }
        self.drain();
        id
    }

    fn answer(&mut self, id: ExchangeId) {
        let headers = [(Bytes::from(":status"), Bytes::from("200"))].into_iter().collect();
        self.host.from_upstream(id, Part::Headers { headers, end_of_stream: true });
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.host.next_output() {
            if let Output::Log(line) = output {
                self.log.push(String::from_utf8_lossy(&line.message).into_owned());
            }
        }
    }

    fn hit(&mut self, authority: &str) {
        let id = self.send(authority);
        self.answer(id);
    }

    /// What the plugins said, as conf and ids.
    fn said(&mut self) -> Vec<String> {
        let lines = std::mem::take(&mut self.log).into_iter();
        lines.filter(|line| line.starts_with("run plugin ctx")).collect()
    }

    fn write(&mut self, config: Config) {
        self.contexts.retain(&mut self.host, &config);
        self.config = config;
        self.drain();
    }
}

fn line(conf: &str, plugin: u32, http: u32) -> String {
    format!("run plugin ctx {plugin} with conf {conf} in http ctx {http}")
}

fn of_host(id: &str, host: &str) -> Route {
    Route { hosts: vec![host.to_owned()], ..route(id, "/hello") }
}

fn both() -> Vec<PluginConf> {
    vec![conf("wasm_log", "blahblah"), conf("wasm_log2", "zzz")]
}

/// 5.2, TEST 6.
#[test]
fn two_plugins_are_two_vms() {
    let mut gateway = Gateway::new(compile(routes(vec![Route { plugins: both(), ..route("1", "/hello") }])));
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("blahblah", 1, 2), line("zzz", 1, 2)]);
}

/// 5.2, TEST 7.
#[test]
fn the_rewrite_phase_comes_first() {
    let rewrites = WasmPlugin { http_request_phase: RequestPhase::Rewrite, ..entry("wasm_log2", 7998) };
    let objects = routes(vec![Route { plugins: both(), ..route("1", "/hello") }]);
    let mut gateway = Gateway::new(Config::compile(&[entry("wasm_log", 7999), rewrites], objects));
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("zzz", 1, 2), line("blahblah", 1, 2)]);
}

/// 5.2, TEST 9 and 11: hosts foo, bar, foo, bar.
#[test]
fn a_service_or_plugin_config_of_two_routes_has_two_contexts() {
    let plugins = vec![conf("wasm_log", "blahblah")];
    let by_service = |id: &str, host: &str| Route { service_id: Some("1".into()), ..of_host(id, host) };
    let by_config = |id: &str, host: &str| Route { plugin_config_id: Some("1".into()), ..of_host(id, host) };
    let of_service = Objects {
        services: vec![Arc::new(service("1", plugins.clone()))],
        ..routes(vec![by_service("1", "foo.com"), by_service("2", "bar.com")])
    };
    let shared = SharedPlugins { id: "1".into(), revision: Revision(1), plugins };
    let of_config = Objects {
        plugin_configs: vec![Arc::new(shared)],
        ..routes(vec![by_config("1", "foo.com"), by_config("2", "bar.com")])
    };
    for objects in [of_service, of_config] {
        let mut gateway = Gateway::new(compile(objects));
        for host in ["foo.com", "bar.com", "foo.com", "bar.com"] {
            gateway.hit(host);
        }
        let (foo, bar) = (line("blahblah", 1, 2), line("blahblah", 3, 4));
        assert_eq!(gateway.said(), [foo.clone(), bar.clone(), foo, bar]);
    }
}

fn global(route_plugins: Vec<PluginConf>, revision: u64) -> Objects {
    Objects {
        global_rules: vec![Arc::new(GlobalRule { id: "1".into(), revision: Revision(1), plugins: both() })],
        ..routes(vec![Route { plugins: route_plugins, revision: Revision(revision), ..route("1", "/hello") }])
    }
}

/// 5.3, TEST 2 and 4, in one process as there.
#[test]
fn a_global_rule_and_a_route_have_contexts_of_their_own() {
    let mut gateway = Gateway::new(compile(global(vec![], 1)));
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("blahblah", 1, 2), line("zzz", 1, 2)]);
    gateway.write(compile(global(vec![conf("wasm_log2", "www")], 2)));
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("blahblah", 1, 2), line("zzz", 1, 2), line("www", 3, 4)]);
}

/// 2.6: without a route the global rules still run.
#[test]
fn without_a_route_the_global_rules_run() {
    let mut gateway = Gateway::new(compile(Objects { routes: vec![], ..global(vec![], 1) }));
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("blahblah", 1, 2), line("zzz", 1, 2)]);
}

fn one(revision: u64) -> Config {
    let plugins = vec![conf("wasm_log", "x")];
    compile(routes(vec![Route { plugins, revision: Revision(revision), ..route("1", "/hello") }]))
}

/// 2.3: a write frees the context, and its id is the next one's; 2.4: the http context's id is not.
#[test]
fn a_write_frees_the_context_at_once() {
    let mut gateway = Gateway::new(one(1));
    gateway.hit("h");
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("x", 1, 2), line("x", 1, 2)]);
    gateway.write(one(2));
    assert_eq!(gateway.log, ["do clean up...", "free plugin context 1"]);
    assert_eq!((gateway.contexts.count(), gateway.host.population().plugin_contexts), (0, 0));
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("x", 1, 3)]);
}

/// 2.3: with a request in flight it is freed after that.
#[test]
fn a_request_in_flight_keeps_its_context() {
    let mut gateway = Gateway::new(one(1));
    let waits = gateway.send("h");
    gateway.write(one(2));
    assert_eq!(gateway.host.population().plugin_contexts, 1);
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("x", 1, 2), line("x", 3, 4)]);
    gateway.answer(waits);
    assert!(gateway.log.contains(&"free plugin context 1".to_owned()), "{:?}", gateway.log);
    assert_eq!(gateway.host.population().plugin_contexts, 1);
}

/// 2.6: `_meta.filter` false leaves the plugin out; the rest keeps its order and its contexts.
#[test]
fn a_filter_leaves_a_plugin_out() {
    let mut filtered = both();
    filtered[0].meta.filter = Some(serde_json::json!([["host", "==", "foo.com"]]));
    let mut gateway = Gateway::new(compile(routes(vec![Route { plugins: filtered, ..route("1", "/hello") }])));
    for host in ["bar.com", "foo.com", "bar.com"] {
        gateway.hit(host);
    }
    let (first, second) = (line("blahblah", 1, 2), line("zzz", 1, 2));
    assert_eq!(gateway.said(), [second.clone(), first, second.clone(), second]);
    assert_eq!(gateway.contexts.count(), 2);
}

/// 1.2: a plugin that did not load is unknown, and left out.
#[test]
fn a_plugin_that_is_not_there_is_left_out() {
    let objects = routes(vec![Route { plugins: both(), ..route("1", "/hello") }]);
    let mut gateway = Gateway::new(compile(objects));
    gateway.contexts.plugins.remove("wasm_log");
    gateway.hit("h");
    assert_eq!(gateway.said(), [line("zzz", 1, 2)]);
}
