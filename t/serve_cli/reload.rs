//! Reloads and stops.

use super::support::{Server, expect, says, upstream};
use crate::support::workspace;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// A document with one plugin and one route.
fn document(plugin: &str, uri: &str) -> String {
    let node = upstream();
    format!(
        "wasm: {{ plugins: [ {{ name: a, file: {plugin}, priority: 1 }} ] }}\n\
         routes: [ {{ id: r, uri: {uri}, plugins: {{ a: {{ conf: x }} }}, upstream: {{ type: roundrobin, nodes: {{ '{node}': 1 }} }} }} ]\n"
    )
}

pub fn module() -> Result<(), String> {
    let folder = workspace(&[("gateway.yaml", &document("a.wat", "/*")), ("a.wat", &says("one"))]);
    let server = Server::start(folder.path(), &["gateway.yaml", "--workers", "2"])?;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let address = server.address;
    let clients: Vec<_> = ["/anything", "/anything", "/slow"]
        .into_iter()
        .map(|path| {
            let (over, answered) = (over.clone(), answered.clone());
            thread::spawn(move || -> Result<(), String> {
                while !over.load(Ordering::Relaxed) {
                    let reply = super::support::ask(address, "GET", path, &[], "")?;
                    expect(reply.status == 200 && reply.body == "hello world\n", "every request is answered", &reply)?;
                    answered.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(())
            })
        })
        .collect();
    let mut result = server.stderr.wait_for(": *1 one, client");
    for word in ["two", "three"] {
        // As a compiler writes it: not all at once.
        let text = says(word);
        let path = folder.path().join("a.wat");
        std::fs::write(&path, &text[..text.len() / 2]).map_err(|error| error.to_string())?;
        thread::sleep(Duration::from_millis(50));
        std::fs::write(&path, &text).map_err(|error| error.to_string())?;
        result = result.and_then(|()| server.stderr.wait_for(&format!(" {word}, client")));
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.join().map_err(|_| "a client panicked".to_owned())??;
    }
    result?;
    expect(answered.load(Ordering::Relaxed) > 10, "there were requests", &answered)?;
    expect(!server.stderr.now().contains("nothing was reloaded"), "half a file is not taken", server.stderr.now())
}

pub fn broken() -> Result<(), String> {
    let good = document("a.wat", "/anything");
    let folder = workspace(&[("gateway.yaml", &good), ("a.wat", &says("one")), ("b.wat", "(module")]);
    let server = Server::start(folder.path(), &["gateway.yaml"])?;
    let steps = [
        (good.replace("routes: [", "routes: {"), "gateway.yaml"),
        (good.replace("priority: 1", "priority: x"), "priority"),
        (good.replace("a.wat", "b.wat"), "failed to load plugin [a] err: "),
        (good.replace("a.wat", "none.wat"), "none.wat"),
    ];
    for (nth, (text, words)) in steps.iter().enumerate() {
        std::fs::write(folder.path().join("gateway.yaml"), text).map_err(|error| error.to_string())?;
        let told = || {
            let text = server.stderr.now();
            text.matches("nothing was reloaded").count() == nth + 1 && text.contains(words)
        };
        super::support::wait(told).map_err(|()| format!("no word of `{words}` in\n{}", server.stderr.now()))?;
        expect(server.get("/anything")?.status == 200, "the old one serves on", server.stderr.now())?;
    }
    // What is missing comes later.
    std::fs::write(folder.path().join("none.wat"), says("late")).map_err(|error| error.to_string())?;
    server.stderr.wait_for("reloaded.")?;
    expect(server.get("/anything")?.status == 200, "the new one serves", server.stderr.now())?;
    server.stderr.wait_for(" late, client")
}

pub fn hang_up() -> Result<(), String> {
    let folder = workspace(&[("gateway.yaml", &document("a.wat", "/anything")), ("a.wat", &says("one"))]);
    let mut server = Server::start(folder.path(), &["gateway.yaml"])?;
    expect(server.get("/anything")?.status == 200, "it serves", ())?;
    server.signal("HUP");
    server.stderr.wait_for("configuration and plugins reloaded")?;
    expect(server.get("/anything")?.status == 200, "it still does", ())?;
    std::fs::write(folder.path().join("gateway.yaml"), "[").map_err(|error| error.to_string())?;
    server.signal("HUP");
    server.stderr.wait_for("nothing was reloaded")?;
    expect(server.get("/anything")?.status == 200, "the old one serves on", ())?;
    server.signal("TERM");
    expect(server.end()? == Some(0), "it stops", ())
}

pub fn asked() -> Result<(), String> {
    let folder = workspace(&[("gateway.yaml", &document("a.wat", "/anything")), ("a.wat", &says("one"))]);
    let server = Server::start(folder.path(), &["gateway.yaml", "--admin", "0"])?;
    let path = "/apisix/admin/plugins/reload";
    std::fs::write(folder.path().join("a.wat"), says("two")).map_err(|error| error.to_string())?;
    // apisix.md 7.2
    let reply = server.admin("PUT", path, "")?;
    expect(reply.status == 200 && reply.body.trim() == "done", "it is done", &reply)?;
    expect(server.get("/anything")?.status == 200, "it serves", ())?;
    server.stderr.wait_for(" two, client")?;
    std::fs::write(folder.path().join("a.wat"), "(module").map_err(|error| error.to_string())?;
    let reply = server.admin("PUT", path, "")?;
    expect(reply.status == 503 && reply.body.contains("failed to load plugin [a]"), "it says why not", &reply)?;
    expect(server.get("/anything")?.status == 200, "the old one serves on", ())
}

pub fn drains() -> Result<(), String> {
    let folder = workspace(&[("gateway.yaml", &document("a.wat", "/*")), ("a.wat", &says("one"))]);
    let mut server = Server::start(folder.path(), &["gateway.yaml"])?;
    let address = server.address;
    let client = thread::spawn(move || super::support::ask(address, "GET", "/slow", &[], ""));
    // The plugin has seen it, so it is under way.
    server.stderr.wait_for(" one, client")?;
    server.signal("TERM");
    // Somebody new is sent elsewhere at once, not kept waiting for the end.
    let refused =
        || std::net::TcpStream::connect(address).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
    super::support::wait(refused).map_err(|()| "it still listens".to_owned())?;
    expect(!client.is_finished(), "while a request is under way", server.stderr.now())?;
    let reply = client.join().map_err(|_| "a client panicked".to_owned())??;
    expect(reply.status == 200 && reply.body == "hello world\n", "it is answered", &reply)?;
    expect(server.end()? == Some(0), "it ends well", server.stderr.now())?;
    expect(
        server.stdout.now().contains("\"GET /slow HTTP/1.1\" 200 12 "),
        "the last line is there",
        server.stdout.now(),
    )?;
    expect(server.get("/anything").is_err(), "nobody listens any more", ())
}

pub fn at_once() -> Result<(), String> {
    // An upstream that never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let node = listener.local_addr().map_err(|error| error.to_string())?;
    let url = format!("http://{node}");
    let folder = workspace(&[("a.wat", &says("one"))]);
    let mut server = Server::start(folder.path(), &["--plugin", "a.wat", "--config", "x", "--upstream", &url])?;
    let address = server.address;
    thread::spawn(move || super::support::ask(address, "GET", "/", &[], ""));
    server.stderr.wait_for(" one, client")?;
    server.signal("TERM");
    thread::sleep(Duration::from_millis(200));
    server.signal("INT");
    expect(server.end()? == Some(0), "it ends", server.stderr.now())
}
