//! The README tells the truth: its commands run, and print what it says they print.

use crate::support::{check, pwtest_with, root};
use libtest_mimic::{Failed, Trial};

/// The trials.
pub fn trials() -> Vec<Trial> {
    vec![Trial::test("readme: commands print what it says", commands)]
}

/// A fenced block of a console: lines with `$ ` are commands, what follows is their output. `…` stands for any
/// text within a line.
fn consoles(readme: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut current: Option<(String, String)> = None;
    let mut inside = false;
    for line in readme.lines() {
        if line.trim_start().starts_with("```") {
            inside = line.trim() == "```console";
            found.extend(current.take());
            continue;
        }
        if !inside {
            continue;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            found.extend(current.take());
            current = Some((command.to_owned(), String::new()));
        } else if let Some((_, output)) = &mut current {
            output.push_str(line);
            output.push('\n');
        }
    }
    found
}

fn commands() -> Result<(), Failed> {
    let readme = std::fs::read_to_string(root().join("README.md"))?;
    let folder = tempfile::tempdir()?;
    // Readers stand in the repository; what a command writes goes to a copy of what it needs.
    for name in ["fixtures", "t", "snapshots"] {
        copy(&root().join(name), &folder.path().join(name))?;
    }
    std::fs::create_dir(folder.path().join(".git"))?;
    for (name, text) in files(&readme) {
        std::fs::write(folder.path().join(name), text)?;
    }
    let mut ran_any = 0;
    for (command, expected) in consoles(&readme) {
        // The set-up command is the same program, built first.
        let arguments = command.strip_prefix("pwtest ").or_else(|| command.strip_prefix("cargo run -q -- "));
        let Some(arguments) = arguments else { return Err(format!("`{command}` is not run by this test").into()) };
        let words = split(arguments);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = pwtest_with(folder.path(), &words, &[]);
        ran_any += 1;
        check((0..=4).contains(&ran.code), &format!("`{command}` ends as documented"), &ran)?;
        if !expected.trim().is_empty() {
            let shown = format!("{}{}", ran.stdout, ran.stderr);
            let same = matches(&shown, &expected);
            check(same, &format!("`{command}` prints what the README says:\n{expected}"), &ran)?;
        }
    }
    if ran_any < 5 {
        return Err(format!("only {ran_any} commands of the README were run").into());
    }
    Ok(())
}

/// Fenced blocks that begin with a comment naming a file: `# hello.yaml`.
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

/// Words of a shell line, with single quotes.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, any) = (!quoted, true),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            other => word.push(other),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Times are no promise of the README: every time in brackets is as good as another. `…` matches anything.
fn matches(shown: &str, expected: &str) -> bool {
    let times = regex::Regex::new(r"\[ *<?[0-9.]+m?s\]").expect("a pattern");
    let plain =
        |text: &str| times.replace_all(text, "[time]").lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
    let (shown, expected) = (plain(shown.trim()), plain(expected.trim()));
    shown.len() == expected.len()
        && shown.iter().zip(&expected).all(|(shown, expected)| {
            let pattern: Vec<String> = expected.split('…').map(regex::escape).collect();
            regex::Regex::new(&format!("^{}$", pattern.join(".*"))).is_ok_and(|pattern| pattern.is_match(shown))
        })
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
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
