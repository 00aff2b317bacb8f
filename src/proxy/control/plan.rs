//! What is served, from what was read: objects, modules, and the generation that workers build their hosts from.
//!
//! A plan is whole or it is refused; nothing here changes what is served.

use super::modules::Freshness;
use super::{ControlError, Modules, Read, Source, objects};
use crate::diagnostic::Diagnostic;
use crate::gateway::client::RealIp;
use crate::gateway::config::Config;
use crate::gateway::document;
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::model::{Route, WasmPlugin};
use crate::gateway::resources::{Kind, Resources};
use crate::host::limits::{Limits, Work};
use crate::host::plugin::LoadedPlugin;
use crate::host::profile::Profile;
use crate::host::store::Stores;
use crate::host::{PluginConfig, Rebuild, TrapPolicy};
use crate::proxy::record::Serving;
use crate::proxy::reload::Watch;
use crate::proxy::state::StateFile;
use crate::proxy::{ClusterError, Clusters, Generation, Serves};
use std::sync::Arc;

/// Beats that a callback may take: two seconds, in which its worker serves nobody else.
const CALLBACK: Work = Work::Beats(200);
/// Beats of starting and configuring: a WAF compiles its rules there.
const START: Work = Work::Beats(6_000);
/// Linear memory of one VM: real hosts give all of the 4 GiB there may be, and fall with a plugin that takes them.
const MEMORY: usize = 1 << 30;

/// What is served, before anybody serves it.
pub struct Plan {
    pub(super) source: Source,
    pub(super) frame: Frame,
    pub(super) stores: Stores,
    pub(super) state: Option<StateFile>,
    pub(super) now: Now,
}

/// What may change.
pub(super) struct Now {
    pub(super) resources: Resources,
    /// The resources as the source had them.
    pub(super) read: Resources,
    pub(super) route: Option<Arc<Route>>,
    pub(super) admin: document::Admin,
    pub(super) modules: Modules,
    pub(super) loaded: Vec<Arc<LoadedPlugin>>,
    pub(super) edge: Edge,
    /// What does not change before a restart.
    pub(super) fixed: Fixed,
    pub(super) watch: Watch,
}

/// What is configured beside plugins and objects, and may change.
#[derive(Clone)]
pub(super) struct Edge {
    /// What clients are told of upstreams.
    show_upstream_status: UpstreamStatus,
    /// Whom clients are taken for.
    real_ip: RealIp,
    /// What plugins call by name.
    clusters: Arc<Clusters>,
}

/// What is configured and taken at the start alone: its names, and what each was then.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed([(&'static str, String); 4]);

impl Fixed {
    pub(super) fn of(options: &document::Options) -> Self {
        let admin = (options.admin.enabled, options.admin.listen);
        Self([
            ("apisix.node_listen", format!("{:?}", options.listen)),
            ("deployment.admin.admin_listen", format!("{admin:?}")),
            ("nginx_config.error_log", format!("{:?}", options.error_log)),
            ("nginx_config.error_log_level", format!("{:?}", options.error_log_level)),
        ])
    }

    /// The names of what is another now.
    pub(super) fn changed(&self, now: &Self) -> Vec<&'static str> {
        self.0.iter().zip(&now.0).filter(|(then, now)| then != now).map(|((name, _), _)| *name).collect()
    }
}

impl Now {
    pub(super) fn serving(&self) -> Serving {
        Serving { resources: self.resources.clone(), route: self.route.clone() }
    }
}

impl Plan {
    /// Makes a plan of what was read. Clusters that are given go before those of the configuration. What the state file keeps goes in the place of objects that were read, of which
    /// there may be none then.
    pub fn new(
        source: Source,
        read: Read,
        mut modules: Modules,
        profile: &'static Profile,
        clusters: Clusters,
        state: Option<StateFile>,
    ) -> Result<Self, ControlError> {
        let kept = match &state {
            Some(file) => {
                file.try_folder()?;
                file.read()?.map(|value| (file, value))
            }
            None => None,
        };
        let resources = match kept {
            Some((file, value)) => {
                let restored = Resources::restore(read.resources.plugins().to_vec(), &value);
                let mut restored = restored.map_err(|error| file.broken(error.to_string()))?;
                restored.set_matching(read.options.matching);
                restored
            }
            None => read.resources.clone(),
        };
        let mut watch = Watch::default();
        watch.set(read.all_files());
        let loaded = modules.load(resources.plugins(), Freshness::Kept)?;
        let Read { resources: read, options, route, .. } = read;
        let frame = Frame { profile, given: clusters };
        let (edge, fixed) = (frame.edge(&options)?, Fixed::of(&options));
        let now = Now { resources, read, route, admin: options.admin, modules, loaded, edge, fixed, watch };
        Ok(Self { source, frame, stores: Stores::default(), state, now })
    }

    /// What the workers build their hosts from.
    pub fn generation(&self) -> Generation {
        let config = config(&self.now.resources, self.now.route.as_ref());
        self.frame.generation(self.now.resources.plugins(), &self.now.loaded, config, self.now.edge.clone())
    }

    /// What plugins keep, over all workers and reloads.
    pub fn stores(&self) -> Stores {
        self.stores.clone()
    }

    /// Whether no request goes anywhere.
    pub fn is_empty(&self) -> bool {
        self.now.route.is_none() && self.now.resources.list(Kind::Routes).next().is_none()
    }

    /// Plugins that objects name and nobody has, each as a line for the log.
    pub fn unknown_plugins(&self) -> Vec<String> {
        self.now.resources.unknown_plugins()
    }
}

/// What every generation has.
pub(super) struct Frame {
    profile: &'static Profile,
    /// Clusters of the command line.
    given: Clusters,
}

impl Frame {
    pub(super) fn edge(&self, options: &document::Options) -> Result<Edge, ControlError> {
        let wrong = |error: ClusterError| ControlError::Configuration(Diagnostic::new(error.to_string()));
        Ok(Edge {
            show_upstream_status: options.show_upstream_status,
            real_ip: options.real_ip.clone(),
            clusters: Arc::new(self.given.with(&options.clusters).map_err(wrong)?),
        })
    }

    pub(super) fn generation(
        &self,
        plugins: &[WasmPlugin],
        modules: &[Arc<LoadedPlugin>],
        config: Arc<Config>,
        edge: Edge,
    ) -> Generation {
        let Edge { show_upstream_status, real_ip, clusters } = edge;
        let entry =
            |(plugin, code): (&WasmPlugin, &Arc<LoadedPlugin>)| PluginConfig::gateway_entry(&plugin.name, code.clone());
        let plugins = plugins.iter().zip(modules).map(entry).collect();
        let limits = Limits { callback: CALLBACK, start: START, memory: Some(MEMORY) };
        // APISIX goes on with a VM as its trap left it; here nobody is served by a broken one.
        let policy = TrapPolicy { fail_request: self.profile.trap_fails_request, rebuild: Rebuild::Soon };
        let serves = Serves::Gateway { plugins, config, show_upstream_status, real_ip };
        Generation { limits, policy, clusters, ..Generation::new(self.profile, serves) }
    }
}

pub(super) fn config(resources: &Resources, route: Option<&Arc<Route>>) -> Arc<Config> {
    Arc::new(Config::compile(resources.plugins(), objects(resources, route)))
}
