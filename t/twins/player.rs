//! The ends of a case, which do what they did in memory: event by event, each when the one before has come to pass.

use super::client::{Client, Seen};
use super::origin::{Arrival, Origin};
use super::plan::Key;
use super::play::{Both, Played, is_refused};
use super::served::{Answered, Served};
use super::services::Services;
use super::stage::{self, Amount, Watch};
use super::told;
use bytes::Bytes;
use pwtest::abi::pairs::Pair;
use pwtest::abi::{Callback, ExchangeId};
use pwtest::message::{Headers, Part};
use pwtest::scenario::{Case, Failure, Protocol, Request, StepKind, Upstream};
use pwtest::trace::views::SeenMessage;
use pwtest::trace::{CallAnswer, Entry, Event, GatewayEvent, Peer};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// So long it is waited for something that came about in memory; what has not then does not.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long for something that did not.
const MOMENT: Duration = Duration::from_millis(20);
/// So long for anything else, where something has been missed: it is known by then that they differ.
const LESS: Duration = Duration::from_millis(100);

/// What a case is played with.
pub struct Setting<'a> {
    pub events: &'a [Event],
    pub watch: Arc<Watch>,
    pub server: &'a Served,
    pub case: &'a Case,
    pub origin: Origin,
    pub to: SocketAddr,
    pub protocol: Protocol,
}

/// Both ends, and everybody whom plugins call.
pub struct Player<'a> {
    setting: Setting<'a>,
    services: Services<'a>,
    flights: Vec<Flight<'a>>,
    /// Exchanges that are known to have asked the upstream.
    asked: usize,
    /// Requests at the origin whose exchange is known.
    assigned: usize,
    admin: Vec<Answered>,
    missed: Vec<String>,
}

struct Flight<'a> {
    id: ExchangeId,
    request: &'a Request,
    client: Option<Client>,
    seen: Seen,
    arrival: Option<Arrival>,
    /// What has come from the client, and from the origin.
    sent: [Amount; 2],
    /// What went out to the origin in memory, and to the client.
    expected: Amount,
    to_client: Amount,
    failed: bool,
}

impl<'a> Deref for Player<'a> {
    type Target = Setting<'a>;

    fn deref(&self) -> &Setting<'a> {
        &self.setting
    }
}

impl<'a> Flight<'a> {
    fn new(id: ExchangeId, request: &'a Request) -> Self {
        Self {
            id,
            request,
            client: None,
            seen: Seen::default(),
            arrival: None,
            sent: Default::default(),
            expected: Amount::default(),
            to_client: Amount::default(),
            failed: false,
        }
    }
}

impl<'a> Player<'a> {
    pub fn new(setting: Setting<'a>, services: Services<'a>) -> Self {
        Self { setting, services, flights: Vec::new(), asked: 0, assigned: 0, admin: Vec::new(), missed: Vec::new() }
    }

    /// Plays it, with its requests in their order.
    pub async fn play(mut self, requests: &[&'a Request]) -> Result<Played, String> {
        let (events, mut requests) = (self.events, requests.iter());
        for (at, event) in events.iter().enumerate() {
            if let Event::ExchangeOpened(id) = event {
                let request = requests.next().ok_or("there are more exchanges than requests")?;
                self.flights.push(Flight::new(*id, request));
            } else {
                self.event(at, event).await;
            }
        }
        Ok(self.finish(events).await)
    }

    fn patience(&self) -> Duration {
        if self.missed.is_empty() { PATIENCE } else { LESS }
    }

    fn at(&self, id: ExchangeId) -> Option<usize> {
        self.flights.iter().position(|flight| flight.id == id)
    }

    async fn event(&mut self, now: usize, event: &Event) {
        match event {
            Event::Step(started) => {
                let last = started.index + 1 == self.case.steps.len();
                if let Some(step) = self.case.steps.get(started.index) {
                    told::at_a_step(self.server, &step.kind, last);
                }
            }
            Event::Gateway(GatewayEvent::Admin { status, headers, body, .. }) => {
                self.admin(now, *status, headers, body).await;
            }
            Event::ClockMoved(to) => told::the_time(self.server, *to),
            Event::CallbackEntered(entered) if entered.callback == Entry::Callback(Callback::OnTick) => {
                let ticks = stage::ticks(self.so_far(now));
                if self.watch.ask(stage::ticks) < ticks {
                    told::to_tick(self.server);
                }
            }
            Event::CallAnswered { call, plugin, answer } => self.call_answered(now, (*plugin, *call), answer).await,
            Event::GrpcAnswered { call, plugin, .. } => self.grpc_answered(now, (*plugin, *call)).await,
            Event::Input { exchange, from, part } => {
                let Some(at) = self.at(*exchange) else { return };
                match from {
                    Peer::Client => self.client_sends(at, part).await,
                    Peer::Upstream => self.origin_sends(at, part).await,
                }
            }
            Event::Output { exchange, to: Peer::Upstream, part } => {
                let Some(at) = self.at(*exchange) else { return };
                self.flights[at].expected.add(part);
                self.fail_if_due(at).await;
            }
            Event::Output { exchange, to: Peer::Client, part } => {
                if let Some(at) = self.at(*exchange) {
                    self.flights[at].to_client.add(part);
                }
            }
            Event::ExchangeClosed(exchange) => {
                let Some(at) = self.at(*exchange) else { return };
                let closed =
                    |events: &[Event]| stage::exchange(events, at).is_some_and(|id| stage::is_closed(events, id));
                if !self.watch.clone().until(self.patience(), closed).await {
                    self.missed.push(format!("request {} did not come to its end", at + 1));
                }
            }
            _ => {}
        }
    }

    fn so_far(&self, now: usize) -> &[Event] {
        self.events.get(..=now).unwrap_or_default()
    }

    async fn admin(&mut self, now: usize, status: u16, headers: &[Pair], body: &Bytes) {
        let step = self.so_far(now).iter().rev().find_map(|event| match event {
            Event::Step(started) => self.case.steps.get(started.index),
            _ => None,
        });
        let Some(StepKind::Admin(call)) = step.map(|step| &step.kind) else { return };
        let mut all = Headers::new();
        all.append(":status", status.to_string());
        headers.iter().for_each(|(name, value)| all.append(name.clone(), value.clone()));
        let memory = SeenMessage { headers: Some(all), body: body.to_vec(), complete: true, ..SeenMessage::default() };
        match self.server.admin(call, memory).await {
            Ok(answered) => self.admin.push(answered),
            Err(line) => self.missed.push(line),
        }
    }

    async fn call_answered(&mut self, now: usize, key: Key, answer: &CallAnswer) {
        let count = stage::answers(self.so_far(now), key);
        let taken = |events: &[Event]| stage::answers(events, key) >= count;
        let watch = self.watch.clone();
        let limit = self.services.answer(key, now, answer, &watch, self.patience()).await;
        self.answer_taken(limit, taken, key).await;
    }

    async fn grpc_answered(&mut self, now: usize, key: Key) {
        let count = stage::grpc_answers(self.so_far(now), key);
        let taken = |events: &[Event]| stage::grpc_answers(events, key) >= count;
        let watch = self.watch.clone();
        let limit = self.services.answer_grpc(key, now, taken, &watch, self.patience()).await;
        self.answer_taken(limit, taken, key).await;
    }

    async fn answer_taken(&mut self, limit: Result<Duration, String>, taken: impl Fn(&[Event]) -> bool, key: Key) {
        match limit {
            Ok(limit) => {
                if !self.watch.clone().until(limit, taken).await {
                    self.missed.push(format!("the answer to call {} of plugin {} is not taken", key.1.0, key.0.0));
                }
            }
            Err(line) => self.missed.push(line),
        }
    }

    async fn client_sends(&mut self, at: usize, part: &Part) {
        if *part == Part::Reset {
            // It has seen what it saw in memory.
            let (expected, seen) = (self.flights[at].to_client, self.flights[at].seen.clone());
            let here = |_: &[Event]| {
                let seen = seen.borrow();
                seen.reset || (seen.headers.is_some() >= expected.head && seen.body.len() >= expected.bytes)
            };
            self.watch.clone().until(self.patience(), here).await;
        }
        let (to, protocol) = (self.to, self.protocol);
        let flight = &mut self.flights[at];
        let sent = match part {
            Part::Headers { headers, end_of_stream } => {
                let begun = Client::begin(to, protocol, flight.request, headers, *end_of_stream, &flight.seen).await;
                begun.map(|client| flight.client = Some(client)).map_err(|error| error.to_string())
            }
            Part::Reset => {
                flight.client.iter_mut().for_each(Client::leave);
                if protocol == Protocol::Http1 {
                    flight.client = None;
                }
                Ok(())
            }
            part => match &mut flight.client {
                Some(client) => client.send(part).await.map_err(|error| error.to_string()),
                None => Err("it is gone".to_owned()),
            },
        };
        flight.sent[0].add(part);
        if let Err(error) = sent {
            self.missed.push(format!("the client of request {} can't send: {error}", at + 1));
            return;
        }
        self.taken(at, Peer::Client).await;
        self.assign().await;
    }

    async fn origin_sends(&mut self, at: usize, part: &Part) {
        self.assign().await;
        let Some(arrival) = self.flights[at].arrival.clone() else {
            self.missed.push(format!("request {} is not at the origin, which answers it in memory", at + 1));
            return;
        };
        self.arrived(at).await;
        let head_only = self.flights[at].request.method == "HEAD";
        self.flights[at].sent[1].add(part);
        match arrival.answer(part, head_only).await {
            Ok(()) => self.taken(at, Peer::Upstream).await,
            Err(error) => self.missed.push(format!("the origin can't answer request {}: {error}", at + 1)),
        }
    }

    /// An origin that fails does so when it has the request, or its head.
    async fn fail_if_due(&mut self, at: usize) {
        let flight = &mut self.flights[at];
        let Upstream::Fail(failure) = flight.request.upstream else { return };
        let due = flight.expected.end || flight.request.early;
        if !due || std::mem::replace(&mut flight.failed, true) {
            return;
        }
        if matches!(failure, Failure::Refused | Failure::Unknown) {
            return;
        }
        self.assign().await;
        self.arrived(at).await;
        let Some(arrival) = self.flights[at].arrival.clone() else {
            self.missed.push(format!("request {} is not at the origin, which fails in memory", at + 1));
            return;
        };
        match failure {
            Failure::Reset => arrival.break_off(),
            Failure::Garbage => {
                let _ = arrival.garbage().await;
            }
            Failure::Timeout | Failure::Refused | Failure::Unknown => {}
        }
    }

    /// Waits until the proxy has taken what this end has sent.
    async fn taken(&mut self, at: usize, peer: Peer) {
        let sent = self.flights[at].sent[usize::from(peer == Peer::Upstream)];
        let taken = |events: &[Event]| {
            stage::exchange(events, at)
                .is_some_and(|id| stage::taken(events, id, peer).covers(&sent) || stage::is_closed(events, id))
        };
        let watch = self.watch.clone();
        if !watch.until(self.patience(), taken).await {
            self.missed.push(format!("the proxy did not take what the {peer:?} of request {} has sent", at + 1));
        }
    }

    /// Waits until the origin has what it had in memory.
    async fn arrived(&mut self, at: usize) {
        let (expected, arrival) = (self.flights[at].expected, self.flights[at].arrival.clone());
        if !expected.head || is_refused(self.flights[at].request) {
            return;
        }
        let here = |_: &[Event]| {
            arrival.as_ref().is_some_and(|arrival| {
                let seen = arrival.seen.borrow();
                seen.reset || seen.complete || (seen.body.len() >= expected.bytes && !expected.end)
            })
        };
        let watch = self.watch.clone();
        watch.until(self.patience(), here).await;
    }

    /// Finds out whose the requests are that have come to the origin: they come in the order in which the host gives
    /// them out.
    async fn assign(&mut self) {
        loop {
            let asked = self.watch.ask(stage::asked);
            let Some(id) = asked.get(self.asked).copied() else { return };
            if self.flights.iter().any(|flight| is_refused(flight.request)) {
                return;
            }
            let (origin, watch, at) = (self.origin.clone(), self.watch.clone(), self.assigned);
            let patience = self.patience();
            // The gateway answers for upstreams without nodes.
            watch.until(patience, |events| origin.count() > at || stage::is_closed(events, id)).await;
            self.asked += 1;
            let Some(arrival) = self.origin.arrival(at) else { continue };
            self.assigned += 1;
            let number = self.watch.ask(|events| (0..).map_while(|n| stage::exchange(events, n)).position(|n| n == id));
            if let Some(flight) = number.and_then(|number| self.flights.get_mut(number)) {
                flight.arrival = Some(arrival);
            }
        }
    }

    /// Waits for the ends of what ended in memory.
    async fn finish(mut self, events: &[Event]) -> Played {
        self.assign().await;
        for at in 0..self.flights.len() {
            let flight = &self.flights[at];
            let ended = events.iter().any(|event| matches!(event, Event::ExchangeClosed(id) if *id == flight.id));
            let (seen, gone) = (flight.seen.clone(), flight.client.is_none());
            let limit = if ended { self.patience() } else { MOMENT };
            let watch = self.watch.clone();
            watch.until(limit, |_| gone || seen.borrow().complete || seen.borrow().reset).await;
            if !ended {
                // What comes too much comes soon.
                tokio::time::sleep(MOMENT).await;
            }
            self.arrived(at).await;
        }
        let watch = self.watch.clone();
        let (hurried, patience) = (self.services.are_hurried(), self.patience());
        let calls = self.services.called(events, &watch, patience, MOMENT).await;
        let both = |flight: &Flight<'_>| Both {
            client: flight.seen.borrow().clone(),
            upstream: flight.arrival.as_ref().map(|arrival| arrival.seen.borrow().clone()).unwrap_or_default(),
        };
        Played {
            flights: self.flights.iter().map(both).collect(),
            arrivals: self.origin.count(),
            port: self.to.port(),
            calls,
            admin: std::mem::take(&mut self.admin),
            hurried,
            // Before the clients go.
            events: self.watch.all(),
            missed: std::mem::take(&mut self.missed),
        }
    }
}
