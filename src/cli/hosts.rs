//! Runs scenarios under one host after the other, for the commands that set hosts side by side. Snapshots are left
//! alone: they belong to `pwtest run`.

use crate::host::engine::{ModuleCache, engine};
use crate::host::profile;
use crate::runner::{self, CaseResult, Plugins, RunEvent, RunOptions};
use crate::scenario::{HostKind, Scenario, SnapshotMode};
use clap::Args;

/// What the two commands have in common.
#[derive(Args)]
pub struct HostArgs {
    /// A host: `spec`, `envoy`, `apisix`, or the real one as `envoy@/path/to/envoy` (repeatable).
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Only cases whose `FILE: NAME` contains this text (repeatable).
    #[arg(short, long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Number of threads; without it, one for each core.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,
    /// Compile modules anew and don't keep them.
    #[arg(long)]
    no_cache: bool,
}

impl HostArgs {
    /// The hosts that were asked for, each once, or else all that are built in.
    pub fn hosts(&self) -> anyhow::Result<Vec<String>> {
        let mut hosts: Vec<String> = Vec::new();
        for host in &self.host {
            if HostKind::of(host).is_none() {
                return Err(runner::UnknownHost(host.clone()).into());
            }
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        if hosts.is_empty() {
            hosts.extend(profile::ALL.iter().map(|profile| profile.name.to_owned()));
        }
        Ok(hosts)
    }

    /// The compiled modules that all hosts share.
    pub fn plugins(&self) -> anyhow::Result<Plugins> {
        let cache = if self.no_cache { ModuleCache::Off } else { ModuleCache::User };
        Ok(Plugins::new(engine(&cache)?))
    }

    /// How many of the cases that were asked for have a gateway.
    pub fn with_gateway(&self, scenarios: &[Scenario]) -> usize {
        let named = |file: &Scenario, name: &str| {
            let name = format!("{}: {name}", file.source.path.display());
            self.filter.is_empty() || self.filter.iter().any(|filter| name.contains(filter.as_str()))
        };
        let gateways = scenarios.iter().filter(|scenario| scenario.gateway.is_some());
        gateways.map(|file| file.cases.iter().filter(|case| named(file, &case.name)).count()).sum()
    }

    /// Runs every case under this host, whatever hosts the scenarios name; results come in the order of the files.
    pub fn run(
        &self,
        scenarios: &[Scenario],
        plugins: &Plugins,
        host: &str,
        on_case: &mut dyn FnMut(&CaseResult),
    ) -> anyhow::Result<()> {
        let mut scenarios = scenarios.to_vec();
        for case in scenarios.iter_mut().flat_map(|scenario| &mut scenario.cases) {
            case.snapshot = SnapshotMode::Off;
        }
        let jobs = self.jobs.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let options = RunOptions {
            hosts: vec![host.to_owned()],
            filters: self.filter.clone(),
            jobs: jobs.unwrap_or(1),
            ..RunOptions::default()
        };
        runner::run(&scenarios, plugins, &options, &mut |event| match event {
            RunEvent::Case(result) => on_case(result),
            RunEvent::Warning(text) => eprintln!("warning: {text}"),
            RunEvent::Started { .. } | RunEvent::Progress { .. } | RunEvent::Finished(_) => {}
        })?;
        Ok(())
    }
}
