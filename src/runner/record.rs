//! From what passed a proxy to scenarios that pass.
//!
//! Each request becomes a case. It is masked, written down, and run in memory; what the run shows again is what the case
//! expects. What it shows otherwise, because plugins keep things from one request to the next, or because of time and
//! chance, is tried once more behind the requests that came before it. If that does not help either, the case stands
//! alone and says in a comment what is not expected of it. A case that still does not pass is left out, and the file
//! says so. So everything in the files passes, and nothing in them was not seen.

mod compare;
mod files;
mod masks;
mod subject;
mod tell;

pub use masks::{DEFAULT, MASK, Masks};

use super::{CaseStatus, Plugins, RunEvent, RunOptions};
use crate::gateway::model::Route;
use crate::gateway::resources::Resources;
use crate::host::profile::Profile;
use crate::scenario::write::{self, Case, Heading, Step, Subject};
use crate::scenario::{Protocol, parse};
use crate::trace::conversation::{Conversation, Conversations, Passed, Untold};
use compare::Compared;
use files::Files;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Requests before one that are tried with it.
const MOST_BEFORE: usize = 8;
/// Hosts whose requests are remembered: every worker has one, and every reload brings new ones.
const MOST_HOSTS: usize = 256;
/// Characters of a target in the name of a case.
const LONGEST_TARGET: usize = 80;

/// What requests pass.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Plugins and objects.
    pub resources: Resources,
    /// A route beside them, which takes what they don't.
    pub route: Option<Arc<Route>>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is a case in this file.
    Written(PathBuf),
    /// It is not: which one it is, and why.
    LeftOut(String),
}

/// Why nothing is recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder or a file.
    #[error("`{}` can't be recorded into: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No scenario could say what requests pass.
    #[error("a scenario can't say what is served: {0}")]
    Setting(String),
}

/// Writes a recording.
pub struct Recorder {
    files: Files,
    masks: Masks,
    plugins: Plugins,
    profile: &'static Profile,
    /// Nothing, before it is known.
    subject: Option<Subject>,
    /// What came before, for each host, without what is expected of it.
    before: BTreeMap<u32, VecDeque<Step>>,
    cases: u64,
}

impl Recorder {
    /// Records into a folder.
    pub fn new(folder: &Path, masks: Masks, plugins: Plugins, profile: &'static Profile) -> Result<Self, RecordError> {
        let files = Files::open(folder).map_err(|error| RecordError::Folder { folder: folder.to_owned(), error })?;
        Ok(Self { files, masks, plugins, profile, subject: None, before: BTreeMap::new(), cases: 0 })
    }

    /// From here on requests pass this.
    pub fn set(&mut self, setting: &Setting) -> Result<(), RecordError> {
        self.subject = None;
        self.before.clear();
        let subject = subject::of(setting, self.files.folder()).map_err(RecordError::Setting)?;
        self.subject = Some(subject);
        Ok(())
    }

    /// Records a request.
    pub fn record(&mut self, passed: Passed) -> Result<Outcome, RecordError> {
        let conversation = self.masks.apply(passed.conversation);
        let passed = Passed { conversation, ..passed };
        let target = target(&passed.conversation);
        let added = match self.case(&passed, &target) {
            Ok((heading, case)) => self.files.add(&heading, &case).map(Outcome::Written),
            Err(why) => {
                let line = format!("left out: {target}: {why}");
                self.files.note(line.clone()).map(|()| Outcome::LeftOut(line))
            }
        };
        added.map_err(|error| RecordError::Folder { folder: self.files.folder().to_owned(), error })
    }

    /// The case of a request, and what stands above it; an error says why there is none.
    fn case(&mut self, passed: &Passed, target: &str) -> Result<(String, String), String> {
        let said = &passed.conversation;
        if let Some(why) = said.untold {
            return Err(words(why).to_owned());
        }
        if passed.aborted {
            return Err("its client went away".to_owned());
        }
        let protocol = if passed.protocol == "HTTP/2" { Protocol::H2 } else { Protocol::Http1 };
        let subject = self.subject.clone().ok_or("a scenario can't say what is served")?;
        let step = tell::step(passed, protocol, self.profile)?;
        self.cases += 1;
        let heading =
            write::heading(&Heading { comments: self.comments(), subject, host: self.profile.name, protocol });
        let case = Case { name: format!("{} {target}", self.cases), comments: Vec::new(), steps: vec![step.clone()] };
        let earlier = self.before.get(&passed.host).cloned().unwrap_or_default();
        let alone = self.try_out(&heading, case.clone(), said);
        let settled = match alone {
            Ok(tried) if tried.differences.is_empty() => Ok(tried.text),
            alone => match self.behind(&heading, &case, earlier, said) {
                Some(text) => Ok(text),
                None => alone.map(|tried| tried.text),
            },
        };
        self.remember(passed.host, step);
        settled.map(|text| (heading, text))
    }

    /// The same case behind the requests before it, if that explains all of it.
    fn behind(&self, heading: &str, case: &Case, earlier: VecDeque<Step>, said: &Conversation) -> Option<String> {
        if earlier.is_empty() {
            return None;
        }
        let comments = vec!["the requests before it count: alone it goes otherwise".to_owned()];
        let steps = earlier.into_iter().chain(case.steps.iter().cloned()).collect();
        let tried = self.try_out(heading, Case { name: case.name.clone(), comments, steps }, said).ok()?;
        tried.differences.is_empty().then_some(tried.text)
    }

    /// Runs a case, expects of its last step what is as it was seen, and makes sure that this passes.
    fn try_out(&self, heading: &str, mut case: Case, said: &Conversation) -> Result<Tried, String> {
        let text = write::case(&case).map_err(|error| error.to_string())?;
        let ran = self.run(&format!("{heading}{text}"))?;
        let run = ran.said.into_iter().last().ok_or_else(|| "a run of it has no such request".to_owned())?;
        let Compared { expect, calls, differences } = compare::compare(said, &run);
        let Some(last) = case.steps.last_mut() else { return Err("it has no request".to_owned()) };
        last.expect = expect;
        compare::expect_calls(&mut last.callouts, calls);
        if !differences.is_empty() {
            case.comments.push(format!("not expected, as a run shows it otherwise: {}", differences.join(", ")));
        }
        let text = write::case(&case).map_err(|error| error.to_string())?;
        let ran = self.run(&format!("{heading}{text}"))?;
        match ran.failure {
            None => Ok(Tried { text, differences }),
            Some(failure) => Err(format!("a run of it fails: {failure}")),
        }
    }

    fn run(&self, text: &str) -> Result<Ran, String> {
        let path = self.files.folder().join("recording.yaml");
        let scenario = parse(&path, text.to_owned()).map_err(|problems| {
            let first = problems.into_iter().next().map(|problem| problem.title);
            format!("a scenario can't say it: {}", first.unwrap_or_default())
        })?;
        let options = RunOptions::default();
        let mut ran = None;
        let mut take = |event: &RunEvent<'_>| {
            if let RunEvent::Case(result) = event {
                let failure = match result.status {
                    CaseStatus::Passed => None,
                    _ => Some(result.failures.first().map_or("it differs", |first| &first.title).to_owned()),
                };
                ran = Some(Ran { said: Conversations::of(&result.events), failure });
            }
        };
        super::run(&[scenario], &self.plugins, &options, &mut take).map_err(|error| error.to_string())?;
        ran.ok_or_else(|| "it could not be run".to_owned())
    }

    fn remember(&mut self, host: u32, step: Step) {
        if !self.before.contains_key(&host) && self.before.len() >= MOST_HOSTS {
            self.before.pop_first();
        }
        let before = self.before.entry(host).or_default();
        before.push_back(step);
        if before.len() > MOST_BEFORE {
            before.pop_front();
        }
    }

    fn comments(&self) -> Vec<String> {
        let mut lines = vec!["recorded by `pwtest serve --record`; `pwtest run` plays it".to_owned()];
        if !self.masks.names().is_empty() {
            lines.push(format!("`{MASK}` stands for values of {}", self.masks.names().join(", ")));
        }
        lines
    }
}

/// A case that passes.
struct Tried {
    text: String,
    differences: Vec<String>,
}

/// What a run of a file with one case showed.
struct Ran {
    said: Vec<Conversation>,
    failure: Option<String>,
}

fn words(why: Untold) -> &'static str {
    match why {
        Untold::LongBody => "a body is longer than 64 KiB",
        Untold::TooMuch => "it is more than 1 MiB",
        Untold::Grpc => "it makes gRPC calls",
        Untold::Metadata => "it has METADATA frames",
        Untold::Crash => "the host that is imitated would have died",
    }
}

/// What a request is called: `GET /hello`.
fn target(said: &Conversation) -> String {
    let part = |name: &[u8]| {
        let value = said.request.headers.as_ref().and_then(|headers| headers.get(name));
        String::from_utf8_lossy(value.map_or(&b""[..], |value| value)).into_owned()
    };
    let visible = |c: char| if c.is_control() || c.is_whitespace() { '?' } else { c };
    let path = part(b":path");
    let mut short: String = path.chars().take(LONGEST_TARGET).map(visible).collect();
    if path.chars().count() > LONGEST_TARGET {
        short.push('…');
    }
    format!("{} {short}", part(b":method").chars().take(20).map(visible).collect::<String>())
}
