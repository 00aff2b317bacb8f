//! `pwtest run`: finds the scenarios, runs them, reports, and says by its exit code how it went.

use super::{colour, exit, select};
use crate::host::engine::{ModuleCache, engine};
use crate::report::{self, coverage::Coverage};
use crate::runner::{self, Deny, Plugins, Reporter, RunEvent, RunOptions};
use crate::snapshot::Mode;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Duration;

/// Run scenarios.
#[derive(Args)]
pub struct RunArgs {
    /// Scenario files, or folders to look for them in; without one, `t` or else the current folder.
    paths: Vec<PathBuf>,
    /// Run only cases whose `FILE: NAME` contains this text (repeatable).
    #[arg(short, long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Run only cases with this tag (repeatable).
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Imitate this host, whatever the scenarios say, or play on a real one: `envoy@/path/to/envoy` (repeatable).
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Accept what the plugins do now as their snapshots.
    #[arg(long)]
    accept: bool,
    /// Fail a case that has this finding; `all` for every finding about the plugin, `portability` for those about other
    /// hosts (repeatable).
    #[arg(long, value_name = "ID")]
    deny: Vec<String>,
    /// Show failures and the summary only.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Show the plugins' logs and the findings of every case.
    #[arg(short, long)]
    verbose: bool,
    /// Show every callback and hostcall, decoded.
    #[arg(long)]
    trace: bool,
    /// Number of threads; without it, one for each core.
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,
    /// Compile modules anew and don't keep them.
    #[arg(long)]
    no_cache: bool,
    /// Write a report: `junit=FILE`, `github=FILE` or `text=FILE` (repeatable).
    #[arg(long, value_name = "FORMAT=FILE")]
    report: Vec<String>,
    /// Show which hostcalls, statuses and callbacks the cases reached, and which not; with `=json`, print that alone on
    /// standard output.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    coverage: Option<CoverageFormat>,
}

/// How coverage is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CoverageFormat {
    /// A table for people.
    Text,
    /// For machines.
    Json,
}

/// Runs the command.
pub fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let colours = colour(&std::io::stdout());
    let files = select::files(&args.paths)?;
    if files.is_empty() {
        eprintln!("no scenario files found; a scenario is a .yaml file with `cases`");
        return Ok(exit::NOTHING_SELECTED);
    }
    let scenarios = match select::scenarios(&files, colour(&std::io::stderr())) {
        Ok(scenarios) => scenarios,
        Err(code) => return Ok(code),
    };
    let mut reporters = reporters(args, colours)?;
    let cache = if args.no_cache { ModuleCache::Off } else { ModuleCache::User };
    let quiet = args.quiet;
    let plugins = Plugins::new(engine(&cache)?).telling(move |path, size| {
        if !quiet {
            let name = crate::trace::show::escaped(&path.display().to_string());
            eprintln!("loading {name} ({} MiB): compiled once, which may take a minute, then cached", size >> 20);
        }
    });
    let jobs = args.jobs.map(usize::from).or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let options = RunOptions {
        hosts: args.host.clone(),
        filters: args.filter.clone(),
        tags: args.tag.clone(),
        jobs: jobs.unwrap_or(1),
        mode: if args.accept { Mode::Accept } else { Mode::for_ci(std::env::var_os("CI").as_deref()) },
        deny: Deny { ids: args.deny.clone() },
    };
    let bar = progress_bar(args.quiet);
    let mut failed: Option<std::io::Error> = None;
    let mut coverage = Coverage::default();
    let mut on_event = |event: &RunEvent<'_>| {
        match event {
            RunEvent::Started { cases, .. } => bar.set_length(*cases as u64),
            RunEvent::Progress { done } => bar.set_position(*done as u64),
            RunEvent::Finished(_) => bar.finish_and_clear(),
            RunEvent::Case(_) | RunEvent::Warning(_) => {}
        }
        if args.coverage.is_some()
            && let Err(error) = coverage.event(event)
        {
            failed.get_or_insert(error);
        }
        for reporter in &mut reporters {
            let result = bar.suspend(|| reporter.event(event));
            if let Err(error) = result
                && failed.is_none()
            {
                failed = Some(error);
            }
        }
    };
    let ran = runner::run(&scenarios, &plugins, &options, &mut on_event);
    bar.finish_and_clear();
    let summary = ran?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    match args.coverage {
        None => {}
        Some(CoverageFormat::Text) => {
            let page = format!("\n{}", report::coverage::text(&coverage, colours, width()));
            std::io::stdout().lock().write_all(page.as_bytes())?;
        }
        Some(CoverageFormat::Json) => {
            std::io::stdout().lock().write_all(report::coverage::json(&coverage).as_bytes())?;
        }
    }
    Ok(match summary {
        s if s.not_started > 0 => exit::NOT_STARTED,
        s if s.failed > 0 => exit::FAILED,
        s if s.passed + s.skipped + s.unseen == 0 => exit::NOTHING_SELECTED,
        _ => exit::PASSED,
    })
}

fn reporters(args: &RunArgs, colours: bool) -> anyhow::Result<Vec<Box<dyn Reporter>>> {
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => report::Verbosity::Quiet,
        (false, true) => report::Verbosity::Verbose,
        (false, false) => report::Verbosity::Normal,
    };
    let options = report::Options { color: colours, verbosity, trace: args.trace, width: width() };
    // What machines read has standard output to itself.
    let out: Box<dyn std::io::Write> = match args.coverage {
        Some(CoverageFormat::Json) => Box::new(std::io::stderr()),
        Some(CoverageFormat::Text) | None => Box::new(std::io::stdout()),
    };
    let mut reporters: Vec<Box<dyn Reporter>> = vec![Box::new(report::Terminal::new(out, options))];
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        reporters.push(Box::new(report::GitHub::new(std::io::stdout())));
    }
    for spec in &args.report {
        reporters.push(report::to_file(spec).map_err(|problem| anyhow::anyhow!("{}", problem.render(false)))?);
    }
    Ok(reporters)
}

/// Columns of the terminal.
fn width() -> usize {
    console::Term::stdout().size_checked().map_or(120, |(_, columns)| usize::from(columns))
}

/// A bar for runs that take a while, only on a terminal.
fn progress_bar(quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} cases, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
