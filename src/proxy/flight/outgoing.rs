//! What goes to the upstream, kept until nothing can ask for it again.

use crate::message::Part;

/// What goes to the upstream, kept as long as it may have to be sent once more.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) parts: Vec<Part>,
    pub(super) next: usize,
    pub(super) bytes: usize,
    /// Nothing has been forgotten.
    pub(super) whole: bool,
    /// The end is among the parts.
    pub(super) complete: bool,
}

impl Outgoing {
    pub(super) fn take(&mut self, part: Part, bound: usize) {
        self.complete |= matches!(
            part,
            Part::Headers { end_of_stream: true, .. } | Part::Data { end_of_stream: true, .. } | Part::Trailers(_)
        );
        if let Part::Data { bytes, .. } = &part {
            self.bytes = self.bytes.saturating_add(bytes.len());
        }
        if self.bytes > bound {
            self.forget();
        }
        self.parts.push(part);
    }

    /// The next part that has not been sent.
    pub(super) fn next(&mut self) -> Option<&Part> {
        if !self.whole && self.next > 0 {
            self.parts.drain(..self.next);
            self.next = 0;
        }
        let part = self.parts.get(self.next)?;
        self.next += 1;
        Some(part)
    }

    /// It won't be sent again.
    pub(super) fn forget(&mut self) {
        self.whole = false;
    }

    /// Everything once more.
    pub(super) fn again(&mut self) {
        self.next = 0;
    }
}
