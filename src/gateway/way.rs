//! The way of a request behind its plugins: which node is asked, what is asked again, and what a gateway makes of heads.
//!
//! Both drivers carry out what is decided here. In front of one upstream there is no gateway, and heads go as the plugins
//! left them.

use super::balance::Balancer;
use super::facts::RequestFacts;
use super::forward::{self, Destination, PassedHost, UpstreamStatus};
use super::model::{KeepalivePool, Node, Timeout, Upstream};
use super::target::{Refusal, Target, Websocket};
use crate::message::Headers;
use std::sync::Arc;
use std::time::Duration;

/// How a node fails a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody knows where it is: APISIX leaves such nodes out, and without another one there is none (7.4).
    Unresolved,
    /// It takes no connection.
    Refused,
    /// It broke off.
    Reset,
    /// It was too slow.
    TimedOut,
    /// What it sent is no HTTP.
    Garbage,
}

impl Fault {
    /// The status that a gateway counts for the try, and answers with if nobody is asked again.
    pub fn status(self) -> u16 {
        match self {
            Self::TimedOut => 504,
            Self::Unresolved => 503,
            Self::Refused | Self::Reset | Self::Garbage => 502,
        }
    }

    /// Whether another node may be asked. What may have been done is not asked for twice (RFC 9110 9.2.2), and an answer
    /// that nobody understands is one.
    fn may_ask_again(self, connected: bool, method: &[u8]) -> bool {
        !connected || (self != Self::Garbage && is_idempotent(method))
    }
}

/// RFC 9110 9.2.2.
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE" | b"TRACE")
}

/// The line for a request that no node can be asked for.
pub const NO_NODE: &str = "failed to pick server: failed to find valid upstream server, no valid upstream node";
/// The line for a request that could be asked for once more, if there were a node left.
const ALL_TRIED: &str = "failed to pick server: failed to find valid upstream server, all upstream servers tried";

/// What becomes of a request whose node failed it.
#[derive(Debug)]
pub enum Next {
    /// This node is asked.
    Ask(Node),
    /// Nobody is asked any more, and this is what counts as the fault.
    GiveUp(Fault, Option<String>),
}

/// The way of one request.
#[derive(Debug)]
pub struct Way {
    target: Target,
    /// A gateway is on the way, and tells the client of the upstream's status or not.
    gateway: Option<(UpstreamStatus, PassedHost)>,
    tried: Vec<Node>,
}

impl Way {
    /// To the only upstream there is.
    pub fn straight(upstream: &Arc<Upstream>) -> Self {
        let (upstream, timeout) = (upstream.clone(), upstream.timeout);
        let target = Target::Upstream { upstream, timeout, websocket: Websocket::Refused };
        Self { target, gateway: None, tried: Vec::new() }
    }

    /// To where a gateway sends it.
    pub fn routed(target: Target, show: UpstreamStatus, passed_host: PassedHost) -> Self {
        Self { target, gateway: Some((show, passed_host)), tried: Vec::new() }
    }

    /// What is answered where it goes nowhere.
    pub fn refusal(&self) -> Option<Refusal> {
        self.target.refusal()
    }

    /// Bounds on the upstream.
    pub fn timeout(&self) -> Timeout {
        match &self.target {
            Target::Upstream { timeout, .. } => *timeout,
            _ => Timeout::default(),
        }
    }

    /// What the upstream says of idle connections.
    pub fn keepalive(&self) -> KeepalivePool {
        match &self.target {
            Target::Upstream { upstream, .. } => upstream.keepalive_pool,
            _ => KeepalivePool::default(),
        }
    }

    /// The next node, if there is one and it may be tried.
    pub fn next(&mut self, balancer: &mut Balancer, facts: &RequestFacts<'_>) -> Option<Node> {
        let Target::Upstream { upstream, .. } = &self.target else { return None };
        if !self.may_try_again() {
            return None;
        }
        let node = balancer.pick(upstream, facts, &self.tried)?;
        self.tried.push(node.clone());
        Some(node)
    }

    /// What becomes of the request when the node that was asked last has failed it: before it took the connection, or
    /// after. Where only `retry_timeout` or the lack of another node forbids another try, APISIX answers with 502
    /// whatever the node did.
    pub fn after(
        &mut self,
        (fault, connected): (Fault, bool),
        since_first: Duration,
        balancer: &mut Balancer,
        facts: &RequestFacts<'_>,
    ) -> Next {
        if !fault.may_ask_again(connected, facts.method) {
            return Next::GiveUp(fault, None);
        }
        if self.is_late(since_first) {
            let line = format!("proxy retry timeout, retry count: {}", self.tried.len().saturating_sub(1));
            return Next::GiveUp(Fault::Refused, Some(line));
        }
        match self.next(balancer, facts) {
            Some(node) => Next::Ask(node),
            None if self.may_try_again() => Next::GiveUp(Fault::Refused, Some(ALL_TRIED.to_owned())),
            None => Next::GiveUp(fault, None),
        }
    }

    fn may_try_again(&self) -> bool {
        matches!(&self.target, Target::Upstream { upstream, .. } if self.tried.len() < most(upstream))
    }

    /// Another node could be asked, but the first one was asked too long ago.
    fn is_late(&self, since_first: Duration) -> bool {
        let Target::Upstream { upstream, .. } = &self.target else { return false };
        let passed = |seconds| since_first.as_secs_f64() > seconds;
        self.may_try_again() && upstream.retry_timeout.is_some_and(passed)
    }

    /// The head of the request as the node that is being asked gets it; none where nothing is changed.
    pub fn forwarded(&self, headers: &Headers, facts: &RequestFacts<'_>) -> Option<Headers> {
        let (_, passed_host) = self.gateway?;
        let Target::Upstream { upstream, websocket, .. } = &self.target else { return None };
        let to = Destination { upstream, node: self.tried.last()?, websocket: *websocket, passed_host };
        Some(forward::request(headers, facts, &to))
    }

    /// The head of a response before the plugins see it. `tries` has what became of each node that was asked.
    pub fn comes_in(&self, headers: &mut Headers, tries: impl Iterator<Item = u16>) {
        if let Some((show, _)) = self.gateway {
            forward::response(headers, &tries.collect::<Vec<_>>(), show);
        }
    }

    /// Whether the gateway answers for upstreams that fail; else the host does, as the profile has it.
    pub fn has_gateway(&self) -> bool {
        self.gateway.is_some()
    }
}

/// How many nodes may be asked, or how often the only one. Nobody retries more often, and each try is remembered.
const MOST_TRIES: usize = 100;

fn most(upstream: &Upstream) -> usize {
    let most = upstream.retries.map_or(upstream.nodes.len(), |retries| (retries as usize).saturating_add(1));
    most.min(MOST_TRIES)
}
