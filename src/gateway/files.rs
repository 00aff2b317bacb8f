//! The files that a gateway is configured with: one document, or APISIX's `config.yaml` with a standalone `apisix.yaml`
//! beside it (1.1, 7.6).
//!
//! [`load`] reads files and is all of the I/O in this module; [`folder`] and [`document()`] only read texts. What of the two
//! files of APISIX is wrong is treated as APISIX does: `wasm.plugins` is an error, an object is dropped with a line for
//! the log.

mod environment;
#[cfg(test)]
mod tests;

pub use environment::Environment;

use super::document::{self, Gateway, Places, Wrong};
use super::resources::{Kind, Resources};
use crate::diagnostic::{Diagnostic, Source};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No file of a configuration is longer.
const MAX_FILE: u64 = 64 << 20;

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The gateway.
    pub gateway: Gateway,
    /// Lines for the log: what was dropped or counts for nothing.
    pub warnings: Vec<String>,
    /// The files that were read, and those that would have been if they were there: a change of theirs is a change of
    /// the configuration.
    pub files: Vec<PathBuf>,
}

/// Reads a folder with a `config.yaml`, or one document.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Diagnostic> {
    let name = path.file_name().and_then(|name| name.to_str());
    let config = match name {
        _ if path.is_dir() => path.join("config.yaml"),
        Some("config.yaml") => path.to_path_buf(),
        Some("apisix.yaml") => path.with_file_name("config.yaml"),
        _ => {
            let source = source(path)?;
            let (gateway, warnings) = document(&source, parent(path), environment)?;
            return Ok(Loaded { gateway, warnings, files: vec![path.to_path_buf()] });
        }
    };
    let objects = config.with_file_name("apisix.yaml");
    let read = [&config, &objects].map(|path| match source(path) {
        Err(_) if !path.exists() => Ok(None),
        other => other.map(Some),
    });
    let [config_text, objects_text] = read;
    let (config_text, objects_text) = (config_text?, objects_text?);
    if config_text.is_none() && objects_text.is_none() {
        let problem = Diagnostic::new(format!("no config.yaml in `{}`", parent(&config).display()));
        return Err(problem.hint("give the folder that holds APISIX's config.yaml, or one gateway document"));
    }
    let (gateway, warnings) = folder(config_text.as_ref(), objects_text.as_ref(), parent(&config), environment)?;
    Ok(Loaded { gateway, warnings, files: vec![config, objects] })
}

/// Reads one document from its text.
pub fn document(
    source: &Arc<Source>,
    base: &Path,
    environment: &Environment,
) -> Result<(Gateway, Vec<String>), Diagnostic> {
    let (value, places) = parsed(source, environment)?;
    document::of(value, &places, base)
}

/// Reads `config.yaml` and `apisix.yaml` from their texts.
pub fn folder(
    config: Option<&Arc<Source>>,
    objects: Option<&Arc<Source>>,
    base: &Path,
    environment: &Environment,
) -> Result<(Gateway, Vec<String>), Diagnostic> {
    let mut warnings = Vec::new();
    let mut gateway = Gateway::default();
    if let Some(source) = config {
        let (value, places) = mapping(source, environment).map_err(twice)?;
        let plugins = document::plugins(&value, base, &places, &mut warnings)?;
        gateway.options = document::options(&value, base, &places)?;
        gateway.resources = Resources::new(plugins);
        gateway.resources.set_matching(gateway.options.matching);
    }
    match objects {
        Some(source) => {
            if config.is_some() && gateway.options.provider != document::Provider::Yaml {
                warnings.push(format!(
                    "{} is read, and APISIX would leave it alone: config.yaml does not say `deployment: {{ role: \
                     data_plane, role_data_plane: {{ config_provider: yaml }} }}`",
                    source.path.display()
                ));
            }
            standalone(&mut gateway.resources, source, environment, &mut warnings)?;
        }
        None if gateway.options.provider == document::Provider::Yaml => {
            let file = base.join("apisix.yaml");
            let problem = Diagnostic::new(format!(
                "config.yaml says `config_provider: yaml`, and there is no `{}`",
                file.display()
            ));
            return Err(problem.hint("write the routes there, and `#END` as its last line"));
        }
        None => {}
    }
    Ok((gateway, warnings))
}

fn standalone(
    resources: &mut Resources,
    source: &Arc<Source>,
    environment: &Environment,
    warnings: &mut Vec<String>,
) -> Result<(), Diagnostic> {
    if !ends(&source.text) {
        let end = source.text.trim_end().len();
        let problem = Diagnostic::new(format!("missing valid end flag in file {}", source.path.display()));
        return Err(problem.at(source, end..end).hint("the last line has to be `#END`"));
    }
    let (mut value, places) = mapping(source, environment)?;
    for kind in Kind::ALL {
        let items = value.remove(kind.name()).unwrap_or_default();
        document::items(resources, kind, items, &places, Wrong::IsDropped, warnings)?;
    }
    for key in value.keys().filter(|key| *key != "plugins") {
        warnings.push(format!("{}: pwtest does not support `{key}`, and leaves it out", source.path.display()));
    }
    Ok(())
}

/// The flag stands within the last ten bytes, and only white space follows.
fn ends(text: &str) -> bool {
    let trimmed = text.trim_end();
    trimmed.ends_with("#END") && text.len().saturating_sub(trimmed.len()) <= 6
}

fn parsed(source: &Arc<Source>, environment: &Environment) -> Result<(Value, Places), Diagnostic> {
    let (mut value, places) = document::parse(source)?;
    environment
        .fill_in(&mut value)
        .map_err(|missing| places.at(&missing.path, missing.to_string()).hint(missing.hint()))?;
    Ok((value, places))
}

/// A file of APISIX; one with comments alone says nothing.
fn mapping(source: &Arc<Source>, environment: &Environment) -> Result<(Map<String, Value>, Places), Diagnostic> {
    if source.text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok((Map::new(), Places::none()));
    }
    match parsed(source, environment)? {
        (Value::Object(value), places) => Ok((value, places)),
        (_, places) => Err(places.at(&[], format!("{} is not a mapping", source.path.display()))),
    }
}

/// What comes of running the tutorial's `echo "wasm: …" >> config.yaml` twice.
fn twice(problem: Diagnostic) -> Diagnostic {
    match problem.title.as_str() {
        "key `wasm` is given twice" => {
            problem.hint("it was appended twice; keep one `wasm:` and list all plugins there")
        }
        _ => problem,
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn source(path: &Path) -> Result<Arc<Source>, Diagnostic> {
    let shown = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Diagnostic::new(format!("there is no `{shown}`")),
        _ => Diagnostic::new(format!("can't read `{shown}`: {error}")),
    };
    let mut bytes = Vec::new();
    // One byte more tells a file that is too long from one that just fits.
    File::open(path).map_err(failed)?.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Diagnostic::new(format!("`{shown}` is longer than {} MiB", MAX_FILE >> 20)));
    }
    if bytes.starts_with(b"\0asm") {
        let problem = Diagnostic::new(format!("`{shown}` is a module, not a configuration"));
        return Err(problem.hint(format!("serve it with `--plugin {shown} --upstream http://HOST:PORT`")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Diagnostic::new(format!("`{shown}` is not text in UTF-8")))?;
    Ok(Arc::new(Source { path: path.to_path_buf(), text }))
}
