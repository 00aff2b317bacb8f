//! What is kept of a step for its expectations, and where things belong.

use super::Driver;
use crate::abi::ExchangeId;
use crate::expect::Failure;
use crate::scenario::{Request, Scenario, Step, StepKind};
use bytes::Bytes;
use std::ops::Range;

/// Failures of one step; nobody reads more.
const MOST_FAILURES: usize = 100;

/// What a step left behind for its expectations.
#[derive(Debug, Clone)]
pub struct StepRun {
    /// Its part of the trace. The first one begins with the start of the plugins.
    pub range: Range<usize>,
    /// The exchange of a request step.
    pub exchange: Option<ExchangeId>,
    /// An exchange never came to its end.
    pub stuck: bool,
    /// What failed without being asked.
    pub failures: Vec<Failure>,
    /// The requests of a `concurrent` step.
    pub items: Vec<ItemRun>,
}

/// What one of several requests that were in flight together left behind.
#[derive(Debug, Clone, Default)]
pub struct ItemRun {
    /// Its exchange.
    pub exchange: Option<ExchangeId>,
    /// That never came to its end.
    pub stuck: bool,
    /// What failed without being asked.
    pub failures: Vec<Failure>,
}

impl StepRun {
    /// A step about to begin.
    pub fn beginning_at(start: usize, step: &Step) -> Self {
        let items = vec![ItemRun::default(); step.items().len()];
        Self { range: start..start, exchange: None, stuck: false, failures: Vec::new(), items }
    }
}

/// The step that something belongs to, and which of its requests where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub step: usize,
    pub item: Option<usize>,
}

impl Place {
    /// A whole step.
    pub fn of(step: usize) -> Self {
        Self { step, item: None }
    }
}

impl Driver<'_> {
    /// What the scenario says at a place.
    pub(super) fn written(&self, place: Place) -> Option<&Step> {
        let step = self.case.steps.get(place.step)?;
        place.item.map_or(Some(step), |item| step.items().get(item))
    }

    /// Where an exchange that is one of several belongs.
    pub(super) fn item_of(&self, exchange: ExchangeId) -> Option<Place> {
        self.steps.iter().enumerate().find_map(|(step, run)| {
            let item = run.items.iter().position(|item| item.exchange == Some(exchange))?;
            Some(Place { step, item: Some(item) })
        })
    }

    /// The exchange of a place.
    pub(super) fn set_exchange(&mut self, place: Place, exchange: ExchangeId) {
        let Some(run) = self.steps.get_mut(place.step) else { return };
        match place.item {
            None => run.exchange = Some(exchange),
            Some(item) => run.items.get_mut(item).into_iter().for_each(|item| item.exchange = Some(exchange)),
        }
    }

    /// The exchange of this place stays open; the finding that says so, up to `end`, can be expected.
    pub(super) fn set_stuck(&mut self, place: Place, end: usize) {
        let Some(run) = self.steps.get_mut(place.step) else { return };
        run.stuck = true;
        run.range.end = end;
        if let Some(item) = place.item.and_then(|item| run.items.get_mut(item)) {
            item.stuck = true;
        }
    }

    /// Something did not hold there.
    pub(super) fn fail(&mut self, place: Place, failures: impl IntoIterator<Item = Failure>) {
        let Some(run) = self.steps.get_mut(place.step) else { return };
        let item = place.item.and_then(|item| run.items.get_mut(item));
        let list = item.map_or(&mut run.failures, |item| &mut item.failures);
        let room = MOST_FAILURES.saturating_sub(list.len());
        list.extend(failures.into_iter().take(room));
    }
}

fn target(request: &Request) -> String {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    let Request { method, scheme, authority, path, .. } = request;
    format!("{} {}://{}{}", text(method), text(scheme), text(authority), text(path))
}

/// What a step does, in words.
pub fn label(step: &Step, scenario: &Scenario) -> String {
    match &step.kind {
        StepKind::Request(request) => format!("request {}", target(request)),
        StepKind::Concurrent(_) => {
            let targets: Vec<String> = step.requests().map(target).collect();
            format!("concurrent {}", targets.join(", "))
        }
        StepKind::Admin(admin) => format!("admin {} {}", admin.method, admin.target.value),
        StepKind::Connect(_) => "connect".to_owned(),
        StepKind::Advance(duration) => format!("advance {duration:?}"),
        StepKind::Reconfigure { plugin, .. } => match scenario.plugins.get(*plugin) {
            Some(plugin) if scenario.plugins.len() > 1 => format!("reconfigure {}", plugin.name),
            _ => "reconfigure".to_owned(),
        },
        StepKind::ForeignFunction { plugin, function_id, .. } => match scenario.plugins.get(*plugin) {
            Some(plugin) if scenario.plugins.len() > 1 => format!("foreign function {function_id} of {}", plugin.name),
            _ => format!("foreign function {function_id}"),
        },
        StepKind::Shutdown => "shutdown".to_owned(),
    }
}
