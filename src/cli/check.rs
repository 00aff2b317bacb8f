//! `pwtest check`: whether hosts load a module, and what will not work there, without running it.

use super::{colour, exit};
use crate::host::check::{Checked, check};
use crate::host::engine::{ModuleCache, engine};
use crate::host::plugin;
use crate::host::profile::{self, Profile};
use crate::report::check as report;
use clap::{Args, ValueEnum};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Check modules.
#[derive(Args)]
pub struct CheckArgs {
    /// Modules: `.wasm`, or `.wat` text.
    #[arg(required = true)]
    modules: Vec<PathBuf>,
    /// Check against this host (repeatable); without it, against all.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// How to report.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How to report.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Runs the command.
pub fn run(args: &CheckArgs) -> anyhow::Result<u8> {
    let hosts = match hosts(&args.host) {
        Ok(hosts) => hosts,
        Err(problem) => {
            eprintln!("error: {problem}");
            return Ok(exit::INVALID_INPUT);
        }
    };
    let engine = engine(&ModuleCache::Off)?;
    let mut checked: Vec<(&Path, Checked)> = Vec::new();
    let mut unreadable: Vec<(&Path, String)> = Vec::new();
    for path in &args.modules {
        match plugin::read(path) {
            Ok(bytes) => checked.push((path, check(&engine, path, bytes, &hosts))),
            Err(error) => {
                eprintln!("error: {}: {error}", crate::trace::show::escaped(&path.display().to_string()));
                unreadable.push((path, error.to_string()));
            }
        }
    }
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => {
            let files: Vec<(&Path, &Checked)> = checked.iter().map(|(path, checked)| (*path, checked)).collect();
            out.write_all(report::json(&files, &unreadable).as_bytes())?;
        }
        Format::Text => {
            let width = console::Term::stdout().size_checked().map_or(120, |(_, columns)| usize::from(columns));
            for (at, (path, checked)) in checked.iter().enumerate() {
                let gap = if at == 0 { "" } else { "\n" };
                let page = report::text(path, checked, colour(&std::io::stdout()), width);
                out.write_all(format!("{gap}{page}").as_bytes())?;
            }
        }
    }
    Ok(match (!unreadable.is_empty(), checked.iter().all(|(_, checked)| checked.loads())) {
        (true, _) => exit::INVALID_INPUT,
        (false, true) => exit::PASSED,
        (false, false) => exit::FAILED,
    })
}

/// The profiles of these names, each once; all of them without a name.
fn hosts(names: &[String]) -> Result<Vec<&'static Profile>, String> {
    if names.is_empty() {
        return Ok(profile::ALL.to_vec());
    }
    let mut hosts: Vec<&'static Profile> = Vec::new();
    for name in names {
        let known = || profile::ALL.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
        let shown = || crate::trace::show::clipped(name, 100);
        let profile =
            profile::by_name(name).ok_or_else(|| format!("there is no host `{}`; there is {}", shown(), known()))?;
        if !hosts.iter().any(|host| host.name == profile.name) {
            hosts.push(profile);
        }
    }
    Ok(hosts)
}
