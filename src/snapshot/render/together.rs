//! Exchanges that were in flight together: their lines need a number to be told apart.

use crate::abi::ExchangeId;
use crate::trace::Event;
use std::collections::BTreeSet;

/// Every exchange that was open when another one was.
pub(super) fn of(events: &[Event]) -> BTreeSet<ExchangeId> {
    let (mut open, mut together) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::ExchangeOpened(id) | Event::ConnectionOpened(id) => {
                open.insert(*id);
                if open.len() > 1 {
                    together.extend(open.iter().copied());
                }
            }
            Event::ExchangeClosed(id) => {
                open.remove(id);
            }
            _ => {}
        }
    }
    together
}
