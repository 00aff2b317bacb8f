//! `pwtest serve`: reads what is to be served, opens the logs, starts the server, and stays until it is told to stop.
//!
//! Everything that can be wrong is found before anybody can connect, and each kind has its exit code. What is
//! announced goes to standard error, through the thread that writes there, so that lines never mix.

mod arguments;
mod meanwhile;
mod record;

pub use arguments::ServeArgs;

use super::exit;
use crate::diagnostic::Diagnostic;
use crate::host::engine::{Heart, Metering, ModuleCache, metered_engine};
use crate::proxy::access_log::AccessLog;
use crate::proxy::control::{Control, ControlError, Modules, Plan, Read, TWO_KEEPERS};
use crate::proxy::journal::Journal;
use crate::proxy::log::{Controls, Destination, ErrorLog, Format, Severity, Sink};
use crate::proxy::state::StateFile;
use crate::proxy::traces::Traces;
use crate::proxy::{Clusters, ServeError, Server, Settings};
use anyhow::Context as _;
use arguments::{AccessTo, Wanted};
use meanwhile::Meanwhile;
use std::io::IsTerminal;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

/// Where APISIX listens.
const PORT: u16 = 9080;
/// Where its admin API does.
const ADMIN_PORT: u16 = 9180;

/// A start that takes longer looks like one that hangs.
const PATIENCE: Duration = Duration::from_secs(1);
/// Said where nothing is served, and nothing can come.
const NOWHERE: &str = "there are no routes, and no admin API to write any: every request is answered 404. Give --admin, \
                       or write routes (in apisix.yaml beside config.yaml, or in the one document)";

/// Runs the command.
pub fn run(args: &ServeArgs) -> anyhow::Result<u8> {
    let wanted = args.wanted()?;
    let read = match wanted.source.read() {
        Ok(read) => read,
        Err(problem) => return Ok(refused(&problem)),
    };
    if wanted.state.is_some() && read.has_objects() {
        anyhow::bail!(TWO_KEEPERS);
    }
    // Which of them there are is known before anything starts.
    let clusters = clusters(&wanted)?;
    let (journal, console) = journal(&wanted, &read)?;
    let (journal, recording) = record::start(&wanted, journal)?;
    let journal = Arc::new(journal);
    let served = serve(&wanted, read, clusters, &journal, &console);
    if let Some(recording) = recording {
        recording.stop();
    }
    // Whatever it came to, nothing that was said is lost.
    journal.stop(Duration::from_secs(1));
    match served {
        Ok(()) => Ok(exit::PASSED),
        Err(Failure::Control(ControlError::Configuration(problem))) => Ok(refused(&problem)),
        Err(Failure::Control(error @ ControlError::State(_))) => Err(error.into()),
        Err(Failure::Control(error)) => Ok(not_started(&error.to_string())),
        Err(Failure::Admin(address, error)) => Ok(not_started(&format!("can't listen on {address}: {error}"))),
        Err(Failure::Other(error)) => Err(error),
    }
}

/// The clusters of the command line; those of the configuration stand behind them.
fn clusters(wanted: &Wanted) -> anyhow::Result<Clusters> {
    let mut clusters = Clusters::default();
    wanted.clusters.iter().try_for_each(|text| clusters.add(text))?;
    Ok(clusters)
}

/// Why it does not serve.
enum Failure {
    /// Of the configuration, a module, the state or the workers.
    Control(ControlError),
    /// The admin API can't be listened for.
    Admin(SocketAddr, std::io::Error),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::Control(error)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::Control(error.into())
    }
}

fn refused(problem: &Diagnostic) -> u8 {
    eprint!("{}", problem.render(super::colour(&std::io::stderr())));
    exit::INVALID_INPUT
}

fn not_started(reason: &str) -> u8 {
    eprintln!("error: {reason}");
    exit::NOT_STARTED
}

fn serve(
    wanted: &Wanted,
    read: Read,
    clusters: Clusters,
    journal: &Arc<Journal>,
    console: &Console,
) -> Result<(), Failure> {
    for warning in &read.warnings {
        journal.errors().say(Severity::Warn, warning);
    }
    let options = read.options.clone();
    let cache = if wanted.cache { ModuleCache::User } else { ModuleCache::Off };
    let engine = metered_engine(&cache, Metering::Beats).map_err(Failure::Other)?;
    let _heart = Heart::of(&engine).context("no thread for the time of guests").map_err(Failure::Other)?;
    let modules = Modules::new(engine, wanted.profile);
    let state = wanted.state.clone().map(StateFile::new);
    let warned = read.warnings.clone();
    let (waiting, kept) = (console.clone(), wanted.cache);
    let compiling = Meanwhile::after(PATIENCE, move || {
        waiting.say(if kept { "compiling modules, which are kept for the next start" } else { "compiling modules" });
    });
    let plan = Plan::new(wanted.source.clone(), read, modules, wanted.profile, clusters, state)?;
    drop(compiling);
    for line in plan.unknown_plugins().iter().filter(|line| !warned.contains(line)) {
        journal.errors().say(Severity::Warn, line);
    }
    // Before the workers start: what can't be had is found early.
    let configured = match options.admin.enabled {
        Some(false) => None,
        Some(true) | None => options.admin.listen,
    };
    let enabled = (options.admin.enabled == Some(true)).then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT)));
    let admin = wanted.admin.or(configured).or(enabled);
    let admin = match admin {
        Some(address) => Some(TcpListener::bind(address).map_err(|error| Failure::Admin(address, error))?),
        None => None,
    };
    if plan.is_empty() && admin.is_none() {
        journal.errors().say(Severity::Warn, NOWHERE);
    }
    if let Some(name) = wanted.unconfigured()
        && wanted.profile.name == "apisix"
    {
        let line = format!("{name} has no --config: it is configured with nothing, where APISIX refuses the route");
        journal.errors().say(Severity::Warn, &line);
    }
    let listen = match (wanted.listen.is_empty(), options.listen.is_empty()) {
        (false, _) => wanted.listen.clone(),
        (true, false) => options.listen.clone(),
        (true, true) => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))],
    };
    let settings = Settings {
        workers: wanted.workers,
        observer: journal.clone(),
        stores: plan.stores(),
        resolve: Arc::new(wanted.resolve.clone()),
        ..Settings::new(listen)
    };
    let running = Server::start(settings, plan.generation())?;
    let listening = running.listening().to_vec();
    let admin_at = admin.as_ref().and_then(|listener| listener.local_addr().ok());
    let control = Control::new(running, plan, journal.clone());
    let ready = || {
        for address in listening {
            console.say(&format!("listening on http://{address}{}", reach(address)));
        }
        if let Some(address) = admin_at {
            console.say(&format!("admin API on http://{address}{}", reach(address)));
        }
        // Nobody who looks for a plugin's lines gave this on the command line.
        if let (None, Some(file)) = (&wanted.error_log, &options.error_log) {
            console.say(&format!("error log in {}", file.display()));
        }
    };
    control.run(admin, ready).context("the signals can't be listened to").map_err(Failure::Other)?;
    Ok(())
}

/// Said where a person might not have meant it.
fn reach(address: SocketAddr) -> &'static str {
    if address.ip().is_loopback() { "" } else { " (other machines can reach it)" }
}

/// Standard error, for what is always said.
#[derive(Clone)]
struct Console {
    sink: Sink,
    format: Format,
}

impl Console {
    fn say(&self, text: &str) {
        let line = match self.format {
            Format::Text => format!("{text}\n"),
            Format::Json => serde_json::json!({ "level": "notice", "message": text }).to_string() + "\n",
        };
        self.sink.write(line.as_bytes());
    }
}

/// Opens the logs.
fn journal(wanted: &Wanted, read: &Read) -> anyhow::Result<(Journal, Console)> {
    let stderr = std::io::stderr();
    let controls = |terminal: bool| if terminal { Controls::Shown } else { Controls::Raw };
    let level = wanted.level.or(read.options.error_log_level.map(Severity::from)).unwrap_or(Severity::Warn);
    let (format, stderr_controls) = (wanted.format, controls(stderr.is_terminal()));
    let to_stderr = || Destination::Stream(Box::new(std::io::stderr()));
    // As APISIX does with its `logs`, which config.yaml names by default.
    if let (None, Some(folder)) = (&wanted.error_log, read.options.error_log.as_ref().and_then(|path| path.parent())) {
        let made = std::fs::create_dir_all(folder);
        made.with_context(|| {
            format!("nginx_config.error_log: `{}` can't be made; --error-log gives another file", folder.display())
        })?;
    }
    let (errors, console) = match wanted.error_log.as_ref().or(read.options.error_log.as_ref()) {
        None => {
            let errors = ErrorLog::start(to_stderr(), level, format, stderr_controls).context("no thread for logs")?;
            let console = errors.sink().clone();
            (errors, console)
        }
        Some(path) => {
            let file = Destination::File(path.clone());
            let errors = ErrorLog::start(file, level, format, Controls::Raw)
                .with_context(|| format!("the error log `{}` can't be written", path.display()))?;
            let console = Sink::start("console", to_stderr(), Box::new(|_, _| {})).context("no thread for logs")?;
            (errors, console)
        }
    };
    let accesses = match &wanted.access_log {
        AccessTo::Off => None,
        AccessTo::Stdout => Some(Destination::Stream(Box::new(std::io::stdout()))),
        AccessTo::File(path) => Some(Destination::File(path.clone())),
    };
    let accesses = accesses.map(|to| AccessLog::start(to, format, errors.clone())).transpose();
    let accesses = accesses.with_context(|| match &wanted.access_log {
        AccessTo::File(path) => format!("the access log `{}` can't be written", path.display()),
        AccessTo::Stdout | AccessTo::Off => "the access log can't be written".to_owned(),
    })?;
    let traces = wanted.trace.then(|| Traces::new(console.clone(), format));
    let journal = Journal::new(errors, accesses, traces, wanted.workers.get());
    Ok((journal, Console { sink: console, format }))
}
