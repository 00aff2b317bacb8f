//! Which events belong to one of several exchanges that are in flight at the same time.

use crate::abi::ExchangeId;
use crate::trace::Event;
use std::ops::Range;

/// For every event of a range, whether it belongs to an exchange. What the host says while a callback runs belongs to
/// the exchange of that callback. Elsewhere its log lines are nobody's in particular, and a finding is everybody's: it
/// is better seen twice than not at all.
pub(super) fn of(events: &[Event], range: Range<usize>, exchange: ExchangeId) -> Vec<bool> {
    let mut running: Option<Option<ExchangeId>> = None;
    let owned = events.get(..range.end).unwrap_or_default().iter().map(|event| {
        match event {
            Event::CallbackEntered(entered) => running = Some(entered.exchange),
            Event::CallbackLeft(_) | Event::Trap(_) => running = None,
            _ => {}
        }
        let of = match event {
            Event::HostLog { .. } => running.flatten(),
            Event::Finding(_) | Event::HostCrash { .. } => running.flatten().or(Some(exchange)),
            of => of.exchange(),
        };
        of == Some(exchange)
    });
    owned.skip(range.start).collect()
}
