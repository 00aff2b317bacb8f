//! Ctrl-C and SIGTERM while a real Envoy runs: its processes and folders go away before pwtest does.
//!
//! Whoever listens for a signal once has taken its own effect away for as long as the process lives. So one thread
//! listens all the time: during a run it passes the wish on, and outside of one it ends pwtest, as the signal would have.

use super::error::EnvoyError;
use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

static RUNS: AtomicUsize = AtomicUsize::new(0);
static LISTENER: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// A run that ends when the user wants it to.
#[derive(Debug)]
pub struct Interrupts {
    wanted: Option<watch::Receiver<bool>>,
}

impl Interrupts {
    /// From now on signals end this run, and not pwtest.
    pub fn begin() -> Self {
        RUNS.fetch_add(1, Ordering::SeqCst);
        let known = LISTENER.get().cloned();
        let wanted = known.or_else(|| {
            let listener = listen().ok()?;
            Some(LISTENER.get_or_init(|| listener).clone())
        });
        Self { wanted }
    }

    /// Whether it is to end.
    pub fn wanted(&self) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| *wanted.borrow())
    }

    /// Does something until it is done or the run is to end.
    pub async fn or<T>(&self, running: impl Future<Output = T>) -> Result<T, EnvoyError> {
        let Some(mut wanted) = self.wanted.clone() else { return Ok(running.await) };
        tokio::select! {
            done = running => Ok(done),
            Ok(_) = wanted.wait_for(|wanted| *wanted) => Err(EnvoyError::Interrupted),
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        RUNS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Begins to listen; when this returns, no signal is missed.
fn listen() -> std::io::Result<watch::Receiver<bool>> {
    let runtime = super::session::runtime()?;
    let entered = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(entered);
    let (sender, receiver) = watch::channel(false);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => 130,
                    _ = terminate.recv() => 143,
                };
                if RUNS.load(Ordering::SeqCst) == 0 {
                    std::process::exit(code);
                }
                let _ = sender.send(true);
            }
        });
    })?;
    Ok(receiver)
}
