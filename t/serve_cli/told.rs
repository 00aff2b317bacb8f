//! What people are told whose configuration is taken, and yet is not what they mean.

use super::support::{Server, ask, expect, says, upstream};
use crate::support::workspace;

const PLUGINS: &str = "wasm: { plugins: [ { name: a, file: ../a.wat, priority: 1 } ] }\n";

/// Words that are told at the start, and what they are told of. APISIX reads `apisix.yaml` only where config.yaml says so
/// (apisix.md 7.6), and takes no notice of keys that it does not know (1.1).
pub fn at_the_start() -> Result<(), String> {
    let node = upstream();
    let routes =
        format!("routes: [ {{ uri: /*, upstream: {{ type: roundrobin, nodes: {{ '{node}': 1 }} }} }} ]\n#END\n");
    let standalone =
        format!("{PLUGINS}deployment: {{ role: data_plane, role_data_plane: {{ config_provider: yaml }} }}\n");
    let told: &[(&str, Option<&str>, &[&str], &str)] = &[
        (PLUGINS, None, &["there are no routes, and no admin API", "--admin"], "nothing can be served"),
        (
            PLUGINS,
            Some(&routes),
            &["conf/apisix.yaml is read, and APISIX would leave it alone"],
            "who would not read it",
        ),
        (
            &standalone.replace("priority: 1", "priority: 1, phase: x"),
            Some(&routes),
            &["`phase` means nothing"],
            "a key",
        ),
        (
            &standalone.replace("plugins:", "plugin:"),
            Some(&routes),
            &["did you mean `plugins`?"],
            "a key that is misspelt",
        ),
    ];
    for (config, objects, words, what) in told {
        let folder = workspace(&[("conf/config.yaml", config), ("a.wat", &says("one"))]);
        if let Some(objects) = objects {
            std::fs::write(folder.path().join("conf/apisix.yaml"), objects).map_err(|error| error.to_string())?;
        }
        let server = Server::start(folder.path(), &["conf"])?;
        for words in *words {
            server.stderr.wait_for(words).map_err(|error| format!("{what}: {error}"))?;
        }
    }
    // Where all is well there is nothing to tell.
    let folder =
        workspace(&[("conf/config.yaml", &standalone), ("conf/apisix.yaml", &routes), ("a.wat", &says("one"))]);
    let server = Server::start(folder.path(), &["conf"])?;
    expect(server.get("/")?.status == 200, "it serves", ())?;
    expect(!server.stderr.now().contains("[warn]"), "without a warning", server.stderr.now())
}

/// The first thing that people try. APISIX's answer would be 503 and `bad conf`, about something that nobody gave.
pub fn without_configuration() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    let url = format!("http://{}", upstream());
    for (host, warned) in [("apisix", true), ("envoy", false)] {
        let record = format!("recorded-{host}");
        let arguments = ["--plugin", "a.wat", "--upstream", &url, "--host", host, "--record", &record];
        let mut server = Server::start(folder.path(), &arguments)?;
        let reply = server.get("/")?;
        expect(reply.status == 200, host, &reply)?;
        server.stderr.wait_for(" one, client")?;
        server.signal("TERM");
        server.end()?;
        expect(server.stderr.now().contains("a has no --config") == warned, host, server.stderr.now())?;
        let ran = crate::support::pwtest(folder.path(), &["run", &record]);
        expect(ran.code == 0 && ran.stdout.contains("1 passed"), "what was recorded passes", (ran.stdout, ran.stderr))?;
    }
    Ok(())
}

/// `conf/config-default.yaml` says `error_log: logs/error.log`, and `apisix start` makes the folder.
pub fn the_default_log() -> Result<(), String> {
    let config = format!("{PLUGINS}nginx_config: {{ error_log: logs/error.log, error_log_level: warn }}\n");
    let folder = workspace(&[("conf/config.yaml", &config), ("a.wat", &says("one"))]);
    let mut server = Server::start(folder.path(), &["conf"])?;
    server.stderr.wait_for("error log in conf/logs/error.log")?;
    server.signal("TERM");
    server.end()?;
    let log = std::fs::read_to_string(folder.path().join("conf/logs/error.log")).map_err(|error| error.to_string())?;
    expect(log.contains("[warn]"), "it is written", log)
}

/// A route whose plugin is gone goes on without it, as in APISIX 3.11 (1.2); that may be what kept people out.
pub fn a_plugin_that_is_gone() -> Result<(), String> {
    let folder = workspace(&[("conf/config.yaml", PLUGINS), ("a.wat", &says("one"))]);
    let arguments = ["conf", "--admin", "0", "--state", "state.json"];
    let node = upstream();
    let route = format!(
        r#"{{"uri":"/*","plugins":{{"a":{{"conf":"x"}}}},"upstream":{{"type":"roundrobin","nodes":{{"{node}":1}}}}}}"#
    );
    let words = "unknown plugin [a]. Enable the plugin or modify configuration (in routes/1)";
    let other = PLUGINS.replace("name: a", "name: b");
    {
        let server = Server::start(folder.path(), &arguments)?;
        let put = server.admin("PUT", "/apisix/admin/routes/1", &route)?;
        expect(put.status == 201, "a route", &put)?;
        std::fs::write(folder.path().join("conf/config.yaml"), &other).map_err(|error| error.to_string())?;
        server.stderr.wait_for(words)?;
    }
    let server = Server::start(folder.path(), &arguments)?;
    server.stderr.wait_for(words)
}

/// A reload that would forget what there was. A file of no bytes is one that somebody is about to write, or could not.
pub fn what_would_be_forgotten() -> Result<(), String> {
    let folder = workspace(&[("conf/config.yaml", PLUGINS), ("a.wat", &says("one"))]);
    let server = Server::start(folder.path(), &["conf", "--admin", "0", "--state", "state.json"])?;
    let node = upstream();
    let upstream = format!(r#""upstream": {{"type": "roundrobin", "nodes": {{"{node}": 1}}}}"#);
    let route = format!(r#"{{"uri": "/kept", "plugins": {{"a": {{"conf": "x"}}}}, {upstream}}}"#);
    let put = server.admin("PUT", "/apisix/admin/routes/1", &route)?;
    expect(put.status == 201, "a route", &put)?;
    let write =
        |name: &str, text: &str| std::fs::write(folder.path().join(name), text).map_err(|error| error.to_string());
    write("conf/config.yaml", "")?;
    server.stderr.wait_for("`conf/config.yaml` is empty")?;
    expect(server.get("/kept")?.status == 200, "the route is there", ())?;
    server.stderr.wait_for(" one, client")?;
    write("conf/config.yaml", PLUGINS)?;
    write("conf/apisix.yaml", &format!("routes: [ {{ uri: /other, {upstream} }} ]\n#END\n"))?;
    server.stderr.wait_for("give one of the two")?;
    expect(server.get("/kept")?.status == 200, "the route is still there", server.stderr.now())
}

/// Keys come and go with the configuration: without one, web pages are refused.
pub fn keys_that_come_and_go() -> Result<(), String> {
    let with =
        format!("{PLUGINS}deployment: {{ admin: {{ admin_key: [ {{ name: x, key: secret, role: admin }} ] }} }}\n");
    let folder = workspace(&[("conf/config.yaml", &with), ("a.wat", &says("one"))]);
    let server = Server::start(folder.path(), &["conf", "--admin", "0"])?;
    let admin = server.admin.ok_or("no admin API")?;
    let page = [("Origin", "http://page.test"), ("X-API-KEY", "secret")];
    let list = || ask(admin, "GET", "/apisix/admin/routes", &page, "");
    expect(list()?.status == 200, "a page with a key", list()?)?;
    std::fs::write(folder.path().join("conf/config.yaml"), PLUGINS).map_err(|error| error.to_string())?;
    server.stderr.wait_for("config.yaml reloaded.")?;
    expect(list()?.status == 403, "a page where nobody needs a key", list()?)?;
    let with = format!("{with}apisix: {{ node_listen: 19080 }}\n");
    std::fs::write(folder.path().join("conf/config.yaml"), &with).map_err(|error| error.to_string())?;
    // What is listened on stays until a restart.
    server.stderr.wait_for("apisix.node_listen is another than at the start")?;
    super::support::wait(|| server.stderr.now().matches("config.yaml reloaded.").count() == 2)
        .map_err(|()| server.stderr.now())?;
    expect(list()?.status == 200, "a page with a key again", list()?)
}

/// APISIX's words for a name that leads nowhere, and its 503: such a node is none (apisix.md 7.4, `upstream.lua`).
pub fn a_name_that_leads_nowhere() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    // No name is so long, so nobody has to be asked.
    let url = format!("http://{}.test:1980", "x".repeat(64));
    let server = Server::start(folder.path(), &["--plugin", "a.wat", "--config", "x", "--upstream", &url])?;
    let reply = server.get("/")?;
    expect(reply.status == 503, "there is no node", &reply)?;
    server.stderr.wait_for(&format!("failed to parse domain: {}.test, error: ", "x".repeat(64)))?;
    expect(!server.stderr.now().contains("connect() failed"), "nobody refused", server.stderr.now())?;
    // One that leads to somebody who refuses: both logs say who it was, as nginx's do.
    let server =
        Server::start(folder.path(), &["--plugin", "a.wat", "--config", "x", "--upstream", "http://localhost:1"])?;
    let reply = server.get("/")?;
    expect(reply.status == 502, "it refuses", &reply)?;
    server.stderr.wait_for(":1/\", host: ")?;
    server.stdout.wait_for(":1 502 ")
}

/// With `--log-format json` every line is an object, whatever else is asked for.
pub fn nothing_but_json() -> Result<(), String> {
    let folder = workspace(&[("a.wat", &says("one"))]);
    let url = format!("http://{}", upstream());
    let arguments = ["--plugin", "a.wat", "--config", "x", "--upstream", &url, "--trace", "--log-format", "json"];
    let mut server = Server::start(folder.path(), &[&arguments[..], &["--log-level", "debug"]].concat())?;
    expect(server.get("/\"hello\\")?.status == 200, "it serves", ())?;
    server.stderr.wait_for("exchange 1 closed")?;
    server.signal("TERM");
    server.end()?;
    let text = server.stderr.now() + &server.stdout.now();
    let lines = text.lines().map(serde_json::from_str::<serde_json::Value>).collect::<Result<Vec<_>, _>>();
    let lines = lines.map_err(|error| format!("{error} in\n{text}"))?;
    let of_request = lines.iter().find(|line| line["message"] == "trace of request 1");
    let trace = of_request.and_then(|line| line["trace"].as_array()).ok_or(format!("no trace in\n{text}"))?;
    expect(trace.first().is_some_and(|line| line == "exchange 1 opened"), "it is the request's", trace)
}
