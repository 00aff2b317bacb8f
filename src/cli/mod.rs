//! The command line. The only place that prints: data on stdout, everything else on stderr.

pub mod abi;
pub mod check;
pub mod compare;
pub mod conformance;
pub mod exit;
pub mod findings;
mod hosts;
pub mod review;
pub mod run;
mod select;
#[cfg(feature = "proxy")]
pub mod serve;

use crate::runner::{EnvoyError, RunError};
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Runs Proxy-Wasm plugins against scripted traffic and records what they did.
#[derive(Parser)]
#[command(name = "pwtest", version, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run scenarios: drive plugins in memory, judge them, compare snapshots.
    Run(run::RunArgs),
    /// Serve plugins as a reverse proxy, configured as APISIX is.
    #[cfg(feature = "proxy")]
    Serve(Box<serve::ServeArgs>),
    /// Look at what changed in a plugin's behaviour; accept or reject.
    Review(review::ReviewArgs),
    /// Check whether hosts load a module, and what will not work there, without running it.
    Check(check::CheckArgs),
    /// Run a conformance suite under each host, and count what comes out as it says.
    Conformance(conformance::ConformanceArgs),
    /// Run scenarios under several hosts, and show what differs for client and upstream.
    Compare(compare::CompareArgs),
    /// List the findings, or explain some.
    Findings(findings::FindingsArgs),
    /// List the hostcalls and callbacks of the Proxy-Wasm ABI, and which versions have them.
    Abi,
}

/// Parses the command line and runs it.
pub fn main() -> ExitCode {
    // Somebody who reads the output through `head` is no error.
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::INVALID_INPUT } else { exit::PASSED };
            let _ = error.print();
            return code.into();
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "proxy")]
        Command::Serve(args) => serve::run(&args),
        Command::Review(args) => review::run(&args, colour(&std::io::stdout()), &select::cases_of),
        Command::Check(args) => check::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Findings(args) => findings::run(&args),
        Command::Abi => abi::run(),
    };
    match result {
        Ok(code) => code.into(),
        Err(error) if is_broken_pipe(&error) => exit::PASSED.into(),
        Err(error) if error.downcast_ref::<RunError>().is_some_and(|error| matches!(error, RunError::Envoy(_))) => {
            eprintln!("error: {error}");
            match error.downcast_ref::<RunError>() {
                Some(RunError::Envoy(EnvoyError::Interrupted)) => exit::INTERRUPTED.into(),
                _ => exit::NOT_STARTED.into(),
            }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            exit::INVALID_INPUT.into()
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Whether to write colours there: only to a terminal, and not where `NO_COLOR` is set.
fn colour(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
