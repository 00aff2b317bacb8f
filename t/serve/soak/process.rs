//! The process that soaks: alone, and with what the system says about it.

use crate::serve::holds;
use libtest_mimic::Failed;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set where this process is the one that soaks.
const ALONE: &str = "PWTEST_SOAK_ALONE";
/// How long to soak; by count without it.
const SECONDS: &str = "PWTEST_SOAK_SECONDS";
/// What a soak may take beyond its time, to start and to end.
const REST: Duration = Duration::from_secs(180);

/// For how long, if it is not by count.
pub fn seconds() -> Option<Duration> {
    std::env::var(SECONDS).ok()?.parse().ok().map(Duration::from_secs)
}

/// Runs a trial in a process that runs nothing else.
pub fn alone(trial: &str, run: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    if std::env::var_os(ALONE).is_some() {
        return run();
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", trial])
        .env(ALONE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let until = Instant::now() + seconds().unwrap_or_default() + REST;
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            child.kill()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    holds(said.contains("1 passed") && output.status.success(), &said)
}

/// Kilobytes that this process has in memory; 0 where the system does not say.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Threads of workers.
pub fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    names.filter(|name| name.starts_with("worker ")).count()
}

/// Kilobytes by which memory may differ between two moments of a server that leaks nothing: bodies on their way,
/// generations that still have a request, and what the allocator keeps for each of some thirty threads. One leaked
/// generation, two Go VMs in it, is as much.
const NOISE: u64 = 16 << 10;

/// The first third is for warming up; the others are alike.
pub fn is_flat(resident: &[u64]) -> Result<(), Failed> {
    let third = resident.len() / 3;
    let (middle, last) = (median(&resident[third..2 * third]), median(&resident[2 * third..]));
    println!("{middle} kB resident, and {last} kB at the end");
    holds(last <= middle + NOISE, &format!("memory should not grow: {resident:?}"))
}

fn median(of: &[u64]) -> u64 {
    let mut of = of.to_vec();
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or(0)
}
