//! The README tells the truth: its commands run, and print what it says they print.
//!
//! Every `console` block is run from the top of the file down, in one folder and as in one terminal: `pwtest serve … &`
//! stays in the background as `%1`, `%2` and so on, and what such servers write is shown behind the output of the
//! command during which they wrote it. [`matches`] alone decides what need not be the same.

mod curl;
mod shell;

use crate::support::root;
use libtest_mimic::{Failed, Trial};
use shell::{Client, Shell};
use std::path::Path;

/// The section whose commands need servers.
const SERVE: &str = "Serve";

/// The trials. A machine without curl has a stand-in that knows the options that the README uses; the real one walks
/// through the same commands wherever it is.
pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("readme: commands print what it says", || walk(|section| section != SERVE, Client::StandIn, 5)),
        Trial::test("readme: what is served is what it says", || walk(|section| section == SERVE, Client::StandIn, 14)),
    ];
    if curl::is_installed() {
        let real = || walk(|section| section == SERVE, Client::Curl, 14);
        trials.push(Trial::test("readme: what is served is what it says, to the real curl", real));
    }
    trials
}

/// A command, the heading that it stands under, and what it prints.
struct Shown {
    section: String,
    command: String,
    output: String,
}

/// The fenced blocks of consoles: lines with `$ ` are commands, what follows is their output. A command goes on in the
/// next line behind a `\` and within quotes.
fn consoles(readme: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let (mut section, mut fence, mut open) = (String::new(), None, false);
    for line in readme.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_none() { Some(kind.trim() == "console") } else { None };
            open = false;
            continue;
        }
        match (fence, line.strip_prefix("## "), line.strip_prefix("$ ")) {
            (None, Some(heading), _) => heading.clone_into(&mut section),
            (Some(true), _, Some(command)) if !open => {
                open = goes_on(command);
                found.push(Shown { section: section.clone(), command: command.to_owned(), output: String::new() });
            }
            (Some(true), ..) => {
                let Some(last) = found.last_mut() else { continue };
                let text = if open { &mut last.command } else { &mut last.output };
                if open || !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(line);
                open = open && goes_on(&last.command);
            }
            _ => {}
        }
    }
    found
}

fn goes_on(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

fn walk(wanted: fn(&str) -> bool, client: Client, at_least: usize) -> Result<(), Failed> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let folder = tempfile::tempdir()?;
    // Readers stand in the repository; what a command writes goes to a copy of what it needs.
    for name in ["fixtures", "t", "snapshots"] {
        copy(&root().join(name), &folder.path().join(name))?;
    }
    std::fs::create_dir(folder.path().join(".git"))?;
    let mut shell = Shell::new(folder.path(), files(&readme), client)?;
    let shown: Vec<Shown> = consoles(&readme).into_iter().filter(|shown| wanted(&shown.section)).collect();
    for Shown { command, output, .. } in &shown {
        let ran = |actual: &str| output.trim().is_empty() || matches(actual, output);
        shell
            .run(command, &ran)
            .map_err(|actual| format!("`{command}` does not do what the README says:\n{output}\n--- but\n{actual}"))?;
    }
    shell.leave()?;
    if shown.len() < at_least {
        return Err(format!("only {} commands of the README were run", shown.len()).into());
    }
    Ok(())
}

/// Fenced blocks that begin with a comment naming a file: `# file: hello.yaml`.
fn files(readme: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for block in readme.split("\n```yaml\n# file: ").skip(1) {
        let body = block.split("\n```").next().unwrap_or_default();
        if let Some((name, text)) = body.split_once('\n') {
            found.push((name.trim().to_owned(), format!("{text}\n")));
        }
    }
    found
}

/// What is as good as what the README shows, and what stands for it: durations, times of day in logs, headers and
/// objects, process, thread and connection of a log line, the version of curl. Ports are the shell's business.
const FREE: &[(&str, &str)] = &[
    (r"\[ *<?[0-9.]+m?s\]", "[duration]"),
    (r"\b\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] \d+#\d+: \*\d+ ", "TIME [$1] PID#TID: *CONNECTION "),
    (r"\b\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\] \d+#\d+: ", "TIME [$1] PID#TID: "),
    (r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", "[TIME]"),
    (r"(?m)^( *)date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", "${1}date: TIME"),
    (r#""(create|update)_time":\d+"#, r#""${1}_time":TIME"#),
    (r" \d+\.\d{3} ", " SECONDS "),
    (r"curl/[\w.-]+", "curl/VERSION"),
];

/// Whether an output is what the README shows. Beside what is [`FREE`], `…` stands for any text within a line, and a
/// line of it alone for any number of lines.
fn matches(shown: &str, expected: &str) -> bool {
    let plain = |text: &str| {
        let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
        FREE.iter().fold(lines.join("\n"), |text, (pattern, name)| {
            regex::Regex::new(pattern).expect("a pattern").replace_all(&text, *name).into_owned()
        })
    };
    let pattern: Vec<String> = plain(expected)
        .lines()
        .map(|line| match line {
            "…" => r"(?:.*\n)*?".to_owned(),
            line => line.split('…').map(regex::escape).collect::<Vec<_>>().join(".*") + r"\n",
        })
        .collect();
    regex::Regex::new(&format!("^{}$", pattern.concat())).is_ok_and(|pattern| pattern.is_match(&(plain(shown) + "\n")))
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let skipped = ["target", "node_modules", "fuzz"].iter().any(|name| path.ends_with(name));
        if path.is_dir() && !skipped {
            copy(&path, &target)?;
        } else if path.is_file() {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
