//! A TCP connection, event by event: what one end does is dealt with before the next thing happens, as in memory.

use super::*;
use crate::abi::Callback;
use crate::message::Part;
use crate::runner::envoy::config::{Origin, listener_name};
use crate::runner::envoy::wire::{self, Act, Lead, Wire};
use crate::scenario::{Connect, ConnectEvent, ConnectUpstream};
use crate::trace::{Entry, Peer};

impl<'a> Player<'a> {
    pub(super) async fn connect(&mut self, index: usize, connect: &'a Connect) -> Result<(), EnvoyError> {
        let exchange = self.next_exchange();
        let origin = self.cast.origins.get(index).copied().unwrap_or(Origin::Tcp);
        let port = self.ports.get(&listener_name(self.number, origin)).copied().unwrap_or(0);
        if let Some(run) = self.steps.get_mut(index) {
            run.exchange = Some(exchange);
        }
        self.stage.scene.borrow_mut().wires.push(Wire::new(exchange));
        self.stage.sight(Event::ConnectionOpened(exchange));
        let stage = self.stage.clone();
        let client = self.watch(wire::connect(&stage, port, exchange)).await?;
        let Ok(client) = client else {
            return self.envoy.died().map_or(Ok(()), Err);
        };
        self.clients.push(client.clone());
        self.happened().await?;
        for event in &connect.events {
            self.event(exchange, &client, event).await?;
        }
        for peer in [Peer::Client, Peer::Upstream] {
            let written = |event: &ConnectEvent| match event {
                ConnectEvent::Data { from, end, .. } => *end && *from == peer,
                ConnectEvent::End(who) | ConnectEvent::Reset(who) => *who == peer,
                ConnectEvent::Advance(_) => false,
            };
            self.wait_for(exchange, false).await?;
            if !connect.events.iter().any(written) {
                self.wait_for_ticks(exchange, peer).await?;
                self.event(exchange, &client, &ConnectEvent::End(peer)).await?;
            }
        }
        self.wait_for(exchange, false).await?;
        let stuck = self.cast.rehearsal.steps.get(index).is_some_and(|run| run.stuck);
        let patience = if stuck || !self.cast.ticks { SHORT_PATIENCE } else { PATIENCE };
        let begun = Instant::now();
        while !self.wire_over(exchange) && begun.elapsed() < patience {
            self.watch(tokio::time::sleep(Duration::from_millis(10))).await?;
            self.happened().await?;
        }
        if self.wire_over(exchange) {
            self.over_wires.push(exchange);
        }
        if let ConnectUpstream::Never(span) = &connect.upstream
            && self.arrivals(exchange) > 0
        {
            let failure = verdict::connection_reached_upstream(span.clone(), self.tracer.events.len());
            if let Some(run) = self.steps.get_mut(index) {
                run.failures.push(failure);
            }
        }
        Ok(())
    }

    async fn event(&mut self, exchange: ExchangeId, client: &Lead, event: &ConnectEvent) -> Result<(), EnvoyError> {
        let (who, act) = match event {
            ConnectEvent::Advance(duration) => return self.advance(*duration).await,
            ConnectEvent::Data { from, bytes, end } => (from, Act::Send(bytes.clone(), *end)),
            ConnectEvent::End(who) => (who, Act::Send(Bytes::new(), true)),
            ConnectEvent::Reset(who) => (who, Act::Reset),
        };
        let lead = match who {
            Peer::Client => Some(client.clone()),
            Peer::Upstream => {
                self.wait_for(exchange, true).await?;
                let scene = self.stage.scene.borrow();
                scene.wires.iter().find(|wire| wire.exchange == exchange).and_then(|wire| wire.upstream.clone())
            }
        };
        if matches!(act, Act::Reset)
            && lead.is_some()
            && let Some(wire) = self.stage.scene.borrow_mut().wires.iter_mut().find(|wire| wire.exchange == exchange)
        {
            match who {
                Peer::Client => wire.client_gone = true,
                Peer::Upstream => wire.closed[1] = true,
            }
        }
        // What is sent with the end is to be one read.
        let together = matches!(&act, Act::Send(bytes, true) if !bytes.is_empty());
        if let Some(lead) = lead {
            if together {
                self.envoy.hold(true).await;
            }
            // An end that is over does nothing more.
            let _ = lead.send(act);
            if together {
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.envoy.hold(false).await;
            }
        }
        self.happened().await
    }

    /// What falls due at once happens before anything else.
    async fn happened(&mut self) -> Result<(), EnvoyError> {
        loop {
            self.settle().await?;
            self.plan_calls();
            let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= self.now_ns) else { break };
            let at = entry.key().0;
            let due = entry.remove();
            self.fire(at, due).await?;
        }
        // Who ends is read in the log.
        self.take_in_until(None);
        Ok(())
    }

    /// Lets calls be answered, until nothing is left or the upstream was reached.
    async fn wait_for(&mut self, exchange: ExchangeId, upstream: bool) -> Result<(), EnvoyError> {
        let reached = self.cast.rehearsal.events.contains(&Event::UpstreamConnected(exchange));
        let begun = Instant::now();
        loop {
            self.happened().await?;
            if upstream && self.arrivals(exchange) > 0 {
                return Ok(());
            }
            if let Some(((at, _), due)) = self.due.pop_first() {
                self.fire(at, due).await?;
            } else if upstream && reached && begun.elapsed() < Duration::from_secs(2) {
                self.watch(tokio::time::sleep(Duration::from_millis(5))).await?;
            } else {
                return Ok(());
            }
        }
    }

    /// A plugin that holds something may let go of it by a timer: as many fire as in memory before an end comes.
    async fn wait_for_ticks(&mut self, exchange: ExchangeId, peer: Peer) -> Result<(), EnvoyError> {
        let end = |event: &Event| match event {
            Event::Input { exchange: of, from, part: Part::Data { bytes, end_of_stream: true } } => {
                *of == exchange && *from == peer && bytes.is_empty()
            }
            _ => false,
        };
        let rehearsed = &self.cast.rehearsal.events;
        let Some(at) = rehearsed.iter().position(end) else { return Ok(()) };
        let due = ticks(rehearsed.get(..at).unwrap_or_default());
        let begun = Instant::now();
        while ticks(&self.tracer.events) < due && begun.elapsed() < Duration::from_secs(2) {
            self.watch(tokio::time::sleep(Duration::from_millis(2))).await?;
            self.happened().await?;
        }
        Ok(())
    }

    fn arrivals(&self, exchange: ExchangeId) -> usize {
        let scene = self.stage.scene.borrow();
        scene.wires.iter().find(|wire| wire.exchange == exchange).map_or(0, |wire| wire.arrivals)
    }

    /// Envoy has let go of both ends. A client that broke off sees nothing any more: then the plugins' contexts say it.
    pub(super) fn wire_over(&self, exchange: ExchangeId) -> bool {
        let scene = self.stage.scene.borrow();
        let Some(wire) = scene.wires.iter().find(|wire| wire.exchange == exchange) else { return true };
        let [client, upstream] = wire.closed;
        if client && (upstream || wire.arrivals == 0) {
            return true;
        }
        let count = |callback: Callback| {
            let of = |event: &&Event| match event {
                Event::CallbackEntered(e) => e.callback == Entry::Callback(callback) && e.exchange == Some(exchange),
                _ => false,
            };
            self.tracer.events.iter().filter(of).count()
        };
        let created = count(Callback::OnContextCreate);
        (created > 0 && created == count(Callback::OnDelete)) || (upstream && wire.client_gone)
    }
}

fn ticks(events: &[Event]) -> usize {
    let tick =
        |event: &&Event| matches!(event, Event::CallbackEntered(e) if e.callback == Entry::Callback(Callback::OnTick));
    events.iter().filter(tick).count()
}
