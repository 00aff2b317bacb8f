//! The plugins of a request in their order, and the identity of their contexts (2.3, 2.6).
//!
//! Chains are made when the configuration is compiled; a request clones two pointers, unless a plugin's `_meta.filter`
//! has to be asked.

use super::model::{GlobalRule, PluginConf, PluginConfig, RequestPhase, Revision, Route, Service, WasmPlugin};
use super::variables::Variables;
use super::vars::Expression;
use bytes::Bytes;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

/// What a plugin context belongs to: equal keys are one context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextKey {
    /// The entry of `wasm.plugins`.
    pub plugin: Arc<str>,
    /// `conf_type#conf_id` (2.3).
    pub scope: Arc<str>,
    /// The table that the configuration stands in. When it goes, so does the context.
    pub table: Arc<Table>,
}

/// A table of APISIX that has plugin configurations in it; a write makes a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// A route's own.
    Route(Arc<str>, Revision),
    /// A plugin_config's: routes refer to it, and don't copy it.
    PluginConfig(Arc<str>, Revision),
    /// A service's, copied for one route; any write to one of the three makes a new copy.
    Copy {
        /// The route.
        route: (Arc<str>, Revision),
        /// The plugin_config that the route refers to.
        plugin_config: Option<(Arc<str>, Revision)>,
        /// The service.
        service: (Arc<str>, Revision),
    },
    /// A global rule's.
    GlobalRule(Arc<str>, Revision),
}

impl fmt::Display for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.plugin, self.scope)
    }
}

/// A plugin of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainPlugin {
    /// The entry of `wasm.plugins`.
    pub name: Arc<str>,
    /// Which context of it.
    pub key: ContextKey,
    /// What the context is configured with.
    pub conf: Bytes,
    /// In place of the body of the 503 that APISIX answers when the plugin fails.
    pub error_response: Option<Bytes>,
}

/// The plugins of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// In the order of requests.
    pub plugins: Arc<[ChainPlugin]>,
    /// Places in `plugins`, in the order of responses.
    pub response_order: Arc<[usize]>,
    /// So many of `plugins`, from the first one on, are of global rules. If one of them answers the request, APISIX
    /// has not looked at the route's plugins yet, and they don't see the response either.
    pub of_global_rules: usize,
}

impl Chain {
    /// No plugins.
    pub fn empty() -> Self {
        Self { plugins: Arc::new([]), response_order: Arc::new([]), of_global_rules: 0 }
    }

    /// Whether it is one that was made beforehand, so that the next request will have the same.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.plugins) > 1
    }
}

/// The chain of a route, or of no route, as far as it is known before there is a request.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    links: Vec<Link>,
    /// The chain itself, where no filter has to be asked.
    ready: Option<Chain>,
}

#[derive(Debug, Clone)]
struct Link {
    plugin: ChainPlugin,
    /// Its place among responses, all plugins counted.
    response: usize,
    global: bool,
    filter: Option<Expression>,
}

impl Plan {
    /// The plugins of all global rules, one rule after the other (2.6).
    pub fn of_global_rules(known: &[WasmPlugin], rules: &[Arc<GlobalRule>]) -> Self {
        let mut links = Vec::new();
        for rule in rules {
            let table = Arc::new(Table::GlobalRule(rule.id.clone(), rule.revision));
            let scope: Arc<str> = format!("global_rule#{}", rule.id).into();
            let confs = rule.plugins.iter().map(|conf| (conf, &table)).collect();
            extend(&mut links, known, confs, &scope, true);
        }
        Self::new(links)
    }

    /// These, and then the plugins of a route.
    pub fn with_route(
        &self,
        known: &[WasmPlugin],
        route: &Route,
        plugin_config: Option<&PluginConfig>,
        service: Option<&Service>,
    ) -> Self {
        let tables = Tables::of(route, plugin_config, service);
        let sources = [
            Some((&route.plugins, &tables.route)),
            plugin_config.map(|of| &of.plugins).zip(tables.plugin_config.as_ref()),
            service.map(|of| &of.plugins).zip(tables.service.as_ref()),
        ];
        // The first that has a plugin has all of its configuration (2.3).
        let mut confs: Vec<(&PluginConf, &Arc<Table>)> = Vec::new();
        for (plugins, table) in sources.into_iter().flatten() {
            for conf in plugins {
                if !confs.iter().any(|(other, _)| other.name == conf.name) {
                    confs.push((conf, table));
                }
            }
        }
        let scope = match service {
            Some(service) => format!("route&service#{}&{}", route.id, service.id),
            None => format!("route#{}", route.id),
        };
        let mut links = self.links.clone();
        extend(&mut links, known, confs, &scope.into(), false);
        Self::new(links)
    }

    fn new(links: Vec<Link>) -> Self {
        let filtered = links.iter().any(|link| link.filter.is_some());
        let ready = (!filtered).then(|| chain(links.iter()));
        Self { links, ready }
    }

    /// All plugins, whatever their filters say of a request.
    pub fn whole(&self) -> Chain {
        self.ready.clone().unwrap_or_else(|| chain(self.links.iter()))
    }

    /// The chain of a request.
    pub fn chain(&self, request: &Variables<'_>) -> Chain {
        match &self.ready {
            Some(ready) => ready.clone(),
            None => {
                let wanted = |link: &&Link| link.filter.as_ref().is_none_or(|filter| filter.holds(request));
                chain(self.links.iter().filter(wanted))
            }
        }
    }
}

/// The tables that the plugins of a route stand in.
pub(super) struct Tables {
    pub route: Arc<Table>,
    pub plugin_config: Option<Arc<Table>>,
    pub service: Option<Arc<Table>>,
}

impl Tables {
    pub fn of(route: &Route, plugin_config: Option<&PluginConfig>, service: Option<&Service>) -> Self {
        let of_route = (route.id.clone(), route.revision);
        let of_config = plugin_config.map(|of| (of.id.clone(), of.revision));
        let copy = |service: &Service| Table::Copy {
            route: of_route.clone(),
            plugin_config: of_config.clone(),
            service: (service.id.clone(), service.revision),
        };
        Self {
            service: service.map(|service| Arc::new(copy(service))),
            plugin_config: of_config.clone().map(|(id, revision)| Arc::new(Table::PluginConfig(id, revision))),
            route: Arc::new(Table::Route(of_route.0, of_route.1)),
        }
    }
}

fn chain<'a>(links: impl Iterator<Item = &'a Link> + Clone) -> Chain {
    let mut order: Vec<(usize, usize)> = links.clone().enumerate().map(|(at, link)| (link.response, at)).collect();
    order.sort_unstable();
    Chain {
        of_global_rules: links.clone().filter(|link| link.global).count(),
        plugins: links.map(|link| link.plugin.clone()).collect(),
        response_order: order.into_iter().map(|(_, at)| at).collect(),
    }
}

/// Adds one list of plugins: by priority, those of the rewrite phase before those of the access phase; responses by
/// priority alone (2.6).
fn extend(
    links: &mut Vec<Link>,
    known: &[WasmPlugin],
    confs: Vec<(&PluginConf, &Arc<Table>)>,
    scope: &Arc<str>,
    global: bool,
) {
    let mut found: Vec<(&WasmPlugin, &PluginConf, &Arc<Table>)> = Vec::new();
    for (at, plugin) in known.iter().enumerate() {
        // Of two entries of one name, the first is all that APISIX sees (1.2).
        let again = known.iter().take(at).any(|earlier| earlier.name == plugin.name);
        if !again
            && let Some((conf, table)) = confs.iter().find(|(conf, _)| conf.name == plugin.name && !conf.meta.disable)
        {
            found.push((plugin, conf, table));
        }
    }
    // Of two plugins of one priority, that entry is first which is written first; APISIX leaves it open.
    found.sort_by_key(|(plugin, conf, _)| Reverse(conf.meta.priority.unwrap_or(plugin.priority)));
    let base = links.len();
    for phase in [RequestPhase::Rewrite, RequestPhase::Access] {
        for (at, (plugin, conf, table)) in found.iter().enumerate() {
            if plugin.http_request_phase != phase {
                continue;
            }
            let key = ContextKey { plugin: plugin.name.clone(), scope: scope.clone(), table: (*table).clone() };
            links.push(Link {
                plugin: ChainPlugin {
                    name: plugin.name.clone(),
                    key,
                    conf: conf.conf.clone(),
                    error_response: conf.meta.error_response.clone(),
                },
                response: base + at,
                global,
                // One that can't be compiled is none: APISIX warns, and runs the plugin.
                filter: conf.meta.filter.as_ref().and_then(|filter| Expression::compile(filter).ok()),
            });
        }
    }
}

#[cfg(test)]
mod tests;
