//! A configuration, compiled: from a request to its route, its plugins and its upstream.
//!
//! Immutable, and shared by threads. Compiling never fails: a reference that leads nowhere shows when a request comes
//! that way, as in APISIX.

use super::address::Addresses;
use super::chain::{Chain, Plan, Table, Tables};
use super::facts::RequestFacts;
use super::model::{
    Objects, PluginConfig, Route, RouterKind, Service, TailSlash, Timeout, Upstream, UpstreamRef, WasmPlugin,
};
use super::router::Router;
use super::target::{Target, Websocket};
use super::variables::Variables;
use super::vars::Expression;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A compiled configuration.
#[derive(Debug, Clone)]
pub struct Config {
    router: Router,
    routes: Vec<Compiled>,
    /// For requests that no route takes.
    unrouted: Plan,
    tail_slash: TailSlash,
    tables: HashSet<Arc<Table>>,
}

/// A route, compiled.
#[derive(Debug, Clone)]
struct Compiled {
    route: Arc<Route>,
    condition: Condition,
    /// `None` where a reference leads nowhere: APISIX answers before it looks at any plugin.
    plan: Option<Plan>,
    target: Target,
}

/// What a route asks for beside host and path.
#[derive(Debug, Clone)]
struct Condition {
    /// Those of a router that does not begin with them; none are all.
    hosts: Box<[HostPattern]>,
    clients: Option<Addresses>,
    vars: Option<Expression>,
    /// Something of it can't be read, so that it never holds; validation lets no such route in.
    never: bool,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub struct Routed {
    /// The route that takes it.
    pub route: Option<Arc<Route>>,
    /// The plugins that see it.
    pub chain: Chain,
    /// Where it goes when they have.
    pub upstream: Target,
}

impl Config {
    /// Compiles a configuration. Plugins that are not known are left out of chains (1.2).
    pub fn compile(plugins: &[WasmPlugin], objects: Objects) -> Self {
        let unrouted = Plan::of_global_rules(plugins, &objects.global_rules);
        let mut tables: HashSet<Arc<Table>> = HashSet::new();
        tables.extend(objects.global_rules.iter().map(|of| Arc::new(Table::GlobalRule(of.id.clone(), of.revision))));
        let references = References::of(&objects);
        for of in references.plugin_configs.values() {
            tables.insert(Arc::new(Table::PluginConfig(of.id.clone(), of.revision)));
        }
        let (mut router, mut routes) = (Router::new(objects.matching.router), Vec::with_capacity(objects.routes.len()));
        for route in &objects.routes {
            let found = references.resolve(route);
            let of_route = Tables::of(route, found.plugin_config, found.service);
            tables.insert(of_route.route);
            tables.extend(of_route.service);
            if !route.enabled {
                continue;
            }
            let hosts = match found.service {
                Some(service) if route.hosts.is_empty() => &service.hosts,
                _ => &route.hosts,
            };
            let (by_host, asked) = match objects.matching.router {
                RouterKind::HostUri => (&hosts[..], &[][..]),
                RouterKind::Uri | RouterKind::UriWithParameter => (&[][..], &hosts[..]),
            };
            router.add(by_host, &route.uris, route.priority, routes.len());
            let plan = found.missing.is_none();
            let plan = plan.then(|| unrouted.with_route(plugins, route, found.plugin_config, found.service));
            let target = found.missing.unwrap_or_else(|| references.target(route, found.service));
            routes.push(Compiled { route: route.clone(), condition: Condition::of(route, asked), plan, target });
        }
        Self { router, routes, unrouted, tail_slash: objects.matching.tail_slash, tables }
    }

    /// What happens to a request.
    pub fn route(&self, facts: &RequestFacts<'_>) -> Routed {
        let Ok(mut request) = Variables::of(facts) else {
            return Routed { route: None, chain: Chain::empty(), upstream: Target::BadRequest };
        };
        if self.tail_slash == TailSlash::IsDropped {
            request.uri.drop_tail_slash();
        }
        let holds = |at: usize| self.routes.get(at).is_some_and(|route| route.holds(&request));
        let found = self.router.find(&request.host, &request.uri.path, holds).and_then(|at| self.routes.get(at));
        match found {
            None => Routed { route: None, chain: self.unrouted.chain(&request), upstream: Target::NoRoute },
            Some(found) => Routed {
                route: Some(found.route.clone()),
                chain: found.plan.as_ref().map_or_else(Chain::empty, |plan| plan.chain(&request)),
                upstream: found.target.clone(),
            },
        }
    }

    /// Every chain that a request may pass.
    pub fn chains(&self) -> impl Iterator<Item = Chain> {
        let routes = self.routes.iter().filter_map(|route| route.plan.as_ref());
        [&self.unrouted].into_iter().chain(routes).map(Plan::whole)
    }

    /// Whether a table still stands, so that the contexts of its plugin configurations live on.
    pub fn has(&self, table: &Table) -> bool {
        self.tables.contains(table)
    }
}

impl Compiled {
    fn holds(&self, request: &Variables<'_>) -> bool {
        let Condition { hosts, clients, vars, never } = &self.condition;
        let methods = &self.route.methods;
        !never
            && (hosts.is_empty() || hosts.iter().any(|host| host.fits(&request.host)))
            && (methods.is_empty() || methods.iter().any(|method| method.as_bytes() == request.facts.method))
            && clients.as_ref().is_none_or(|clients| clients.contains(request.facts.client))
            && vars.as_ref().is_none_or(|vars| vars.holds(request))
    }
}

/// A host of a route.
#[derive(Debug, Clone)]
enum HostPattern {
    Exact(Box<[u8]>),
    /// What begins with `*`, without it.
    Ends(Box<[u8]>),
}

impl HostPattern {
    fn of(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix('*') {
            Some(end) => Self::Ends(end.as_bytes().into()),
            None => Self::Exact(host.as_bytes().into()),
        }
    }

    fn fits(&self, host: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => **exact == *host,
            Self::Ends(end) => host.ends_with(end),
        }
    }
}

impl Condition {
    fn of(route: &Route, hosts: &[String]) -> Self {
        let clients = (!route.remote_addrs.is_empty())
            .then(|| Addresses::parse(route.remote_addrs.iter().map(String::as_str)))
            .transpose();
        let vars = route.vars.as_ref().map(Expression::compile).transpose();
        let never = clients.is_err() || vars.is_err();
        let hosts = hosts.iter().map(|host| HostPattern::of(host)).collect();
        Self { hosts, clients: clients.unwrap_or_default(), vars: vars.unwrap_or_default(), never }
    }
}

/// What routes refer to, by id.
struct References<'a> {
    services: HashMap<&'a str, &'a Service>,
    plugin_configs: HashMap<&'a str, &'a PluginConfig>,
    upstreams: HashMap<&'a str, &'a Arc<Upstream>>,
}

/// What a route refers to.
struct Found<'a> {
    plugin_config: Option<&'a PluginConfig>,
    service: Option<&'a Service>,
    missing: Option<Target>,
}

impl<'a> References<'a> {
    fn of(objects: &'a Objects) -> Self {
        Self {
            services: objects.services.iter().map(|of| (&*of.id, &**of)).collect(),
            plugin_configs: objects.plugin_configs.iter().map(|of| (&*of.id, &**of)).collect(),
            upstreams: objects.upstreams.iter().filter_map(|of| Some((of.id.as_deref()?, of))).collect(),
        }
    }

    fn resolve(&self, route: &Route) -> Found<'a> {
        let config_id = route.plugin_config_id.as_ref();
        let plugin_config = config_id.and_then(|id| self.plugin_configs.get(&**id)).copied();
        let service = route.service_id.as_ref().and_then(|id| self.services.get(&**id)).copied();
        // APISIX looks for the plugin_config first.
        let missing = match (config_id, &route.service_id) {
            (Some(id), _) if plugin_config.is_none() => Some(Target::MissingPluginConfig(id.clone())),
            (_, Some(id)) if service.is_none() => Some(Target::MissingService(id.clone())),
            _ => None,
        };
        Found { plugin_config, service, missing }
    }

    fn target(&self, route: &Route, service: Option<&Service>) -> Target {
        let upstream = match route.upstream.as_ref().or(service.and_then(|of| of.upstream.as_ref())) {
            None => return Target::NoUpstream,
            Some(UpstreamRef::Inline(upstream)) => upstream,
            Some(UpstreamRef::Id(id)) => match self.upstreams.get(&**id) {
                None => return Target::MissingUpstream(id.clone()),
                Some(upstream) => upstream,
            },
        };
        if upstream.nodes.is_empty() {
            return Target::NoNode;
        }
        let websocket = match route.enable_websocket || service.is_some_and(|of| of.enable_websocket) {
            true => Websocket::Enabled,
            false => Websocket::Refused,
        };
        let timeout: Timeout = route.timeout.unwrap_or(upstream.timeout);
        Target::Upstream { upstream: upstream.clone(), timeout, websocket }
    }
}

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;
