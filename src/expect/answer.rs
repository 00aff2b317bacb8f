//! Why a message never came: what answered in its place, broke, or waits for ever.

use super::Judged;
use crate::abi::{Action, ExchangeId, Returns};
use crate::message::Part;
use crate::trace::show::clipped;
use crate::trace::{Effect, Entry, Event, Peer};

/// The event to blame, and what it did in words.
pub(super) fn instead(judged: &Judged<'_>, exchange: ExchangeId, at: Peer) -> Option<(usize, String)> {
    let upstream = at == Peer::Upstream;
    let answered = judged.in_range().find_map(|(index, event)| {
        let why = match event {
            Event::Hostcall(record) if record.exchange == Some(exchange) => {
                record.effects.iter().find_map(|effect| match effect {
                    Effect::LocalResponse(response) if upstream => Some(format!(
                        "`{}` answered with a local response of its own, status {}",
                        judged.name(record.plugin),
                        response.status
                    )),
                    Effect::CloseStream(stream) => {
                        Some(format!("`{}` closed the stream {stream}", judged.name(record.plugin)))
                    }
                    _ => None,
                })
            }
            Event::Trap(trap) if trap.exchange == Some(exchange) => {
                Some(format!("`{}` trapped in {}", judged.name(trap.plugin), trap.callback.name()))
            }
            Event::HostReply { exchange: of, status, details } if upstream && *of == exchange => {
                Some(format!("the host answered with {status} ({})", clipped(details, 200)))
            }
            Event::Input { exchange: of, from: Peer::Client, part: Part::Reset } if *of == exchange => {
                Some("the client went away".to_owned())
            }
            _ => None,
        };
        why.map(|why| (index, why))
    });
    answered.or_else(|| paused(judged, exchange))
}

/// The callback that paused last, if nothing has run for the exchange since.
pub(super) fn paused(judged: &Judged<'_>, exchange: ExchangeId) -> Option<(usize, String)> {
    let last = judged.in_range().rev().find_map(|(index, event)| match event {
        Event::CallbackLeft(left) if left.exchange == Some(exchange) => match left.callback {
            Entry::Callback(callback) if callback.returns() == Returns::Action => Some((index, left)),
            Entry::Callback(_) | Entry::Start(_) => None,
        },
        _ => None,
    });
    let (index, left) = last.filter(|(_, left)| left.result == Some(Action::Pause.number()))?;
    let (plugin, callback) = (judged.name(left.plugin), left.callback.name());
    Some((index, format!("`{plugin}` returned pause from {callback}, and nothing has resumed it")))
}
