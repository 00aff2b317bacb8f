//! `pwtest compare`: runs every case under several hosts and shows what can be told apart from outside.

use super::hosts::HostArgs;
use super::{colour, exit, select};
use crate::report::Comparison;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Compare hosts.
#[derive(Args)]
pub struct CompareArgs {
    /// Scenario files, or folders to look for them in; without one, `t` or else the current folder.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    hosts: HostArgs,
}

/// Runs the command.
pub fn run(args: &CompareArgs) -> anyhow::Result<u8> {
    let hosts = args.hosts.hosts()?;
    if hosts.len() < 2 {
        eprintln!("error: one host can't be compared: name at least two, `--host envoy --host apisix`");
        return Ok(exit::INVALID_INPUT);
    }
    let files = select::files(&args.paths)?;
    let scenarios = match select::scenarios(&files, colour(&std::io::stderr())) {
        Ok(scenarios) => scenarios,
        Err(code) => return Ok(code),
    };
    let plugins = args.hosts.plugins()?;
    let mut comparison = Comparison::new(hosts.clone(), args.hosts.with_gateway(&scenarios));
    for (column, host) in hosts.iter().enumerate() {
        args.hosts.run(&scenarios, &plugins, host, &mut |result| comparison.add(column, result))?;
    }
    std::io::stdout().lock().write_all(comparison.text().as_bytes())?;
    Ok(match (comparison.cases(), comparison.disagreements()) {
        (0, _) => exit::NOTHING_SELECTED,
        (_, 0) => exit::PASSED,
        (_, _) => exit::FAILED,
    })
}
