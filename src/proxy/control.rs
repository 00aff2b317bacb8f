//! What changes while a server runs: its configuration, its modules, what the admin API is told; and how it ends.
//!
//! One thread, beside the workers, listens to signals and to the admin API and looks at files. What takes long (compiling,
//! waiting for the disk and for the workers) is done on another one, one thing at a time, so that a signal is always
//! heard. A configuration that can't be used is refused as a whole: the old one serves on, and the log says why.

mod answers;
mod modules;
mod source;

pub use modules::{Freshness, ModuleError, Modules};
pub use source::{OnePlugin, Read, Source, Text, objects};

use super::admin::{self, Guard};
use super::journal::Journal;
use super::log::Severity;
use super::record::Serving;
use super::reload::{EVERY, Watch};
use super::signals::{Signals, Wish};
use super::state::{StateError, StateFile};
use super::{Clusters, Generation, Running, ServeError, Serves};
use crate::diagnostic::Diagnostic;
use crate::gateway::config::Config;
use crate::gateway::document;
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::model::{Route, WasmPlugin};
use crate::gateway::resources::Resources;
use crate::host::limits::{Limits, Work};
use crate::host::plugin::LoadedPlugin;
use crate::host::profile::Profile;
use crate::host::store::Stores;
use crate::host::{PluginConfig, TrapPolicy};
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Beats that a callback may take: two seconds, in which its worker serves nobody else.
const CALLBACK: Work = Work::Beats(200);
/// Beats of starting and configuring: a WAF compiles its rules there.
const START: Work = Work::Beats(6_000);
/// How long requests under way have to end, and then the logs to be written.
const GRACE: Duration = Duration::from_secs(10);

/// Why there is nothing, or nothing new, to serve.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// What was written can't be used.
    #[error("{}", line(.0))]
    Configuration(Diagnostic),
    /// A module can't be used.
    #[error(transparent)]
    Module(#[from] Box<ModuleError>),
    /// The state file can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The workers can't.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// There are no workers any more.
    #[error("the server is about to stop")]
    Stopping,
}

/// A diagnostic in one line, for the log.
fn line(problem: &Diagnostic) -> String {
    let mut text = problem.title.clone();
    if let Some(source) = &problem.source {
        text += &format!(", in {}", source.path.display());
        if let Some(span) = &problem.span {
            let (line, column) = source.position(span.start);
            text += &format!(":{line}:{column}");
        }
    }
    if let Some(hint) = &problem.hint {
        text += &format!(" ({hint})");
    }
    text
}

/// What is served, before anybody serves it.
pub struct Plan {
    source: Source,
    frame: Frame,
    stores: Stores,
    state: Option<StateFile>,
    now: Now,
}

/// What may change.
struct Now {
    resources: Resources,
    /// The resources as the source had them.
    read: Resources,
    route: Option<Arc<Route>>,
    admin: document::Admin,
    modules: Modules,
    loaded: Vec<Arc<LoadedPlugin>>,
    shown: UpstreamStatus,
    watch: Watch,
}

impl Now {
    fn serving(&self) -> Serving {
        Serving { resources: self.resources.clone(), route: self.route.clone() }
    }
}

impl Plan {
    /// Makes a plan of what was read. What the state file keeps goes in the place of objects that were read, of which
    /// there may be none then.
    pub fn new(
        source: Source,
        read: Read,
        mut modules: Modules,
        profile: &'static Profile,
        clusters: Clusters,
        state: Option<StateFile>,
    ) -> Result<Self, ControlError> {
        let kept = match &state {
            Some(file) => file.read()?.map(|value| (file, value)),
            None => None,
        };
        let resources = match kept {
            Some((file, value)) => {
                let restored = Resources::restore(read.resources.plugins().to_vec(), &value);
                restored.map_err(|error| file.broken(error.to_string()))?
            }
            None => read.resources.clone(),
        };
        let mut watch = Watch::default();
        let of_modules = read.resources.plugins().iter().map(|plugin| plugin.file.clone());
        watch.set(read.files.iter().cloned().chain(of_modules));
        let loaded = modules.load(resources.plugins(), Freshness::Kept)?;
        let Read { resources: read, options, route, .. } = read;
        let shown = shown(&options);
        let now = Now { resources, read, route, admin: options.admin, modules, loaded, shown, watch };
        let frame = Frame { profile, clusters: Arc::new(clusters) };
        Ok(Self { source, frame, stores: Stores::default(), state, now })
    }

    /// What the workers build their hosts from.
    pub fn generation(&self) -> Generation {
        let config = config(&self.now.resources, self.now.route.as_ref());
        self.frame.generation(self.now.resources.plugins(), &self.now.loaded, config, self.now.shown)
    }

    /// What plugins keep, over all workers and reloads.
    pub fn stores(&self) -> Stores {
        self.stores.clone()
    }

    /// Nobody needs a key for the admin API.
    pub fn is_open(&self) -> bool {
        self.now.admin.keys.is_empty()
    }
}

/// What every generation has.
struct Frame {
    profile: &'static Profile,
    clusters: Arc<Clusters>,
}

impl Frame {
    fn generation(
        &self,
        plugins: &[WasmPlugin],
        modules: &[Arc<LoadedPlugin>],
        config: Arc<Config>,
        show_upstream_status: UpstreamStatus,
    ) -> Generation {
        let entry =
            |(plugin, code): (&WasmPlugin, &Arc<LoadedPlugin>)| PluginConfig::gateway_entry(&plugin.name, code.clone());
        let plugins = plugins.iter().zip(modules).map(entry).collect();
        let limits = Limits { callback: CALLBACK, start: START, memory: None };
        // APISIX goes on with a VM as its trap left it; here nobody is served by a broken one.
        let policy = TrapPolicy { fail_request: self.profile.trap_fails_request, rebuild: true };
        let serves = Serves::Gateway { plugins, config, show_upstream_status };
        Generation { limits, policy, clusters: self.clusters.clone(), ..Generation::new(self.profile, serves) }
    }
}

/// When clients are told of the upstream's status.
fn shown(options: &document::Options) -> UpstreamStatus {
    match options.show_upstream_status {
        true => UpstreamStatus::Always,
        false => UpstreamStatus::default(),
    }
}

fn config(resources: &Resources, route: Option<&Arc<Route>>) -> Arc<Config> {
    Arc::new(Config::compile(resources.plugins(), objects(resources, route)))
}

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
}

impl Control {
    /// Takes over a server that serves this plan.
    pub fn new(server: Running, plan: Plan, journal: Arc<Journal>) -> Self {
        let Plan { source, frame, stores, state, now } = plan;
        journal.serves(|| now.serving());
        let server = RwLock::new(Some(server));
        Self { server, journal, source, frame, stores, state, now: Arc::new(Mutex::new(now)) }
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
            Some(listener) => {
                listener.set_nonblocking(true)?;
                let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
                let guard = Guard { open: self.now.lock().await.admin.keys.is_empty(), loopback };
                let control = self.clone();
                let answer = move |asked| control.clone().answer(asked);
                let listener = tokio::net::TcpListener::from_std(listener)?;
                Some(tokio::task::spawn_local(admin::serve(listener, guard, answer)))
            }
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

    async fn stop(self: Arc<Self>, signals: &mut Signals) -> io::Result<Ended> {
        self.journal.errors().say(Severity::Notice, "stopping: requests under way have some time to end");
        let control = self.clone();
        let stopping = tokio::task::spawn_blocking(move || {
            // Whoever still has it in use is waited for.
            let server = control.server.write().unwrap_or_else(PoisonError::into_inner).take();
            server.into_iter().for_each(|server| server.stop(GRACE));
        });
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

    /// Whether any file has changed, and whether the time of any object is over.
    fn look(&self, now: &mut Now) {
        let changed = now.watch.look();
        if !changed.is_empty() {
            // The log has the reason of a failure.
            let _ = self.reload(now, Why::Changed(changed));
        }
        if now.resources.next_expiry().is_some_and(|end| end <= seconds()) {
            let mut next = now.resources.clone();
            if next.expire(seconds())
                && let Err(error) = self.change(now, next)
            {
                self.journal.errors().say(Severity::Error, &error.to_string());
            }
        }
    }

    /// Reads everything anew, and has it served if all of it can be.
    fn reload(&self, now: &mut Now, why: Why) -> Result<(), ControlError> {
        let log = self.journal.errors();
        let freshness = match &why {
            Why::Changed(_) => Freshness::Kept,
            Why::Asked => {
                now.watch.take();
                Freshness::Anew
            }
        };
        let result = self.replace(now, freshness);
        match (&result, &why) {
            (Ok(()), Why::Asked) => log.say(Severity::Warn, "configuration and plugins reloaded"),
            (Ok(()), Why::Changed(files)) => {
                for file in files {
                    log.say(Severity::Warn, &format!("config file {} reloaded.", file.display()));
                }
            }
            (Err(error), _) => {
                log.say(
                    Severity::Error,
                    &format!("nothing was reloaded, what was served before is served on: {error}"),
                );
            }
        }
        result
    }

    fn replace(&self, now: &mut Now, freshness: Freshness) -> Result<(), ControlError> {
        let read = self.source.read().map_err(ControlError::Configuration)?;
        let plugins = read.resources.plugins().to_vec();
        // From here on changes of these are noticed, whether or not they can be used now.
        let of_modules = plugins.iter().map(|plugin| plugin.file.clone());
        now.watch.set(read.files.iter().cloned().chain(of_modules));
        for warning in &read.warnings {
            self.journal.errors().say(Severity::Warn, warning);
        }
        let loaded = now.modules.load(&plugins, freshness)?;
        // What the admin API was told stays, unless the objects of the source are others now.
        let mut resources = match same_objects(&read.resources, &now.read) {
            true => now.resources.clone(),
            false => read.resources.clone(),
        };
        resources.set_plugins(plugins);
        let config = config(&resources, read.route.as_ref());
        let shown = shown(&read.options);
        let generation = self.frame.generation(resources.plugins(), &loaded, config, shown);
        self.with_server(|server| server.reload(generation))?;
        now.shown = shown;
        (now.resources, now.read, now.route) = (resources, read.resources, read.route);
        (now.loaded, now.admin) = (loaded, read.options.admin);
        self.journal.serves(|| now.serving());
        Ok(())
    }

    fn with_server<R>(&self, act: impl FnOnce(&Running) -> Result<R, ServeError>) -> Result<R, ControlError> {
        match &*self.server.read().unwrap_or_else(PoisonError::into_inner) {
            Some(server) => Ok(act(server)?),
            None => Err(ControlError::Stopping),
        }
    }

    /// Keeps other objects, and has them served. When this comes back, every worker does.
    fn change(&self, now: &mut Now, next: Resources) -> Result<(), ControlError> {
        if let Some(file) = &self.state {
            file.write(&next.to_state())?;
        }
        let config = config(&next, now.route.as_ref());
        self.with_server(|server| {
            server.set_config(&config);
            // Workers do what they are told in order: who has counted serves the new configuration.
            server.population();
            Ok(())
        })?;
        now.resources = next;
        self.journal.serves(|| now.serving());
        Ok(())
    }
}

/// Why something is reloaded.
enum Why {
    /// Somebody wants it.
    Asked,
    /// These files have changed.
    Changed(Vec<std::path::PathBuf>),
}

/// Whether two readings have the same objects, whatever their plugins are.
fn same_objects(one: &Resources, other: &Resources) -> bool {
    let bare = |resources: &Resources| {
        let mut resources = resources.clone();
        resources.set_plugins(Vec::new());
        resources
    };
    bare(one) == bare(other)
}

/// Seconds since 1970.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
