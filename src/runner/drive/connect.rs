//! TCP connections: both ends do what the scenario says, in its order.
//!
//! What falls due at once (the answer to a call that takes no time) happens before the next event, so that a plugin
//! that asks somebody about a connection has its answer where nothing says otherwise. Ends that nobody wrote come last:
//! the client's, then the upstream's.

use super::*;
use crate::scenario::{ConnectEvent, ConnectUpstream};
use crate::trace::Peer;

impl<'a> Driver<'a> {
    pub(super) fn connect(&mut self, index: usize, connect: &'a Connect) {
        let profile = self.host.world().profile;
        if !profile.has_tcp {
            let span = self.case.steps.get(index).map(|step| step.span.clone());
            return self.fail(Place::of(index), [verdict::no_tcp(profile.name, span)]);
        }
        let exchange = self.host.connect();
        let place = Place::of(index);
        self.set_exchange(place, exchange);
        let flight = Flight { traffic: Traffic::Connect(connect), place, answered: false, turns: None };
        self.flights.insert(exchange, flight);
        self.happened();
        for event in &connect.events {
            self.connect_event(index, exchange, event);
        }
        self.wait(index, &[exchange]);
        for peer in [Peer::Client, Peer::Upstream] {
            let written = |event: &ConnectEvent| match event {
                ConnectEvent::Data { from, end, .. } => *end && *from == peer,
                ConnectEvent::End(who) | ConnectEvent::Reset(who) => *who == peer,
                ConnectEvent::Advance(_) => false,
            };
            if !connect.events.iter().any(written) {
                self.connect_event(index, exchange, &ConnectEvent::End(peer));
                self.wait(index, &[exchange]);
            }
        }
    }

    fn connect_event(&mut self, index: usize, exchange: ExchangeId, event: &ConnectEvent) {
        let (who, part) = match event {
            ConnectEvent::Advance(duration) => return self.advance(*duration),
            ConnectEvent::Data { from, bytes, end } => (from, Part::Data { bytes: bytes.clone(), end_of_stream: *end }),
            ConnectEvent::End(who) => (who, Part::Data { bytes: Bytes::new(), end_of_stream: true }),
            ConnectEvent::Reset(who) => (who, Part::Reset),
        };
        if *who == Peer::Upstream && !self.host.has_upstream(exchange) {
            // It can't do anything before somebody has connected to it.
            self.wait(index, &[exchange]);
        }
        if self.flights.contains_key(&exchange) {
            match who {
                Peer::Client => self.host.tcp_from_client(exchange, part),
                Peer::Upstream if self.host.has_upstream(exchange) => self.host.tcp_from_upstream(exchange, part),
                Peer::Upstream => {}
            }
            self.happened();
        }
    }

    /// Everything that follows at once.
    fn happened(&mut self) {
        self.drain();
        for _ in 0..MOST_EVENTS {
            let now = self.now();
            match self.due.keys().next().map(|(at, _)| *at).filter(|at| *at <= now) {
                Some(at) => self.fire_due(at),
                None => return,
            }
        }
        self.cut_off();
    }

    /// The chain lets a connection through to the upstream.
    pub(super) fn upstream_of_connection(&mut self, exchange: ExchangeId) {
        let Some(Flight { traffic: Traffic::Connect(connect), place, .. }) = self.flights.get(&exchange) else {
            return;
        };
        match &connect.upstream {
            ConnectUpstream::Accepts => {}
            ConnectUpstream::Refuses => return self.host.upstream_did_not_connect(exchange),
            ConnectUpstream::Never(span) => {
                let failure = verdict::connection_reached_upstream(span.clone(), self.events());
                let place = *place;
                self.fail(place, [failure]);
            }
        }
        self.host.upstream_connected(exchange);
    }
}
