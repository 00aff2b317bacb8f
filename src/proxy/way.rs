//! Where a request goes, and what a gateway makes of its head on the way.
//!
//! All of it is decided in `crate::gateway`; in front of one upstream there is nothing to decide, and heads go as the
//! plugins left them.

use super::lane::Asker;
use crate::gateway::balance::Balancer;
use crate::gateway::forward::{self, Destination, UpstreamStatus};
use crate::gateway::model::{KeepalivePool, Node, Timeout, Upstream};
use crate::gateway::target::{Refusal, Target, Websocket};
use crate::message::Headers;
use std::sync::Arc;
use std::time::Duration;

/// The way of one request.
#[derive(Debug)]
pub(super) struct Way {
    target: Target,
    /// A gateway is on the way, and tells the client of the upstream's status or not.
    gateway: Option<UpstreamStatus>,
    tried: Vec<Node>,
}

impl Way {
    /// To the only upstream there is.
    pub(super) fn straight(upstream: &Arc<Upstream>) -> Self {
        let (upstream, timeout) = (upstream.clone(), upstream.timeout);
        let target = Target::Upstream { upstream, timeout, websocket: Websocket::Refused };
        Self { target, gateway: None, tried: Vec::new() }
    }

    /// To where a gateway sends it.
    pub(super) fn routed(target: Target, show: UpstreamStatus) -> Self {
        Self { target, gateway: Some(show), tried: Vec::new() }
    }

    /// What is answered where it goes nowhere.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.target.refusal()
    }

    /// Bounds on the upstream.
    pub(super) fn timeout(&self) -> Timeout {
        match &self.target {
            Target::Upstream { timeout, .. } => *timeout,
            _ => Timeout::default(),
        }
    }

    /// What the upstream says of idle connections.
    pub(super) fn keepalive(&self) -> KeepalivePool {
        match &self.target {
            Target::Upstream { upstream, .. } => upstream.keepalive_pool,
            _ => KeepalivePool::default(),
        }
    }

    /// The next node, if there is one and it may be tried.
    pub(super) fn next(&mut self, balancer: &mut Balancer, asker: &Asker) -> Option<Node> {
        let Target::Upstream { upstream, .. } = &self.target else { return None };
        if self.tried.len() >= most(upstream) {
            return None;
        }
        let node = balancer.pick(upstream, &asker.facts(), &self.tried)?;
        self.tried.push(node.clone());
        Some(node)
    }

    /// Whether another node could be asked, but the first one was asked too long ago.
    pub(super) fn is_too_late(&self, since_first: Duration) -> bool {
        let Target::Upstream { upstream, .. } = &self.target else { return false };
        let passed = |seconds| since_first.as_secs_f64() > seconds;
        self.tried.len() < most(upstream) && upstream.retry_timeout.is_some_and(passed)
    }

    /// How many nodes have been asked again.
    pub(super) fn retries(&self) -> usize {
        self.tried.len().saturating_sub(1)
    }

    /// The head of the request as the node that is being asked gets it; none where nothing is changed.
    pub(super) fn forwarded(&self, headers: &Headers, asker: &Asker) -> Option<Headers> {
        self.gateway?;
        let Target::Upstream { upstream, websocket, .. } = &self.target else { return None };
        let to = Destination { upstream, node: self.tried.last()?, websocket: *websocket };
        Some(forward::request(headers, &asker.facts(), &to))
    }

    /// The head of a response before the plugins see it. `tries` has what became of each node that was asked.
    pub(super) fn comes_in(&self, headers: &mut Headers, tries: impl Iterator<Item = u16>) {
        if let Some(show) = self.gateway {
            forward::response(headers, &tries.collect::<Vec<_>>(), show);
        }
    }

    /// Whether the gateway answers for upstreams that fail; else the host does, as the profile has it.
    pub(super) fn has_gateway(&self) -> bool {
        self.gateway.is_some()
    }
}

/// How many nodes may be asked.
fn most(upstream: &Upstream) -> usize {
    upstream.retries.map_or(upstream.nodes.len(), |retries| (retries as usize).saturating_add(1))
}
