//! Calls that plugins make while they are served: to origins and gRPC services on the loopback.

use super::ends::{Origin, Peer, eventually, header, plugin, settings, upstream};
use super::same;
use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use pwtest::abi::LogLevel;
use pwtest::host::PluginConfig;
use pwtest::host::profile::{APISIX, ENVOY, Profile};
use pwtest::proxy::{Clusters, Generation, LogLine, Observer, Running, Server, Settings};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Test = fn() -> Result<(), Failed>;

pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("serve: a call to an address", to_an_address),
        ("serve: a call to a cluster", to_a_cluster),
        ("serve: a call to a cluster that is not there is refused", unknown_cluster),
        ("serve: what comes of a call that fails", failures),
        ("serve: the answer to a call in chunks, with trailers", chunked),
        ("serve: calls at the start and from ticks", ticks),
        ("serve: a call of a client that went away", abandoned),
        ("serve: a gRPC call, and a stream beside it", grpc_call),
        ("serve: a gRPC stream to its end", grpc_stream),
        ("serve: a queue is told of in the worker that owns it", queues),
        ("serve: a counter of all workers", counter),
    ];
    tests.iter().map(|(name, test)| Trial::test(*name, *test)).collect()
}

/// What plugins log, with the worker that it comes from.
#[derive(Default)]
struct Lines(Mutex<Vec<(usize, String)>>);

impl Observer for Lines {
    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Info)
    }

    fn log(&self, line: &LogLine<'_>) {
        let text = String::from_utf8_lossy(line.message).into_owned();
        self.0.lock().expect("lines").push((line.worker, text));
    }
}

impl Lines {
    fn having(&self, what: &str) -> Vec<(usize, String)> {
        self.0.lock().expect("lines").iter().filter(|(_, line)| line.contains(what)).cloned().collect()
    }

    /// Waits for a line.
    fn says(&self, what: &str) -> Result<(), Failed> {
        match eventually(|| !self.having(what).is_empty()) {
            true => Ok(()),
            false => Err(format!("no line {what:?} in {:?}", self.0.lock().expect("lines")).into()),
        }
    }
}

/// A server with one plugin.
struct Serving {
    server: Running,
    lines: Arc<Lines>,
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn serving(
    profile: &'static Profile,
    plugin: PluginConfig,
    origin: &Origin,
    clusters: &[(&str, SocketAddr)],
) -> Serving {
    let lines = Arc::<Lines>::default();
    let mut given = Clusters::default();
    for (name, address) in clusters {
        given.insert(name, &address.to_string()).expect("an address");
    }
    let settings = Settings { observer: lines.clone(), ..settings() };
    let chain = Generation::chain(profile, vec![plugin], Arc::new(upstream(&[origin.address])));
    let server = Server::start(settings, Generation { clusters: Arc::new(given), ..chain }).expect("it starts");
    Serving { server, lines }
}

impl Serving {
    fn get(&self, target: &str) -> (String, String) {
        let mut client = Peer::to(&self.server);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        client.message()
    }
}

const FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-type: text/x\r\ncontent-length: 0\r\n\r\n";

// apisix.md 4.3: a literal address, and what the client library writes.
fn to_an_address() -> Result<(), Failed> {
    let (origin, seen) = Origin::answering(OK);
    let (service, asked) = Origin::answering(FOUND);
    let config = service.address.to_string();
    let serving = serving(&APISIX, plugin("rust/http-call.wasm", &APISIX, config.clone()), &origin, &[]);
    for _ in 0..3 {
        let (head, _) = serving.get("/");
        same(head.lines().next(), Some("HTTP/1.1 403 Forbidden"))?;
        same(header(&head, "resp-status"), Some("404"))?;
        same(header(&head, "resp-content-type"), Some("text/x"))?;
    }
    let asked = asked.lock().expect("requests");
    same(asked.len(), 3)?;
    same(asked[0].0.clone(), format!("GET / HTTP/1.1\r\nhost: {config}\r\n\r\n"))?;
    same(seen.lock().expect("requests").len(), 0)
}

fn to_a_cluster() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let (service, asked) = Origin::answering(FOUND);
    let plugin = plugin("rust/http-call.wasm", &ENVOY, "service");
    let serving = serving(&ENVOY, plugin, &origin, &[("service", service.address)]);
    let (head, _) = serving.get("/");
    same(header(&head, "resp-status"), Some("404"))?;
    same(asked.lock().expect("requests")[0].0.as_str(), "GET / HTTP/1.1\r\nhost: service\r\n\r\n")
}

// abi.md case call.unknown-upstream: BAD_ARGUMENT, and no callback.
fn unknown_cluster() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let plugin = plugin("rust/http-call.wasm", &ENVOY, "other");
    let serving = serving(&ENVOY, plugin, &origin, &[("service", origin.address)]);
    same(serving.get("/").1.as_str(), "ok")?;
    serving.lines.says("httpcall failed: BadArgument")
}

/// A script that calls `up`, and goes on when it has seen what came of it.
fn script(timeout_ms: u32) -> String {
    format!(
        "/request_headers:/call,up,:method=GET;:path=%2fc;:authority=a,,,{timeout_ms}/pause/call_response:/get,6,:status\
         /body,4,0,100/status/stream/continue,0"
    )
}

// abi.md 8.1, the table of failures, column Envoy; texts of ENVOY.md 9.
fn failures() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let closes = Origin::new(|peer| drop(peer.message()));
    let silent = Origin::new(|peer| while peer.fill() {});
    let garbage = Origin::new(|peer| {
        peer.message();
        peer.send("this is no HTTP, whatever it is\r\n\r\n");
    });
    let half = Origin::new(|peer| {
        peer.message();
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf");
    });
    let rows = [
        (nobody, 5000, "get,6,:status = ok 503", "remote connection failure"),
        (closes.address, 5000, "get,6,:status = ok 503", "connection termination"),
        (garbage.address, 5000, "get,6,:status = ok 502", "protocol error"),
        (silent.address, 50, "get,6,:status = ok 504", "upstream request timeout"),
        (half.address, 5000, "call_response 4 0 0 0 1", "status = ok 11 reset"),
    ];
    for (address, timeout_ms, first, second) in rows {
        let serving = serving(&ENVOY, plugin("wat/portable.wat", &ENVOY, ""), &origin, &[("up", address)]);
        // The request goes on when the plugin has seen what came of its call.
        same(serving.get(&script(timeout_ms)).1.as_str(), "ok")?;
        serving.lines.says(first)?;
        serving.lines.says(second)?;
    }
    Ok(())
}

// ENVOY.md 9: headers, body and trailers are readable in the callback.
fn chunked() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let (service, _) = Origin::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\nT: 1\r\n\r\n",
    );
    let serving = serving(&ENVOY, plugin("wat/portable.wat", &ENVOY, ""), &origin, &[("up", service.address)]);
    for _ in 0..2 {
        same(serving.get(&script(5000)).1.as_str(), "ok")?;
    }
    serving.lines.says("call_response 4 3 3 1 1")?;
    serving.lines.says("body,4,0,100 = ok hi!")?;
    serving.lines.says("call_response 8 3 3 1 1")?;
    same(*service.accepted.lock().expect("a count"), 1)
}

// abi.md 8.1 and case call.from-tick: calls can be made where there is no request, and answer the root context.
fn ticks() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let (service, asked) = Origin::answering(FOUND);
    let call = |path: &str| format!("call,up,:method=GET;:path=%2f{path};:authority=a,,,5000");
    let config = format!("/configure:/{}/tick,20/tick:/{}", call("start"), call("tick"));
    let plugin = plugin("wat/portable.wat", &ENVOY, config);
    let serving = serving(&ENVOY, plugin, &origin, &[("up", service.address)]);
    let count = |path: &str| asked.lock().expect("requests").iter().filter(|(head, _)| head.contains(path)).count();
    let ticked = eventually(|| count("/start") == 1 && count("/tick") >= 3);
    same(ticked, true)?;
    // The first call is answered, and the second, which is a tick's.
    serving.lines.says("call_response 4 ")?;
    serving.lines.says("call_response 8 ")?;
    same(serving.get("/").1.as_str(), "ok")
}

// abi.md case call.after-stream-end: APISIX does not deliver it, and nobody waits for it.
fn abandoned() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let ended = Arc::new(Mutex::new(0));
    let count = ended.clone();
    let service = Origin::new(move |peer| {
        peer.message();
        if peer.ends() {
            *count.lock().expect("a count") += 1;
        }
    });
    let plugin = plugin("rust/http-call.wasm", &APISIX, service.address.to_string());
    let serving = serving(&APISIX, plugin, &origin, &[]);
    let mut client = Peer::to(&serving.server);
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    same(eventually(|| *service.accepted.lock().expect("a count") == 1), true)?;
    drop(client);
    same(eventually(|| *ended.lock().expect("a count") == 1), true)?;
    serving.server.stop(Duration::from_secs(1));
    Ok(())
}

/// Paths that a service was asked by, with what was sent.
type Asked = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A gRPC service that lets everybody pass, and takes records.
fn authz() -> (SocketAddr, Asked) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    let seen = Asked::default();
    let keep = seen.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, keep.clone()));
            }
        });
    });
    (address, seen)
}

async fn connection(stream: tokio::net::TcpStream, seen: Asked) {
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let (mut body, mut sent) = (request.into_body(), Vec::new());
            while let Some(Ok(bytes)) = body.data().await {
                let _ = body.flow_control().release_capacity(bytes.len());
                sent.extend_from_slice(&bytes);
            }
            seen.lock().expect("calls").push((path, sent));
            let head = http::Response::builder().header("content-type", "application/grpc").header("x-region", "eu");
            let mut out = respond.send_response(head.body(()).expect("a head"), false).expect("taken");
            // The protobuf message { 1: "anna" } in its frame.
            out.send_data(Bytes::from_static(b"\0\0\0\0\x06\x0a\x04anna"), false).expect("taken");
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            out.send_trailers(trailers).expect("taken");
        });
    }
}

// abi.md 8.2: the message of a call comes in one callback; a stream that is open still takes what the plugin says of
// the response.
fn grpc_call() -> Result<(), Failed> {
    let (origin, upstream_saw) = Origin::answering(OK);
    let (service, seen) = authz();
    let config = r#"{"check": {"service": "authz", "timeout_ms": 5000}, "collector": "logs"}"#;
    let clusters = [("authz", service), ("logs", service)];
    let serving = serving(&ENVOY, plugin("rust/grpc.wasm", &ENVOY, config), &origin, &clusters);
    same(serving.get("/a").1.as_str(), "ok")?;
    serving.lines.says("grpc: allowed anna")?;
    same(header(&upstream_saw.lock().expect("requests")[0].0, "x-user"), Some("anna"))?;
    same(eventually(|| seen.lock().expect("calls").len() == 2), true)?;
    let mut seen = seen.lock().expect("calls").clone();
    seen.sort();
    // The path in field 1; on the stream, then, the status.
    let expected = [
        ("/check.Authz/Check".to_owned(), b"\0\0\0\0\x04\x0a\x02/a".to_vec()),
        ("/log.Collector/Collect".to_owned(), b"\0\0\0\0\x04\x0a\x02/a\0\0\0\0\x05\x0a\x03200".to_vec()),
    ];
    same(seen, expected.to_vec())
}

// abi.md 8.2: metadata, messages, metadata and the end, each in its callback; ENVOY.md 30 for the numbers.
fn grpc_stream() -> Result<(), Failed> {
    let (origin, _) = Origin::answering(OK);
    let (service, seen) = authz();
    let serving = serving(&ENVOY, plugin("wat/portable.wat", &ENVOY, ""), &origin, &[("svc", service)]);
    let target = "/request_headers:/grpc_stream,svc,s.S,M,x-k=v/grpc_send,6,one,0/grpc_send,6,two,1/pause\
                  /grpc_initial:/get,4,x-region/grpc_receive:/body,5,0,9/grpc_close:/stream/continue,0";
    same(serving.get(target).1.as_str(), "ok")?;
    for line in ["get,4,x-region = ok eu", "grpc_receive 6 6 1", "grpc_trailing 6 1 1", "grpc_close 6 0 1"] {
        serving.lines.says(line)?;
    }
    let sent = seen.lock().expect("calls").clone();
    same(sent, vec![("/s.S/M".to_owned(), b"\0\0\0\0\x03one\0\0\0\0\x03two".to_vec())])
}

fn two_workers(plugin: PluginConfig, origin: &Origin) -> (Running, Arc<Lines>, Settings) {
    let lines = Arc::<Lines>::default();
    let workers = NonZeroUsize::new(2).expect("a number");
    let settings = Settings { observer: lines.clone(), workers, ..settings() };
    let generation = Generation::chain(&ENVOY, vec![plugin], Arc::new(upstream(&[origin.address])));
    (Server::start(settings.clone(), generation).expect("it starts"), lines, settings)
}

// abi.md 8.4: the one that registered last owns it, and is told in its own thread once for each message.
fn queues() -> Result<(), Failed> {
    const MESSAGES: usize = 16;
    let (origin, _) = Origin::answering(OK);
    let (server, lines, _) = two_workers(plugin("wat/queues.wat", &ENVOY, "register_shared_queue 'q' @"), &origin);
    for _ in 0..MESSAGES {
        // A connection of its own, so that both workers get some.
        let mut client = Peer::to(&server);
        client.send("GET / HTTP/1.1\r\nHost: app.test\r\ndo: enqueue_shared_queue 1 'a'\r\n\r\n");
        same(client.message().1.as_str(), "ok")?;
    }
    same(eventually(|| lines.having("queue_ready").len() == MESSAGES), true)?;
    let mut owners: Vec<_> = lines.having("queue_ready").into_iter().map(|(worker, _)| worker).collect();
    owners.dedup();
    same(owners.len(), 1)
}

// abi.md 8.6: one stat, whichever worker counts; a reload does not begin it anew.
fn counter() -> Result<(), Failed> {
    const REQUESTS: u64 = 16;
    let (origin, _) = Origin::answering(OK);
    let plugin = plugin("wat/portable.wat", &ENVOY, "/configure:/define,0,hits/request_headers:/increment,4,1");
    let (server, lines, settings) = two_workers(plugin.clone(), &origin);
    for at in 0..REQUESTS {
        if at == REQUESTS / 2 {
            let generation = Generation::chain(&ENVOY, vec![plugin.clone()], Arc::new(upstream(&[origin.address])));
            server.reload(generation).expect("it starts");
        }
        let mut client = Peer::to(&server);
        client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
        same(client.message().1.as_str(), "ok")?;
    }
    lines.says("increment,4,1 = ok")?;
    let samples = settings.stores.samples();
    same(samples.iter().map(|s| (s.name.clone(), s.value)).collect::<Vec<_>>(), vec![(Bytes::from("hits"), REQUESTS)])
}
