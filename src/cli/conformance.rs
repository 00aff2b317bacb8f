//! `pwtest conformance`: runs a suite under each host and says how many cases came out as the suite says.

use super::hosts::HostArgs;
use super::{colour, exit, select};
use crate::report::Conformance;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Run a conformance suite.
#[derive(Args)]
pub struct ConformanceArgs {
    /// Scenario files, or folders to look for them in [default: t/conformance]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    hosts: HostArgs,
    /// How to write the table.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// For people or for machines.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A table, and the cases that differ.
    Text,
    /// One JSON document.
    Json,
}

/// Runs the command. A case runs under the hosts that it names: where it leaves one out, that one has no such
/// feature.
pub fn run(args: &ConformanceArgs) -> anyhow::Result<u8> {
    let default = [PathBuf::from("t/conformance")];
    let paths = if args.paths.is_empty() { &default[..] } else { &args.paths };
    if args.paths.is_empty() && !Path::new("t/conformance").is_dir() {
        eprintln!("there is no folder t/conformance here; name the scenarios to run");
        return Ok(exit::NOTHING_SELECTED);
    }
    let files = select::files(paths)?;
    let scenarios = match select::scenarios(&files, colour(&std::io::stderr())) {
        Ok(scenarios) => scenarios,
        Err(code) => return Ok(code),
    };
    let hosts = args.hosts.hosts()?;
    let plugins = args.hosts.plugins()?;
    let mut table = Conformance::new(hosts.clone());
    for (column, host) in hosts.iter().enumerate() {
        let meant: Vec<_> = scenarios.iter().map(|scenario| scenario.meant_for(host)).collect();
        table.leave_out(column, args.hosts.with_gateway(&scenarios).saturating_sub(args.hosts.with_gateway(&meant)));
        args.hosts.run(&meant, &plugins, host, &mut |result| table.add(column, result))?;
    }
    let text = match args.format {
        Format::Text => table.text(),
        Format::Json => table.json(),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(match (table.cases(), table.differing()) {
        (0, _) => exit::NOTHING_SELECTED,
        (_, 0) => exit::PASSED,
        (_, _) => exit::FAILED,
    })
}
