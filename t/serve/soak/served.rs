//! What is served: the same in two versions, which differ in one header and in the identity of all else.

use super::origins;
use crate::serve::ends::{self, Origin, plugin};
use crate::support::root;
use pwtest::gateway::client::RealIp;
use pwtest::gateway::config::Config;
use pwtest::gateway::document;
use pwtest::gateway::forward::UpstreamStatus;
use pwtest::host::plugin::LoadedPlugin;
use pwtest::host::profile::{APISIX, ENVOY, Profile};
use pwtest::host::{PluginConfig, Rebuild, TrapPolicy};
use pwtest::proxy::{Clusters, Generation, Serves};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

/// How requests pass the plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A gateway with a global rule and routes, as APISIX has it.
    Gateway,
    /// One chain for all, as Envoy has it.
    Chain,
}

/// Everything that a server needs beside its settings.
pub struct Served {
    pub shape: Shape,
    upstream: Origin,
    service: Origin,
    silent: Origin,
    /// The modules of all generations, as long as somebody has them.
    modules: Mutex<Vec<Weak<LoadedPlugin>>>,
}

impl Served {
    pub fn new(shape: Shape) -> Self {
        let (upstream, service, silent) = (origins::upstream(), origins::service(), origins::silent());
        Self { shape, upstream, service, silent, modules: Mutex::default() }
    }

    /// Modules that are in memory.
    pub fn modules(&self) -> usize {
        self.modules.lock().expect("modules").iter().filter(|module| module.strong_count() > 0).count()
    }

    /// Modules that one generation has, and so its VMs.
    pub fn modules_of_one(&self) -> usize {
        match self.shape {
            Shape::Gateway => 6,
            Shape::Chain => 5,
        }
    }

    /// Every module anew, as a reload of files does it.
    pub fn generation(&self, number: usize) -> Generation {
        // The same plugin from another compiler target: other code, which does the same.
        let header = if number.is_multiple_of(2) { "rust/header.wasm" } else { "rust/header.wasip1.wasm" };
        match self.shape {
            Shape::Gateway => {
                let plugins = vec![
                    self.load(&APISIX, "probe", "../t/serve/soak/probe.wat", String::new()),
                    self.load(&APISIX, "header", header, String::new()),
                    self.load(&APISIX, "rewrite", "assemblyscript/rewrite.wasm", String::new()),
                    self.load(&APISIX, "log", "go/log.wasm", String::new()),
                    self.load(&APISIX, "call", "rust/http-call.wasm", String::new()),
                    self.load(&APISIX, "fragile", "rust/fragile.wasm", String::new()),
                ];
                let config = self.config(number);
                generation(
                    &APISIX,
                    Serves::Gateway {
                        plugins,
                        config,
                        show_upstream_status: UpstreamStatus::OnError,
                        real_ip: RealIp::default(),
                    },
                )
            }
            Shape::Chain => {
                let auth = r#"{"upstream": "authz", "path": "/check", "timeout_ms": 60000}"#;
                let censor = r#"{"words": ["secret"], "mask": "*"}"#;
                let version = format!("set x-version {}", number % 2);
                let plugins = vec![
                    self.load(&ENVOY, "probe", "../t/serve/soak/probe.wat", String::new()),
                    self.load(&ENVOY, "ext-auth", "rust/ext-auth.wasm", auth.to_owned()),
                    self.load(&ENVOY, "header", header, String::new()),
                    self.load(&ENVOY, "rewrite", "assemblyscript/rewrite.wasm", version),
                    self.load(&ENVOY, "censor", "rust/censor.wasm", censor.to_owned()),
                ];
                let upstream = Arc::new(ends::upstream(&[self.upstream.address]));
                let mut clusters = Clusters::default();
                clusters.insert("authz", &self.service.address.to_string()).expect("a cluster");
                let chain = generation(&ENVOY, Serves::Chain { plugins, upstream });
                Generation { clusters: Arc::new(clusters), ..chain }
            }
        }
    }

    /// A generation that does not start.
    pub fn broken(&self, number: usize) -> Generation {
        let mut broken = self.generation(number);
        let (Serves::Gateway { plugins, .. } | Serves::Chain { plugins, .. }) = &mut broken.serves;
        plugins.push(self.load(broken.profile, "broken", "wat/loading-start-section-trap.wat", String::new()));
        broken
    }

    fn load(&self, profile: &'static Profile, name: &str, file: &str, config: String) -> PluginConfig {
        // A clone of its own: the fixture's loader shares the engine, not the module.
        let plugin = plugin(file, profile, config);
        self.modules.lock().expect("modules").push(Arc::downgrade(&plugin.code));
        // apisix.md 4.2
        let root_id = if self.shape == Shape::Gateway { name.to_owned() } else { String::new() };
        PluginConfig { name: name.to_owned(), root_id, ..plugin }
    }

    /// Everything under other ids, so that every context is another one.
    pub fn config(&self, number: usize) -> Arc<Config> {
        let version = number % 2;
        let header = r#""header":{"conf":"x"}"#;
        let rewrite = format!(r#""rewrite":{{"conf":"set x-version {version}"}}"#);
        let route = |id: &str, uris: &str, plugins: &str, node: SocketAddr| {
            format!(
                r#"{{"id":"{id}{version}","uris":[{uris}],"plugins":{{{plugins}}},"upstream":{{"type":"roundrobin","nodes":{{"{node}":1}}}}}}"#
            )
        };
        let call = |whom: SocketAddr| format!(r#""call":{{"conf":"{whom}"}}"#);
        let to = self.upstream.address;
        let routes = [
            route("echo", r#""/echo/*","/big","/slow""#, &format!("{header},{rewrite}"), to),
            route("log", r#""/log""#, &format!(r#"{header},"log":{{"conf":"soak"}}"#), to),
            route("call", r#""/call""#, &call(self.service.address), to),
            route("wait", r#""/wait""#, &call(self.silent.address), to),
            route("trap", r#""/trap""#, r#""fragile":{"conf":"x"}"#, to),
        ];
        let names = ["probe", "header", "rewrite", "log", "call", "fragile"];
        let plugins: Vec<_> = (1..)
            .zip(names)
            .map(|(priority, name)| format!(r#"{{"name":"{name}","priority":{priority},"file":"{name}.wasm"}}"#))
            .collect();
        let text = format!(
            r#"{{"wasm":{{"plugins":[{}]}},"global_rules":[{{"id":"all{version}","plugins":{{"probe":{{"conf":"x"}}}}}}],"routes":[{}]}}"#,
            plugins.join(","),
            routes.join(",")
        );
        let (gateway, warnings) = document::gateway(&text, Path::new(&root())).expect("a document");
        assert!(warnings.is_empty(), "{warnings:?}");
        Arc::new(Config::compile(gateway.resources.plugins(), gateway.resources.objects()))
    }
}

/// A VM that trapped is built anew, as `pwtest serve` has it.
fn generation(profile: &'static Profile, serves: Serves) -> Generation {
    let policy = TrapPolicy { fail_request: profile.trap_fails_request, rebuild: Rebuild::Soon };
    Generation { policy, ..Generation::new(profile, serves) }
}
