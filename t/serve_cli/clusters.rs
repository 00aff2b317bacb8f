//! Clusters: what a plugin on `--host envoy` calls by a name, and where that is.

use super::support::{Server, ask, expect, fixture, upstream};
use crate::support::workspace;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

/// What the plugin of `ext-auth` is told: it asks `authz` for `/check`, and its 401 becomes the answer.
const CONFIG: &str = r#"{"upstream":"authz","path":"/check","timeout_ms":20000}"#;

/// A service that refuses everybody who does not ask for `/check` with these credentials.
fn service(credentials: &'static str) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(reader) = stream.try_clone() else { continue };
            let head: Vec<String> =
                BufReader::new(reader).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let asked = head.first().is_some_and(|line| line == "GET /check HTTP/1.1");
            let knows = head.iter().any(|line| line.eq_ignore_ascii_case(&format!("authorization: {credentials}")));
            let status = if asked && knows { "200 OK" } else { "401 Unauthorized" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    Ok(address)
}

/// Whether the service that knows `credentials`, and no other, is asked.
fn is_asked(server: &Server, credentials: &str) -> Result<(), String> {
    for (sent, status, body) in [(credentials, 200, "hello world\n"), ("nobody", 401, "denied\n")] {
        let got = ask(server.address, "GET", "/anything", &[("Authorization", sent)], "")?;
        let right = got.status == status && got.body == body;
        expect(right, &format!("{sent} gets {status}"), (&got, server.stderr.now()))?;
    }
    Ok(())
}

pub fn given() -> Result<(), String> {
    let folder = workspace(&[]);
    let authz = service("anna").map_err(|error| error.to_string())?;
    let (plugin, url, cluster) =
        (fixture("rust/ext-auth.wasm"), format!("http://{}", upstream()), format!("authz={authz}"));
    let plugin = ["--plugin", &plugin, "--config", CONFIG, "--upstream", &url, "--host", "envoy"];
    let server = Server::start(folder.path(), &[&plugin[..], &["--cluster", &cluster]].concat())?;
    is_asked(&server, "anna")?;
    // Envoy refuses the call to a cluster that it does not know, and the plugin says 503 then.
    let server =
        Server::start(folder.path(), &[&plugin[..], &["--cluster", &cluster.replace("authz", "other")]].concat())?;
    let got = ask(server.address, "GET", "/anything", &[("Authorization", "anna")], "")?;
    expect(got.status == 503, "a name that is no cluster", &got)
}

pub fn configured() -> Result<(), String> {
    let (of_document, of_command) = (service("bert"), service("carl"));
    let of_document = of_document.map_err(|error| error.to_string())?;
    let of_command = of_command.map_err(|error| error.to_string())?;
    let (plugin, node) = (fixture("rust/ext-auth.wasm"), upstream());
    let document = format!(
        "clusters: {{ authz: \"{of_document}\" }}\n\
         wasm.plugins: [ {{ name: ext-auth, priority: 1, file: {plugin} }} ]\n\
         routes: [ {{ uri: /*, plugins: {{ ext-auth: {{ conf: {CONFIG} }} }}, upstream: {{ nodes: {{ \"{node}\": 1 }} }} }} ]\n"
    );
    let folder = workspace(&[("gateway.yaml", &document)]);
    let server = Server::start(folder.path(), &["gateway.yaml", "--host", "envoy"])?;
    is_asked(&server, "bert")?;
    // It is somewhere else now.
    let moved = service("dora").map_err(|error| error.to_string())?;
    let moved = document.replace(&of_document.to_string(), &moved.to_string());
    std::fs::write(folder.path().join("gateway.yaml"), moved).map_err(|error| error.to_string())?;
    server.stderr.wait_for("gateway.yaml reloaded.")?;
    is_asked(&server, "dora")?;
    std::fs::write(folder.path().join("gateway.yaml"), &document).map_err(|error| error.to_string())?;
    // The command line goes before the document.
    let cluster = format!("authz={of_command}");
    let server = Server::start(folder.path(), &["gateway.yaml", "--host", "envoy", "--cluster", &cluster])?;
    is_asked(&server, "carl")
}
