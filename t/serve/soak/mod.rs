//! A soak: plugins of several languages, clients that stay, clients that break off, and changes of modules and routes
//! all the time. Nobody who stays loses a request, and nothing is left over.
//!
//! It runs in a process of its own, for what is measured (memory, threads) is the process's. `cargo test` runs it by
//! count, which takes seconds; `PWTEST_SOAK_SECONDS=180 cargo test --test t -- soak` as long as it says.

mod clients;
mod message;
mod origins;
mod process;
mod served;

use super::ends::{Peer, eventually, settings};
use super::{holds, same};
use libtest_mimic::{Failed, Trial};
use pwtest::abi::LogLevel;
use pwtest::host::Population;
use pwtest::proxy::{Access, LogLine, Observer, Running, ServeError, Server, WorkerFailure};
use served::{Served, Shape};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub fn trials() -> Vec<Trial> {
    const GATEWAY: &str = "serve: soak: a gateway";
    const CHAIN: &str = "serve: soak: a chain";
    vec![
        Trial::test(GATEWAY, || process::alone(GATEWAY, || soak(Shape::Gateway))),
        Trial::test(CHAIN, || process::alone(CHAIN, || soak(Shape::Chain))),
    ]
}

const WORKERS: usize = 2;
/// What a short soak has to see.
const ANSWERED: usize = 3000;
const BROKEN_OFF: usize = 200;
const CHANGES: usize = 12;
/// A short soak that has not seen it by then has stopped serving.
const SHORT: Duration = Duration::from_secs(120);

/// What all that takes part knows.
pub struct Stage {
    pub served: Served,
    address: SocketAddr,
    over: AtomicBool,
    answered: AtomicUsize,
    logged: AtomicUsize,
    broken_off: AtomicUsize,
    /// Changes times four; two more while one takes place; one more where version 1 is served.
    moment: AtomicUsize,
}

impl Stage {
    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn connect(&self) -> Peer {
        Peer::over(TcpStream::connect(self.address).expect("the server accepts"))
    }

    /// A request has got what it had to get.
    pub fn answered(&self, logs: bool) {
        self.answered.fetch_add(1, SeqCst);
        self.logged.fetch_add(usize::from(logs), SeqCst);
    }

    /// A client leaves its request alone.
    pub fn breaks_off(&self) {
        self.broken_off.fetch_add(1, SeqCst);
    }

    /// Where the changes stand.
    pub fn moment(&self) -> usize {
        self.moment.load(SeqCst)
    }

    /// The versions that may have served a request that began at a moment and has been answered now.
    pub fn versions(&self, began: usize) -> Vec<usize> {
        let now = self.moment();
        if now == began && now & 2 == 0 { vec![now & 1] } else { vec![0, 1] }
    }

    fn changes(&self, number: usize, change: impl FnOnce()) {
        self.moment.fetch_or(2, SeqCst);
        change();
        self.moment.store(number * 4 + number % 2, SeqCst);
    }
}

/// Counts what it hears.
#[derive(Default)]
struct Counts {
    accesses: AtomicUsize,
    aborted: AtomicUsize,
    lines: AtomicUsize,
    created: AtomicUsize,
    deleted: AtomicUsize,
    connected: AtomicUsize,
    disconnected: AtomicUsize,
    failed: AtomicUsize,
    /// The first errors, to say what went wrong.
    errors: Mutex<Vec<String>>,
}

impl Observer for Counts {
    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Warn)
    }

    fn log(&self, line: &LogLine<'_>) {
        let count = match line.message {
            b"context created" => &self.created,
            b"context deleted" => &self.deleted,
            message if message.starts_with(b"run plugin ctx ") => &self.lines,
            _ => return self.keep(line),
        };
        count.fetch_add(1, SeqCst);
    }

    fn connected(&self, _worker: usize) {
        self.connected.fetch_add(1, SeqCst);
    }

    fn disconnected(&self, _worker: usize) {
        self.disconnected.fetch_add(1, SeqCst);
    }

    fn access(&self, access: &Access<'_>) {
        self.accesses.fetch_add(1, SeqCst);
        self.aborted.fetch_add(usize::from(access.aborted), SeqCst);
    }

    fn worker_failed(&self, _failure: &WorkerFailure) {
        self.failed.fetch_add(1, SeqCst);
    }
}

impl Counts {
    fn keep(&self, line: &LogLine<'_>) {
        let mut errors = self.errors.lock().expect("errors");
        if errors.len() < 20 {
            errors.push(format!("{:?}: {}", line.plugin, String::from_utf8_lossy(line.message)));
        }
    }
}

fn soak(shape: Shape) -> Result<(), Failed> {
    let counts = Arc::new(Counts::default());
    play(shape, &counts).inspect_err(|_| eprintln!("{:#?}", counts.errors))
}

fn play(shape: Shape, counts: &Arc<Counts>) -> Result<(), Failed> {
    let mut settings = settings();
    settings.timeouts.half_closed = Duration::from_millis(20);
    settings.workers = NonZeroUsize::new(WORKERS).ok_or("workers")?;
    settings.observer = counts.clone();
    let served = Served::new(shape);
    let server = Server::start(settings, served.generation(0))?;
    let stage = Arc::new(Stage {
        served,
        address: server.listening()[0],
        over: AtomicBool::new(false),
        answered: AtomicUsize::new(0),
        logged: AtomicUsize::new(0),
        broken_off: AtomicUsize::new(0),
        moment: AtomicUsize::new(0),
    });
    let clients: Vec<_> = [
        client(&stage, |stage| clients::http1(stage, 0)),
        client(&stage, |stage| clients::http1(stage, 1_000_000)),
        client(&stage, |stage| clients::http1(stage, 2_000_000)),
        client(&stage, |stage| clients::http2(stage, 3_000_000)),
        client(&stage, clients::breaking),
        client(&stage, clients::breaking),
    ]
    .into();
    let result = drive(&stage, &server, &clients);
    stage.over.store(true, SeqCst);
    for client in clients {
        client.join().map_err(|_| "a client should not panic")??;
    }
    let resident = result?;
    rests(&stage, &server)?;
    server.stop(Duration::from_secs(10));
    ended(&stage, counts)?;
    process::is_flat(&resident)
}

type Client = JoinHandle<Result<(), Failed>>;

fn client(stage: &Arc<Stage>, plays: impl FnOnce(&Stage) -> Result<(), Failed> + Send + 'static) -> Client {
    let stage = stage.clone();
    std::thread::spawn(move || plays(&stage))
}

/// Changes what is served until enough has been seen; gives the memory after each change.
fn drive(stage: &Stage, server: &Running, clients: &[Client]) -> Result<Vec<u64>, Failed> {
    let (began, long) = (Instant::now(), process::seconds());
    let every = if long.is_some() { Duration::from_secs(1) } else { Duration::from_millis(250) };
    let mut resident = Vec::new();
    let mut number = 0;
    // One that failed says why when it is joined.
    while !clients.iter().any(JoinHandle::is_finished) {
        let enough = match long {
            Some(seconds) => began.elapsed() >= seconds,
            None => {
                stage.answered.load(SeqCst) >= ANSWERED
                    && stage.broken_off.load(SeqCst) >= BROKEN_OFF
                    && resident.len() >= CHANGES
            }
        };
        if enough {
            break;
        }
        holds(long.is_some() || began.elapsed() < SHORT, "so few requests should not take that long")?;
        std::thread::sleep(every);
        change(stage, server, &mut number, resident.len())?;
        holds(server.broken_workers().is_empty(), "no worker should break")?;
        resident.push(process::resident());
    }
    Ok(resident)
}

fn change(stage: &Stage, server: &Running, number: &mut usize, turn: usize) -> Result<(), Failed> {
    if turn % 4 == 3 {
        let refused = server.reload(stage.served.broken(*number));
        return holds(matches!(refused, Err(ServeError::Plugin { .. })), "what does not start should be refused");
    }
    *number += 1;
    let mut result = Ok(());
    stage.changes(*number, || {
        if stage.served.shape == Shape::Gateway && turn.is_multiple_of(2) {
            server.set_config(&stage.served.config(*number));
        } else {
            result = server.reload(stage.served.generation(*number));
        }
        // Workers do as they are told in the order in which they are told.
        server.population();
    });
    Ok(result?)
}

/// Nobody asks any more: what is left is what serves.
fn rests(stage: &Stage, server: &Running) -> Result<(), Failed> {
    let modules = stage.served.modules_of_one();
    let rests = |one: &Population| one.exchanges == 0 && one.stream_contexts == 0 && one.vms == modules;
    let rest = || server.population().iter().all(rests) && stage.served.modules() == modules;
    let found = eventually(rest);
    let (modules, population) = (stage.served.modules(), server.population());
    holds(found, &format!("nothing should be under way: {modules} modules, {population:?}"))
}

/// The server has stopped.
fn ended(stage: &Stage, counts: &Counts) -> Result<(), Failed> {
    let [answered, broken_off] = [&stage.answered, &stage.broken_off].map(|count| count.load(SeqCst));
    let [accesses, aborted] = [&counts.accesses, &counts.aborted].map(|count| count.load(SeqCst));
    let [created, deleted] = [&counts.created, &counts.deleted].map(|count| count.load(SeqCst));
    println!("{answered} answered, {broken_off} broken off, {created} contexts");
    holds(created >= answered, "every request should have had a context")?;
    same(deleted, created)?;
    holds(accesses - aborted >= answered, "every answer should have been heard of")?;
    holds(accesses <= answered + broken_off, "there were no other requests")?;
    holds(aborted > 0, "some should have been broken off")?;
    same(counts.lines.load(SeqCst), stage.logged.load(SeqCst))?;
    same(counts.disconnected.load(SeqCst), counts.connected.load(SeqCst))?;
    same(counts.failed.load(SeqCst), 0)?;
    same(stage.served.modules(), 0)?;
    // A thread that has been joined is known to the system for a moment longer.
    holds(eventually(|| process::workers() == 0), "no thread of a worker should be left")
}
