//! The server of a case, with an admin API where the case calls one.

use super::client::{Seen, note};
use super::wire::{Kind, Reader, head_bytes};
use bytes::Bytes;
use pwtest::gateway::document::Gateway;
use pwtest::host::Host;
use pwtest::host::profile::Profile;
use pwtest::message::Part;
use pwtest::proxy::control::{Control, Modules, Plan, Read, Source};
use pwtest::proxy::journal::Journal;
use pwtest::proxy::log::{Controls, Destination, ErrorLog, Format, Severity};
use pwtest::proxy::{Clusters, Running};
use pwtest::scenario::Admin;
use pwtest::trace::views::SeenMessage;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer of the admin API does not take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server that runs.
pub enum Served {
    Bare(Running),
    Steered { control: Arc<Control>, admin: SocketAddr },
}

/// What both said to a call of the admin API.
#[derive(Debug)]
pub struct Answered {
    pub memory: SeenMessage,
    pub served: SeenMessage,
}

impl Served {
    /// Gives a server the admin API that `pwtest serve` has. On a task of this thread.
    pub async fn steered(
        server: Running,
        gateway: &Gateway,
        modules: Modules,
        profile: &'static Profile,
    ) -> Result<Self, String> {
        let read = Read {
            resources: gateway.resources.clone(),
            options: gateway.options.clone(),
            warnings: Vec::new(),
            files: Vec::new(),
            route: None,
        };
        let plan = Plan::new(Source::Files("none".into()), read, modules, profile, Clusters::default(), None);
        let plan = plan.map_err(|error| error.to_string())?;
        let nowhere = Destination::Stream(Box::new(std::io::sink()));
        let log = ErrorLog::start(nowhere, Severity::Emerg, Format::Text, Controls::Raw);
        let journal = Journal::new(log.map_err(|error| error.to_string())?, None, None, 1);
        let control = Arc::new(Control::new(server, plan, Arc::new(journal)));
        let listening = async {
            let listener = TcpListener::bind(("127.0.0.1", 0))?;
            let admin = listener.local_addr()?;
            control.clone().listen(listener).await?;
            Ok::<_, std::io::Error>(admin)
        };
        let admin = listening.await.map_err(|error| error.to_string())?;
        Ok(Self::Steered { control, admin })
    }

    /// Has something done to the host.
    pub fn act(&self, act: impl Fn(&mut Host) + Send + Sync + 'static) {
        match self {
            Self::Bare(server) => server.act(act),
            Self::Steered { control, .. } => control.act(act),
        }
    }

    pub fn stop(self) {
        match self {
            Self::Bare(server) => server.stop(Duration::ZERO),
            Self::Steered { control, .. } => control.stop_serving(Duration::ZERO),
        }
    }

    /// Calls the admin API.
    pub async fn admin(&self, call: &Admin, memory: SeenMessage) -> Result<Answered, String> {
        let Self::Steered { admin, .. } = self else { return Err("there is no admin API".to_owned()) };
        let asked = async {
            let began = seconds();
            let mut served = ask(*admin, call).await?;
            set_times(&mut served.body, &memory.body, began..=seconds());
            Ok::<_, std::io::Error>(Answered { memory, served })
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answered) => answered.map_err(|error| format!("the admin API can't be called: {error}")),
            Err(_) => Err("the admin API does not answer".to_owned()),
        }
    }
}

async fn ask(to: SocketAddr, call: &Admin) -> std::io::Result<SeenMessage> {
    let mut stream = TcpStream::connect(to).await?;
    let given = |name: &[u8]| call.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let mut fields = call.headers.clone();
    let mut add = |name: &'static str, value: String| {
        if !given(name.as_bytes()) {
            fields.push((Bytes::from_static(name.as_bytes()), Bytes::from(value)));
        }
    };
    add("Host", to.to_string());
    add("Content-Length", call.body.len().to_string());
    let mut bytes = head_bytes(&[call.method.as_bytes(), call.target.value.as_bytes(), b"HTTP/1.1"], &fields);
    bytes.extend_from_slice(&call.body);
    stream.write_all(&bytes).await?;
    let seen = Seen::default();
    let mut reader = Reader::new(Kind::Response { head_only: call.method == "HEAD" });
    let mut buffer = vec![0; 64 << 10];
    loop {
        while let Some(part) = reader.next().unwrap_or(Some(Part::Reset)) {
            note(&seen, part);
            if seen.borrow().complete || seen.borrow().reset {
                return Ok(seen.borrow().clone());
            }
        }
        match stream.read(&mut buffer).await? {
            0 => note(&seen, reader.end()),
            n => reader.feed(buffer.get(..n).unwrap_or_default()),
        }
        if seen.borrow().complete || seen.borrow().reset {
            return Ok(seen.borrow().clone());
        }
    }
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Times of writing are the clock's, and there it is another one. One that lies where it has to is put as in memory.
fn set_times(served: &mut Vec<u8>, memory: &[u8], now: std::ops::RangeInclusive<u64>) {
    let (Ok(text), Ok(memory)) = (std::str::from_utf8(served), std::str::from_utf8(memory)) else { return };
    let mut set = String::new();
    let (mut rest, mut theirs) = (text, memory);
    while let Some((before, name, after)) = next_time(rest) {
        let (number, behind) = digits(after);
        let other = next_time(theirs).filter(|(_, other, _)| *other == name).map(|(_, _, after)| digits(after));
        set += before;
        set += name;
        // What was written earlier was written while this case ran.
        let is_now = number.parse().is_ok_and(|at: u64| at <= *now.end() && at + 60 >= *now.start());
        match other {
            Some((theirs, _)) if is_now => set += theirs,
            _ => set += number,
        }
        theirs = other.map_or("", |(_, behind)| behind);
        rest = behind;
    }
    set += rest;
    *served = set.into_bytes();
}

fn next_time(text: &str) -> Option<(&str, &'static str, &str)> {
    let found = ["\"create_time\":", "\"update_time\":"].map(|name| text.find(name).map(|at| (at, name)));
    let (at, name) = found.into_iter().flatten().min()?;
    Some((text.get(..at)?, name, text.get(at + name.len()..)?))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}
