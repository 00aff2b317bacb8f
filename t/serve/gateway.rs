//! A gateway: requests go their own ways, and contexts come and go with the configuration.

use super::ends::{Origin, Peer, eventually, header, plugin, settings};
use super::{holds, named, same};
use libtest_mimic::{Failed, Trial};
use pwtest::gateway::client::RealIp;
use pwtest::gateway::config::Config;
use pwtest::gateway::document;
use pwtest::gateway::forward::UpstreamStatus;
use pwtest::host::profile::APISIX;
use pwtest::proxy::{Generation, Running, Server, Serves};
use std::path::Path;
use std::sync::Arc;

pub fn trials() -> Vec<Trial> {
    named(&[
        ("gateway: each request goes the way of its route", routes),
        ("gateway: another configuration takes contexts away", reconfigured),
    ])
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn config(routes: &str) -> Arc<Config> {
    let text = format!(
        "{{\"wasm\":{{\"plugins\":[{{\"name\":\"plugin\",\"priority\":1,\"file\":\"header.wasm\"}}]}},\"routes\":[{routes}]}}"
    );
    let (gateway, warnings) = document::gateway(&text, Path::new("/")).expect("a document");
    assert!(warnings.is_empty(), "{warnings:?}");
    Arc::new(Config::compile(gateway.resources.plugins(), gateway.resources.objects()))
}

fn gateway(config: Arc<Config>) -> Running {
    let plugins = vec![plugin("rust/header.wasm", &APISIX, "")];
    let serves =
        Serves::Gateway { plugins, config, show_upstream_status: UpstreamStatus::OnError, real_ip: RealIp::default() };
    Server::start(settings(), Generation::new(&APISIX, serves)).expect("it starts")
}

fn route(id: u32, uri: &str, plugins: &str, origin: &Origin) -> String {
    let node = origin.address;
    format!(
        "{{\"id\":\"{id}\",\"uri\":\"{uri}\",\"plugins\":{{{plugins}}},\"upstream\":{{\"type\":\"roundrobin\",\"nodes\":{{\"{node}\":1}}}}}}"
    )
}

const PLUGIN: &str = "\"plugin\":{\"conf\":\"x\"}";

fn ask(server: &Running, path: &str) -> (String, String) {
    let mut client = Peer::to(server);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: app.test:81\r\nConnection: close\r\n\r\n"));
    client.message()
}

/// apisix.md 7.3 and 7.4: the 404's body, and the headers that the upstream gets.
fn routes() -> Result<(), Failed> {
    let ((one, of_one), (two, of_two)) = (Origin::answering(OK), Origin::answering(OK));
    let server = gateway(config(&[route(1, "/one", "", &one), route(2, "/two/*", PLUGIN, &two)].join(",")));
    let (head, body) = ask(&server, "/one");
    same(body.as_str(), "hello")?;
    same(header(&head, "x-done"), None)?;
    let (head, _) = ask(&server, "/two/three");
    same(header(&head, "x-done"), Some("1"))?;
    let mut client = Peer::to(&server);
    client.send("GET /three HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (head, body) = client.message();
    let chunks = client.until("0\r\n\r\n");
    holds(head.starts_with("HTTP/1.1 404 "), &head)?;
    // It comes in chunks, as nginx sends what has no length.
    let body = if body.is_empty() { chunks } else { body };
    holds(body.contains("{\"error_msg\":\"404 Route Not Found\"}\n"), &body)?;
    let seen = of_one.lock().expect("requests");
    let first = &seen.first().ok_or("the first origin should have been asked")?.0;
    same(header(first, "host"), Some("app.test:81"))?;
    same(header(first, "x-real-ip"), Some("127.0.0.1"))?;
    same(header(first, "x-forwarded-for"), Some("127.0.0.1"))?;
    same(header(first, "x-forwarded-host"), Some("app.test"))?;
    same(first.lines().filter(|line| line.to_ascii_lowercase().starts_with("host:")).count(), 1)?;
    let seen = of_two.lock().expect("requests");
    same(header(&seen.first().ok_or("the second origin should have been asked")?.0, "x-pwtest"), Some("1"))
}

fn reconfigured() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let server = gateway(config(&route(1, "/one", PLUGIN, &origin)));
    same(server.population()[0].plugin_contexts, 0)?;
    same(header(&ask(&server, "/one").0, "x-done"), Some("1"))?;
    same(server.population()[0].plugin_contexts, 1)?;
    server.set_config(&config(&route(2, "/one", "", &origin)));
    holds(eventually(|| server.population()[0].plugin_contexts == 0), "the context should have ended")?;
    same(header(&ask(&server, "/one").0, "x-done"), None)
}
