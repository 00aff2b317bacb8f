//! Which node of an upstream a request goes to (7.4): smooth weighted round robin, or a consistent hash.
//!
//! Each worker has a balancer of its own, as each of nginx's workers has. Nodes of weight 0 are never chosen; nodes of a
//! lower priority only when all of a higher one have been tried. The only node of an upstream is, as in APISIX, never
//! weighed: it is chosen whatever its weight, and again when it was tried.

mod hash;

use super::address;
use super::facts::RequestFacts;
use super::model::{Balance, HashOn, Node, Upstream};
use super::variables::{Value, Variable, Variables};
use bytes::Bytes;
use std::collections::HashMap;

/// Upstreams whose turns are remembered; then all begin anew.
const MOST_TURNS: usize = 4096;

/// Whose turn it is, for each upstream.
#[derive(Debug, Clone, Default)]
pub struct Balancer {
    /// By what the nodes of an upstream add up to: equal nodes take turns together.
    turns: HashMap<u64, Vec<i64>>,
    /// The client's address, where it was the key of the last choice for want of another.
    instead: Option<Bytes>,
}

impl Balancer {
    /// Nobody has had a turn.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node for a request, where some have been tried before. `None` when there is none left.
    pub fn pick(&mut self, upstream: &Upstream, facts: &RequestFacts<'_>, tried: &[Node]) -> Option<Node> {
        self.instead = None;
        if let [only] = &upstream.nodes[..] {
            return Some(only.clone());
        }
        let left = |node: &&Node| node.weight > 0 && !tried.contains(node);
        let priority = upstream.nodes.iter().filter(left).map(|node| node.priority).max()?;
        let eligible = |node: &&Node| left(node) && node.priority == priority;
        let mut eligibles = upstream.nodes.iter().filter(eligible);
        if let (Some(only), None) = (eligibles.next(), eligibles.next()) {
            return Some(only.clone());
        }
        match &upstream.balance {
            Balance::RoundRobin => self.next(upstream, |node| eligible(&node)).cloned(),
            Balance::Chash { hash_on, key } => {
                let key = key_of(facts, *hash_on, key).unwrap_or_else(|| {
                    let address = address::text(facts.client);
                    self.instead = Some(address.clone());
                    address.into()
                });
                hash::best(&key, upstream.nodes.iter().filter(eligible)).cloned()
            }
        }
    }

    /// APISIX's line for a choice whose key the request did not have: once after each such choice.
    pub fn fell_back(&mut self) -> Option<String> {
        let address = self.instead.take()?;
        let address = String::from_utf8_lossy(&address);
        Some(format!("chash_key fetch is nil, use default chash_key remote_addr: {address}"))
    }

    /// nginx's smooth round robin: each node gains its weight, the one that has most goes, and pays for all.
    fn next<'a>(&mut self, upstream: &'a Upstream, eligible: impl Fn(&Node) -> bool) -> Option<&'a Node> {
        if self.turns.len() >= MOST_TURNS {
            self.turns.clear();
        }
        let turns = self.turns.entry(identity(upstream)).or_default();
        turns.resize(upstream.nodes.len(), 0);
        let mut total: i64 = 0;
        let mut best: Option<(usize, i64)> = None;
        for (at, (node, turn)) in upstream.nodes.iter().zip(turns.iter_mut()).enumerate() {
            if !eligible(node) {
                continue;
            }
            let weight = i64::from(node.weight);
            total = total.saturating_add(weight);
            *turn = turn.saturating_add(weight);
            if best.is_none_or(|(_, most)| *turn > most) {
                best = Some((at, *turn));
            }
        }
        let (at, _) = best?;
        if let Some(turn) = turns.get_mut(at) {
            *turn = turn.saturating_sub(total);
        }
        upstream.nodes.get(at)
    }
}

/// Tells upstreams apart: an id, or the nodes themselves. A write begins anew.
fn identity(upstream: &Upstream) -> u64 {
    let mut hash = hash::Hash::default();
    hash.add(upstream.id.as_deref().unwrap_or_default().as_bytes());
    hash.add(&upstream.revision.0.to_be_bytes());
    for node in &upstream.nodes {
        hash.add_node(node);
        hash.add(&node.weight.to_be_bytes());
    }
    hash.value()
}

/// What the upstream says a request is hashed by, if the request has it.
fn key_of(facts: &RequestFacts<'_>, hash_on: HashOn, key: &str) -> Option<Vec<u8>> {
    Variables::of(facts).ok().and_then(|variables| match hash_on {
        HashOn::Vars => text(&variables, &Variable::of(key)),
        HashOn::Header => text(&variables, &Variable::of(&format!("http_{key}"))),
        HashOn::Cookie => text(&variables, &Variable::of(&format!("cookie_{key}"))),
        HashOn::VarsCombinations => combination(&variables, key),
        HashOn::Consumer => None,
    })
}

fn text(variables: &Variables<'_>, variable: &Variable) -> Option<Vec<u8>> {
    match variables.get(variable)? {
        Value::Text(text) => Some(text.into_owned()),
        Value::Flag => Some(b"true".to_vec()),
    }
}

/// A text with variables in it, `$name` or `${name}`. `None` where the request has none of them.
fn combination(variables: &Variables<'_>, template: &str) -> Option<Vec<u8>> {
    let (mut out, mut found) = (Vec::new(), false);
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, after) = (rest.get(..at)?, rest.get(at + 1..)?);
        if let Some(before) = before.strip_suffix('\\') {
            out.extend_from_slice(before.as_bytes());
            out.push(b'$');
            rest = after;
            continue;
        }
        out.extend_from_slice(before.as_bytes());
        let (name, after) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some(braced) => braced,
            None => {
                let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                let end = after.find(|c| !letter(c)).unwrap_or(after.len());
                (after.get(..end)?, after.get(end..)?)
            }
        };
        if let Some(value) = text(variables, &Variable::of(name)) {
            out.extend_from_slice(&value);
            found = true;
        }
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    found.then_some(out)
}

#[cfg(test)]
mod tests;
