//! Steps that take time: a request until it has come to its end or nothing moves any more, and waiting.

use super::*;
use crate::runner::envoy::client;
use crate::runner::envoy::config::{Origin, listener_name};
use crate::runner::envoy::stage::Flight;
use crate::scenario::Request;

impl<'a> Player<'a> {
    pub(super) async fn request(&mut self, index: usize, request: &'a Request) -> Result<(), EnvoyError> {
        let exchange = self.next_exchange();
        let origin = self.cast.origins.get(index).copied().unwrap_or(Origin::Http1);
        let name = listener_name(self.number, origin);
        let port = self.ports.get(&name).copied().unwrap_or(0);
        if let Some(run) = self.steps.get_mut(index) {
            run.exchange = Some(exchange);
        }
        self.stage.sight(Event::ExchangeOpened(exchange));
        let flight = Flight { exchange, request: Rc::new(request.clone()), arrivals: 0, ended: false };
        self.stage.scene.borrow_mut().flights.push(flight);
        let stage = self.stage.clone();
        let sent = self.watch(client::send(&stage, port, exchange, request)).await?;
        match sent {
            Ok(connection) => self.connections.push((exchange, connection)),
            Err(error) => {
                if let Some(died) = self.envoy.died() {
                    return Err(died);
                }
                if let Some(hangs) = error.get_ref().and_then(|inner| inner.downcast_ref::<EnvoyError>()) {
                    return Err(hangs.clone());
                }
            }
        }
        // In memory, too, it only ends in a later step, or not at all.
        let stuck = !self.cast.ends_at_once(index);
        let mut patience = if stuck { SHORT_PATIENCE } else { PATIENCE };
        if self.cast.route_timeout_ms < 15_000 && !stuck {
            patience += Duration::from_millis(self.cast.route_timeout_ms);
        }
        let (begun, mut quiet) = (Instant::now(), Instant::now());
        let mut activity = self.activity();
        let mut hurried = false;
        loop {
            self.settle().await?;
            self.plan_calls();
            if self.has_ended(exchange) {
                self.stage.sight(Event::ExchangeClosed(exchange));
                return Ok(());
            }
            let next = self.activity();
            if next != activity {
                (activity, quiet, hurried) = (next, Instant::now(), false);
            }
            if let Some(((at, _), due)) = self.due.pop_first() {
                self.fire(at, due).await?;
                quiet = Instant::now();
                continue;
            }
            // The rest of a message that is shorter than announced never comes.
            if !stuck && !hurried && self.cast.route_timeout_ms >= 15_000 && quiet.elapsed() > SHORT_PATIENCE {
                self.stage.hurry.notify_waiters();
                hurried = true;
            }
            if quiet.elapsed() > patience || begun.elapsed() > LONGEST_STEP || (stuck && begun.elapsed() > patience) {
                return Ok(());
            }
            let stage = self.stage.clone();
            let moved = async move { tokio::time::timeout(Duration::from_millis(10), stage.moved.notified()).await };
            let _ = self.watch(moved).await?;
        }
    }

    fn has_ended(&self, exchange: ExchangeId) -> bool {
        self.stage.scene.borrow().flights.iter().any(|flight| flight.exchange == exchange && flight.ended)
    }

    pub(super) async fn advance(&mut self, duration: Duration) -> Result<(), EnvoyError> {
        let begun = Instant::now();
        let start = self.now_ns;
        let until = start.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        loop {
            self.settle().await?;
            self.plan_calls();
            let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= until) else {
                if self.cast.ticks {
                    // Ticks may call, too.
                    let left = duration.saturating_sub(begun.elapsed());
                    if !left.is_zero() {
                        let nap = left.min(Duration::from_millis(5));
                        self.watch(tokio::time::sleep(nap)).await?;
                        continue;
                    }
                }
                break;
            };
            let at = entry.key().0;
            let due = entry.remove();
            if self.cast.ticks {
                let when = Duration::from_nanos(at.saturating_sub(start));
                self.watch(tokio::time::sleep(when.saturating_sub(begun.elapsed()))).await?;
            }
            self.fire(at, due).await?;
        }
        if self.cast.ticks {
            // A timer that falls due at the end of the step still counts.
            self.watch(tokio::time::sleep(Duration::from_millis(8))).await?;
        }
        self.now_ns = self.now_ns.max(until);
        let ended: Vec<ExchangeId> =
            self.stage.scene.borrow().flights.iter().filter(|f| f.ended).map(|f| f.exchange).collect();
        self.connections.retain(|(exchange, _)| !ended.contains(exchange));
        Ok(())
    }
}
