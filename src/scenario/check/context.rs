//! What the checks of one file share: where it is, what was found wrong, and what has been read or built once
//! already.

use super::keys;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::scenario::reason;
use crate::scenario::yaml::{Node, Size};
use bytes::Bytes;
use regex::Regex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More mistakes than this are not even kept.
const MAX_KEPT: usize = 10_000;
/// One file or repeated body may not be larger.
pub(super) const MAX_BODY: usize = 256 << 20;
/// Nor all that a scenario file repeats or reads together.
const MAX_BODIES: usize = 512 << 20;
/// What all `with` tables of a file may expand to.
const MAX_EXPANDED_NODES: usize = 2_000_000;
const MAX_EXPANDED_TEXT: usize = 256 << 20;

/// The state of checking one file.
pub(super) struct Cx<'s> {
    source: &'s Arc<Source>,
    folder: PathBuf,
    problems: Vec<Diagnostic>,
    /// A row of a `with` table repeats the mistakes of the row before; each is said once.
    said: HashSet<(usize, String)>,
    /// Where inserting a column failed: what the checks make of the rest of such text is noise.
    broken: BTreeMap<usize, usize>,
    /// The file is about HTTP/1.1.
    pub http1: bool,
    /// Requests are routed by a gateway.
    pub gateway: bool,
    /// The names of the chain, for `reconfigure`; `None` if the plugins themselves are wrong.
    pub plugins: Option<Vec<String>>,
    regexes: HashMap<String, Regex>,
    files: HashMap<PathBuf, Option<Bytes>>,
    repeated: HashMap<(Bytes, usize), Bytes>,
    body_bytes: usize,
    expanded: Size,
}

impl<'s> Cx<'s> {
    pub fn new(source: &'s Arc<Source>) -> Self {
        Self {
            source,
            folder: source.path.parent().map(Path::to_path_buf).unwrap_or_default(),
            problems: Vec::new(),
            said: HashSet::new(),
            broken: BTreeMap::new(),
            http1: true,
            gateway: false,
            plugins: None,
            regexes: HashMap::new(),
            files: HashMap::new(),
            repeated: HashMap::new(),
            body_bytes: 0,
            expanded: Size { nodes: 0, text: 0, depth: 0 },
        }
    }

    pub fn source(&self) -> &Arc<Source> {
        self.source
    }

    pub fn into_problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// Begins a diagnostic at a place; [`Cx::push`] takes it when it is complete.
    pub fn at(&self, span: &Span, title: impl Into<String>) -> Diagnostic {
        Diagnostic::new(title).at(self.source, span.clone())
    }

    pub fn push(&mut self, problem: Diagnostic) {
        let start = problem.span.as_ref().map_or(0, |span| span.start);
        if self.broken.range(..=start).next_back().is_some_and(|(_, end)| start <= *end) {
            return;
        }
        if self.problems.len() < MAX_KEPT && self.said.insert((start, problem.title.clone())) {
            self.problems.push(problem);
        }
    }

    /// Says nothing more about this place.
    pub fn broken(&mut self, span: &Span) {
        self.broken.insert(span.start, span.end);
    }

    /// The place of a piece of a scalar, where it is written as such; else the whole scalar.
    pub fn piece(&self, span: &Span, piece: &str) -> Span {
        let found = self.source.text.get(span.clone()).and_then(|text| text.find(piece));
        found.map_or_else(|| span.clone(), |at| span.start + at..span.start + at + piece.len())
    }

    /// Whether tables may expand to so much more; says so when they may not.
    pub fn expand(&mut self, size: Size, span: &Span) -> bool {
        self.expanded.nodes = self.expanded.nodes.saturating_add(size.nodes);
        self.expanded.text = self.expanded.text.saturating_add(size.text);
        let fits = self.expanded.nodes <= MAX_EXPANDED_NODES && self.expanded.text <= MAX_EXPANDED_TEXT;
        if !fits {
            self.push(self.at(span, "the `with` tables of this file expand to too much"));
        }
        fits
    }

    /// A regular expression. Compiling is the slowest thing in a large file, so it happens once for each.
    pub fn regex(&mut self, node: &Node, pattern: &str) -> Option<Regex> {
        if let Some(regex) = self.regexes.get(pattern) {
            return Some(regex.clone());
        }
        match Regex::new(pattern) {
            Ok(regex) => {
                self.regexes.insert(pattern.to_string(), regex.clone());
                Some(regex)
            }
            Err(error) => {
                // The error draws its own carets over several lines; its last line is what is wrong.
                let error = error.to_string();
                let last = error.lines().last().unwrap_or_default();
                let why = last.strip_prefix("error: ").unwrap_or(last).to_string();
                let problem = self.at(&node.span, "not a regular expression").label(why);
                self.push(
                    problem.hint("the syntax is that of Rust's regex crate; a literal `{` or `(` is escaped with `\\`"),
                );
                None
            }
        }
    }

    /// A path of the scenario, relative to the file it stands in.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The folder of the scenario file.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says that a file is not there, or can't be read.
    pub fn no_file(&mut self, node: &Node, path: &Path, error: &std::io::Error) {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let mut problem =
            self.at(&node.span, format!("can't read {}: {}", quote(&path.to_string_lossy()), reason(error)));
        if missing {
            problem = problem.hint(match neighbour(path) {
                Some(name) => format!("that folder has `{name}`"),
                None if path.extension().is_some_and(|extension| extension == "wasm") => {
                    "build the plugin first; the path is relative to the scenario file".to_string()
                }
                None => "the path is relative to the scenario file".to_string(),
            });
        }
        self.push(problem);
    }

    /// The content of a file that the scenario names.
    pub fn file(&mut self, node: &Node, path: &Path) -> Option<Bytes> {
        if let Some(known) = self.files.get(path).cloned() {
            if known.is_none() {
                self.push(self.at(&node.span, format!("can't read {}", quote(&path.to_string_lossy()))));
            }
            return known;
        }
        let content = self.read_file(node, path);
        self.files.insert(path.to_path_buf(), content.clone());
        content
    }

    fn read_file(&mut self, node: &Node, path: &Path) -> Option<Bytes> {
        // A pipe would block for ever; what is not there is said below.
        if let Some(found) = std::fs::metadata(path).ok().filter(|found| !found.is_file()) {
            let what = if found.is_dir() { "a folder" } else { "not a plain file" };
            self.push(self.at(&node.span, format!("{} is {what}", quote(&path.to_string_lossy()))));
            return None;
        }
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BODY as u64 + 1).read_to_end(&mut content));
        match read {
            Ok(_) if content.len() > MAX_BODY => {
                self.push(self.at(&node.span, "this file is larger than 256 MiB"));
                None
            }
            Ok(length) => self.body_fits(node, length).then(|| Bytes::from(content)),
            Err(error) => {
                self.no_file(node, path, &error);
                None
            }
        }
    }

    /// `{repeat, times}`, built once for all cases that use it.
    pub fn repeat(&mut self, node: &Node, piece: Bytes, times: usize) -> Option<Bytes> {
        let length = piece.len().checked_mul(times).filter(|length| *length <= MAX_BODY);
        let Some(length) = length else {
            let problem = self.at(&node.span, "this body is larger than 256 MiB");
            self.push(problem.label(format!("{} bytes, {times} times", piece.len())));
            return None;
        };
        let key = (piece, times);
        if let Some(known) = self.repeated.get(&key) {
            return Some(known.clone());
        }
        if !self.body_fits(node, length) {
            return None;
        }
        let content = Bytes::from(key.0.repeat(times));
        self.repeated.insert(key, content.clone());
        Some(content)
    }

    fn body_fits(&mut self, node: &Node, length: usize) -> bool {
        self.body_bytes = self.body_bytes.saturating_add(length);
        let fits = self.body_bytes <= MAX_BODIES;
        if !fits {
            let problem = self.at(&node.span, "the bodies of this file are larger than 512 MiB together");
            self.push(problem.hint("use the same `repeat` and `times` in several cases: it counts once"));
        }
        fits
    }
}

/// A file of a similar name in the same folder.
fn neighbour(path: &Path) -> Option<String> {
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .take(1000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    // The order of a folder differs from machine to machine.
    names.sort();
    keys::similar(wanted, names.iter().map(String::as_str)).map(str::to_string)
}

/// A user's text in a message: in backticks, and not endless.
pub(super) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
