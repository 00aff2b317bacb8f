//! The real Envoy as a host: `--host envoy@PATH`.
//!
//! Each case is run in memory first ([`mod@cast`]), which says what it needs. Then a process is started for as many cases
//! as can share one, each with listeners and VMs of its own ([`config`], [`process`]), and the cases are played one after
//! the other, with scripted sockets at every end ([`play`]). What came out is turned into a trace ([`tracer`]) and
//! judged like any other; what nobody outside can see is taken out before and listed ([`unseen`]).

mod barrier;
mod cast;
mod chance;
mod client;
mod config;
mod error;
mod http1;
mod interrupt;
mod log;
mod play;
mod process;
mod server1;
mod server2;
mod server_grpc;
mod session;
mod stage;
mod tracer;
mod unseen;
mod wire;

pub use cast::Rehearsal;
pub use error::EnvoyError;

use super::case::{self, Job};
use super::result::{CaseResult, CaseStatus, Unseen};
use super::{Plugins, RunOptions};
use cast::{Cast, cast};
use interrupt::Interrupts;
use session::Session;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// The version that the profile `envoy` was made from.
pub const KNOWN_VERSION: &str = "1.40";
/// Cases that share a process. Each plugin has three VMs in it.
const LARGEST_BATCH: usize = 24;
/// Bytes of modules that share a process: each is compiled by itself.
const LARGEST_CODE: usize = 12 << 20;
/// Processes at a time.
const MOST_PROCESSES: usize = 4;

/// The path in `envoy@PATH`.
pub fn path_of(host: &str) -> Option<PathBuf> {
    host.strip_prefix("envoy@").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// What is shared by the threads of a run.
struct Shared<'a> {
    path: &'a Path,
    folder: &'a Path,
    interrupts: &'a Interrupts,
    batches: Mutex<VecDeque<Vec<Cast<'a>>>>,
    sessions: AtomicUsize,
    stop: AtomicBool,
}

/// A binary that says that it is Envoy.
#[derive(Debug)]
pub struct Binary {
    path: PathBuf,
    interrupts: Interrupts,
    /// What the user should know of it.
    pub warning: Option<String>,
}

impl Binary {
    /// Asks the binary at this path which version it is.
    pub fn open(path: &Path) -> Result<Self, EnvoyError> {
        let unusable = |error: std::io::Error| EnvoyError::Unusable { path: path.to_owned(), why: error.to_string() };
        let interrupts = Interrupts::begin();
        let version = session::runtime().map_err(unusable)?.block_on(interrupts.or(process::version(path)))??;
        let warning = (!version.starts_with(&format!("{KNOWN_VERSION}."))).then(|| {
            format!("{} is Envoy {version}; the profile `envoy` was made from {KNOWN_VERSION}", path.display())
        });
        Ok(Self { path: path.to_owned(), interrupts, warning })
    }

    /// Runs cases on it; results come as they are there, with the place of the job.
    pub fn run<'a>(
        &self,
        jobs: &'a [(usize, &'a Job<'a>)],
        plugins: &'a Plugins,
        options: &RunOptions,
        take: &mut dyn FnMut(usize, CaseResult),
    ) -> Result<(), EnvoyError> {
        let (path, interrupts) = (self.path.as_path(), &self.interrupts);
        let unusable = |error: std::io::Error| EnvoyError::Unusable { path: path.to_owned(), why: error.to_string() };
        let folder = tempfile::Builder::new().prefix("pwtest-envoy-").tempdir().map_err(unusable)?;
        let mut casts = Vec::new();
        for (at, job) in jobs {
            if interrupts.wanted() {
                return Err(EnvoyError::Interrupted);
            }
            match prepare(*at, job, plugins) {
                Ok(cast) => casts.push(*cast),
                Err(result) => take(*at, *result),
            }
        }
        let shared = Shared {
            path,
            folder: folder.path(),
            interrupts,
            batches: Mutex::new(batches(casts)),
            sessions: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        };
        let threads = options.jobs.clamp(1, MOST_PROCESSES);
        let failure = std::thread::scope(|scope| {
            let (sender, results) = mpsc::channel();
            for _ in 0..threads {
                let (sender, shared) = (sender.clone(), &shared);
                scope.spawn(move || {
                    if let Err(error) = work(shared, &sender) {
                        shared.stop.store(true, Ordering::Relaxed);
                        let _ = sender.send(Err(error));
                    }
                });
            }
            drop(sender);
            let mut failure = None;
            for result in results {
                match result {
                    Ok((at, result)) => take(at, *result),
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
            failure
        });
        failure.map_or(Ok(()), Err)
    }
}

type Sender = mpsc::Sender<Result<(usize, Box<CaseResult>), EnvoyError>>;

fn work(shared: &Shared<'_>, sender: &Sender) -> Result<(), EnvoyError> {
    let next = || shared.batches.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(batch) = next() {
        if shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let folder = shared.folder.join(shared.sessions.fetch_add(1, Ordering::Relaxed).to_string());
        let session = Session { path: shared.path, folder: &folder, interrupts: shared.interrupts };
        let left = session.run(batch, &mut |at, result| {
            let _ = sender.send(Ok((at, Box::new(result))));
        })?;
        let _ = std::fs::remove_dir_all(&folder);
        if !left.is_empty() {
            let mut batches = shared.batches.lock().unwrap_or_else(PoisonError::into_inner);
            left.into_iter().rev().for_each(|batch| batches.push_front(batch));
        }
    }
    Ok(())
}

/// A case with its run in memory; or its result, where there is nothing to play.
fn prepare<'a>(at: usize, job: &'a Job<'a>, plugins: &Plugins) -> Result<Box<Cast<'a>>, Box<CaseResult>> {
    let mut result = case::empty_result(job);
    if let Some(reason) = &job.case.skip {
        result.status = CaseStatus::Skipped(reason.clone());
        return Err(Box::new(result));
    }
    if job.scenario.gateway.is_some() {
        result.status = CaseStatus::Unseen;
        let why = "the routes of a gateway are APISIX's, and Envoy has none of them".to_owned();
        result.unseen.push(Unseen { what: "case".to_owned(), why, span: Some(job.case.span.clone()) });
        return Err(Box::new(result));
    }
    let rehearsal = case::rehearse(job, plugins);
    let mut modules = Vec::new();
    for spec in &job.scenario.plugins {
        match module_bytes(&spec.file) {
            Ok(module) => modules.push(module),
            Err(_) => {
                result.failures = rehearsal.refused;
                result.status = CaseStatus::NotStarted;
                return Err(Box::new(result));
            }
        }
    }
    let otherwise = cast::rehearse_otherwise(job, &rehearsal, plugins);
    cast(at, job, rehearsal, &otherwise, modules).map(Box::new).map_err(|why| {
        result.status = CaseStatus::Unseen;
        let span = Some(job.case.span.clone());
        result.unseen.push(Unseen { what: "case".to_owned(), why: why.to_owned(), span });
        Box::new(result)
    })
}

/// Which cases share a process: those that call the same names mean the same by them.
fn batches(casts: Vec<Cast<'_>>) -> VecDeque<Vec<Cast<'_>>> {
    struct Batch<'a> {
        casts: Vec<Cast<'a>>,
        upstreams: BTreeMap<String, cast::Served>,
        code: usize,
    }
    let mut shared: Vec<Batch<'_>> = Vec::new();
    let mut alone = Vec::new();
    for cast in casts {
        if cast.alone {
            alone.push(vec![cast]);
            continue;
        }
        let code: usize = cast.modules.iter().map(Vec::len).sum();
        let fits = shared.iter_mut().find(|batch| {
            batch.casts.len() < LARGEST_BATCH
                && batch.code + code <= LARGEST_CODE
                && cast.upstreams.iter().all(|(name, served)| batch.upstreams.get(name).is_none_or(|s| s == served))
                // A name that one case calls is one that another may rely on being unknown.
                && (cast.upstreams.is_empty() || cast.upstreams.keys().eq(batch.upstreams.keys()) || batch.upstreams.is_empty())
        });
        match fits {
            Some(batch) => {
                batch.upstreams.extend(cast.upstreams.clone());
                batch.code += code;
                batch.casts.push(cast);
            }
            None => {
                shared.push(Batch { upstreams: cast.upstreams.clone(), code, casts: vec![cast] });
            }
        }
    }
    // The long ones first, so that none is left over at the end.
    shared.sort_by_key(|batch| std::cmp::Reverse(batch.casts.len()));
    shared.into_iter().map(|batch| batch.casts).chain(alone).collect()
}

/// A module as Envoy takes it: text is translated.
fn module_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    Ok(wat::parse_bytes(&bytes).map(std::borrow::Cow::into_owned).unwrap_or(bytes))
}
