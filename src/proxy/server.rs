//! The server as a whole: worker threads, the sockets they listen on, reload and stop.

use super::listen;
use super::observer::WorkerFailure;
use super::settings::{Generation, Settings};
use super::worker::{self, Act, Charge, Order};
use crate::gateway::config::Config;
use crate::host::store::HostId;
use crate::host::{Host, Population, StartError};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// How long a worker may take to build a host: a large module's start function takes seconds.
const START: Duration = Duration::from_secs(120);

/// Between two workers in one place: what breaks at once, again and again, must not take all of the processor.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a worker may take to do something at once, and to say what lives there.
const COUNT: Duration = Duration::from_secs(5);

/// Starts servers.
pub struct Server;

/// Why nothing, or nothing new, is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// A plugin did not start.
    #[error("the plugin `{plugin}` did not start: {error}")]
    Plugin {
        /// Its name.
        plugin: String,
        /// Why.
        error: StartError,
    },
    /// A thread or a runtime can't be had.
    #[error("a worker did not start: {0}")]
    Worker(std::io::Error),
    /// A worker broke, or does not answer.
    #[error("worker {0} does not answer")]
    Silent(usize),
}

/// A server that runs. Dropping it stops it at once.
pub struct Running {
    listening: Vec<SocketAddr>,
    workers: Vec<Handle>,
    common: Arc<Common>,
}

/// What all workers have in common.
pub(super) struct Common {
    pub(super) settings: Settings,
    connections: AtomicU64,
    orders: Vec<UnboundedSender<Order>>,
    /// No worker that breaks is replaced any more.
    ends: AtomicBool,
    /// Which worker each host belongs to.
    seats: Mutex<BTreeMap<HostId, usize>>,
}

impl Common {
    /// The number of a new connection, from 1.
    pub(super) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A host begins to serve.
    pub(super) fn sits(&self, host: HostId, worker: usize) {
        self.seats().insert(host, worker);
    }

    /// A host serves no more.
    pub(super) fn leaves(&self, host: HostId) {
        self.seats().remove(&host);
    }

    /// An order for the worker that a host belongs to, if there still is one.
    pub(super) fn send(&self, host: HostId, order: Order) {
        let worker = self.seats().get(&host).copied();
        if let Some(orders) = worker.and_then(|worker| self.orders.get(worker)) {
            let _ = orders.send(order);
        }
    }

    fn seats(&self) -> MutexGuard<'_, BTreeMap<HostId, usize>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Handle {
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

type Answer = Receiver<Result<(), ServeError>>;

impl Server {
    /// Starts every worker, and gives the server when all of them serve.
    pub fn start(settings: Settings, generation: Generation) -> Result<Running, ServeError> {
        let (sets, listening) = listen::bind(&settings.listen, settings.workers)?;
        let (orders, receivers): (Vec<_>, Vec<_>) = sets.iter().map(|_| unbounded_channel()).unzip();
        let common = Arc::new(Common {
            settings,
            connections: AtomicU64::new(0),
            orders: orders.clone(),
            ends: AtomicBool::new(false),
            seats: Mutex::default(),
        });
        let mut running = Running { listening, workers: Vec::new(), common: common.clone() };
        let mut answers = Vec::new();
        for (index, ((listeners, orders), receiver)) in sets.into_iter().zip(orders).zip(receivers).enumerate() {
            let (started, answer) = sync_channel(1);
            let charge = Charge {
                serves: generation.clone(),
                prepared: None,
                orders: receiver,
                started: Some(started),
                dismissed: false,
            };
            let common = common.clone();
            let work = move || work(index, &common, charge, &listeners);
            let thread = std::thread::Builder::new().name(format!("worker {index}")).spawn(work);
            running.workers.push(Handle { orders, thread: Some(thread.map_err(ServeError::Worker)?) });
            answers.push(answer);
        }
        wait(answers)?;
        Ok(running)
    }
}

impl Running {
    /// The addresses that are listened on, in the order of the settings, ports filled in.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Builds new hosts on all workers and gives them all new requests; what is under way ends in the old ones. If
    /// one of them does not start, all of the old ones stay.
    pub fn reload(&self, generation: Generation) -> Result<(), ServeError> {
        let answers = self.workers.iter().map(|worker| {
            let (sender, answer): (SyncSender<_>, Answer) = sync_channel(1);
            // One that is gone does not answer, and that is found below.
            let _ = worker.orders.send(Order::Prepare(Box::new(generation.clone()), sender));
            answer
        });
        let prepared = wait(answers.collect());
        for worker in &self.workers {
            let order = if prepared.is_ok() { Order::Commit } else { Order::Discard };
            let _ = worker.orders.send(order);
        }
        prepared
    }

    /// Gives every worker another configuration of its gateway: requests that come from here on go by it. What each
    /// generation serves stays otherwise.
    pub fn set_config(&self, config: &Arc<Config>) {
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Configure(config.clone()));
        }
    }

    /// Has something done to the host of every worker that new requests go to, and waits for it: for what no request
    /// and no configuration can say, as to move a clock that stands.
    pub fn act(&self, act: impl Fn(&mut Host) + Send + Sync + 'static) {
        let act: Act = Arc::new(act);
        let tell = |worker: &Handle| {
            let (sender, done) = sync_channel(1);
            let _ = worker.orders.send(Order::Act(act.clone(), sender));
            done
        };
        let told: Vec<_> = self.workers.iter().map(tell).collect();
        for done in told {
            // One that is gone does not do it.
            let _ = done.recv_timeout(COUNT);
        }
    }

    /// What lives on each worker; nothing on one that does not answer.
    pub fn population(&self) -> Vec<Population> {
        let ask = |worker: &Handle| {
            let (sender, answer) = sync_channel(1);
            let _ = worker.orders.send(Order::Count(sender));
            answer
        };
        let answers: Vec<_> = self.workers.iter().map(ask).collect();
        answers.into_iter().map(|answer| answer.recv_timeout(COUNT).unwrap_or_default()).collect()
    }

    /// Workers whose threads have ended, though nobody told them to: a thread that can't be had back.
    pub fn broken_workers(&self) -> Vec<usize> {
        let ended = |handle: &Handle| handle.thread.as_ref().is_none_or(JoinHandle::is_finished);
        self.workers.iter().enumerate().filter(|(_, handle)| ended(handle)).map(|(index, _)| index).collect()
    }

    /// Stops: nothing new is accepted, what is under way has so long to end, contexts are finished.
    pub fn stop(mut self, grace: Duration) {
        self.end(grace);
    }

    fn end(&mut self, grace: Duration) {
        self.common.ends.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            let _ = worker.orders.send(Order::Stop(grace));
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // Its panic has been reported.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// One worker after the other: each is there until it is told to stop, and a panic is a defect, but no end.
fn work(index: usize, common: &Arc<Common>, mut charge: Charge, listeners: &[TcpListener]) {
    loop {
        let began = Instant::now();
        let run = || {
            // Others of the same sockets, so that whoever has connected meanwhile is served by the next one.
            let listeners = listeners.iter().map(TcpListener::try_clone).collect::<Result<_, _>>();
            match listeners {
                Ok(listeners) => worker::run(index, common.clone(), &mut charge, listeners),
                Err(error) => Some(WorkerFailure { worker: index, message: error.to_string() }),
            }
        };
        let ran = catch_unwind(AssertUnwindSafe(run));
        let failure = ran.unwrap_or_else(|panic| Some(WorkerFailure { worker: index, message: message(&*panic) }));
        if let Some(failure) = failure {
            common.settings.observer.worker_failed(&failure);
        }
        if charge.dismissed || charge.started.is_some() || common.ends.load(Ordering::Relaxed) {
            return;
        }
        if began.elapsed() < AGAIN {
            std::thread::sleep(AGAIN);
        }
    }
}

/// Waits for all of them; the first that failed counts.
fn wait(answers: Vec<Answer>) -> Result<(), ServeError> {
    let mut result = Ok(());
    for (index, answer) in answers.into_iter().enumerate() {
        let answer = match answer.recv_timeout(START) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(ServeError::Silent(index)),
        };
        if result.is_ok() {
            result = answer;
        }
    }
    result
}

/// What a panic says.
pub(super) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}
