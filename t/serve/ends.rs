//! Both ends of a request, in raw bytes, and the server between them.

use crate::support::root;
use pwtest::gateway::model::{Node, Upstream};
use pwtest::host::PluginConfig;
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::host::plugin::LoadedPlugin;
use pwtest::host::profile::{APISIX, Profile};
use pwtest::proxy::{Access, Generation, Observer, Running, Server, Settings};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// No wait in these tests is longer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One end of a connection.
pub struct Peer {
    stream: TcpStream,
    /// What has been read and not been taken.
    pub read: Vec<u8>,
}

impl Peer {
    /// At this end of a connection.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read: Vec::new() }
    }

    /// Connects to the first address of a server.
    pub fn to(server: &Running) -> Self {
        Self::over(TcpStream::connect(server.listening()[0]).expect("the server accepts"))
    }

    /// Writes; a peer that has gone away shows when something is read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Writes; says whether there still is somebody who reads.
    pub fn sends(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Says that nothing more comes.
    pub fn half_close(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Waits for what is to be read, however long it takes.
    pub fn waits(&mut self) {
        self.stream.set_read_timeout(None).expect("no timeout");
    }

    /// Reads once; false at the end, and where nothing comes.
    pub fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(_) => false,
        }
    }

    /// What comes, up to and with these bytes; all there is where they never come.
    pub fn until(&mut self, end: &str) -> String {
        let end = end.as_bytes();
        loop {
            let found = self.read.windows(end.len()).position(|window| window == end);
            if let Some(at) = found {
                let rest = self.read.split_off(at + end.len());
                return text(std::mem::replace(&mut self.read, rest));
            }
            if !self.fill() {
                return text(std::mem::take(&mut self.read));
            }
        }
    }

    /// So many bytes.
    pub fn exactly(&mut self, count: usize) -> String {
        while self.read.len() < count && self.fill() {}
        let rest = self.read.split_off(count.min(self.read.len()));
        text(std::mem::replace(&mut self.read, rest))
    }

    /// Whether the other side ends the connection, within a time.
    pub fn ends(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// A head, and a body of the length that it announces.
    pub fn message(&mut self) -> (String, String) {
        let head = self.until("\r\n\r\n");
        let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let body = self.exactly(length);
        (head, body)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A head without the date that the server has put into it.
pub fn undated(head: &str) -> String {
    let date = head.split_inclusive("\r\n").find(|line| line.starts_with("date: ")).expect("a date");
    head.replacen(date, "", 1)
}

/// The value of a header in a head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Heads and bodies of requests.
pub type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// An upstream: every connection is handed to a function, on a thread of its own.
pub struct Origin {
    pub address: SocketAddr,
    /// How many connections it has accepted.
    pub accepted: Arc<Mutex<usize>>,
}

impl Origin {
    pub fn new(serve: impl Fn(&mut Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (serve, accepted) = (Arc::new(serve), Arc::new(Mutex::new(0)));
        let count = accepted.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                *count.lock().expect("a count") += 1;
                let serve = serve.clone();
                std::thread::spawn(move || serve(&mut Peer::over(stream)));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request of every connection with the same bytes, and keeps the heads and bodies of requests.
    pub fn answering(answer: &'static str) -> (Self, Requests) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = seen.clone();
        let origin = Self::new(move |peer| {
            loop {
                let request = peer.message();
                if request.0.is_empty() {
                    return;
                }
                keep.lock().expect("requests").push(request);
                peer.send(answer);
            }
        });
        (origin, seen)
    }
}

/// An upstream with these nodes.
pub fn upstream(nodes: &[SocketAddr]) -> Upstream {
    Upstream::of(nodes.iter().copied().map(Node::from).collect())
}

/// Keeps what it hears of requests that have ended.
#[derive(Default)]
pub struct Heard {
    /// Status, bytes sent, and whether the client broke off.
    pub accesses: Mutex<Vec<(Option<u16>, u64, bool)>>,
}

impl Observer for Heard {
    fn access(&self, access: &Access<'_>) {
        let heard = (access.status, access.sent, access.aborted);
        self.accesses.lock().expect("accesses").push(heard);
    }
}

/// Waits until something is so.
pub fn eventually(what: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Settings for one free port.
pub fn settings() -> Settings {
    Settings::new(vec![([127, 0, 0, 1], 0).into()])
}

/// A server without plugins, in front of one origin.
pub fn plain(origin: &Origin) -> Running {
    start(settings(), &APISIX, Vec::new(), upstream(&[origin.address]))
}

/// A server.
pub fn start(settings: Settings, profile: &'static Profile, plugins: Vec<PluginConfig>, upstream: Upstream) -> Running {
    Server::start(settings, Generation::chain(profile, plugins, Arc::new(upstream))).expect("it starts")
}

/// A plugin among the fixtures.
pub fn plugin(file: &str, profile: &'static Profile, config: impl Into<bytes::Bytes>) -> PluginConfig {
    static ENGINE: OnceLock<wasmtime::Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| engine(&ModuleCache::User).expect("an engine"));
    let code = LoadedPlugin::load(engine, &root().join("fixtures").join(file), profile).expect("it loads");
    PluginConfig::new("plugin", Arc::new(code)).with_config(config)
}
