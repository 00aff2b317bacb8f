//! Requests that a gateway routes: each has a chain of its own, and its upstream is one of several nodes.
//!
//! All of it is decided in `crate::gateway`; here the decisions are carried out and recorded. The scripted origin stands
//! for whatever node was chosen. What goes to it is what nginx makes of the request, so it is recorded here and not by
//! the host.

use super::*;
use crate::gateway::admin::{self, AdminEffect, AdminRequest};
use crate::gateway::balance::Balancer;
use crate::gateway::config::Config;
use crate::gateway::document::{Gateway, Options};
use crate::gateway::facts::RequestFacts;
use crate::gateway::forward::{self, Destination, UpstreamStatus};
use crate::gateway::gate::Contexts;
use crate::gateway::model::Node;
use crate::gateway::resources::Resources;
use crate::gateway::target::Target;
use crate::host::PluginConfig;
use crate::message::Headers;
use crate::scenario::{Admin, PropertyValue};
use crate::trace::{GatewayEvent, Peer};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The client of every request, where the scenario gives no other.
const CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 50000);
/// What it has connected to.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9080);

/// A gateway under test.
pub(super) struct Gate {
    resources: Resources,
    options: Options,
    config: Config,
    contexts: Contexts,
    balancer: Balancer,
    routed: BTreeMap<ExchangeId, OnItsWay>,
}

/// A request that has been routed.
struct OnItsWay {
    asked: Asked,
    target: Target,
    tried: Vec<Node>,
    /// What became of each try, the running one left out.
    tries: Vec<u16>,
}

/// What is known of a request.
struct Asked {
    method: Bytes,
    target: Bytes,
    authority: Bytes,
    scheme: Bytes,
    headers: Headers,
    client: SocketAddr,
    server: SocketAddr,
    protocol: &'static str,
}

impl Asked {
    fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            method: &self.method,
            target: &self.target,
            authority: &self.authority,
            scheme: &self.scheme,
            headers: &self.headers,
            client: self.client.ip(),
            client_port: self.client.port(),
            server: self.server.ip(),
            server_port: self.server.port(),
            protocol: self.protocol,
        }
    }
}

impl Gate {
    fn show(&self) -> UpstreamStatus {
        if self.options.show_upstream_status { UpstreamStatus::Always } else { UpstreamStatus::OnError }
    }

    /// The next node for a request, if there is one and it may be tried.
    fn next(&mut self, exchange: ExchangeId) -> Option<Node> {
        let way = self.routed.get_mut(&exchange)?;
        let Target::Upstream { upstream, .. } = &way.target else { return None };
        let most = upstream.retries.map_or(upstream.nodes.len(), |retries| (retries as usize).saturating_add(1));
        if way.tried.len() >= most {
            return None;
        }
        let node = self.balancer.pick(upstream, &way.asked.facts(), &way.tried)?;
        way.tried.push(node.clone());
        Some(node)
    }
}

impl<'a> Driver<'a> {
    /// Makes the host a gateway: its modules are loaded, its contexts are made as requests need them.
    pub(in crate::runner) fn start_gateway(
        &mut self,
        gateway: &Gateway,
        plugins: Vec<PluginConfig>,
    ) -> Result<(), StartError> {
        if let Some(step) = self.case.steps.first() {
            self.plan(0, step);
        }
        for plugin in &plugins {
            self.host.load(plugin.clone())?;
        }
        let (resources, options) = (gateway.resources.clone(), gateway.options.clone());
        let config = Config::compile(resources.plugins(), resources.objects());
        let (contexts, balancer) = (Contexts::new(plugins), Balancer::new());
        self.gate = Some(Gate { resources, options, config, contexts, balancer, routed: BTreeMap::new() });
        Ok(())
    }

    /// The names of the plugins, by the numbers that the host gave them.
    pub(super) fn names(&self) -> Vec<String> {
        match self.gate {
            Some(_) => (0..).map_while(|at| self.host.name_of(PluginIndex(at)).map(str::to_owned)).collect(),
            None => self.scenario.plugins.iter().map(|plugin| plugin.name.clone()).collect(),
        }
    }

    /// Routes a request and opens its exchange; `None` where there is no gateway.
    pub(super) fn open_routed(
        &mut self,
        place: Place,
        request: &Request,
        parts: &[Part],
        protocol: &'static str,
    ) -> Option<ExchangeId> {
        self.let_expire();
        let address = |name: &str| self.address(name);
        let (client, server) = (address("source.address"), address("destination.address"));
        let headers = parts.iter().find_map(|part| match part {
            Part::Headers { headers, .. } => Some(headers.clone()),
            Part::Data { .. } | Part::Trailers(_) | Part::Metadata(_) | Part::Reset => None,
        });
        let gate = self.gate.as_mut()?;
        let asked = Asked {
            method: request.method.clone(),
            target: request.path.clone(),
            authority: request.authority.clone(),
            scheme: request.scheme.clone(),
            headers: headers.unwrap_or_default(),
            client: client.unwrap_or(CLIENT),
            server: server.unwrap_or(SERVER),
            protocol,
        };
        let routed = gate.config.route(&asked.facts());
        let (chain, order) = gate.contexts.bind(&mut self.host, &routed.chain);
        let exchange = self.host.open_chain(ConnectionInfo { protocol, client, server }, &chain, &order);
        self.host.begins_with_global_rules(exchange, routed.chain.of_global_rules);
        // What goes out is recorded when it is known where to.
        self.host.upstream_is_unreachable(exchange);
        if routed.upstream.refusal().is_some() {
            self.host.has_no_upstream(exchange);
        }
        let route = routed.route.as_ref().map(|route| route.id.to_string());
        let failures = gate.contexts.take_failures();
        let way = OnItsWay { asked, target: routed.upstream, tried: Vec::new(), tries: Vec::new() };
        gate.routed.insert(exchange, way);
        self.record(GatewayEvent::Routed { exchange, route });
        let span = self.written(place).map(|step| step.span.clone());
        for (key, error) in failures {
            let mut failure = verdict::start_failure(&error, span.clone());
            failure.title = format!("{key}: {}", failure.title);
            self.fail(place, [failure]);
        }
        Some(exchange)
    }

    fn record(&mut self, event: GatewayEvent) {
        self.host.world_mut().recorder.push(|| Event::Gateway(event));
    }

    /// An address that the scenario gives as a property, with or without its port.
    fn address(&self, name: &str) -> Option<SocketAddr> {
        let (_, value) = self.scenario.properties.iter().find(|(path, _)| path.value == name)?;
        let PropertyValue::Bytes(text) = value else { return None };
        let text = std::str::from_utf8(text).ok()?;
        text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, CLIENT.port())))
    }

    /// A piece for the upstream: it is recorded as it goes out. `false` where there is no upstream, and the gateway has
    /// answered; nothing is to be made of the piece then.
    pub(super) fn goes_out(&mut self, exchange: ExchangeId, part: &Part, refused: bool) -> bool {
        let Some(way) = self.gate.as_ref().and_then(|gate| gate.routed.get(&exchange)) else { return true };
        if let Some(refusal) = way.target.refusal() {
            if matches!(part, Part::Headers { .. }) {
                if let Some(line) = refusal.log {
                    self.host.world_mut().log_about(Some(exchange), crate::abi::LogLevel::Error, line);
                }
                let body = Bytes::from_static(refusal.body.unwrap_or_default().as_bytes());
                self.gateway_answers(exchange, refusal.status, body);
            }
            return false;
        }
        match part {
            Part::Headers { headers, end_of_stream } => {
                let Some(node) = self.choose(exchange) else {
                    self.gateway_answers(exchange, 502, Bytes::new());
                    return false;
                };
                if refused {
                    // Nobody is there to see it.
                    return true;
                }
                let headers = self.forwarded(exchange, headers, &node);
                let part = Part::Headers { headers, end_of_stream: *end_of_stream };
                self.record_output(exchange, part);
            }
            Part::Data { .. } | Part::Trailers(_) | Part::Metadata(_) | Part::Reset => {
                self.record_output(exchange, part.clone());
            }
        }
        true
    }

    fn record_output(&mut self, exchange: ExchangeId, part: Part) {
        self.host.world_mut().recorder.push(|| Event::Output { exchange, to: Peer::Upstream, part });
    }

    fn choose(&mut self, exchange: ExchangeId) -> Option<Node> {
        let node = self.gate.as_mut()?.next(exchange)?;
        let host = if node.host.contains(':') { format!("[{}]", node.host) } else { node.host.to_string() };
        self.record(GatewayEvent::Node { exchange, node: format!("{host}:{}", node.port) });
        Some(node)
    }

    fn forwarded(&self, exchange: ExchangeId, headers: &Headers, node: &Node) -> Headers {
        let way = self.gate.as_ref().and_then(|gate| gate.routed.get(&exchange));
        match way.map(|way| (way, &way.target)) {
            Some((way, Target::Upstream { upstream, websocket, .. })) => {
                let to = Destination { upstream, node, websocket: *websocket };
                forward::request(headers, &way.asked.facts(), &to)
            }
            _ => headers.clone(),
        }
    }

    /// The answer of the upstream, as the plugins of a gateway get to see it.
    pub(super) fn comes_in(&mut self, exchange: ExchangeId, part: Part) -> Part {
        let Some(gate) = &mut self.gate else { return part };
        let show = gate.show();
        match (part, gate.routed.get_mut(&exchange)) {
            (Part::Headers { mut headers, end_of_stream }, Some(way)) => {
                let status = headers.get(b":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
                way.tries.push(status.unwrap_or(502));
                forward::response(&mut headers, &way.tries, show);
                Part::Headers { headers, end_of_stream }
            }
            (part, _) => part,
        }
    }

    /// The gateway itself answers.
    fn gateway_answers(&mut self, exchange: ExchangeId, status: u16, body: Bytes) {
        let Some(gate) = &self.gate else { return };
        let mut headers = Headers::new();
        let tries = gate.routed.get(&exchange).map(|way| way.tries.as_slice()).unwrap_or_default();
        forward::response(&mut headers, tries, gate.show());
        self.host.reply(exchange, u32::from(status), headers, body);
    }

    /// A node did not answer: another one is asked, or the client is told. `false` where there is no gateway.
    pub(super) fn node_failed(&mut self, exchange: ExchangeId, fault: Fault) -> bool {
        let status = if fault == Fault::Timeout { 504 } else { 502 };
        let Some(way) = self.gate.as_mut().and_then(|gate| gate.routed.get_mut(&exchange)) else { return false };
        way.tries.push(status);
        // What may have been done is not asked for twice (RFC 9110 9.2.2), and an answer that nobody understands is one.
        let idempotent = matches!(&way.asked.method[..], b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE" | b"TRACE");
        let again = match fault {
            Fault::Refused | Fault::Unknown => true,
            Fault::Reset | Fault::Timeout => idempotent,
            Fault::Garbage => false,
        };
        if !again || self.choose(exchange).is_none() {
            self.gateway_answers(exchange, status, Bytes::new());
            return true;
        }
        // Every node does what the scenario says of the origin.
        match fault {
            Fault::Timeout => self.times_out(exchange),
            Fault::Reset | Fault::Refused | Fault::Unknown | Fault::Garbage => {
                self.node_failed(exchange, fault);
            }
        }
        true
    }

    /// How long a gateway waits for a node.
    pub(super) fn patience_ns(&self, exchange: ExchangeId) -> Option<u64> {
        match self.gate.as_ref()?.routed.get(&exchange)?.target {
            Target::Upstream { timeout, .. } => Some(timeout.read_ms.saturating_mul(1_000_000)),
            _ => None,
        }
    }

    /// The exchange has ended.
    pub(super) fn leaves(&mut self, exchange: ExchangeId) {
        if let Some(gate) = &mut self.gate {
            gate.routed.remove(&exchange);
        }
    }

    /// One call to the admin API.
    pub(super) fn admin(&mut self, call: &Admin) {
        let now = self.host.world().clock.realtime_ns() / 1_000_000_000;
        let Some(gate) = &mut self.gate else { return };
        let headers: Headers = call.headers.iter().cloned().collect();
        let request = AdminRequest {
            method: &call.method,
            target: &call.target.value,
            headers: &headers,
            body: &call.body,
            now,
            keys: &gate.options.admin.keys,
            allowed: &gate.options.admin.allowed,
            client: CLIENT.ip(),
        };
        let reply = admin::handle(&mut gate.resources, &request);
        for line in &reply.logs {
            self.host.world_mut().log_about(None, line.level, line.message.clone());
        }
        self.record(GatewayEvent::Admin {
            call: format!("{} {}", call.method, call.target.value),
            status: reply.status,
            headers: reply.headers.into_iter().collect(),
            body: reply.body,
        });
        match reply.effect {
            AdminEffect::Changed => self.recompile(),
            // The modules of a case don't change, and contexts that are there keep theirs (apisix.md 2.3).
            AdminEffect::None | AdminEffect::ReloadPlugins => {}
        }
        self.drain();
    }

    /// Objects with a time to live are gone when it is over.
    fn let_expire(&mut self) {
        let now = self.host.world().clock.realtime_ns() / 1_000_000_000;
        if self.gate.as_mut().is_some_and(|gate| gate.resources.expire(now)) {
            self.recompile();
            self.drain();
        }
    }

    fn recompile(&mut self) {
        let Some(gate) = &mut self.gate else { return };
        gate.config = Config::compile(gate.resources.plugins(), gate.resources.objects());
        gate.contexts.retain(&mut self.host, &gate.config);
    }
}
