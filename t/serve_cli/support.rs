//! A server that runs as its users run it, an upstream, and clients. All of it waits for so long and no longer.

use crate::support::root;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What takes longer does not happen: on a busy machine with two cores even a start takes a while.
pub const LONG: Duration = Duration::from_secs(60);

/// Text that grows.
#[derive(Clone, Default)]
pub struct Text(Arc<Mutex<String>>);

impl Text {
    fn follow(from: impl Read + Send + 'static) -> Self {
        let text = Self::default();
        let followed = text.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let mut text = followed.0.lock().expect("no panic");
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
            }
        });
        text
    }

    /// All of it so far.
    pub fn now(&self) -> String {
        self.0.lock().expect("no panic").clone()
    }

    /// Waits until it says this.
    pub fn wait_for(&self, what: &str) -> Result<(), String> {
        wait(|| self.now().contains(what)).map_err(|()| format!("`{what}` does not come in\n{}", self.now()))
    }
}

/// Waits until something is so.
pub fn wait(is_so: impl Fn() -> bool) -> Result<(), ()> {
    let end = Instant::now() + LONG;
    while !is_so() {
        if Instant::now() > end {
            return Err(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// `pwtest serve`, killed when it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its admin API does.
    pub admin: Option<SocketAddr>,
    /// Standard error.
    pub stderr: Text,
    /// Standard output.
    pub stdout: Text,
}

impl Server {
    /// Starts it on any port, with these arguments, and waits until it says where.
    pub fn start(folder: &Path, arguments: &[&str]) -> Result<Self, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pwtest"));
        command.current_dir(folder).arg("serve").args(arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "0"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("TZ", "UTC");
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stderr = Text::follow(child.stderr.take().expect("a pipe"));
        let stdout = Text::follow(child.stdout.take().expect("a pipe"));
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), admin: None, stderr, stdout };
        let wants_admin = arguments.contains(&"--admin");
        let announced = |what: &str, text: &str| -> Option<SocketAddr> {
            let rest = text.split(what).nth(1)?;
            rest.split(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c))).next()?.parse().ok()
        };
        let end = Instant::now() + LONG;
        loop {
            let text = server.stderr.now();
            let (address, admin) = (announced("listening on http://", &text), announced("admin API on http://", &text));
            if let Some(address) = address.filter(|_| !wants_admin || admin.is_some()) {
                (server.address, server.admin) = (address, admin);
                return Ok(server);
            }
            let ended = server.child.try_wait().map_err(|error| error.to_string())?;
            if ended.is_some() || Instant::now() > end {
                return Err(format!("it does not start: {ended:?}\n{}", server.stderr.now()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{name} can be sent");
    }

    /// Waits for its end; the exit code, if it was not killed.
    pub fn end(&mut self) -> Result<Option<i32>, String> {
        let end = Instant::now() + LONG;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    // What was written last is read by another thread.
                    thread::sleep(Duration::from_millis(100));
                    return Ok(status.code());
                }
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(20)),
                Ok(None) => return Err(format!("it does not end\n{}", self.stderr.now())),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Asks for a path, with a connection of its own.
    pub fn get(&self, path: &str) -> Result<Reply, String> {
        ask(self.address, "GET", path, &[], "")
    }

    /// Asks the admin API.
    pub fn admin(&self, method: &str, path: &str, body: &str) -> Result<Reply, String> {
        ask(self.admin.ok_or("no admin API was announced")?, method, path, &[], body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// The lines of its head, in lower case.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// One request on a connection that is closed afterwards. Characters of it stand for bytes.
pub fn ask(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Reply, String> {
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.chars().count());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text += &format!("Host: {to}\r\n");
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    text += body;
    let error = |error: std::io::Error| format!("{method} {path}: {error}");
    let mut stream = TcpStream::connect_timeout(&to, LONG).map_err(error)?;
    stream.set_read_timeout(Some(LONG)).map_err(error)?;
    let bytes: Vec<u8> = text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect();
    stream.write_all(&bytes).map_err(error)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(error)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(format!("{method} {path}: answered `{answer}`"))?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(format!("no status in `{head}`"))?;
    Ok(Reply { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// An upstream that answers every request with 200 and `hello world`, those for `/slow` after half a second.
pub fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream));
        }
    });
    address
}

fn answer_all(stream: TcpStream) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut lines = BufReader::new(stream).split(b'\n').map_while(Result::ok);
    while let Some(first) = lines.next() {
        // Requests without a body, so the head is all.
        if !lines.by_ref().any(|line| line == b"\r") {
            return;
        }
        if String::from_utf8_lossy(&first).contains("/slow") {
            thread::sleep(Duration::from_millis(500));
        }
        if writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello world\n").is_err() {
            return;
        }
    }
}

/// A plugin that logs a word at `warn` for each request, as text.
pub fn says(word: &str) -> String {
    let length = word.len();
    format!(
        r#"(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "{word}")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 1024)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $log (i32.const 3) (i32.const 16) (i32.const {length})))
    i32.const 0)
  (func (export "proxy_on_done") (param i32) (result i32) i32.const 1)
  (func (export "proxy_on_delete") (param i32)))"#
    )
}

/// One of the plugins in `fixtures`.
pub fn fixture(path: &str) -> String {
    root().join("fixtures").join(path).display().to_string()
}

/// Fails with what was found.
pub fn expect(condition: bool, what: &str, found: impl std::fmt::Debug) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{what}: {found:?}")) }
}
