//! What changes while a server runs: its configuration, its modules, what the admin API is told; and how it ends.
//!
//! One thread, beside the workers, listens to signals and to the admin API and looks at files. What takes long (compiling,
//! waiting for the disk and for the workers) is done on another one, one thing at a time, so that a signal is always
//! heard. A configuration that can't be used is refused as a whole: the old one serves on, and the log says why. What
//! is served is a [`Plan`], and `change` replaces it or parts of it.

mod answers;
mod change;
mod error;
mod modules;
mod plan;
mod source;

pub use error::ControlError;
pub use modules::{Freshness, ModuleError, Modules};
pub use plan::Plan;
pub use source::{OnePlugin, Read, Source, Text, objects};

use super::Running;
use super::admin::{self, Guard};
use super::journal::Journal;
use super::log::Severity;
use super::reload::EVERY;
use super::signals::{Signals, Wish};
use super::state::StateFile;
use crate::host::Host;
use crate::host::store::Stores;
use change::Why;
use plan::{Frame, Now};
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

/// How long requests under way have to end, and then the logs to be written.
const GRACE: Duration = Duration::from_secs(10);

/// Why a state file and a configuration with objects exclude each other.
pub const TWO_KEEPERS: &str =
    "--state keeps what the admin API is told, and this configuration has routes of its own: give one of the two";

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// What was under way has ended, or had its time.
    Gracefully,
    /// Somebody would not wait.
    AtOnce,
}

/// A server, and what steers it.
pub struct Control {
    /// Gone when it has been told to stop.
    server: RwLock<Option<Running>>,
    journal: Arc<Journal>,
    source: Source,
    frame: Frame,
    stores: Stores,
    state: Option<StateFile>,
    now: Arc<Mutex<Now>>,
    /// Nobody needs a key for the admin API.
    open: AtomicBool,
}

impl Control {
    /// Takes over a server that serves this plan.
    pub fn new(server: Running, plan: Plan, journal: Arc<Journal>) -> Self {
        let Plan { source, frame, stores, state, now } = plan;
        journal.serves(|| now.serving());
        let server = RwLock::new(Some(server));
        let open = AtomicBool::new(now.admin.keys.is_empty());
        Self { server, journal, source, frame, stores, state, now: Arc::new(Mutex::new(now)), open }
    }

    /// Runs until somebody says stop. `ready` is called when signals are obeyed.
    pub fn run(self, admin: Option<TcpListener>, ready: impl FnOnce()) -> io::Result<Ended> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = tokio::task::LocalSet::new().block_on(&runtime, Arc::new(self).steer(admin, ready));
        // What is still being done in the background is not waited for.
        runtime.shutdown_background();
        ended
    }

    async fn steer(self: Arc<Self>, admin: Option<TcpListener>, ready: impl FnOnce()) -> io::Result<Ended> {
        let mut signals = Signals::listen()?;
        let admin = match admin {
            Some(listener) => Some(self.clone().listen(listener).await?),
            None => None,
        };
        ready();
        let mut looks = tokio::time::interval(EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                wish = signals.next() => match wish {
                    Wish::Stop => break,
                    Wish::Reopen => self.journal.reopen(),
                    Wish::Reload => {
                        let control = self.clone();
                        tokio::task::spawn_local(async move {
                            control.alone(|control, now| drop(control.reload(now, Why::Asked))).await
                        });
                    }
                },
                _ = looks.tick() => {
                    // While something else is done, the next look is early enough.
                    if let Ok(now) = self.now.clone().try_lock_owned() {
                        let control = self.clone();
                        tokio::task::spawn_local(async move { control.with(now, Self::look).await });
                    }
                }
            }
        }
        if let Some(admin) = admin {
            admin.abort();
        }
        self.stop(&mut signals).await
    }

    /// Has the admin API answered on a task of its own, which needs a `LocalSet`; [`run`](Self::run) does it by itself.
    pub async fn listen(self: Arc<Self>, listener: TcpListener) -> io::Result<JoinHandle<()>> {
        listener.set_nonblocking(true)?;
        let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let control = self.clone();
        // A reload may bring keys, or take them away.
        let guard = move || Guard { open: control.open.load(Ordering::Relaxed), loopback };
        let answer = move |asked| self.clone().answer(asked);
        Ok(tokio::task::spawn_local(admin::serve(listener, guard, answer)))
    }

    async fn stop(self: Arc<Self>, signals: &mut Signals) -> io::Result<Ended> {
        self.journal.errors().say(Severity::Notice, "stopping: requests under way have some time to end");
        let control = self.clone();
        let stopping = tokio::task::spawn_blocking(move || control.stop_serving(GRACE));
        let ended = tokio::select! {
            _ = stopping => Ended::Gracefully,
            () = async { while signals.next().await != Wish::Stop {} } => Ended::AtOnce,
        };
        let within = match ended {
            Ended::Gracefully => GRACE / 2,
            Ended::AtOnce => GRACE / 20,
        };
        self.journal.stop(within);
        Ok(ended)
    }

    /// Stops the server: what is under way has so long to end.
    pub fn stop_serving(&self, grace: Duration) {
        // Whoever still has it in use is waited for.
        let server = self.server.write().unwrap_or_else(PoisonError::into_inner).take();
        server.into_iter().for_each(|server| server.stop(grace));
    }

    /// [`Running::act`], as long as it serves.
    pub fn act(&self, act: impl Fn(&mut Host) + Send + Sync + 'static) {
        let _ = self.with_server(|server| {
            server.act(act);
            Ok(())
        });
    }

    /// Does something that takes long and that nothing else may be done beside.
    async fn alone<R: Send + 'static>(
        self: Arc<Self>,
        act: impl FnOnce(&Self, &mut Now) -> R + Send + 'static,
    ) -> Option<R> {
        let now = self.now.clone().lock_owned().await;
        self.with(now, act).await
    }

    async fn with<R: Send + 'static>(
        self: Arc<Self>,
        mut now: OwnedMutexGuard<Now>,
        act: impl FnOnce(&Self, &mut Now) -> R + Send + 'static,
    ) -> Option<R> {
        // The only error is a panic, and those are reported where they happen.
        tokio::task::spawn_blocking(move || act(&self, &mut now)).await.ok()
    }
}
