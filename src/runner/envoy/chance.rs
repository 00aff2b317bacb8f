//! What a real Envoy shows by chance, so that nothing follows from it when it is set beside a profile: what hangs on
//! the clock, on ports or on the way that the messages take, found by a second run in memory where those are otherwise,
//! and what has no fixed order or reads otherwise on the wire.

use crate::abi::Callback;
use crate::trace::views::{self, outside_view};
use crate::trace::{Entry, Event, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The names of the observables, as the profile has them.
pub fn names(events: &[Event], otherwise: &[Event]) -> BTreeSet<String> {
    let of = |events: &[Event]| -> BTreeMap<String, Option<String>> {
        outside_view(events).into_iter().map(|one| (one.name, one.value)).collect()
    };
    let (usual, other) = (of(events), of(otherwise));
    let mut names: BTreeSet<String> =
        usual.iter().filter(|(name, value)| other.get(*name) != Some(*value)).map(|(name, _)| name.clone()).collect();
    for (name, value) in &usual {
        names.extend(broken(name, value.as_deref().unwrap_or_default()));
        // HTTP/1.1 has no place for pseudo-headers that nobody knows.
        if let Some((_, header)) = name.split_once(" header :")
            && header != "authority"
        {
            names.insert(name.clone());
        }
    }
    names.extend(unordered(events));
    names
}

/// A header with a line break in it reads as several.
fn broken(name: &str, value: &str) -> Vec<String> {
    // As the view writes it.
    let value = value.replace("\\r", "").replace("\\n", "\n").replace('\r', "");
    let Some((end, _)) = name.split_once(" header ").filter(|_| value.contains('\n')) else { return Vec::new() };
    let behind = value.lines().skip(1).filter_map(|line| line.split_once(':'));
    let behind = behind.map(|(header, _)| format!("{end} header {}", header.trim().to_lowercase()));
    std::iter::once(name.to_owned()).chain(behind).collect()
}

/// Lines of the log behind a look at what has no order of its own, or at the time that Envoy writes into a response.
fn unordered(events: &[Event]) -> Vec<String> {
    let (mut found, mut line, mut looked, mut ending) = (Vec::new(), 0, false, false);
    for event in events {
        match event {
            Event::CallbackEntered(entered) => {
                looked = false;
                ending = entered.callback == Entry::Callback(Callback::OnLog);
            }
            Event::Hostcall(record) => {
                let map = |(_, value): &(_, Value)| match value {
                    Value::Bytes(path) => path.ends_with(b"headers") || path.ends_with(b"trailers"),
                    _ => false,
                };
                looked |= record.name == "proxy_get_property" && record.args.iter().any(map);
                looked |= record.name == "proxy_get_header_map_pairs" && ending;
                looked |= record.name == "clock_time_get";
            }
            _ => {}
        }
        let lines = views::logs(std::slice::from_ref(event)).filter(|of| of.plugin.is_some()).count();
        if looked {
            found.extend((line + 1..=line + lines).map(|number| format!("log {number}")));
        }
        line += lines;
    }
    found
}
