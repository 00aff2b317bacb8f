//! `--resolve`: a configuration with the names of production, and servers on this machine.

use super::support::{Server, ask, expect, fixture, upstream};
use crate::support::workspace;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

/// A service that answers 404 and with the `Host` that it was asked by.
fn service() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let Ok(reader) = stream.try_clone() else { continue };
            let lines = BufReader::new(reader).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let head: Vec<String> = lines.map(|line| line.to_lowercase()).collect();
            let host = head.iter().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
            let text = format!("HTTP/1.1 404 Not Found\r\ncontent-type: {host}\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(text.as_bytes());
        }
    });
    Ok(address)
}

/// Nodes, calls to hosts and calls to clusters are all connected to where it says, and hosts keep their names.
pub fn names() -> Result<(), String> {
    let plugin = fixture("rust/http-call.wasm");
    let document = format!(
        "clusters: {{ authz: \"authz.internal:9000\" }}\n\
         wasm.plugins: [ {{ name: http-call, priority: 1, file: {plugin} }} ]\n\
         routes:\n\
         - {{ uri: /shop, upstream: {{ nodes: {{ \"shop.internal:443\": 1 }} }} }}\n\
         - {{ uri: /address, upstream: {{ nodes: {{ \"192.0.2.7:80\": 1 }} }} }}\n\
         - {{ uri: /call, plugins: {{ http-call: {{ conf: \"authz.internal:9000\" }} }}, upstream: {{ nodes: {{ \"127.0.0.1:1\": 1 }} }} }}\n\
         - {{ uri: /cluster, plugins: {{ http-call: {{ conf: authz }} }}, upstream: {{ nodes: {{ \"127.0.0.1:1\": 1 }} }} }}\n"
    );
    let folder = workspace(&[("gateway.yaml", &document)]);
    let (node, called) = (upstream(), service().map_err(|error| error.to_string())?);
    let resolved = [
        format!("SHOP.internal:443:{}:{}", node.ip(), node.port()),
        format!("192.0.2.7:80:{}:{}", node.ip(), node.port()),
        format!("authz.internal:9000:{}:{}", called.ip(), called.port()),
    ];
    let mut given = vec!["gateway.yaml"];
    given.extend(resolved.iter().flat_map(|entry| ["--resolve", entry]));
    let server = Server::start(folder.path(), &given)?;
    for path in ["/shop", "/address"] {
        let got = ask(server.address, "GET", path, &[], "")?;
        expect(got.status == 200 && got.body == "hello world\n", "the node is asked", (&got, server.stderr.now()))?;
    }
    // The access log says who was asked.
    server.stdout.wait_for(&format!(" {node} 200 "))?;
    let got = server.get("/call")?;
    let host = "resp-content-type: authz.internal:9000";
    expect(got.status == 403 && got.head.contains(host), "the host is called", (&got, server.stderr.now()))?;
    let server = Server::start(folder.path(), &[&given[..], &["--host", "envoy"]].concat())?;
    let got = server.get("/cluster")?;
    let host = "resp-content-type: authz";
    expect(got.status == 403 && got.head.contains(host), "the cluster is called", (&got, server.stderr.now()))
}
