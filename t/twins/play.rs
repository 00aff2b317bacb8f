//! Plays a case: what came in from both ends in memory goes into the served proxy, piece by piece and in the same
//! order, each when the one before has been taken.

use super::client::{Client, Seen};
use super::origin::{Arrival, Nobody, Origin};
use super::stage::{self, Amount, Ends, Watch};
use pwtest::abi::ExchangeId;
use pwtest::host::profile::Profile;
use pwtest::message::Part;
use pwtest::proxy::Running;
use pwtest::scenario::{Case, Failure, Protocol, Reply, Request, Scenario, Step, StepKind, Upstream};
use pwtest::trace::views::SeenMessage;
use pwtest::trace::{Event, Peer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One case may take so long.
const LIMIT: Duration = Duration::from_secs(15);
/// So long it is waited for something that came about in memory; what has not then does not.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long for something that did not.
const MOMENT: Duration = Duration::from_millis(20);

/// What both ends saw of the served proxy.
#[derive(Debug, Default)]
pub struct Played {
    /// By request.
    pub flights: Vec<Both>,
    /// Requests that reached the origin.
    pub arrivals: usize,
    /// Where the server listened.
    pub port: u16,
    /// The trace of the server's host.
    pub events: Vec<Event>,
    /// What did not come about while the ends waited for it.
    pub missed: Vec<String>,
}

/// What both ends of a request saw.
#[derive(Debug, Default)]
pub struct Both {
    pub client: SeenMessage,
    pub upstream: SeenMessage,
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

struct Player<'a> {
    watch: Arc<Watch>,
    origin: Origin,
    to: SocketAddr,
    protocol: Protocol,
    flights: Vec<Flight<'a>>,
    /// Exchanges that are known to have asked the upstream.
    asked: usize,
    /// Requests at the origin whose exchange is known.
    assigned: usize,
    missed: Vec<String>,
}

/// Plays a case under a host; `events` is what happened in memory.
pub fn play(scenario: &Scenario, case: &Case, profile: &'static Profile, events: &[Event]) -> Result<Played, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    let (mut played, running, watch) = local.block_on(&runtime, async {
        tokio::time::timeout(LIMIT, on_stage(scenario, case, profile, events))
            .await
            .map_err(|_| "it hangs".to_owned())?
    })?;
    drop(local);
    drop(runtime);
    running.stop(Duration::ZERO);
    // Nobody finishes the contexts in memory, unless the scenario says so.
    if matches!(case.steps.last(), Some(Step { kind: StepKind::Shutdown, .. })) {
        played.events = watch.all();
    }
    Ok(played)
}

async fn on_stage(
    scenario: &Scenario,
    case: &Case,
    profile: &'static Profile,
    events: &[Event],
) -> Result<(Played, Running, Arc<Watch>), String> {
    let requests: Vec<&Request> = case.steps.iter().flat_map(|step| step.requests()).collect();
    let origin = Origin::default();
    let nobody = Nobody::bind().map_err(|error| error.to_string())?;
    let refuses = requests.iter().any(|request| is_refused(request));
    let address = if refuses { nobody.address } else { origin.listen().await.map_err(|error| error.to_string())? };
    let ends = match requests.iter().any(|request| takes_too_long(request)) {
        _ if refuses => Ends::Nowhere,
        true => Ends::TooLate,
        false => Ends::There,
    };
    let watch = Arc::new(Watch::default());
    let running = stage::start(scenario, profile, address, ends, &watch)?;
    let to = running.listening().first().copied().ok_or("it listens nowhere")?;
    let mut player = Player {
        watch: watch.clone(),
        origin,
        to,
        protocol: scenario.protocol,
        flights: Vec::new(),
        asked: 0,
        assigned: 0,
        missed: Vec::new(),
    };
    let mut requests = requests.into_iter();
    for event in events {
        if let Event::ExchangeOpened(id) = event {
            let request = requests.next().ok_or("there are more exchanges than requests")?;
            player.flights.push(Flight::new(*id, request));
        } else {
            player.event(event).await;
        }
    }
    let played = player.finish(events).await;
    Ok((played, running, watch))
}

/// Nobody is there to ask.
pub fn is_refused(request: &Request) -> bool {
    matches!(request.upstream, Upstream::Fail(Failure::Refused | Failure::Unknown))
}

/// The origin keeps somebody waiting.
pub fn takes_too_long(request: &Request) -> bool {
    matches!(
        &request.upstream,
        Upstream::Fail(Failure::Timeout) | Upstream::Reply(Reply { fail: Some(Failure::Timeout), .. })
    )
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

impl Player<'_> {
    fn at(&self, id: ExchangeId) -> Option<usize> {
        self.flights.iter().position(|flight| flight.id == id)
    }

    async fn event(&mut self, event: &Event) {
        match event {
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
                if !self.watch.clone().until(PATIENCE, closed).await {
                    self.missed.push(format!("request {} did not come to its end", at + 1));
                }
            }
            _ => {}
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
            self.watch.clone().until(PATIENCE, here).await;
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
        if !watch.until(PATIENCE, taken).await {
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
        watch.until(PATIENCE, here).await;
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
            // The gateway answers for upstreams without nodes.
            watch.until(PATIENCE, |events| origin.count() > at || stage::is_closed(events, id)).await;
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
            let limit = if ended { PATIENCE } else { MOMENT };
            let watch = self.watch.clone();
            watch.until(limit, |_| gone || seen.borrow().complete || seen.borrow().reset).await;
            if !ended {
                // What comes too much comes soon.
                tokio::time::sleep(MOMENT).await;
            }
            self.arrived(at).await;
        }
        let both = |flight: &Flight<'_>| Both {
            client: flight.seen.borrow().clone(),
            upstream: flight.arrival.as_ref().map(|arrival| arrival.seen.borrow().clone()).unwrap_or_default(),
        };
        Played {
            flights: self.flights.iter().map(both).collect(),
            arrivals: self.origin.count(),
            port: self.to.port(),
            // Before the clients go.
            events: self.watch.all(),
            missed: self.missed,
        }
    }
}
