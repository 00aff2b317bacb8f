//! Expectations: what a scenario says must hold, judged on the trace alone.
//!
//! `judge` is a pure function of the trace of one run and gives every expectation that does not hold, each with
//! its place in the file. What fails a case without being asked (a trap, a stuck request, an unplanned call) is
//! also a [`Failure`]; the runner adds those.

mod actions;
mod answer;
mod crash;
mod findings;
mod json;
mod judge;
mod load;
mod logs;
mod matcher;
mod message;
mod ownership;
mod state;
mod trap;

pub use crash::unexpected_crash;
pub use judge::judge;
pub use load::judge_load;
pub use message::{judge_list, judge_message};
pub use trap::unexpected_trap;

use crate::abi::{ExchangeId, PluginIndex};
use crate::diagnostic::Span;
use crate::host::profile::Profile;
use crate::trace::Event;
use std::ops::Range;

/// Something that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure, for reports and for people: `client_sees.status`, `trap`, `stuck`.
    pub subject: String,
    /// One line: what is wrong.
    pub title: String,
    /// Where the scenario says so.
    pub span: Option<Span>,
    /// What was expected, as text for people. Text of several lines ends with a line break; where this and
    /// `actual` both do, reports draw the difference.
    pub expected: Option<String>,
    /// What was there instead.
    pub actual: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The event that it is about, as an index into the trace: the report shows what came just before.
    pub event: Option<usize>,
}

/// What an expectation is judged on: the trace of one run and the part of it that belongs to a step.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    /// The whole trace of the case.
    pub events: &'a [Event],
    /// The events of the step; of the whole case for a case's own expectations. State (properties, shared data,
    /// metrics) is what it was at the end of this range, so everything before it counts too.
    pub range: Range<usize>,
    /// The exchange of a `request` step. A whole case with one exchange has that one.
    pub exchange: Option<ExchangeId>,
    /// Others are in flight at the same time: what happened for this one alone counts. State is everybody's.
    pub only: Option<ExchangeId>,
    /// Whether the request stayed paused with nothing left to resume it.
    pub stuck: bool,
    /// The profile that the case ran with: what goes differently elsewhere can be expected as a finding.
    pub profile: &'static Profile,
    /// The names of the plugins, by index.
    pub plugins: &'a [(PluginIndex, String)],
}

impl<'a> Judged<'a> {
    /// The events that are judged, with their index in the whole trace.
    fn in_range(&self) -> impl DoubleEndedIterator<Item = (usize, &'a Event)> + use<'a> {
        let end = self.range.end.min(self.events.len());
        let start = self.range.start.min(end);
        let of = self.only;
        let belongs = of.map_or_else(Vec::new, |of| ownership::of(self.events, start..end, of));
        let events = self.events.get(start..end).unwrap_or_default().iter().enumerate();
        let ours = move |at: usize| of.is_none() || belongs.get(at).is_some_and(|belongs| *belongs);
        events.filter(move |(at, _)| ours(*at)).map(move |(at, event)| (start + at, event))
    }

    /// The events up to the end of the range: what state is made of.
    fn until_end(&self) -> &'a [Event] {
        self.events.get(..self.range.end.min(self.events.len())).unwrap_or_default()
    }

    /// The name of a plugin; a trace of one that nobody has named is still readable.
    fn name(&self, plugin: PluginIndex) -> &'a str {
        self.plugins.iter().find(|(index, _)| *index == plugin).map_or("plugin", |(_, name)| name)
    }
}

#[cfg(test)]
mod tests;
