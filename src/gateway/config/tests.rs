//! Routing as a whole: section 7.3 and 7.4 of `apisix.md`.

use super::super::facts::RequestFacts;
use super::super::facts::tests::{facts, headers};
use super::super::model::*;
use super::samples::*;
use super::*;
use crate::message::Headers;
use serde_json::json;

fn id(config: &Config, facts: &RequestFacts<'_>) -> Option<String> {
    config.route(facts).route.map(|route| route.id.to_string())
}

fn get(config: &Config, authority: &str, target: &str) -> Option<String> {
    id(config, &facts("GET", target, authority, &Headers::new()))
}

/// 7.3: the match is on the normalised path, without the query.
#[test]
fn a_route_is_found_by_its_normalised_path() {
    let config = compile(routes(vec![route("1", "/anything"), route("2", "/a/*")]));
    assert_eq!(get(&config, "127.0.0.1:9080", "/anything?x=/a/"), Some("1".to_owned()));
    assert_eq!(get(&config, "h", "//a/./%62?"), Some("2".to_owned()));
    assert_eq!(get(&config, "h", "/a/../anything"), Some("1".to_owned()));
    assert_eq!(get(&config, "h", "/Anything"), None);
}

/// 7.3: methods, addresses, expressions and `status: 0` decide which route is left.
#[test]
fn the_conditions_of_a_route() {
    let off = Route { enabled: false, priority: 9, ..route("off", "/x") };
    let posts = Route { methods: vec!["POST".to_owned()], priority: 8, ..route("posts", "/x") };
    let remote = Route { remote_addrs: vec!["10.0.0.0/8".to_owned()], priority: 7, ..route("remote", "/x") };
    let vars = Route { vars: Some(json!([["arg_a", "==", "1"]])), priority: 6, ..route("vars", "/x") };
    let broken = Route { vars: Some(json!([["arg_a", "=", "1"]])), priority: 5, ..route("broken", "/x") };
    let config = compile(routes(vec![route("rest", "/x"), off, posts, remote, vars, broken]));
    let none = Headers::new();
    assert_eq!(id(&config, &facts("POST", "/x?a=1", "h", &none)).as_deref(), Some("posts"));
    assert_eq!(id(&config, &facts("GET", "/x?a=1", "h", &none)).as_deref(), Some("vars"));
    assert_eq!(id(&config, &facts("GET", "/x", "h", &none)).as_deref(), Some("rest"));
    let from_there = RequestFacts { client: "10.1.1.1".parse().expect("an address"), ..facts("GET", "/x", "h", &none) };
    assert_eq!(id(&config, &from_there).as_deref(), Some("remote"));
}

/// 7.3: a route that names no host takes its service's.
#[test]
fn a_service_has_hosts_for_its_routes() {
    let of_service = |id: &str| Route { service_id: Some("s".into()), upstream: None, ..route(id, "/x") };
    let own = Route { hosts: vec!["own.com".to_owned()], ..of_service("own") };
    let service = Service { hosts: vec!["*.foo.com".to_owned()], ..service("s", Vec::new()) };
    let objects = Objects { services: vec![Arc::new(service)], ..routes(vec![of_service("inherits"), own]) };
    let config = compile(objects);
    assert_eq!(get(&config, "A.foo.com:80", "/x").as_deref(), Some("inherits"));
    assert_eq!(get(&config, "own.com", "/x").as_deref(), Some("own"));
    assert_eq!(get(&config, "else.com", "/x"), None);
    // The URL in the request line has the last word, as in nginx.
    assert_eq!(get(&config, "else.com", "http://own.com/x").as_deref(), Some("own"));
}

fn refused(config: &Config, target: &str) -> (u16, Option<&'static str>, Option<String>) {
    let headers = headers(&[]);
    let refusal = config.route(&facts("GET", target, "h", &headers)).upstream.refusal().expect("a refusal");
    (refusal.status, refusal.body, refusal.log)
}

/// 7.4's errors at request time, and 7.3's 404.
#[test]
fn what_is_answered_where_there_is_no_upstream() {
    let without = |id: &str| Route { upstream: None, ..route(id, &format!("/{id}")) };
    let config = compile(routes(vec![
        without("none"),
        Route { upstream: Some(UpstreamRef::Id("u9".into())), ..without("missing") },
        Route {
            upstream: Some(UpstreamRef::Inline(Arc::new(Upstream { nodes: vec![], ..upstream(None, 1) }))),
            ..without("empty")
        },
        Route { service_id: Some("s9".into()), ..without("service") },
        Route { plugin_config_id: Some("p9".into()), ..without("config") },
    ]));
    assert_eq!(refused(&config, "/else"), (404, Some("{\"error_msg\":\"404 Route Not Found\"}\n"), None));
    let missing = "failed to set upstream: missing upstream configuration in Route or Service".to_owned();
    assert_eq!(refused(&config, "/none"), (503, None, Some(missing)));
    assert_eq!(refused(&config, "/empty").0, 503);
    assert!(refused(&config, "/empty").2.is_some_and(|log| log.contains("no valid upstream node")));
    assert_eq!(refused(&config, "/missing").0, 502);
    assert_eq!(refused(&config, "/service").0, 404);
    assert_eq!(refused(&config, "/config").0, 503);
    assert_eq!(refused(&config, "/%zz").0, 400);
}

/// 2.3 and 7.3: the route's upstream before the service's, the route's timeout before the upstream's.
#[test]
fn the_upstream_and_its_timeout() {
    let by_id = |id: &str| Some(UpstreamRef::Id(id.into()));
    let quick = Timeout { connect_ms: 1, send_ms: 2, read_ms: 3 };
    let service = Service { upstream: by_id("u1"), enable_websocket: true, ..service("s", Vec::new()) };
    let inherits = Route { service_id: Some("s".into()), upstream: None, ..route("inherits", "/inherits") };
    let own =
        Route { service_id: Some("s".into()), upstream: by_id("u2"), timeout: Some(quick), ..route("own", "/own") };
    let config = compile(Objects {
        services: vec![Arc::new(service)],
        upstreams: vec![Arc::new(upstream(Some("u1"), 1)), Arc::new(upstream(Some("u2"), 2))],
        ..routes(vec![inherits, own])
    });
    let to = |target: &str| {
        let headers = Headers::new();
        match config.route(&facts("GET", target, "h", &headers)).upstream {
            Target::Upstream { upstream, timeout, websocket } => (upstream.nodes[0].port, timeout, websocket),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(to("/inherits"), (1, Timeout::default(), Websocket::Enabled));
    assert_eq!(to("/own"), (2, quick, Websocket::Enabled));
}

/// 10,000 routes, each found; this is about being right among many, not about time.
#[test]
fn ten_thousand_routes() {
    let many = |i: usize| match i % 3 {
        0 => Route { hosts: vec![format!("h{i}.com")], ..route(&i.to_string(), "/*") },
        1 => route(&i.to_string(), &format!("/exact/{i}")),
        _ => route(&i.to_string(), &format!("/prefix/{i}/*")),
    };
    let config = compile(routes((0..10_000).map(many).collect()));
    for i in 0..10_000 {
        let found = match i % 3 {
            0 => get(&config, &format!("h{i}.com"), "/x"),
            1 => get(&config, "h", &format!("/exact/{i}")),
            _ => get(&config, "h", &format!("/prefix/{i}/x")),
        };
        assert_eq!(found, Some(i.to_string()));
    }
}
