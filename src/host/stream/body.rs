//! A chunk of a body on its way through the chain: what each plugin is shown of it, what it holds back, what it throws
//! away, and what a buffer may hold.

use super::by;
use crate::abi::{Callback, ExchangeId};
use crate::host::Host;
use crate::host::exchange::Hold;
use crate::host::guest::Guest;
use crate::message::{Direction, Part};
use bytes::{Bytes, BytesMut};

/// What a body callback's action means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyAction {
    Continue,
    /// Held, and the next callback sees it all.
    Buffer,
    /// Held, but the next callback sees only what is new.
    Watermark,
    /// Thrown away.
    Drop,
}

impl Host {
    /// A chunk of body, from a filter on.
    pub(in crate::host) fn data(
        &mut self,
        id: ExchangeId,
        direction: Direction,
        at: Option<usize>,
        bytes: Bytes,
        end: bool,
    ) {
        // Envoy 1.40: trailers that a plugin adds in its last body callback go to the plugins behind it, as if they
        // had come with the message.
        if let Some(maker) = self.body(id, direction, at, bytes, end)
            && self.flows(id, direction)
        {
            let next = self.next(id, Some(maker), direction);
            self.trailers(id, direction, next);
        }
    }

    /// The chunk itself; gives the filter that added trailers to the message and let it go on.
    fn body(
        &mut self,
        id: ExchangeId,
        direction: Direction,
        mut at: Option<usize>,
        mut bytes: Bytes,
        mut end: bool,
    ) -> Option<usize> {
        let limit = self.world.buffer_limit;
        let shown_meanwhile = self.world.profile.body_while_headers_held;
        let mut maker = None;
        while let Some(filter) = at {
            let Some(stage) = self.stage_mut(id, filter, direction) else { return maker };
            stage.end |= end;
            if stage.hold == Hold::All {
                stage.buffer.extend_from_slice(&bytes);
                if shown_meanwhile {
                    self.show_held(id, direction, filter, end);
                }
                return maker;
            }
            if matches!(stage.hold, Hold::None | Hold::Headers) {
                stage.buffer = BytesMut::from(&bytes[..]);
            } else {
                stage.buffer.extend_from_slice(&bytes);
            }
            stage.buffer_visible = true;
            let size = stage.buffer.len() as u32;
            stage.in_last_body = end;
            let had_trailers = self.ex(id).is_some_and(|e| e.half(direction).trailers.is_some());
            let callback = by(direction, Callback::OnRequestBody, Callback::OnResponseBody);
            let guest = self.guest(id, filter, direction, callback, &[size, u32::from(end)]);
            let has_trailers = self.ex(id).is_some_and(|e| e.half(direction).trailers.is_some());
            if let Some(stage) = self.stage_mut(id, filter, direction) {
                stage.in_last_body = false;
            }
            let Guest::Action(action) = guest else { return maker };
            self.note_action(id, filter, callback, action);
            let made = end && has_trailers && !had_trailers;
            let holds = self.pause_holds(direction);
            let continued = action != 0 && self.continued_meanwhile(id, filter, direction);
            let Some(stage) = self.stage_mut(id, filter, direction) else { return maker };
            stage.made_trailers |= made;
            let mut paused = true;
            match body_action(action) {
                _ if !holds => paused = false,
                BodyAction::Continue => paused = false,
                // Envoy 1.40 carries the continue out before it looks at the action: what earlier Pauses hold goes on,
                // this piece included; without one there is nothing to go on yet.
                BodyAction::Buffer if continued && stage.hold == Hold::Body => paused = false,
                BodyAction::Buffer => stage.hold = Hold::Body,
                // Envoy 1.40: a chunk that was to be thrown away stays if earlier ones were shown with it.
                BodyAction::Drop if !stage.accumulates => {
                    stage.buffer.clear();
                    stage.hold = Hold::Body;
                }
                BodyAction::Watermark | BodyAction::Drop => {
                    let shown = std::mem::take(&mut stage.buffer);
                    stage.hidden.unsplit(shown);
                    stage.hold = Hold::Body;
                }
            }
            stage.accumulates = paused && body_action(action) == BodyAction::Buffer;
            // Envoy 1.40: only action 1 is bounded, and only after the plugin has seen it all; 2 is back pressure.
            if stage.accumulates && stage.buffer.len() > limit {
                self.over_limit(id, direction);
                return maker;
            }
            if !paused {
                stage.hold = Hold::None;
                stage.buffer_visible = false;
                bytes = stage.take_body();
                if made {
                    maker = Some(filter);
                    end = false;
                }
            }
            if continued && paused {
                self.continued_too_early(id, filter);
            }
            if !paused {
                self.forward_head(id, direction, filter);
            }
            self.settle();
            if paused || !self.flows(id, direction) {
                return maker;
            }
            at = self.next(id, Some(filter), direction);
        }
        self.emit(id, direction, Part::Data { bytes, end_of_stream: end });
        maker
    }

    /// What has come of a body whose headers are held, for the plugin to look at: it stays held whatever it says.
    fn show_held(&mut self, id: ExchangeId, direction: Direction, filter: usize, end: bool) {
        let Some(stage) = self.stage_mut(id, filter, direction) else { return };
        stage.buffer_visible = true;
        let size = stage.buffer.len() as u32;
        let callback = by(direction, Callback::OnRequestBody, Callback::OnResponseBody);
        if let Guest::Action(action) = self.guest(id, filter, direction, callback, &[size, u32::from(end)]) {
            self.note_action(id, filter, callback, action);
            self.settle();
        }
    }
}

fn body_action(action: u32) -> BodyAction {
    match action {
        0 => BodyAction::Continue,
        1 => BodyAction::Buffer,
        2 => BodyAction::Watermark,
        _ => BodyAction::Drop,
    }
}
