//! The requests of one HTTP/2 connection, as far as time matters: hyper waits for a client that takes nothing of a
//! response, and for one that asks for nothing more, as long as it answers pings.

use super::outgoing::Sending;
use crate::proxy::settings::Timeouts;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use tokio::time::Instant;

/// The requests of a connection.
pub(super) struct Requests {
    timeouts: Timeouts,
    under_way: Cell<usize>,
    /// Since when none has been under way.
    quiet: Cell<Instant>,
    /// Responses whose bodies go out.
    sending: RefCell<BTreeMap<u64, Weak<Sending>>>,
    next: Cell<u64>,
}

impl Requests {
    /// None so far.
    pub(super) fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            under_way: Cell::new(0),
            quiet: Cell::new(Instant::now()),
            sending: RefCell::default(),
            next: Cell::new(0),
        }
    }

    /// One has come.
    pub(super) fn begin(self: &Rc<Self>) -> UnderWay {
        self.under_way.set(self.under_way.get() + 1);
        UnderWay(self.clone())
    }

    fn is_quiet(&self) -> bool {
        self.under_way.get() == 0
    }

    /// None has been under way for as long as a connection is kept for the next one.
    pub(super) fn is_idle(&self) -> bool {
        self.is_quiet() && self.quiet.get().elapsed() >= self.timeouts.idle
    }

    /// None has been under way for as long as a client may take to read the end of the last response.
    pub(super) fn is_over(&self) -> bool {
        self.is_quiet() && self.quiet.get().elapsed() >= self.timeouts.send
    }

    /// A body begins to go out. Gives the number to [`Requests::forget`].
    pub(super) fn remember(&self, sending: &Rc<Sending>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.sending.borrow_mut().insert(number, Rc::downgrade(sending));
        number
    }

    /// A body has gone out.
    pub(super) fn forget(&self, number: u64) {
        self.sending.borrow_mut().remove(&number);
    }

    /// Ends the requests whose clients have taken nothing for too long.
    pub(super) fn give_up_slow(&self) {
        let late = |sending: &Rc<Sending>| sending.waits_since().is_some_and(|at| at.elapsed() >= self.timeouts.send);
        let slow: Vec<_> = self.sending.borrow().values().filter_map(Weak::upgrade).filter(late).collect();
        for sending in slow {
            sending.give_up();
        }
    }

    /// When it has to be looked again whether somebody is too slow. What begins later is not late before that.
    pub(super) fn next_look(&self) -> Instant {
        let Timeouts { idle, send, .. } = self.timeouts;
        let now = Instant::now();
        let sending = self.sending.borrow();
        let bodies = sending.values().filter_map(|sending| Some(sending.upgrade()?.waits_since()? + send));
        let quiet = self.is_quiet().then(|| self.quiet.get() + idle);
        // What has come already is looked at no more often than the others.
        bodies.chain(quiet).filter(|at| *at > now).fold(now + idle.min(send), Instant::min)
    }
}

/// A request under way.
pub(super) struct UnderWay(Rc<Requests>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let left = self.0.under_way.get().saturating_sub(1);
        self.0.under_way.set(left);
        if left == 0 {
            self.0.quiet.set(Instant::now());
        }
    }
}
