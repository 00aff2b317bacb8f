//! `logs` and `no_logs`: lines in order with others between, and lines that must not be there.

use super::judge::listed;
use super::matcher::{describe, holds};
use super::{Failure, Judged};
use crate::abi::LogLevel;
use crate::scenario::{LogExpect, Matcher};
use crate::trace::Event;
use crate::trace::show::bytes;
use crate::trace::views::{self, LogLine};
use bytes::Bytes;

/// How many of the lines most like the expected one are shown.
const NEAREST: usize = 5;
/// How far the search for them goes: a plugin may log a great deal, and likeness is slow to find.
const LOOKED_AT: usize = 500;

/// A log line and where it is.
struct Line<'a> {
    event: usize,
    who: &'a str,
    level: LogLevel,
    message: Bytes,
}

fn lines<'a>(judged: &Judged<'a>) -> Vec<Line<'a>> {
    let of = |(event, of): (usize, &Event)| {
        views::log_lines(of).into_iter().map(move |LogLine { plugin, level, message }| (event, plugin, level, message))
    };
    let lines = judged.in_range().flat_map(of);
    lines
        .map(|(event, plugin, level, message)| {
            let who = plugin.map_or("the host", |plugin| judged.name(plugin));
            Line { event, who, level, message }
        })
        .collect()
}

impl Line<'_> {
    fn is(&self, expected: &LogExpect) -> bool {
        self.has_level(expected) && holds(&expected.message.matcher, Some(&self.message))
    }

    fn has_level(&self, expected: &LogExpect) -> bool {
        expected.level.is_none_or(|level| level == self.level)
    }

    fn shown(&self, judged: &Judged<'_>) -> String {
        match judged.plugins {
            [] | [_] => format!("{}: {}", self.level, bytes(&self.message)),
            _ => format!("[{}] {}: {}", self.who, self.level, bytes(&self.message)),
        }
    }
}

/// Each expected line is looked for behind the one before. One that is missing does not move the place, so
/// that it does not drag the following ones along.
pub(super) fn judge(expected: &[LogExpect], judged: &Judged<'_>) -> Vec<Failure> {
    let lines = lines(judged);
    let mut from = 0;
    let mut failures = Vec::new();
    for one in expected {
        match lines.iter().skip(from).position(|line| line.is(one)) {
            Some(found) => from += found + 1,
            None => failures.push(missing(one, &lines, from, judged)),
        }
    }
    failures
}

fn missing(expected: &LogExpect, lines: &[Line<'_>], from: usize, judged: &Judged<'_>) -> Failure {
    let wanted = in_words(expected);
    let place = match from {
        0 => String::new(),
        from => format!(" after line {from} of {}", lines.len()),
    };
    let rest = lines.get(from..).unwrap_or_default();
    let at_level = rest.iter().find(|line| holds(&expected.message.matcher, Some(&line.message)));
    let too_early = lines.iter().take(from).position(|line| line.is(expected));
    let hint = match (at_level, too_early) {
        (Some(line), _) => Some(format!("it was logged at {}", line.level)),
        (None, Some(early)) => {
            Some(format!("it was logged in line {}, before what is expected above it, and order counts", early + 1))
        }
        (None, None) => before(expected, judged).then(|| "it was logged before this step".to_owned()),
    };
    let nearest = nearest(expected, rest, judged);
    Failure {
        subject: "logs".to_owned(),
        title: format!("no log line{place} is {wanted}"),
        span: Some(expected.message.span.clone()),
        expected: Some(wanted),
        actual: Some(match nearest.is_empty() {
            true if lines.is_empty() => "nothing was logged".to_owned(),
            true => "nothing more was logged".to_owned(),
            false => listed(nearest.iter().map(String::as_str), "nothing"),
        }),
        hint,
        event: at_level.or(lines.last()).map(|line| line.event),
    }
}

/// Whether the line is in the trace, but in an earlier step.
fn before(expected: &LogExpect, judged: &Judged<'_>) -> bool {
    let earlier = Judged { range: 0..judged.range.start, ..judged.clone() };
    lines(&earlier).iter().any(|line| line.is(expected))
}

/// The lines most like the expected one, in the order in which they were logged; where nothing is alike, the first.
fn nearest(expected: &LogExpect, rest: &[Line<'_>], judged: &Judged<'_>) -> Vec<String> {
    let wanted = match &expected.message.matcher {
        Matcher::Equal(text) | Matcher::Contains(text) => beginning(text),
        _ => String::new(),
    };
    let likeness = |line: &Line<'_>| match holds(&expected.message.matcher, Some(&line.message)) {
        true => 2.0,
        false => strsim::normalized_levenshtein(&wanted, &beginning(&line.message)),
    };
    let mut scored: Vec<(f64, usize)> = rest.iter().take(LOOKED_AT).map(likeness).zip(0..).collect();
    scored.sort_by(|(left, at), (right, other)| right.total_cmp(left).then(at.cmp(other)));
    let alike = scored.iter().filter(|(score, _)| *score >= 0.4).count();
    scored.truncate(if alike > 0 { alike.min(NEAREST) } else { NEAREST });
    let mut chosen: Vec<usize> = scored.into_iter().map(|(_, at)| at).collect();
    chosen.sort_unstable();
    chosen.iter().filter_map(|at| rest.get(*at)).map(|line| line.shown(judged)).collect()
}

fn beginning(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(200).collect()
}

fn in_words(expected: &LogExpect) -> String {
    match expected.level {
        Some(level) => format!("{level}: {}", describe(&expected.message.matcher)),
        None => describe(&expected.message.matcher),
    }
}

/// The first line that must not be there, for each one of them.
pub(super) fn judge_absent(expected: &[LogExpect], judged: &Judged<'_>) -> Vec<Failure> {
    let lines = lines(judged);
    let mut failures = Vec::new();
    for one in expected {
        let found: Vec<&Line<'_>> = lines.iter().filter(|line| line.is(one)).collect();
        let Some(first) = found.first() else { continue };
        let others = match found.len() {
            1 => String::new(),
            count => format!(", {count} times"),
        };
        failures.push(Failure {
            subject: "no_logs".to_owned(),
            title: format!("`{}` logged what it must not{others}: {}", first.who, first.shown(judged)),
            span: Some(one.message.span.clone()),
            expected: Some(format!("no line that is {}", in_words(one))),
            actual: Some(first.shown(judged)),
            hint: None,
            event: Some(first.event),
        });
    }
    failures
}
