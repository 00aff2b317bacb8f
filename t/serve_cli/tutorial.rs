//! The tutorial's steps, and what of them lasts.

use super::support::{Server, ask, expect, fixture, upstream};
use crate::support::workspace;

/// `config.yaml` of the tutorial (apisix.md 1.1, 7.1).
fn config() -> String {
    let file = fixture("go/log.wasm");
    format!("wasm:\n  plugins:\n    - name: wasm_log\n      priority: 7999\n      file: {file}\n")
}

/// The tutorial's route, its upstream one that answers here.
fn route(conf: &str) -> String {
    let node = upstream();
    format!(
        r#"{{"id":"wasm-route","uri":"/anything","plugins":{{"wasm_log":{{"conf":"{conf}"}}}},"upstream":{{"type":"roundrobin","nodes":{{"{node}":1}}}}}}"#
    )
}

pub fn walk() -> Result<(), String> {
    let folder = workspace(&[("conf/config.yaml", &config())]);
    let server = Server::start(folder.path(), &["conf", "--admin", "0"])?;
    expect(server.get("/anything")?.status == 404, "there is no route yet", server.stderr.now())?;
    let put = server.admin("PUT", "/apisix/admin/routes", &route("hello apisix"))?;
    expect(put.status == 201, "a new route is 201", &put)?;
    expect(put.body.contains(r#""key":"/apisix/routes/wasm-route""#), "with its key", &put)?;
    // Whoever has the answer finds the route.
    let got = server.get("/anything")?;
    expect(got.status == 200 && got.body == "hello world\n", "the request passes", &got)?;
    server.stderr.wait_for("in http ctx 2")?;
    let host = server.address;
    // apisix.md 4.5
    let line = regex::Regex::new(&format!(
        r#"(?m)^\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d \[warn\] \d+#\d+: \*\d+ run plugin ctx 1 with conf hello apisix in http ctx 2, client: 127\.0\.0\.1, server: _, request: "GET /anything HTTP/1\.1", host: "{host}"$"#
    ))
    .map_err(|error| error.to_string())?;
    expect(line.is_match(&server.stderr.now()), "the line is the tutorial's", server.stderr.now())?;
    // nginx's access log, APISIX's format.
    let access = regex::Regex::new(&format!(
        r#"(?m)^127\.0\.0\.1 - - \[\d\d/\w{{3}}/\d{{4}}:\d\d:\d\d:\d\d \+0000\] {host} "GET /anything HTTP/1\.1" 200 12 \d+\.\d{{3}} "-" "-" 127\.0\.0\.1:\d+ 200 \d+\.\d{{3}} "http://{host}"$"#
    ))
    .map_err(|error| error.to_string())?;
    super::support::wait(|| access.is_match(&server.stdout.now()))
        .map_err(|()| format!("no such line in the access log\n{}", server.stdout.now()))?;
    // 1.3
    let wrong = server.admin("PUT", "/apisix/admin/routes/1", &route("").replace("wasm-route", "1"))?;
    let words = "value should match only one schema, but matches none";
    expect(wrong.status == 400 && wrong.body.contains(words), "an empty conf is 400", &wrong)?;
    let deleted = server.admin("DELETE", "/apisix/admin/routes/wasm-route", "")?;
    expect(deleted.status == 200, "it can be deleted", &deleted)?;
    expect(server.get("/anything")?.status == 404, "and is gone", ())
}

pub fn pages() -> Result<(), String> {
    let folder = workspace(&[("conf/config.yaml", &config())]);
    let server = Server::start(folder.path(), &["conf", "--admin", "0"])?;
    let admin = server.admin.ok_or("no admin API")?;
    let path = "/apisix/admin/routes";
    for header in [("Origin", "http://evil.example"), ("Host", "evil.example:9180")] {
        let refused = ask(admin, "PUT", path, &[header], &route("x"))?;
        expect(refused.status == 403, "a page is refused", &refused)?;
    }
    let list = server.admin("GET", path, "")?;
    expect(list.status == 200 && list.body.contains(r#""total":0"#), "and nothing was written", &list)
}

pub fn state() -> Result<(), String> {
    let folder = workspace(&[("conf/config.yaml", &config())]);
    let arguments = ["conf", "--admin", "0", "--state", "state.json"];
    let mut server = Server::start(folder.path(), &arguments)?;
    let put = server.admin("PUT", "/apisix/admin/routes", &route("kept"))?;
    expect(put.status == 201, "a new route is 201", &put)?;
    server.signal("KILL");
    server.end()?;
    let server = Server::start(folder.path(), &arguments)?;
    expect(server.get("/anything")?.status == 200, "the route is there again", server.stderr.now())?;
    server.stderr.wait_for("with conf kept in")?;
    let got = server.admin("GET", "/apisix/admin/routes/wasm-route", "")?;
    expect(got.status == 200 && got.body.contains(r#""conf":"kept""#), "for the admin API, too", &got)?;
    let kept = std::fs::read_dir(folder.path()).map_err(|error| error.to_string())?.count();
    expect(kept == 3, "nothing else is left behind", kept)
}

/// apisix.md 7.2: `?ttl=SECONDS`. Nobody asks the admin API meanwhile.
pub fn expiry() -> Result<(), String> {
    let folder = workspace(&[("conf/config.yaml", &config())]);
    let arguments = ["conf", "--admin", "0", "--state", "state.json"];
    let server = Server::start(folder.path(), &arguments)?;
    let put = server.admin("PUT", "/apisix/admin/routes?ttl=2", &route("short"))?;
    expect(put.status == 201, "a new route is 201", &put)?;
    expect(server.get("/anything")?.status == 200, "it serves", server.stderr.now())?;
    super::support::wait(|| server.get("/anything").is_ok_and(|reply| reply.status == 404))
        .map_err(|()| "the route is still there".to_owned())?;
    let kept = || std::fs::read_to_string(folder.path().join("state.json")).unwrap_or_default();
    expect(!kept().contains("wasm-route"), "nor is it kept", kept())
}

pub fn broken_state() -> Result<(), String> {
    let files = [("conf/config.yaml", &*config()), ("one.json", "{"), ("two.json", r#"{"routes":{}}"#)];
    let folder = workspace(&files);
    for (name, text) in &files[1..] {
        let ran =
            crate::support::pwtest(folder.path(), &["serve", "conf", "--listen", "0", "--admin", "0", "--state", name]);
        expect(ran.code == 2 && ran.stderr.contains("not a state"), "it is refused", &ran.stderr)?;
        let left = std::fs::read_to_string(folder.path().join(name)).map_err(|error| error.to_string())?;
        expect(left == *text, "and left as it is", left)?;
    }
    Ok(())
}
