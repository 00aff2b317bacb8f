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
        let of = match event {
            Event::CallbackEntered(entered) => {
                running = Some(entered.exchange);
                entered.exchange
            }
            Event::CallbackLeft(left) => {
                running = None;
                left.exchange
            }
            Event::Trap(trap) => {
                running = None;
                trap.exchange
            }
            Event::Hostcall(record) => record.exchange,
            Event::Input { exchange, .. } | Event::Output { exchange, .. } | Event::HostReply { exchange, .. } => {
                Some(*exchange)
            }
            Event::ExchangeOpened(id)
            | Event::ConnectionOpened(id)
            | Event::UpstreamConnected(id)
            | Event::ExchangeClosed(id) => Some(*id),
            Event::Gateway(event) => event.exchange(),
            Event::HostLog { .. } => running.flatten(),
            Event::Finding(_) | Event::HostCrash { .. } => running.flatten().or(Some(exchange)),
            Event::Step(_)
            | Event::ClockMoved(_)
            | Event::VmStarted { .. }
            | Event::CallAnswered { .. }
            | Event::GrpcAnswered { .. } => None,
        };
        of == Some(exchange)
    });
    owned.skip(range.start).collect()
}
