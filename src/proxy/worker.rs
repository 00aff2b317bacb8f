//! One worker: a thread with a runtime, listening sockets, a pool of upstream connections, and a host.

use super::downstream::Connection;
use super::listen::BACKLOG;
use super::live::Live;
use super::observer::WorkerFailure;
use super::pool::Pool;
use super::server::{Common, ServeError};
use super::settings::{Generation, Settings};
use crate::abi::QueueId;
use crate::gateway::balance::Balancer;
use crate::gateway::config::Config;
use crate::host::store::HostId;
use crate::host::store::queues::Owner;
use crate::host::{Host, Population};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Waker;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

/// Something that is done to a host.
pub(super) type Act = Arc<dyn Fn(&mut Host) + Send + Sync>;

/// What a worker is told to do.
pub(super) enum Order {
    /// Build a host, and say whether it started. It does not serve yet.
    Prepare(Box<Generation>, SyncSender<Result<(), ServeError>>),
    /// The host that was built serves from here on.
    Commit,
    /// It does not.
    Discard,
    /// Another configuration for the gateway; what has been prepared gets it, too.
    Configure(Arc<Config>),
    /// Say what lives here.
    Count(SyncSender<Population>),
    /// Do this to the host that serves, and say when it is done.
    Act(Act, SyncSender<()>),
    /// A queue of a host here has a message.
    QueueReady { owner: Owner, queue: QueueId },
    /// Accept nothing more, let what is under way end, finish the contexts, and go.
    Stop(Duration),
}

/// A worker, as everything on its thread knows it.
pub(super) struct Worker {
    pub(super) index: usize,
    pub(super) common: Arc<Common>,
    pub(super) pool: Rc<Pool>,
    /// Whose turn it is among the nodes of upstreams.
    pub(super) balancer: RefCell<Balancer>,
    live: RefCell<Option<Rc<Live>>>,
    retired: RefCell<Vec<Rc<Live>>>,
    stopping: Cell<bool>,
    connections: RefCell<BTreeMap<u64, Option<Waker>>>,
    /// Sockets that are listened on.
    listening: Cell<usize>,
    /// A connection has ended, or a socket is no longer listened on, or the worker stops.
    changed: Notify,
    /// What a panic said that came out of a host: nobody knows what state that is in.
    broken: RefCell<Option<String>>,
    broke: Notify,
}

/// What outlives a worker that breaks: the next one on its thread goes on from here.
pub(super) struct Charge {
    /// What it serves.
    pub(super) serves: Generation,
    /// What it has been told to prepare.
    pub(super) prepared: Option<Generation>,
    pub(super) orders: UnboundedReceiver<Order>,
    /// Who waits for it to start; none once it has.
    pub(super) started: Option<SyncSender<Result<(), ServeError>>>,
    /// It has been told to stop, or nobody is left to tell it anything.
    pub(super) dismissed: bool,
}

impl Worker {
    /// What stays for the life of the server.
    pub(super) fn settings(&self) -> &Settings {
        &self.common.settings
    }

    /// The generation that new requests go to.
    pub(super) fn live(&self) -> Option<Rc<Live>> {
        self.live.borrow().clone()
    }

    /// Nothing new is begun.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// A host broke on this worker, which ends with it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// Out of a host came a panic. The worker ends as soon as its thread gets to it.
    pub(super) fn breaks(&self, message: String) {
        self.broken.borrow_mut().get_or_insert(message);
        self.broke.notify_one();
    }

    fn connections(&self) -> usize {
        self.connections.borrow().len()
    }

    fn replace(self: &Rc<Self>, live: Rc<Live>) {
        self.common.sits(live.number, self.index);
        let old = self.live.borrow_mut().replace(live);
        self.forget_ended();
        if let Some(old) = old {
            self.retired.borrow_mut().push(old.clone());
            old.retire();
            self.forget_ended();
        }
    }

    /// Forgets generations of which nothing is under way.
    pub(super) fn forget_ended(&self) {
        self.retired.borrow_mut().retain(|live| {
            let goes_on = live.in_flight() > 0;
            if !goes_on {
                self.common.leaves(live.number);
            }
            goes_on
        });
    }

    /// The host of this number, if it still is here.
    fn host(&self, number: HostId) -> Option<Rc<Live>> {
        let is_it = |live: &Rc<Live>| live.number == number;
        self.live().filter(is_it).or_else(|| self.retired.borrow().iter().find(|live| is_it(live)).cloned())
    }

    /// What lives in all of its hosts.
    fn population(&self) -> Population {
        let mut all = Population::default();
        for live in self.live.borrow().iter().chain(&*self.retired.borrow()) {
            let one = live.run(|host| host.population());
            all.vms += one.vms;
            all.plugin_contexts += one.plugin_contexts;
            all.stream_contexts += one.stream_contexts;
            all.exchanges += one.exchanges;
        }
        all
    }

    fn shutdown(&self) {
        if self.is_broken() {
            return self.abandon();
        }
        let live = self.live.borrow_mut().take();
        let retired = std::mem::take(&mut *self.retired.borrow_mut());
        for live in retired.into_iter().chain(live) {
            live.shutdown();
        }
        self.pool.clear();
    }

    /// Leaves the hosts as they are: nothing may run in them.
    fn abandon(&self) {
        for live in self.live.borrow().iter().chain(&*self.retired.borrow()) {
            self.common.leaves(live.number);
        }
    }
}

/// The place of a connection among those of its worker.
pub(super) struct Place {
    worker: Rc<Worker>,
    /// The number of the connection, over all workers.
    pub(super) number: u64,
}

impl Place {
    /// A place for a new connection.
    pub(super) fn new(worker: &Rc<Worker>) -> Self {
        let number = worker.common.next_connection();
        worker.connections.borrow_mut().insert(number, None);
        worker.settings().observer.connected(worker.index);
        Self { worker: worker.clone(), number }
    }

    /// Who is to be told that the worker stops.
    pub(super) fn tell(&self, waker: &Waker) {
        self.worker.connections.borrow_mut().insert(self.number, Some(waker.clone()));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut().remove(&self.number);
        self.worker.settings().observer.disconnected(self.worker.index);
        self.worker.changed.notify_waiters();
    }
}

/// Runs a worker until it is told to stop, or breaks; then it says how.
pub(super) fn run(
    index: usize,
    common: Arc<Common>,
    charge: &mut Charge,
    listeners: Vec<TcpListener>,
) -> Option<WorkerFailure> {
    let failure = |message| Some(WorkerFailure { worker: index, message });
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return refuse(charge, ServeError::Worker(error)).and_then(failure),
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let worker = Rc::new(Worker {
            index,
            common,
            pool: Rc::default(),
            balancer: RefCell::default(),
            live: RefCell::default(),
            retired: RefCell::default(),
            stopping: Cell::new(false),
            connections: RefCell::default(),
            listening: Cell::new(0),
            changed: Notify::new(),
            broken: RefCell::default(),
            broke: Notify::new(),
        });
        if let Err(error) = begin(&worker, charge.serves.clone(), listeners) {
            worker.shutdown();
            return refuse(charge, error).and_then(failure);
        }
        if let Some(started) = charge.started.take() {
            let _ = started.send(Ok(()));
        }
        obey(&worker, charge).await;
        worker.shutdown();
        let message = worker.broken.borrow().clone();
        message.and_then(failure)
    })
}

/// It does not start. Whoever started the server hears of it; where it is the next one in its place, that is a failure.
fn refuse(charge: &mut Charge, error: ServeError) -> Option<String> {
    let Some(started) = charge.started.take() else { return Some(error.to_string()) };
    charge.dismissed = true;
    let _ = started.send(Err(error));
    None
}

fn begin(worker: &Rc<Worker>, generation: Generation, listeners: Vec<TcpListener>) -> Result<(), ServeError> {
    worker.replace(Live::start(worker, generation)?);
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::Worker)?;
        worker.listening.set(worker.listening.get() + 1);
        let worker = worker.clone();
        tokio::task::spawn_local(async move {
            accept(&worker, listener).await;
            worker.listening.set(worker.listening.get().saturating_sub(1));
            worker.changed.notify_waiters();
        });
    }
    Ok(())
}

async fn obey(worker: &Rc<Worker>, charge: &mut Charge) {
    let mut prepared = None;
    let grace = loop {
        let order = tokio::select! {
            biased;
            () = worker.broke.notified() => return,
            order = charge.orders.recv() => order,
        };
        match order {
            Some(Order::Prepare(generation, answer)) => {
                charge.prepared = Some((*generation).clone());
                let started = Live::start(worker, *generation);
                let _ = answer.send(match started {
                    Ok(live) => {
                        prepared = Some(live);
                        Ok(())
                    }
                    Err(error) => Err(error),
                });
            }
            Some(Order::Commit) => {
                let Some(generation) = charge.prepared.take() else { continue };
                charge.serves = generation.clone();
                // One that was prepared before a worker broke here has gone with it.
                match prepared.take().map_or_else(|| Live::start(worker, generation), Ok) {
                    Ok(live) => worker.replace(live),
                    Err(error) => return worker.breaks(error.to_string()),
                }
            }
            Some(Order::Discard) => {
                charge.prepared = None;
                if let Some(live) = prepared.take() {
                    live.retire();
                }
            }
            Some(Order::Configure(config)) => {
                for generation in charge.prepared.iter_mut().chain([&mut charge.serves]) {
                    generation.configure(&config);
                }
                for live in worker.live().iter().chain(&prepared) {
                    live.configure(config.clone());
                }
            }
            Some(Order::Count(answer)) => {
                let _ = answer.send(worker.population());
            }
            Some(Order::Act(act, done)) => {
                if let Some(live) = worker.live() {
                    live.run(|host| act(host));
                }
                let _ = done.send(());
            }
            Some(Order::QueueReady { owner, queue }) => {
                if let Some(live) = worker.host(owner.host) {
                    live.run(|host| host.queue_ready(owner.vm, owner.root, queue));
                }
            }
            Some(Order::Stop(grace)) => break grace,
            // Nobody can give orders any more.
            None => break Duration::ZERO,
        }
    };
    charge.dismissed = true;
    stop(worker, grace).await;
}

/// Lets what is under way end, for so long.
async fn stop(worker: &Rc<Worker>, grace: Duration) {
    worker.stopping.set(true);
    worker.changed.notify_waiters();
    for waker in worker.connections.borrow().values().flatten() {
        waker.wake_by_ref();
    }
    let all_gone = async {
        loop {
            let changed = worker.changed.notified();
            if worker.connections() == 0 && worker.listening.get() == 0 {
                return;
            }
            changed.await;
        }
    };
    tokio::select! {
        () = worker.broke.notified() => {}
        _ = tokio::time::timeout(grace, all_gone) => {}
    }
}

async fn accept(worker: &Rc<Worker>, listener: tokio::net::TcpListener) {
    let server = listener.local_addr();
    let Ok(server) = server else { return };
    loop {
        // Taken before the state is looked at, so that no change is missed.
        let changed = worker.changed.notified();
        if worker.is_stopping() {
            return last(worker, listener, server);
        }
        if worker.connections() >= worker.settings().bounds.connections {
            changed.await;
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = changed => continue,
        };
        match accepted {
            Ok((io, client)) => begin_connection(worker, io, client, server),
            // Out of descriptors, most likely: a connection that ends gives one back.
            Err(error) if is_about_us(&error) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(_) => {}
        }
    }
}

/// Who has connected is served; from here on others are refused, though the socket is kept for a worker in this one's
/// place.
fn last(worker: &Rc<Worker>, listener: tokio::net::TcpListener, server: SocketAddr) {
    // The runtime need not have heard of them yet, so the system is asked.
    let Ok(listener) = listener.into_std() else { return };
    for (io, client) in (0..BACKLOG).map_while(|_| listener.accept().ok()) {
        if let Ok(io) = io.set_nonblocking(true).and_then(|()| TcpStream::from_std(io)) {
            begin_connection(worker, io, client, server);
        }
    }
    let _ = socket2::SockRef::from(&listener).shutdown(std::net::Shutdown::Both);
}

fn begin_connection(worker: &Rc<Worker>, io: TcpStream, client: SocketAddr, server: SocketAddr) {
    let _ = io.set_nodelay(true);
    let server = io.local_addr().unwrap_or(server);
    let connection = Connection::new(worker, io, client, server);
    tokio::task::spawn_local(connection.serve_all());
}

/// An error of accept that is not about the one connection.
fn is_about_us(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
