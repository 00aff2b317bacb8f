//! Section 7.4: types, weights, priorities, `hash_on` and `key`.

use super::super::config::samples::{node, upstream};
use super::super::facts::tests::{facts, headers};
use super::*;
use crate::message::Headers;
use std::collections::BTreeMap;

fn of(nodes: Vec<Node>, balance: Balance) -> Upstream {
    Upstream { nodes, balance, ..upstream(None, 1) }
}

fn ports(balancer: &mut Balancer, upstream: &Upstream, times: usize) -> Vec<u16> {
    let headers = Headers::new();
    let facts = facts("GET", "/", "h", &headers);
    (0..times).filter_map(|_| balancer.pick(upstream, &facts, &[])).map(|node| node.port).collect()
}

/// 7.4: smooth weighted; the sequence for 5, 1, 1 is that of nginx's own description of its algorithm.
#[test]
fn turns_are_smooth() {
    let upstream = of(vec![node("a", 1, 5), node("b", 2, 1), node("c", 3, 1)], Balance::RoundRobin);
    assert_eq!(ports(&mut Balancer::new(), &upstream, 8), [1, 1, 2, 1, 3, 1, 1, 1]);
    let even = of(vec![node("a", 1, 1), node("b", 2, 1)], Balance::RoundRobin);
    assert_eq!(ports(&mut Balancer::new(), &even, 4), [1, 2, 1, 2]);
}

/// 7.4: weight 0 is never picked.
#[test]
fn weight_zero_is_never_chosen() {
    let upstream = of(vec![node("a", 1, 0), node("b", 2, 3)], Balance::RoundRobin);
    assert_eq!(ports(&mut Balancer::new(), &upstream, 3), [2, 2, 2]);
    let none = of(vec![node("a", 1, 0), node("b", 2, 0)], Balance::RoundRobin);
    assert!(ports(&mut Balancer::new(), &none, 1).is_empty());
}

/// `pick_server` of APISIX's `balancer.lua` returns the only node before it looks at weights or at what was tried.
#[test]
fn the_only_node_is_always_chosen() {
    let headers = Headers::new();
    let facts = facts("GET", "/", "h", &headers);
    for balance in [Balance::RoundRobin, chash(HashOn::Consumer, "")] {
        let upstream = of(vec![node("a", 1, 0)], balance);
        let node = Balancer::new().pick(&upstream, &facts, &upstream.nodes).map(|node| node.port);
        assert_eq!(node, Some(1));
    }
}

/// 7.4: priorities, and the next node when one was tried.
#[test]
fn a_retry_takes_another_node() {
    let spare = Node { priority: -1, ..node("c", 3, 9) };
    let upstream = of(vec![spare, node("a", 1, 1), node("b", 2, 1)], Balance::RoundRobin);
    let headers = Headers::new();
    let facts = facts("GET", "/", "h", &headers);
    let (mut balancer, mut tried) = (Balancer::new(), Vec::new());
    while let Some(node) = balancer.pick(&upstream, &facts, &tried) {
        tried.push(node);
    }
    assert_eq!(tried.iter().map(|node| node.port).collect::<Vec<_>>(), [1, 2, 3]);
}

fn chash(hash_on: HashOn, key: &str) -> Balance {
    Balance::Chash { hash_on, key: key.to_owned() }
}

fn share(nodes: Vec<Node>) -> BTreeMap<String, u16> {
    let upstream = of(nodes, chash(HashOn::Vars, "arg_user"));
    let headers = Headers::new();
    let mut balancer = Balancer::new();
    let node_of = |user: usize| {
        let target = format!("/?user={user}");
        let port = balancer.pick(&upstream, &facts("GET", &target, "h", &headers), &[]).map_or(0, |node| node.port);
        (target, port)
    };
    (0..3000).map(node_of).collect()
}

/// 7.4: chash is consistent: the keys of a node that goes are all that move, and shares are as weights are.
#[test]
fn a_node_takes_only_its_own_keys_with_it() {
    let three = || vec![node("a", 1, 1), node("b", 2, 1), node("c", 3, 4)];
    let before = share(three());
    let count = |port: u16| before.values().filter(|of| **of == port).count();
    assert!((400..600).contains(&count(1)) && (1800..2200).contains(&count(3)), "{} {}", count(1), count(3));
    let after = share(three().into_iter().filter(|node| node.port != 2).collect());
    for (key, port) in &before {
        assert!(*port == 2 || after[key] == *port, "{key}");
    }
    assert!(after.values().all(|port| *port != 2));
}

/// 7.4: `hash_on` is vars, header, cookie or a combination; without a value APISIX takes the client's address.
#[test]
fn what_is_hashed() {
    let headers = headers(&[("x-user", "bob"), ("cookie", "s=1; t=2")]);
    let facts = facts("GET", "/a?u=1", "h", &headers);
    let key = |hash_on, name: &str| {
        key_of(&facts, hash_on, name).map_or("none".to_owned(), |key| String::from_utf8_lossy(&key).into_owned())
    };
    assert_eq!(key(HashOn::Vars, "uri"), "/a");
    assert_eq!(key(HashOn::Vars, "arg_u"), "1");
    assert_eq!(key(HashOn::Vars, "arg_none"), "none");
    assert_eq!(key(HashOn::Header, "X-User"), "bob");
    assert_eq!(key(HashOn::Cookie, "t"), "2");
    assert_eq!(key(HashOn::VarsCombinations, "$uri-${arg_u}$arg_none.x"), "/a-1");
    assert_eq!(key(HashOn::VarsCombinations, "$arg_none"), "none");
    assert_eq!(key(HashOn::Consumer, "x"), "none", "there are no consumers");
    assert_eq!(key(HashOn::VarsCombinations, "\\$uri $host"), "$uri h");
}

/// t/node/chash-hashon.t 7 and 10: the client's address is the key, and the log has a line.
#[test]
fn without_a_key_the_address_counts() {
    let upstream = of(vec![node("a", 1, 1), node("b", 2, 1)], chash(HashOn::Header, "x-user"));
    let (none, some) = (Headers::new(), headers(&[("x-user", "bob")]));
    let mut balancer = Balancer::new();
    assert!(balancer.pick(&upstream, &facts("GET", "/", "h", &some), &[]).is_some());
    assert_eq!(balancer.fell_back(), None);
    assert!(balancer.pick(&upstream, &facts("GET", "/", "h", &none), &[]).is_some());
    let line = "chash_key fetch is nil, use default chash_key remote_addr: 127.0.0.1";
    assert_eq!(balancer.fell_back().as_deref(), Some(line));
    assert_eq!(balancer.fell_back(), None);
}
