//! Requests that are in flight together.
//!
//! They take turns, in the order written: first every request sends its head, then every one that has more its next
//! piece, and so on to the last. Then the origins answer in the same manner, piece by piece, each as soon as it has its
//! whole request. What falls due in the meantime (an answer to a call that takes no time) comes before the next round of
//! answers, so requests that wait for the same moment go on together.

use super::*;
use crate::scenario::Reply;
use crate::trace::Effect;

/// What the origin of a request does next.
pub(super) enum Turn {
    /// It sends a piece of its answer.
    Answers(Part),
    /// It breaks off.
    Resets,
    /// It sends something that is not HTTP.
    Garbage,
    /// It does nothing until the host gives up.
    TimesOut,
    /// The client goes away.
    ClientLeaves,
}

impl<'a> Driver<'a> {
    pub(super) fn concurrent(&mut self, index: usize, items: &'a [Step]) {
        let mut sending = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let StepKind::Request(request) = &item.kind else { continue };
            let (exchange, mut parts) = self.open(Place { step: index, item: Some(at) }, request);
            if let Some(head) = parts.pop_front() {
                self.send(exchange, head);
            }
            sending.push((exchange, parts));
        }
        while sending.iter().any(|(_, parts)| !parts.is_empty()) {
            for (exchange, parts) in &mut sending {
                if let Some(part) = parts.pop_front() {
                    self.send(*exchange, part);
                }
            }
        }
        let exchanges: Vec<ExchangeId> = sending.into_iter().map(|(exchange, _)| exchange).collect();
        self.wait(index, &exchanges);
    }

    /// Lets the origins of requests that are in flight together answer, a piece each, until something else comes first.
    pub(super) fn take_turns(&mut self) {
        loop {
            let now = self.now();
            if self.due.keys().next().is_some_and(|(at, _)| *at <= now) {
                return;
            }
            let has_turn = |flight: &Flight<'_>| flight.turns.as_ref().is_some_and(|turns| !turns.is_empty());
            let ready: Vec<ExchangeId> =
                self.flights.iter().filter(|(_, flight)| has_turn(flight)).map(|(id, _)| *id).collect();
            if ready.is_empty() {
                return;
            }
            for exchange in ready {
                let turns = self.flights.get_mut(&exchange).and_then(|flight| flight.turns.as_mut());
                if let Some(turn) = turns.and_then(VecDeque::pop_front) {
                    self.turn(exchange, turn);
                    self.drain();
                }
            }
        }
    }

    /// The origin does all of this: now, or as its turn comes.
    pub(super) fn origin(&mut self, exchange: ExchangeId, all: Vec<Turn>, at_once: bool) {
        let turns = self.flights.get_mut(&exchange).and_then(|flight| flight.turns.as_mut());
        if let Some(turns) = turns.filter(|_| !at_once) {
            turns.extend(all);
            return;
        }
        for turn in all {
            self.turn(exchange, turn);
        }
    }

    fn turn(&mut self, exchange: ExchangeId, turn: Turn) {
        match turn {
            Turn::Answers(part) => {
                let part = self.comes_in(exchange, part);
                self.host.from_upstream(exchange, part);
            }
            Turn::Resets if self.node_failed(exchange, Fault::Reset) => {}
            Turn::Resets => self.host.upstream_reset(exchange),
            Turn::Garbage if self.node_failed(exchange, Fault::Garbage) => {}
            Turn::Garbage => self.host.upstream_garbage(exchange),
            Turn::TimesOut => self.times_out(exchange),
            Turn::ClientLeaves => self.host.from_client(exchange, Part::Reset),
        }
    }

    /// An answer, piece by piece, as far as it gets.
    pub(super) fn turns_of(&self, request: &Request, reply: &Reply) -> Vec<Turn> {
        let aborted = request.abort == Some(Abort::Response);
        let head_only = request.method == "HEAD";
        let parts = message::response(reply, self.scenario.protocol, self.variant, head_only, aborted);
        let mut turns: Vec<Turn> = self.ended(parts, reply.body.as_ref()).into_iter().map(Turn::Answers).collect();
        turns.extend(match reply.fail {
            _ if aborted => Some(Turn::ClientLeaves),
            None => None,
            Some(Fault::Timeout) => Some(Turn::TimesOut),
            Some(Fault::Reset | Fault::Refused | Fault::Unknown | Fault::Garbage) => Some(Turn::Answers(Part::Reset)),
        });
        turns
    }

    /// The first plan that fits a call and has not been used. A request that is in flight with others has its own plans
    /// and those of the whole step; a call that no request makes may have any.
    pub(super) fn plan_for(&self, made: impl Fn(&Effect) -> bool, fits: impl Fn(&Plan<'_>) -> bool) -> Planned {
        let of_items = self.plans.iter().any(|plan| plan.place.item.is_some());
        let caller = if of_items { self.caller(made) } else { None };
        let item = caller.and_then(|exchange| self.item_of(exchange));
        let find =
            |of: &dyn Fn(&Plan<'_>) -> bool| self.plans.iter().position(|plan| !plan.used && fits(plan) && of(plan));
        let own = item.and_then(|item| find(&|plan| plan.place == item));
        let shared = own.or_else(|| find(&|plan| plan.place.item.is_none()));
        let plan = shared.or_else(|| if caller.is_none() { find(&|_| true) } else { None });
        let step = Place::of(self.steps.len().saturating_sub(1));
        Planned { plan, place: item.unwrap_or(step) }
    }

    /// The exchange in whose callback a call was made.
    fn caller(&self, made: impl Fn(&Effect) -> bool) -> Option<ExchangeId> {
        self.host.world().recorder.events().iter().rev().find_map(|event| match event {
            Event::Hostcall(record) if record.effects.iter().any(&made) => Some(record.exchange),
            _ => None,
        })?
    }
}

/// What is planned for a call.
pub(super) struct Planned {
    /// The place of the plan.
    pub plan: Option<usize>,
    /// Where it is said if there is none.
    pub place: Place,
}
