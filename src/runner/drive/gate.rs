//! Requests that a gateway routes: each has a chain of its own, and its upstream is one of several nodes.
//!
//! All of it is decided in `crate::gateway`; here the decisions are carried out and recorded. The scripted origin stands
//! for whatever node was chosen. What goes to it is what nginx makes of the request, so it is recorded here and not by
//! the host.

use super::*;
use crate::abi::LogLevel;
use crate::gateway::admin::{self, AdminEffect, AdminRequest};
use crate::gateway::balance::Balancer;
use crate::gateway::config::Config;
use crate::gateway::document::{Gateway, Options};
use crate::gateway::facts::Asked;
use crate::gateway::gate::Contexts;
use crate::gateway::model::Node;
use crate::gateway::resources::Resources;
use crate::gateway::way::{self, Next, Way};
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
    way: Way,
    /// What became of each try, the running one left out.
    tries: Vec<u16>,
    /// When the first node was asked.
    first_asked_ns: u64,
}

impl<'a> Driver<'a> {
    /// Makes the host a gateway: its modules are loaded, its contexts are made as its host makes them.
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
        let (mut contexts, balancer) = (Contexts::new(plugins), Balancer::new());
        contexts.prepare(&mut self.host, &config);
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
        let mut asked = Asked {
            method: request.method.clone(),
            target: request.path.clone(),
            authority: request.authority.clone(),
            scheme: request.scheme.clone(),
            headers: headers.unwrap_or_default(),
            client: client.unwrap_or(CLIENT),
            server: server.unwrap_or(SERVER),
            protocol,
        };
        asked.client = gate.options.real_ip.client(asked.client, &asked.headers);
        let (facts, show) = (asked.facts(), gate.options.show_upstream_status);
        // Where properties are nginx's variables, plugins see the same client.
        let moved = asked.client != client.unwrap_or(CLIENT) && !self.host.world().profile.binary_properties;
        let client = if moved { Some(asked.client) } else { client };
        let info = ConnectionInfo { protocol, client, server };
        let opened = gate.contexts.open(&mut self.host, &gate.config, &facts, info, show);
        let exchange = opened.exchange;
        // What goes out is recorded when it is known where to.
        self.host.upstream_is_unreachable(exchange);
        let route = opened.route.as_ref().map(|route| route.id.to_string());
        let way = OnItsWay { asked, way: opened.way, tries: Vec::new(), first_asked_ns: 0 };
        gate.routed.insert(exchange, way);
        self.record(GatewayEvent::Routed { exchange, route });
        let span = self.written(place).map(|step| step.span.clone());
        for (key, error) in opened.failures {
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
        let Some(on) = self.gate.as_ref().and_then(|gate| gate.routed.get(&exchange)) else { return true };
        if let Some(refusal) = on.way.refusal() {
            if matches!(part, Part::Headers { .. }) {
                self.log_about(exchange, refusal.log);
                let body = Bytes::from_static(refusal.body.unwrap_or_default().as_bytes());
                self.gateway_answers(exchange, refusal.status, body);
            }
            return false;
        }
        match part {
            Part::Headers { headers, end_of_stream } => {
                if !self.ask_first(exchange) {
                    self.log_about(exchange, Some(way::NO_NODE.to_owned()));
                    self.gateway_answers(exchange, way::Fault::Refused.status(), Bytes::new());
                    return false;
                }
                if refused {
                    // Nobody is there to see it.
                    return true;
                }
                let headers = self.forwarded(exchange, headers);
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

    fn log_about(&mut self, exchange: ExchangeId, line: Option<String>) {
        if let Some(line) = line {
            self.host.world_mut().log_about(Some(exchange), LogLevel::Error, line);
        }
    }

    /// The first node is asked, if there is one.
    fn ask_first(&mut self, exchange: ExchangeId) -> bool {
        let now = self.now();
        let Some(gate) = &mut self.gate else { return false };
        let Some(on) = gate.routed.get_mut(&exchange) else { return false };
        on.first_asked_ns = now;
        let node = on.way.next(&mut gate.balancer, &on.asked.facts());
        let line = gate.balancer.fell_back();
        let some = node.is_some();
        if let Some(line) = line {
            self.host.world_mut().log_about(Some(exchange), LogLevel::Warn, line);
        }
        if let Some(node) = node {
            self.record_node(exchange, &node);
        }
        some
    }

    fn record_node(&mut self, exchange: ExchangeId, node: &Node) {
        let host = if node.host.contains(':') { format!("[{}]", node.host) } else { node.host.to_string() };
        self.record(GatewayEvent::Node { exchange, node: format!("{host}:{}", node.port) });
    }

    fn forwarded(&self, exchange: ExchangeId, headers: &Headers) -> Headers {
        let on = self.gate.as_ref().and_then(|gate| gate.routed.get(&exchange));
        on.and_then(|on| on.way.forwarded(headers, &on.asked.facts())).unwrap_or_else(|| headers.clone())
    }

    /// The answer of the upstream, as the plugins of a gateway get to see it.
    pub(super) fn comes_in(&mut self, exchange: ExchangeId, part: Part) -> Part {
        let Some(gate) = &mut self.gate else { return part };
        match (part, gate.routed.get_mut(&exchange)) {
            (Part::Headers { mut headers, end_of_stream }, Some(on)) => {
                let status = headers.get(b":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
                on.tries.push(status.unwrap_or(502));
                on.way.comes_in(&mut headers, on.tries.iter().copied());
                Part::Headers { headers, end_of_stream }
            }
            (part, _) => part,
        }
    }

    /// The gateway itself answers.
    fn gateway_answers(&mut self, exchange: ExchangeId, status: u16, body: Bytes) {
        let Some(on) = self.gate.as_ref().and_then(|gate| gate.routed.get(&exchange)) else { return };
        let mut headers = Headers::new();
        on.way.comes_in(&mut headers, on.tries.iter().copied());
        self.host.reply(exchange, u32::from(status), headers, body);
    }

    /// A node did not answer: another one is asked, or the client is told. `false` where there is no gateway.
    pub(super) fn node_failed(&mut self, exchange: ExchangeId, fault: Fault) -> bool {
        let (fault, connected) = match fault {
            Fault::Refused | Fault::Unknown => (way::Fault::Refused, false),
            Fault::Reset => (way::Fault::Reset, true),
            Fault::Timeout => (way::Fault::TimedOut, true),
            Fault::Garbage => (way::Fault::Garbage, true),
        };
        let now = self.now();
        loop {
            let Some(gate) = &mut self.gate else { return false };
            let Some(on) = gate.routed.get_mut(&exchange) else { return false };
            on.tries.push(fault.status());
            let since = Duration::from_nanos(now.saturating_sub(on.first_asked_ns));
            match on.way.after((fault, connected), since, &mut gate.balancer, &on.asked.facts()) {
                Next::Ask(node) => self.record_node(exchange, &node),
                Next::GiveUp(fault, line) => {
                    self.log_about(exchange, line);
                    self.gateway_answers(exchange, fault.status(), Bytes::new());
                    return true;
                }
            }
            // Every node does what the scenario says of the origin.
            if fault == way::Fault::TimedOut {
                self.times_out(exchange);
                return true;
            }
        }
    }

    /// How long a gateway waits for a node.
    pub(super) fn patience_ns(&self, exchange: ExchangeId) -> Option<u64> {
        let way = &self.gate.as_ref()?.routed.get(&exchange)?.way;
        Some(way.timeout().read_ms.saturating_mul(1_000_000))
    }

    /// The exchange has ended.
    pub(super) fn leaves(&mut self, exchange: ExchangeId) {
        if let Some(gate) = &mut self.gate {
            gate.routed.remove(&exchange);
        }
    }

    /// One call to the admin API. What is refused fails the case, unless its answer is expected.
    pub(super) fn admin(&mut self, call: &Admin) -> Option<Failure> {
        let now = self.host.world().clock.realtime_ns() / 1_000_000_000;
        let gate = self.gate.as_mut()?;
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
        let refused = (reply.status >= 400).then(|| {
            verdict::refused_by_admin(call, reply.status, &reply.body, self.host.world().recorder.events().len())
        });
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
        refused
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
        gate.contexts.prepare(&mut self.host, &gate.config);
        gate.contexts.retain(&mut self.host, &gate.config);
    }
}
