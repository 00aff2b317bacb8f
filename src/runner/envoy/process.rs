//! One Envoy as a process: started under a shell that ends it when pwtest goes away, watched, and stopped.
//!
//! Whatever becomes of pwtest (a panic, Ctrl-C, `kill -9`), its end of a pipe closes, and the shell kills its whole
//! process group. A second pipe that all of them hold tells when the last one is gone: only then its folder can go.

use super::error::EnvoyError;
use super::http1;
use super::log::{LogFile, Record};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Envoy starts every plugin three times before it is ready, on a machine that may have other things to do.
const START_LIMIT: Duration = Duration::from_secs(60);

/// `--version` is answered at once, but for a machine that has to read a large file first.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// What was killed is gone after so long; what is not has left its process group.
const END_LIMIT: Duration = Duration::from_secs(10);

/// `$0` takes the exit code, `$0.pid` the number of the process, the rest is the command. Nobody writes to the two pipes: their end is the sign. The one at
/// the shell's output stays open at 4 in everything that it starts.
const GUARD: &str = r#"exec 3<&0 4>&1 >&2
"$@" <&- 3<&- &
child=$!
echo $child >"$0.pid"
{ cat <&3 >/dev/null; kill -9 0; } &
exec 3<&-
wait $child
echo $? >"$0"
kill -9 0
"#;

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    group: Group,
    exit_file: PathBuf,
    /// Its log.
    pub log: LogFile,
    /// Where its admin interface listens.
    pub admin: SocketAddr,
}

/// A shell and everything that it started. Dropped, all of it is gone.
#[derive(Debug)]
struct Group {
    shell: Child,
    /// Its end is theirs.
    guard: Option<ChildStdin>,
    /// Ends with the last of them.
    held: Option<ChildStdout>,
}

impl Group {
    fn new(mut shell: Child) -> Self {
        let (guard, held) = (shell.stdin.take(), shell.stdout.take());
        Self { shell, guard, held }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.guard.take());
        let Some(mut held) = self.held.take().and_then(|held| held.into_owned_fd().ok()).map(std::fs::File::from)
        else {
            return;
        };
        let (sender, gone) = std::sync::mpsc::channel();
        // A thread, for a pipe has no time limit of its own.
        let waits = std::thread::Builder::new().spawn(move || {
            let _ = std::io::copy(&mut held, &mut std::io::sink());
            let _ = sender.send(());
        });
        if waits.is_ok() {
            let _ = gone.recv_timeout(END_LIMIT);
        }
    }
}

/// The version that a binary says it is: `1.40.0`.
pub async fn version(path: &Path) -> Result<String, EnvoyError> {
    let unusable = |why: String| EnvoyError::Unusable { path: path.to_owned(), why };
    let found = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if found.is_dir() {
        return Err(unusable("it is a folder; name the binary in it".to_owned()));
    }
    let folder = tempfile::tempdir().map_err(|error| unusable(error.to_string()))?;
    let (said, exit) = (folder.path().join("said"), folder.path().join("exit"));
    let child = spawn(path, &["--version".to_owned()], &said, &exit).map_err(|error| unusable(error.to_string()))?;
    let mut group = Group::new(child);
    let ended = tokio::time::timeout(VERSION_LIMIT, group.shell.wait()).await;
    drop(group);
    if ended.is_err() {
        return Err(unusable("it does not look like Envoy: `--version` did not end within 20 seconds".to_owned()));
    }
    let text = String::from_utf8_lossy(&std::fs::read(&said).unwrap_or_default()).into_owned();
    // `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
    let version = text.split_once("version: ").and_then(|(_, rest)| rest.split('/').nth(1)).map(str::to_owned);
    version.filter(|version| version.starts_with(|c: char| c.is_ascii_digit())).ok_or_else(|| {
        let text = crate::trace::show::clipped(text.trim(), 200);
        let said = if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") };
        unusable(format!("it does not look like Envoy: `--version` said {said}"))
    })
}

fn spawn(path: &Path, arguments: &[String], log: &Path, exit: &Path) -> std::io::Result<Child> {
    let out = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    // A bare name would be looked for on PATH.
    let path = std::path::absolute(path)?;
    Command::new("/bin/sh")
        .arg("-c")
        .arg(GUARD)
        .arg(exit)
        .arg(path)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(out)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Envoy did not come up.
#[derive(Debug)]
pub struct StartFailed {
    /// Why.
    pub error: EnvoyError,
    /// Everything that it logged.
    pub records: Vec<Record>,
}

impl From<EnvoyError> for StartFailed {
    fn from(error: EnvoyError) -> Self {
        Self { error, records: Vec::new() }
    }
}

impl Envoy {
    /// Holds all of Envoy where it is, or lets it go on: what happens meanwhile is one thing to it.
    pub async fn hold(&self, held: bool) {
        let mut file = self.exit_file.clone().into_os_string();
        file.push(".pid");
        let Ok(pid) = std::fs::read_to_string(file) else { return };
        let signal = if held { "-STOP" } else { "-CONT" };
        // Without the tool two things may stay two.
        let _ = Command::new("kill").args([signal, pid.trim()]).stderr(Stdio::null()).status().await;
        // Each thread stops by itself, on a machine that has other things to do.
        tokio::time::sleep(Duration::from_millis(if held { 3 } else { 0 })).await;
    }

    /// Starts Envoy with a configuration and waits until its admin interface answers and every listener has a port.
    pub async fn start(path: &Path, config: &str, folder: &Path) -> Result<Self, StartFailed> {
        let io = |error: std::io::Error| {
            StartFailed::from(EnvoyError::Unusable { path: path.to_owned(), why: error.to_string() })
        };
        let file = |name: &str| folder.join(name);
        std::fs::write(file("envoy.json"), config).map_err(io)?;
        let log = LogFile::new(file("log"));
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let arguments = [
            ["-c".to_owned(), text(file("envoy.json"))],
            ["--concurrency".to_owned(), "1".to_owned()],
            // Everything about plugins, callbacks and hostcalls included, and of the rest what is fatal.
            ["-l".to_owned(), "critical".to_owned()],
            ["--component-log-level".to_owned(), "wasm:trace".to_owned()],
            ["--log-format".to_owned(), log.format()],
            ["--admin-address-path".to_owned(), text(file("admin"))],
            ["--drain-time-s".to_owned(), "1".to_owned()],
        ];
        let mut arguments: Vec<String> = arguments.into_iter().flatten().collect();
        arguments.push("--disable-hot-restart".to_owned());
        let exit_file = file("exit");
        let group = Group::new(spawn(path, &arguments, log.path(), &exit_file).map_err(io)?);
        let admin = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self { group, exit_file, log, admin };
        let until = Instant::now() + START_LIMIT;
        loop {
            if let Some(error) = envoy.died() {
                return Err(StartFailed { error, records: envoy.log.read_new().unwrap_or_default() });
            }
            if Instant::now() > until {
                let tail = envoy.log.tail();
                return Err(EnvoyError::NotReady { seconds: START_LIMIT.as_secs(), tail }.into());
            }
            let address = std::fs::read_to_string(file("admin")).ok().and_then(|text| text.trim().parse().ok());
            if let Some(address) = address {
                envoy.admin = address;
                if envoy.admin("GET", "/ready").await.is_ok_and(|body| body.starts_with(b"LIVE")) {
                    return Ok(envoy);
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks the admin interface.
    pub async fn admin(&self, method: &str, path: &str) -> std::io::Result<Vec<u8>> {
        let asked = http1::ask(self.admin, method, path);
        tokio::time::timeout(Duration::from_secs(10), asked).await.map_err(std::io::Error::other)?
    }

    /// The ports of the listeners, by name.
    pub async fn ports(&self) -> std::io::Result<Vec<(String, u16)>> {
        let body = self.admin("GET", "/listeners?format=json").await?;
        let parsed: serde_json::Value = serde_json::from_slice(&body)?;
        let listeners = parsed.get("listener_statuses").and_then(|all| all.as_array()).cloned().unwrap_or_default();
        let ports = listeners.iter().filter_map(|listener| {
            let name = listener.get("name")?.as_str()?.to_owned();
            let port = listener.pointer("/local_address/socket_address/port_value")?.as_u64()?;
            Some((name, u16::try_from(port).ok()?))
        });
        Ok(ports.collect())
    }

    /// Why it is gone, if it is.
    pub fn died(&mut self) -> Option<EnvoyError> {
        match self.group.shell.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => {
                let code = std::fs::read_to_string(&self.exit_file).ok().and_then(|text| text.trim().parse().ok());
                Some(EnvoyError::Exited { code, tail: self.log.tail() })
            }
        }
    }

    /// Waits until it ends, however long that takes.
    pub async fn ending(&mut self) -> EnvoyError {
        let _ = self.group.shell.wait().await;
        self.died().unwrap_or(EnvoyError::Exited { code: None, tail: self.log.tail() })
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.group.shell.wait()).await.is_ok()
    }
}
