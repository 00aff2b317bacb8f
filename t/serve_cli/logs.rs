//! What it writes: files, JSON, traps, traces, numbers.

use super::support::{Server, ask, expect, fixture, says, upstream, wait};
use crate::support::workspace;

pub fn files() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    let url = format!("http://{}", upstream());
    let base = ["--plugin", "a.wat", "--config", "x", "--upstream", &url, "--log-format", "json"];
    let rest = ["--error-log", "error.log", "--access-log", "access.log", "--log-level", "info"];
    let mut server = Server::start(folder.path(), &[&base[..], &rest].concat())?;
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    expect(server.get("/one")?.status == 200, "it serves", ())?;
    wait(|| read("error.log").contains("/one") && read("access.log").contains("/one"))
        .map_err(|()| format!("no lines\n{}{}", read("error.log"), read("access.log")))?;
    for name in ["error.log", "access.log"] {
        std::fs::rename(folder.path().join(name), folder.path().join(format!("{name}.1")))
            .map_err(|error| error.to_string())?;
    }
    server.signal("USR1");
    wait(|| folder.path().join("access.log").exists() && folder.path().join("error.log").exists())
        .map_err(|()| "the files are not opened anew".to_owned())?;
    expect(server.get("/two")?.status == 200, "it serves", ())?;
    server.signal("TERM");
    expect(server.end()? == Some(0), "it stops", ())?;
    let lines = |name: &str| -> Result<Vec<serde_json::Value>, String> {
        let line = |line: &str| serde_json::from_str(line).map_err(|error| format!("{error}: {line}"));
        read(name).lines().map(line).collect()
    };
    let with = |lines: &[serde_json::Value], key: &str, text: &str| {
        lines.iter().find(|line| line[key] == text).cloned().unwrap_or_default()
    };
    let first = with(&lines("error.log.1")?, "message", "one");
    expect(first["request"] == "GET /one HTTP/1.1" && first["level"] == "warn", "the plugin's line", &first)?;
    expect(first["plugin"] == "a" && first["client"] == "127.0.0.1", "the plugin's line", &first)?;
    let loaded = with(&lines("error.log.1")?, "message", "loaded wasm plugin");
    // apisix.md 2.1
    expect(loaded["level"] == "info", "the host's own line", &loaded)?;
    let second = with(&lines("error.log")?, "message", "one");
    expect(second["request"] == "GET /two HTTP/1.1", "what comes later is in the new file", &second)?;
    let access = with(&lines("access.log")?, "request", "GET /two HTTP/1.1");
    expect(access["status"] == 200 && access["body_bytes_sent"] == 12, "the request's line", &access)?;
    expect(access["upstreams"][0]["status"] == 200, "with its upstream", &access)
}

pub fn trap() -> Result<(), String> {
    let folder = workspace(&[]);
    let (plugin, url) = (fixture("rust/fragile.debug.wasm"), format!("http://{}", upstream()));
    let base = ["--plugin", &plugin, "--name", "fragile", "--config", "x", "--upstream", &url];
    let server = Server::start(folder.path(), &base)?;
    // A name that is no UTF-8.
    let reply = ask(server.address, "GET", "/hello", &[("x-name", "\u{ff}")], "")?;
    expect(reply.status == 503, "a trap is 503", &reply)?;
    server.stderr.wait_for("plugin fragile trapped in on_request_headers: ")?;
    server.stderr.wait_for("fragile/src/lib.rs:")?;
    // apisix.md 2.2, 3.1
    server.stderr.wait_for("failed to call function: ")?;
    server.stderr.wait_for("fragile exits with http status code 503")?;
    expect(server.get("/hello")?.status == 200, "it still serves", server.stderr.now())
}

/// Envoy fails closed, and APISIX answers 503 (apisix.md 2.3): a plugin that refuses its configuration may be what
/// keeps people out.
pub fn unstarted() -> Result<(), String> {
    let refuses = says("one").replace(
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32) i32.const 1)",
        "(func (export \"proxy_on_configure\") (param i32 i32) (result i32) i32.const 0)",
    );
    let node = upstream();
    let document = format!(
        "wasm: {{ plugins: [ {{ name: a, file: a.wat, priority: 1 }} ] }}\n\
         routes:\n  - {{ uri: /with, plugins: {{ a: {{ conf: x }} }}, upstream_id: u }}\n  - {{ uri: /without, upstream_id: u }}\n\
         upstreams: [ {{ id: u, type: roundrobin, nodes: {{ '{node}': 1 }} }} ]\n"
    );
    let folder = workspace(&[("gateway.yaml", &document), ("a.wat", &refuses)]);
    for host in ["apisix", "envoy", "spec"] {
        let server = Server::start(folder.path(), &["gateway.yaml", "--host", host])?;
        if host != "apisix" {
            // Nobody has to ask: Envoy configures plugins when it starts.
            server.stderr.wait_for("a of route#arr_1 could not be started: proxy_on_configure returned false")?;
        }
        for path in ["/with", "/with"] {
            let reply = server.get(path)?;
            expect(reply.status == 503, host, &reply)?;
        }
        let reply = server.get("/without")?;
        expect(reply.status == 200, host, &reply)?;
    }
    Ok(())
}

/// Issue 4: no plugin takes the server down. On APISIX and nginx a VM may have 4 GiB.
pub fn memory() -> Result<(), String> {
    // Answers 200 where it gets this many pages of 64 KiB, and 507 where it does not.
    let grows = |pages: u32| {
        format!(
            r#"(module
  (import "env" "proxy_send_local_response" (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $answer
      (select (i32.const 507) (i32.const 200) (i32.eq (memory.grow (i32.const {pages})) (i32.const -1)))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
    i32.const 1)
  (func (export "proxy_on_done") (param i32) (result i32) i32.const 1)
  (func (export "proxy_on_delete") (param i32)))"#
        )
    };
    let folder = workspace(&[("some.wat", &grows(8_000)), ("more.wat", &grows(20_000))]);
    let url = format!("http://{}", upstream());
    for (plugin, status) in [("some.wat", 200), ("more.wat", 507)] {
        for host in ["apisix", "envoy"] {
            let base = ["--plugin", plugin, "--config", "x", "--upstream", &url, "--host", host];
            let server = Server::start(folder.path(), &base)?;
            let reply = server.get("/")?;
            expect(reply.status == status, plugin, &reply)?;
        }
    }
    Ok(())
}

pub fn traces() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    let url = format!("http://{}", upstream());
    let base = ["--plugin", "a.wat", "--config", "x", "--upstream", &url, "--trace", "--admin", "0"];
    let server = Server::start(folder.path(), &base)?;
    for _ in 0..3 {
        expect(server.get("/hello")?.status == 200, "it serves", ())?;
    }
    server.stderr.wait_for("exchange 3 closed")?;
    let text = server.stderr.now();
    let block = text.split("trace of request 2:\n").nth(1).unwrap_or_default();
    let block: Vec<&str> = block.lines().take_while(|line| line.starts_with("  ")).collect();
    for words in ["exchange 2 opened", "on_request_headers(ctx ", "proxy_log(warn, \"one\")", "exchange 2 closed"] {
        expect(block.iter().any(|line| line.contains(words)), words, &block)?;
    }
    expect(!block.iter().any(|line| line.contains("exchange 3")), "no other request in between", &block)?;
    for path in ["/metrics", "/apisix/prometheus/metrics"] {
        let page = server.admin("GET", path, "")?;
        expect(page.head.contains("text/plain; version=0.0.4"), "the format is Prometheus'", &page.head)?;
        let line = "pwtest_http_requests_total{status=\"2xx\"} 3";
        expect(page.body.lines().any(|shown| shown == line), line, &page.body)?;
    }
    Ok(())
}
