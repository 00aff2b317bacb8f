//! One Envoy process and the cases that share it, from the first port to the last result.

use super::barrier::Barrier;
use super::cast::{Cast, Served};
use super::config::{self, Entry, Origin, Upstream};
use super::error::EnvoyError;
use super::interrupt::Interrupts;
use super::log::Record;
use super::play::{Played, Player};
use super::process::{Envoy, StartFailed};
use super::stage::{Role, Stage};
use super::tracer::{Speaker, Tracer};
use super::{server_grpc, server1, server2, wire};
use crate::abi::PluginIndex;
use crate::expect::Failure;
use crate::runner::case;
use crate::runner::result::{CaseResult, CaseStatus};
use crate::scenario::PluginSpec;
use crate::trace::Event;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;
use tokio::net::{TcpListener, TcpSocket};

/// What one process is made for.
pub struct Session<'a> {
    /// The binary.
    pub path: &'a Path,
    /// A folder of its own.
    pub folder: &'a Path,
    /// Who ends it.
    pub interrupts: &'a Interrupts,
}

/// A process that is ready: its surroundings, the ports of its listeners, and who logs how in each case.
type Started = (Envoy, Rc<Stage>, BTreeMap<String, u16>, Vec<Vec<Speaker>>);

/// A case with timers is played so often before it has failed.
const MOST_ATTEMPTS: usize = 4;

/// What tells VMs apart: file, name, configuration, environment.
type VmKey<'a> = (&'a Path, &'a str, &'a [u8], &'a [(String, String)]);

/// Results as they come, with the place of the job.
pub type Take<'a> = dyn FnMut(usize, CaseResult) + 'a;

/// A runtime for one thread.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

impl<'a> Session<'a> {
    /// Plays a batch; gives back what has to be played in another process.
    pub fn run<'c>(&self, batch: Vec<Cast<'c>>, take: &mut Take<'_>) -> Result<Vec<Vec<Cast<'c>>>, EnvoyError> {
        let unusable =
            |error: std::io::Error| EnvoyError::Unusable { path: self.path.to_owned(), why: error.to_string() };
        let runtime = runtime().map_err(unusable)?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, self.interrupts.or(self.batch(batch, take)))?
    }

    async fn batch<'c>(&self, mut batch: Vec<Cast<'c>>, take: &mut Take<'_>) -> Result<Vec<Vec<Cast<'c>>>, EnvoyError> {
        let begun = Instant::now();
        let (mut envoy, stage, ports, speakers) = match self.start(&batch).await {
            Ok(started) => started,
            Err(StartFailed { error: EnvoyError::Exited { .. } | EnvoyError::NotReady { .. }, .. })
                if batch.len() > 1 =>
            {
                // One of them keeps Envoy from starting, or this is no Envoy at all.
                return Ok(batch.into_iter().map(|cast| vec![cast]).collect());
            }
            Err(StartFailed { error: error @ EnvoyError::Exited { .. }, records }) => {
                if let Some(cast) = batch.pop() {
                    take(cast.at, not_started(&cast, &error, &records, begun));
                }
                return Ok(Vec::new());
            }
            Err(failed) => return Err(failed.error),
        };
        let start = envoy.log.read_new().unwrap_or_default();
        let start: Vec<_> = start.into_iter().filter(|record| record.worker).collect();
        let mut rest = batch.into_iter().enumerate();
        let mut again = Vec::new();
        for (number, mut cast) in rest.by_ref() {
            let begun = Instant::now();
            if number > 0 {
                stage.clear(cast.job.scenario.protocol);
            }
            let speakers = speakers.get(number).map(Vec::as_slice).unwrap_or_default();
            let mut player = Player::new(&mut envoy, stage.clone(), &cast, number, &ports, speakers);
            match cast.alone {
                true => player.tracer().absorb(&start, Vec::new(), &[]),
                false => player.tracer().absorb_logs(&start),
            }
            let (played, ended) = player.play().await;
            let over = played.over;
            let result = judged(&cast, played, ended.as_ref().err(), begun);
            cast.attempts += 1;
            // Timers run by the clock of a machine that has other things to do.
            if (cast.ticks || cast.hasty)
                && result.status == CaseStatus::Failed
                && cast.attempts < MOST_ATTEMPTS
                && ended.is_ok()
            {
                again.push(vec![cast]);
            } else {
                take(cast.at, result);
            }
            if ended.is_err() || over {
                break;
            }
            // What is still to come from this case is not the next one's.
            let _ = envoy.log.read_new();
        }
        drop(envoy);
        let left: Vec<Cast<'c>> = rest.map(|(_, cast)| cast).collect();
        if !left.is_empty() {
            again.push(left);
        }
        Ok(again)
    }

    async fn start(&self, batch: &[Cast<'_>]) -> Result<Started, StartFailed> {
        let unusable = |why: String| StartFailed::from(EnvoyError::Unusable { path: self.path.to_owned(), why });
        let io = |error: std::io::Error| unusable(error.to_string());
        std::fs::create_dir_all(self.folder).map_err(io)?;
        let (mut servers, mut services) = (Vec::new(), Vec::new());
        let mut origins = BTreeMap::new();
        for origin in [Origin::Http1, Origin::Http2] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)?;
            origins.insert(origin, listener.local_addr().map_err(io)?.port());
            servers.push((listener, Role::Origin, origin == Origin::Http2));
        }
        // Bound and not listening: whoever connects is refused, and nobody else gets the port.
        let refusing = TcpSocket::new_v4().map_err(io)?;
        refusing.bind(([127, 0, 0, 1], 0).into()).map_err(io)?;
        let refused = refusing.local_addr().map_err(io)?.port();
        origins.insert(Origin::Refused, refused);
        let tcp = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)?;
        origins.insert(Origin::Tcp, tcp.local_addr().map_err(io)?.port());
        origins.insert(Origin::TcpRefused, refused);
        let mut upstreams = BTreeMap::new();
        for (name, served) in batch.iter().flat_map(|cast| &cast.upstreams) {
            if upstreams.contains_key(name) {
                continue;
            }
            let upstream = match served {
                Served::Unknown => continue,
                Served::Grpc => {
                    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)?;
                    let port = listener.local_addr().map_err(io)?.port();
                    services.push((listener, name.clone()));
                    Upstream { port, http2: true }
                }
                Served::Refused => Upstream { port: refused, http2: false },
                Served::By { http2 } => {
                    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(io)?;
                    let port = listener.local_addr().map_err(io)?.port();
                    servers.push((listener, Role::Upstream(name.clone()), *http2));
                    Upstream { port, http2: *http2 }
                }
            };
            upstreams.insert(name.clone(), upstream);
        }
        let (mut entries, mut speakers) = (Vec::new(), Vec::new());
        for (number, cast) in batch.iter().enumerate() {
            let (entry, own) = self.entry(number, cast).map_err(io)?;
            entries.push(entry);
            speakers.push(own);
        }
        let text = config::config(&entries, &origins, &upstreams);
        let mut envoy = Envoy::start(self.path, &text, self.folder).await?;
        let gone = |envoy: &mut Envoy, error: std::io::Error| envoy.died().map_or_else(|| io(error), StartFailed::from);
        let ports: BTreeMap<String, u16> = match envoy.ports().await {
            Ok(ports) => ports.into_iter().collect(),
            Err(error) => return Err(gone(&mut envoy, error)),
        };
        let barrier = Barrier::new(ports.get(config::BARRIER).copied().unwrap_or(0));
        let stage = Stage::new(envoy.log.path().to_owned(), barrier);
        if let Some(first) = batch.first() {
            // Plugins may call somebody while they start.
            stage.clear(first.job.scenario.protocol);
        }
        tokio::task::spawn_local(wire::serve(stage.clone(), tcp));
        for (listener, name) in services {
            tokio::task::spawn_local(server_grpc::serve(stage.clone(), listener, name));
        }
        for (listener, role, http2) in servers {
            let stage = stage.clone();
            match http2 {
                true => drop(tokio::task::spawn_local(server2::serve(stage, listener, role))),
                false => drop(tokio::task::spawn_local(server1::serve(stage, listener, role))),
            }
        }
        tokio::task::spawn_local(async move {
            let _held = refusing;
            std::future::pending::<()>().await;
        });
        stage.barrier.pass(3).await?;
        Ok((envoy, stage, ports, speakers))
    }

    fn entry<'c>(&self, number: usize, cast: &'c Cast<'_>) -> std::io::Result<(Entry<'c>, Vec<Speaker>)> {
        let scenario = cast.job.scenario;
        let mut modules = Vec::new();
        let mut vms: Vec<VmKey<'_>> = Vec::new();
        for (spec, module) in scenario.plugins.iter().zip(&cast.modules) {
            // The same file and name is the same VM, as in memory.
            let key = (spec.file.as_path(), spec.name.as_str(), &spec.vm_config[..], &spec.env[..]);
            let vm = vms.iter().position(|known| *known == key).unwrap_or_else(|| {
                vms.push(key);
                vms.len() - 1
            });
            // An id shows in log lines, which tells whose they are; alone, nobody has to ask.
            let vm_id = if cast.alone { String::new() } else { format!("pw{number}-{vm}") };
            let marked = config::with_mark(module, &format!("{number}-{vm}"));
            let file = config::write_module(self.folder, &format!("case-{number}-{vm}.wasm"), &marked)?;
            modules.push((file, vm_id));
        }
        let mut origins = cast.origins.clone();
        origins.sort_unstable();
        origins.dedup();
        let vm_ids: Vec<String> = modules.iter().map(|(_, vm_id): &(String, String)| vm_id.clone()).collect();
        let speakers = speakers(cast, &vm_ids);
        Ok((Entry { number, scenario, modules, origins, route_timeout_ms: cast.route_timeout_ms }, speakers))
    }
}

fn judged(cast: &Cast<'_>, mut played: Played, error: Option<&EnvoyError>, begun: Instant) -> CaseResult {
    let mut result = case::empty_result(cast.job);
    // Envoy says no more than that it is gone; that it went where the profile says so names the crash.
    let crash = cast.rehearsal.events.iter().find(|event| matches!(event, Event::HostCrash { .. }));
    let crashed = error.is_some_and(EnvoyError::is_crash);
    if let (Some(crash), true) = (crash, crashed) {
        played.events.push(crash.clone());
        let end = played.events.len();
        if let Some(last) = played.steps.last_mut() {
            last.range.end = end;
        }
    }
    let expected_crash = crash.is_some();
    result.failures = case::judge(
        &cast.job.with_case(cast.case.clone()),
        &played.steps,
        &played.events,
        &case::names(cast.job.scenario),
    );
    match error {
        // Nobody outlives it: what else is expected of the case, no one was left to see.
        Some(error) if error.is_crash() && expected_crash => {
            result.failures.retain(|failure| failure.subject == "crash");
        }
        Some(error) => result.failures.insert(0, ended(error)),
        None => {}
    }
    result.status = match (result.failures.is_empty(), cast.judged) {
        (false, _) => CaseStatus::Failed,
        (true, 0) => CaseStatus::Unseen,
        (true, _) => CaseStatus::Passed,
    };
    result.unseen.clone_from(&cast.unseen);
    result.unseen.append(&mut played.unseen);
    result.chance.clone_from(&cast.chance);
    result.events = std::sync::Arc::new(played.events);
    result.duration = begun.elapsed();
    result
}

/// Envoy came to its end, or to a standstill, while a case was played.
fn ended(error: &EnvoyError) -> Failure {
    Failure {
        subject: "envoy".to_owned(),
        title: error.to_string(),
        span: None,
        expected: None,
        actual: None,
        hint: None,
        event: None,
    }
}

/// Envoy did not start with this one case, which may be what is expected.
fn not_started(cast: &Cast<'_>, error: &EnvoyError, records: &[Record], begun: Instant) -> CaseResult {
    let mut result = case::empty_result(cast.job);
    let job = cast.job.with_case(cast.case.clone());
    let failure = Failure { span: Some(cast.job.case.span.clone()), ..ended(error) };
    let asked = cast.case.all_expectations().any(|expect| expect.load.is_some());
    if !cast.rehearsal.refused.is_empty() {
        // Each host has its own words for the same reason.
        let known = cast.rehearsal.refused.iter().map(|reason| reason.title.as_str());
        let text = known.chain([failure.title.as_str()]).collect::<Vec<_>>().join("\n");
        (result.failures, result.status) = match asked {
            true => case::judge_refusal(&job, &text, &case::names(job.scenario)),
            false => (vec![failure], CaseStatus::NotStarted),
        };
        result.refusal = Some(text);
    } else {
        let speakers = speakers(cast, &vec![String::new(); cast.modules.len()]);
        let mut tracer = Tracer::new(&speakers);
        // The canary's: it fails before the others begin.
        tracer.absorb(records, Vec::new(), &[]);
        if error.is_crash() {
            tracer.crashed(&error.to_string());
        }
        result.failures = case::judge_start(&job, failure, &tracer.events, &case::names(job.scenario));
        result.status = match (result.failures.is_empty(), cast.judged) {
            (false, _) => CaseStatus::NotStarted,
            (true, 0) => CaseStatus::Unseen,
            (true, _) => CaseStatus::Passed,
        };
        result.events = std::sync::Arc::new(tracer.events);
    }
    result.unseen.clone_from(&cast.unseen);
    result.duration = begun.elapsed();
    result
}

fn speakers(cast: &Cast<'_>, vm_ids: &[String]) -> Vec<Speaker> {
    let plugins = cast.job.scenario.plugins.iter().zip(vm_ids).enumerate();
    let speaker = |(at, (spec, vm_id)): (usize, (&PluginSpec, &String))| Speaker {
        plugin: PluginIndex(at),
        name: spec.name.clone(),
        root_id: spec.root_id.clone(),
        vm_id: vm_id.clone(),
    };
    plugins.map(speaker).collect()
}
