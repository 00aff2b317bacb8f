//! `properties`, `shared_data`, `metrics`: what a name stood for at the end of the range, from the changes that
//! were recorded.

use super::judge::similar;
use super::matcher::check;
use super::{Failure, Judged};
use crate::scenario::{Match, Spanned};
use crate::trace::show::{clipped, escaped};
use crate::trace::{Effect, Event, HostcallRecord};
use bytes::Bytes;
use std::collections::BTreeMap;

type Expected = [(Spanned<String>, Match)];

/// The last value of each name, and the event that gave it.
type Entries = BTreeMap<Bytes, (Bytes, usize)>;

/// Properties that plugins have set. They belong to a stream: where one request is judged, only its own count.
pub(super) fn properties(expected: &Expected, judged: &Judged<'_>) -> Vec<Failure> {
    let ours = |record: &HostcallRecord| match (judged.exchange, record.exchange) {
        (Some(judged), Some(of)) => judged == of,
        (None, _) | (_, None) => true,
    };
    let entries = last(expected, judged, |record, effect, _| match effect {
        Effect::PropertySet { path, value } if ours(record) => {
            Some((Bytes::copy_from_slice(path.as_bytes()), value.clone()))
        }
        _ => None,
    });
    failures("properties", "property", expected, &entries)
}

/// Shared data.
pub(super) fn shared_data(expected: &Expected, judged: &Judged<'_>) -> Vec<Failure> {
    let entries = last(expected, judged, |_, effect, _| match effect {
        Effect::SharedDataSet { key, value, .. } => Some((key.clone(), value.clone())),
        _ => None,
    });
    failures("shared_data", "shared data", expected, &entries)
}

/// Metrics; one that is defined and was never changed is 0, of a histogram it is the last value recorded.
pub(super) fn metrics(expected: &Expected, judged: &Judged<'_>) -> Vec<Failure> {
    let entries = last(expected, judged, |_, effect, known| match effect {
        Effect::MetricChanged { name, value, .. } => Some((name.clone(), Bytes::from(value.to_string()))),
        // To define it a second time changes nothing.
        Effect::MetricDefined { name, .. } if !known.contains_key(name) => Some((name.clone(), Bytes::from("0"))),
        _ => None,
    });
    failures("metrics", "metric", expected, &entries)
}

/// The last value of every name.
fn last(
    expected: &Expected,
    judged: &Judged<'_>,
    change: impl Fn(&HostcallRecord, &Effect, &Entries) -> Option<(Bytes, Bytes)>,
) -> Entries {
    let mut entries = Entries::new();
    if expected.is_empty() {
        return entries;
    }
    let records = judged.until_end().iter().enumerate().filter_map(|(at, event)| match event {
        Event::Hostcall(record) => Some((at, record)),
        _ => None,
    });
    for (event, record) in records {
        for effect in &record.effects {
            if let Some((name, value)) = change(record, effect, &entries) {
                entries.insert(name, (value, event));
            }
        }
    }
    entries
}

fn failures(subject: &str, kind: &str, expected: &Expected, entries: &Entries) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (name, one) in expected {
        let entry = entries.get(name.value.as_bytes());
        let Some(mismatch) = check(&one.matcher, entry.map(|(value, _)| &value[..])) else { continue };
        let shown = clipped(&name.value, 100);
        let event = entry.map(|(_, event)| *event);
        let mut failure =
            mismatch.failure(format!("{subject}.{shown}"), &format!("{kind} `{shown}`"), &one.span, event);
        if entry.is_none() {
            failure.hint = Some(others(kind, &name.value, entries));
        }
        failures.push(failure);
    }
    failures
}

/// What there is instead of a name that is not there.
fn others(kind: &str, name: &str, entries: &Entries) -> String {
    let names: Vec<String> = entries.keys().map(|name| escaped(&String::from_utf8_lossy(name))).collect();
    if let Some(near) = similar(name, names.iter().map(String::as_str)) {
        return format!("there is `{}`", clipped(near, 100));
    }
    let shown: Vec<String> = names.iter().take(10).map(|name| format!("`{}`", clipped(name, 100))).collect();
    match (shown.is_empty(), names.len() > shown.len()) {
        (true, _) => format!("the plugin has set no {kind} up to here"),
        (false, false) => format!("the plugin has set {}", shown.join(", ")),
        (false, true) => format!("the plugin has set {} and {} more", shown.join(", "), names.len() - shown.len()),
    }
}
