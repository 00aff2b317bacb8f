//! Runs scenarios: plans the cases, spreads them over threads, and reports in the order of the files.
//!
//! Every case has a host, VMs and a clock of its own, so cases share nothing but compiled code, and the same input
//! gives the same bytes with any number of threads.

mod case;
mod drive;
#[cfg(all(feature = "proxy", unix))]
mod envoy;
#[cfg(not(all(feature = "proxy", unix)))]
#[path = "envoy/absent.rs"]
mod envoy;
mod gateway;
mod grpc;
mod message;
mod plugins;
pub mod record;
mod result;
mod verdict;

pub use case::plugin_config;
pub use envoy::EnvoyError;
pub use gateway::read as gateway_of;
pub use plugins::Plugins;
pub use result::{CaseResult, CaseStatus, Reporter, RunEvent, SnapshotResult, Summary, Unseen};

use crate::diagnostic::{Diagnostic, Span};
use crate::expect::Failure;
use crate::host::plugin::PluginError;
use crate::host::profile::{self, Profile};
use crate::scenario::Scenario;
use crate::snapshot::{Mode, Outcome, Store};
use case::Job;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

/// What a run may do.
pub struct RunOptions {
    /// Profiles in place of the scenarios' own.
    pub hosts: Vec<String>,
    /// Only cases whose `file: name` contains one of these.
    pub filters: Vec<String>,
    /// Only cases with one of these tags.
    pub tags: Vec<String>,
    /// Threads, at least one.
    pub jobs: usize,
    /// What may be done with snapshots.
    pub mode: Mode,
    /// Findings that fail a case.
    pub deny: Deny,
}

impl Default for RunOptions {
    /// Every case, one after the other; no file is written.
    fn default() -> Self {
        let (hosts, filters, tags) = (Vec::new(), Vec::new(), Vec::new());
        Self { hosts, filters, tags, jobs: 1, mode: Mode::ReadOnly, deny: Deny::default() }
    }
}

/// Findings that fail a case.
#[derive(Debug, Clone, Default)]
pub struct Deny {
    /// Ids; `all` stands for every finding about the plugin, `portability` for every one about other hosts.
    pub ids: Vec<String>,
}

impl Deny {
    fn denies(&self, id: &str) -> bool {
        self.ids.iter().any(|denied| denied == id || denied == "all")
    }

    /// The same for a finding about other hosts: nobody means those who asks for clean plugins.
    fn denies_elsewhere(&self, id: &str) -> bool {
        self.ids.iter().any(|denied| denied == id || denied == "portability")
    }
}

/// A host that was asked for and is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host `{0}` is not available in this version; there is {known}", known = known_hosts())]
pub struct UnknownHost(pub String);

/// Why nothing, or not everything, was run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// There is no such host.
    #[error(transparent)]
    UnknownHost(#[from] UnknownHost),
    /// A gateway document says something that is wrong.
    #[error("{}", .0.title)]
    Gateway(Box<Diagnostic>),
    /// The real Envoy could not be used.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
}

fn known_hosts() -> String {
    profile::ALL.iter().map(|p| format!("`{}`", p.name)).collect::<Vec<_>>().join(", ")
}

/// Runs the cases of the scenarios; events come in the order of the files.
pub fn run(
    scenarios: &[Scenario],
    plugins: &Plugins,
    options: &RunOptions,
    on_event: &mut dyn FnMut(&RunEvent<'_>),
) -> Result<Summary, RunError> {
    let begun = Instant::now();
    // All stores before the first check: a check may make a folder that a later store would take for its own.
    let stores: Vec<Store> = scenarios
        .iter()
        .map(|s| Store::for_scenario(&s.source.path, s.cases.iter().map(|c| c.name.as_str())))
        .collect();
    let mut gateways = Vec::new();
    for scenario in scenarios {
        gateways.push(gateway::read(scenario).map_err(RunError::Gateway)?);
    }
    let jobs = plan(scenarios, &stores, &gateways, options)?;
    on_event(&RunEvent::Started { cases: jobs.len(), files: scenarios.len() });
    for warning in gateways.iter().flatten().flat_map(|read| &read.warnings) {
        on_event(&RunEvent::Warning(warning));
    }
    let mut summary = Summary::default();
    execute(&jobs, plugins, options, on_event, &mut summary)?;
    summary.duration = begun.elapsed();
    on_event(&RunEvent::Finished(summary));
    Ok(summary)
}

/// What is wrong with the gateway of a scenario, which nobody can say who only reads the scenario.
pub fn check_gateway(scenario: &Scenario) -> Result<(), Box<Diagnostic>> {
    gateway::read(scenario).map(|_| ())
}

fn plan<'a>(
    scenarios: &'a [Scenario],
    stores: &'a [Store],
    gateways: &'a [Option<gateway::Read>],
    options: &RunOptions,
) -> Result<Vec<Job<'a>>, UnknownHost> {
    let mut jobs = Vec::new();
    for ((scenario, store), gateway) in scenarios.iter().zip(stores).zip(gateways) {
        let gateway = gateway.as_ref().map(|read| &read.gateway);
        let only = scenario.cases.iter().any(|case| case.only);
        for case in &scenario.cases {
            let full_name = format!("{}: {}", scenario.source.path.display(), case.name);
            let named = options.filters.is_empty() || options.filters.iter().any(|f| full_name.contains(f.as_str()));
            let tagged = options.tags.is_empty() || case.tags.iter().any(|tag| options.tags.contains(tag));
            if !named || !tagged || (only && !case.only) {
                continue;
            }
            let own: Vec<String> = scenario.hosts_of(case).iter().map(|h| h.value.clone()).collect();
            let hosts = if options.hosts.is_empty() { &own } else { &options.hosts };
            for host in hosts {
                let real = envoy::path_of(host);
                let profile = match real {
                    Some(_) => &profile::ENVOY,
                    None => find_profile(host)?,
                };
                let several = own.len() > 1 || hosts.len() > 1;
                let case = case.under(host);
                jobs.push(Job { scenario, case, profile, host: several.then(|| host.clone()), store, gateway, real });
            }
        }
    }
    Ok(jobs)
}

fn find_profile(host: &str) -> Result<&'static Profile, UnknownHost> {
    profile::by_name(host).ok_or_else(|| UnknownHost(host.to_owned()))
}

fn execute(
    jobs: &[Job<'_>],
    plugins: &Plugins,
    options: &RunOptions,
    on_event: &mut dyn FnMut(&RunEvent<'_>),
    summary: &mut Summary,
) -> Result<(), EnvoyError> {
    let mut show = InOrder { waiting: BTreeMap::new(), shown: 0, done: 0, on_event, summary };
    let mut real: BTreeMap<&PathBuf, Vec<(usize, &Job<'_>)>> = BTreeMap::new();
    let mut imitated = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        match &job.real {
            Some(path) => real.entry(path).or_default().push((at, job)),
            None => imitated.push((at, job)),
        }
    }
    in_memory(&imitated, plugins, options, &mut show);
    for (path, jobs) in real {
        let binary = envoy::Binary::open(path)?;
        if let Some(warning) = &binary.warning {
            (show.on_event)(&RunEvent::Warning(warning));
        }
        binary.run(&jobs, plugins, options, &mut |at, result| show.take(at, result))?;
    }
    Ok(())
}

/// Results come in any order and are shown in the order of the files.
struct InOrder<'a> {
    waiting: BTreeMap<usize, CaseResult>,
    shown: usize,
    done: usize,
    on_event: &'a mut dyn FnMut(&RunEvent<'_>),
    summary: &'a mut Summary,
}

impl InOrder<'_> {
    fn take(&mut self, at: usize, result: CaseResult) {
        self.done += 1;
        (self.on_event)(&RunEvent::Progress { done: self.done });
        self.waiting.insert(at, result);
        while let Some(result) = self.waiting.remove(&self.shown) {
            count(self.summary, &result);
            (self.on_event)(&RunEvent::Case(&result));
            self.shown += 1;
        }
    }
}

fn in_memory(jobs: &[(usize, &Job<'_>)], plugins: &Plugins, options: &RunOptions, show: &mut InOrder<'_>) {
    let threads = options.jobs.clamp(1, jobs.len().max(1));
    if threads == 1 {
        // A second thread that only waits for the first costs a tenth: wake-ups, and TLB flushes on its core.
        for (at, job) in jobs {
            show.take(*at, case::run(job, plugins, options.mode, &options.deny));
        }
        return;
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        // Bounded, so that a slow case at the front does not pile up the traces of all behind it.
        let (sender, results) = mpsc::sync_channel(threads * 64);
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let Some((at, job)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let result = case::run(job, plugins, options.mode, &options.deny);
                    if sender.send((*at, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (at, result) in results {
            show.take(at, result);
        }
    });
}

fn count(summary: &mut Summary, result: &CaseResult) {
    match &result.status {
        CaseStatus::Passed => summary.passed += 1,
        CaseStatus::Failed => summary.failed += 1,
        CaseStatus::NotStarted => summary.not_started += 1,
        CaseStatus::Skipped(_) => summary.skipped += 1,
        CaseStatus::Unseen => summary.unseen += 1,
    }
    if let SnapshotResult::Compared(Outcome::New { pending: Some(_), .. })
    | SnapshotResult::Compared(Outcome::Differs { pending: Some(_), .. }) = &result.snapshot
    {
        summary.pending += 1;
    }
}

/// Why a plugin can't be loaded, every reason by itself.
fn load_failures(error: &PluginError, file: &Path, span: Span) -> Vec<Failure> {
    let failure = |title: String, hint: Option<String>| Failure {
        subject: "load".to_owned(),
        title: format!("{}: {title}", file.display()),
        span: Some(span.clone()),
        expected: None,
        actual: None,
        hint,
        event: None,
    };
    match error {
        PluginError::Refused(refused) => {
            refused.reasons().iter().map(|reason| failure(reason.to_string(), reason.hint())).collect()
        }
        PluginError::Unreadable(_) | PluginError::Engine(_) => vec![failure(error.to_string(), None)],
    }
}
