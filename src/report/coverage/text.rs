//! The coverage for people: a block for each host, a line for each hostcall that was called, and what was not.

use super::{Coverage, HostCoverage, HostcallCoverage, Outcome};
use crate::report::count;
use crate::report::paint::{Paint, wrapped};
use std::fmt::Write as _;

/// The table.
pub fn text(coverage: &Coverage, color: bool, width: usize) -> String {
    let paint = Paint { color };
    let mut out = paint.rule("coverage", "", width);
    let width = width.clamp(60, 120);
    let hosts = coverage.hosts();
    if hosts.is_empty() {
        out += "nothing was run\n";
    }
    for (at, host) in hosts.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        block(&mut out, host, paint, width);
    }
    out
}

fn block(out: &mut String, host: &HostCoverage, paint: Paint, width: usize) {
    let [(hostcalls, of_hostcalls), (statuses, of_statuses), (callbacks, of_callbacks)] = host.sums();
    let cases = count(host.cases, "case", "cases");
    let _ = writeln!(
        out,
        "{} reached by {cases}: {hostcalls} of {of_hostcalls} hostcalls, {statuses} of {of_statuses} statuses, {callbacks} \
         of {of_callbacks} callbacks",
        paint.bold(host.host)
    );
    let called = || host.hostcalls.iter().filter(|hostcall| hostcall.calls > 0);
    let column = called().map(|hostcall| hostcall.name.len()).max().unwrap_or(0);
    for hostcall in called() {
        let _ = writeln!(out, "  {:column$}  {}", hostcall.name, line(hostcall, paint));
    }
    let entered = host.callbacks.iter().filter(|(_, count)| *count > 0);
    list(out, "callbacks", &entered.map(|(c, count)| format!("{} ×{count}", c.short())).collect::<Vec<_>>(), width);
    // WASI is the toolchain's business: nobody means to call all of it.
    let unused = host.of_the_abi().filter(|hostcall| hostcall.calls == 0);
    list(out, "hostcalls not called", &unused.map(|hostcall| hostcall.name.to_owned()).collect::<Vec<_>>(), width);
    let unused = host.callbacks.iter().filter(|(_, count)| *count == 0);
    list(out, "callbacks not called", &unused.map(|(c, _)| c.short().to_owned()).collect::<Vec<_>>(), width);
}

fn line(hostcall: &HostcallCoverage, paint: Paint) -> String {
    let shown = |outcomes: &[(Outcome, usize)]| {
        let reached = outcomes.iter().filter(|(_, count)| *count > 0);
        reached.map(|(outcome, count)| format!("{outcome} ×{count}")).collect::<Vec<_>>().join(", ")
    };
    let mut parts = vec![shown(&hostcall.documented)];
    let missing: Vec<String> = hostcall.missing().map(|outcome| outcome.to_string()).collect();
    if !missing.is_empty() {
        parts.push(paint.yellow(format_args!("not {}", missing.join(", "))));
    }
    if !hostcall.undocumented.is_empty() {
        let news = shown(&hostcall.undocumented);
        // Without any documented answer, as for a function that does not return, the number is all there is.
        parts.push(if hostcall.documented.is_empty() { news } else { format!("undocumented: {news}") });
    }
    parts.retain(|part| !part.is_empty());
    match parts.is_empty() {
        true => count(hostcall.calls, "call", "calls"),
        false => parts.join("; "),
    }
}

fn list(out: &mut String, title: &str, names: &[String], width: usize) {
    if !names.is_empty() {
        let text = wrapped(&format!("{title}: {}", names.join(", ")), "    ", width);
        // The first line hangs out, so that the lists can be told apart.
        out.push_str(text.strip_prefix("  ").unwrap_or(&text));
    }
}
