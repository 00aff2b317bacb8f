//! The whole command: `pwtest run` with one case, compiled module in the cache, snapshot accepted.

use super::rounds::{Rounds, millis};
use super::{Line, fixture, scratch};
use anyhow::{Context, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a pipe holds on Linux before a writer has to wait.
const PIPE: usize = 64 << 10;

pub fn measure(rounds: &Rounds) -> anyhow::Result<Vec<Line>> {
    let folder = scratch("process")?;
    let rust = scenario(&folder, "rust", "rust/header.wasm")?;
    let go = scenario(&folder, "go", "go/log.wasm")?;
    for file in [&rust, &go] {
        // Fills the cache, and gives the case a snapshot to be compared with.
        run(&folder, file, &["--accept"])?;
    }
    Ok(vec![
        Line::at_most("one case, Rust plugin", time(rounds, &folder, &rust)?, 10.0, "ms"),
        Line::at_most("its memory", memory(&folder, &rust)?, 40.0, "MB"),
        Line::at_most("one case, Go plugin", time(rounds, &folder, &go)?, 60.0, "ms"),
        Line::told("its memory", memory(&folder, &go)?, "MB"),
    ])
}

fn scenario(folder: &Path, name: &str, plugin: &str) -> anyhow::Result<PathBuf> {
    let file = folder.join(format!("{name}.yaml"));
    let plugin = fixture(plugin);
    let text = format!(
        "plugin: {plugin:?}\nconfig: bench\ncases:\n  - name: one\n    request: GET http://app.test/hello\n    \
         expect: {{ client_sees: {{ status: 200 }} }}\n"
    );
    std::fs::write(&file, text)?;
    Ok(file)
}

fn command(folder: &Path, file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pwtest"));
    command.args(["run", "--quiet"]).arg(file).env("XDG_CACHE_HOME", folder.join("cache")).env_remove("CI");
    command
}

fn run(folder: &Path, file: &Path, more: &[&str]) -> anyhow::Result<()> {
    let output = command(folder, file).args(more).output().context("pwtest does not start")?;
    let said = || String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    ensure!(output.status.success(), "pwtest run failed: {}", said());
    Ok(())
}

fn time(rounds: &Rounds, folder: &Path, file: &Path) -> anyhow::Result<f64> {
    Ok(millis(rounds.median(30, || run(folder, file, &[]))?))
}

/// The most memory that the process had, in megabytes. The kernel tells it only of a process that is still there,
/// so the pipe that it prints to is full: it has done everything else, and waits to say so.
fn memory(folder: &Path, file: &Path) -> anyhow::Result<f64> {
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(&vec![b' '; PIPE])?;
    let mut child = command(folder, file).stdout(writer).stderr(Stdio::inherit()).spawn()?;
    std::thread::sleep(Duration::from_millis(500));
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    std::io::copy(&mut &reader, &mut std::io::sink())?;
    child.wait()?;
    let status = status.context("memory is measured on Linux only")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the process was over too soon")?;
    let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
