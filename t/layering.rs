//! The direction of imports: a lower module never imports a higher one (design, section 3).

use crate::support::root;
use libtest_mimic::{Failed, Trial};
use std::path::{Path, PathBuf};

/// Lowest first; modules of one layer may not import each other, except where a list says so.
const LAYERS: &[&[&str]] = &[
    &["abi", "message", "diagnostic"],
    &["trace"],
    &["host", "scenario", "snapshot"],
    &["expect", "gateway"],
    &["runner", "proxy"],
    &["report"],
    &["cli"],
];

/// One trial.
pub fn trials() -> Vec<Trial> {
    vec![Trial::test("layering", layering), Trial::test("only the command line prints", printing)]
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The part of a file before its tests: tests may look wherever they like.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a file");
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn layering() -> Result<(), Failed> {
    let base = root().join("src");
    let mut files = Vec::new();
    sources(&base, &mut files);
    let (mut wrong, mut edges) = (Vec::new(), 0);
    for file in files.iter().filter(|f| !f.ends_with("tests.rs") && !f.iter().any(|part| part == "tests")) {
        let inside = file.strip_prefix(&base).expect("below src");
        let own = inside.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        let Some(own_layer) = layer(&own) else { continue };
        for (number, line) in code(file).lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let Some(target_layer) = layer(&target) else { continue };
                edges += 1;
                if target_layer > own_layer || (target_layer == own_layer && target != own) {
                    wrong.push(format!("{}:{}: {own} imports {target}", inside.display(), number + 1));
                }
            }
        }
    }
    if edges < 100 {
        return Err(format!("only {edges} imports were found, so this test looks at nothing").into());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn printing() -> Result<(), Failed> {
    let base = root().join("src");
    let mut files = Vec::new();
    sources(&base, &mut files);
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.starts_with(base.join("cli"))) {
        for (number, line) in code(file).lines().enumerate() {
            let line = line.trim_start();
            if !line.starts_with("//") && ["println!", "eprintln!", "print!(", "dbg!"].iter().any(|p| line.contains(p))
            {
                wrong.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}
