//! A worker that breaks is replaced, and the next one goes on where it was.

use super::ends::{Origin, Peer, eventually, plugin, settings, upstream};
use super::{holds, named, same};
use libtest_mimic::{Failed, Trial};
use pwtest::abi::LogLevel;
use pwtest::host::profile::APISIX;
use pwtest::proxy::{Generation, LogLine, Observer, Server, WorkerFailure};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn trials() -> Vec<Trial> {
    named(&[("a worker that breaks is replaced", replaced)])
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Breaks the worker at a line, once.
#[derive(Default)]
struct Breaking {
    broken: AtomicBool,
    lines: Mutex<Vec<String>>,
    failures: Mutex<Vec<String>>,
}

impl Observer for Breaking {
    fn log_level(&self) -> Option<LogLevel> {
        Some(LogLevel::Warn)
    }

    fn log(&self, line: &LogLine<'_>) {
        if !self.broken.swap(true, SeqCst) {
            // A panic without words on standard error.
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        self.lines.lock().expect("lines").push(String::from_utf8_lossy(line.message).into_owned());
    }

    fn worker_failed(&self, failure: &WorkerFailure) {
        self.failures.lock().expect("failures").push(format!("{}: {}", failure.worker, failure.message));
    }
}

fn replaced() -> Result<(), Failed> {
    let origin = Origin::new(|peer| {
        loop {
            let head = peer.until("\r\n\r\n");
            if head.starts_with("GET /slow ") {
                peer.ends();
            }
            if head.is_empty() {
                return;
            }
            peer.send(OK);
        }
    });
    let heard = Arc::new(Breaking::default());
    let mut settings = settings();
    settings.observer = heard.clone();
    let to = Arc::new(upstream(&[origin.address]));
    let server = Server::start(settings, Generation::chain(&APISIX, Vec::new(), to.clone()))?;
    let mut slow = Peer::to(&server);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    holds(eventually(|| server.population()[0].exchanges == 1), "a request should be under way")?;
    // It warns of its contexts, the first of which breaks the worker.
    let probe = plugin("../t/serve/soak/probe.wat", &APISIX, "x");
    server.reload(Generation::chain(&APISIX, vec![probe], to))?;
    let mut client = Peer::to(&server);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    same(client.message().0.as_str(), "")?;
    holds(slow.ends(), "what else was under way there should end")?;
    holds(eventually(|| !heard.failures.lock().expect("failures").is_empty()), "somebody should hear of it")?;
    same(heard.failures.lock().expect("failures").as_slice(), &["0: on purpose".to_owned()])?;
    for _ in 0..2 {
        let mut client = Peer::to(&server);
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        same(client.message().1.as_str(), "hello")?;
    }
    holds(server.broken_workers().is_empty(), "another worker should serve")?;
    let population = &server.population()[0];
    same((population.vms, population.plugin_contexts, population.exchanges), (1, 1, 0))?;
    // What was reloaded last is what serves: it warns of its own context, and of two requests' from begin to end.
    server.stop(Duration::from_secs(1));
    let (one, request) = ("context created", ["context created", "context deleted"]);
    let lines = [&[one][..], &request, &request, &["context deleted"]].concat();
    same(heard.lines.lock().expect("lines").iter().map(String::as_str).collect(), lines)
}
