//! Whom plugins call: a server for each upstream that they named in memory. It answers each call when it was answered in
//! memory, and as the scenario planned it.

use super::client::Seen;
use super::grpc::{self, Piece};
use super::origin::{self, Nobody, Origin};
use super::plan::{self, Call, Fate, Key, Made, Who};
use super::said::{begun, head_of, said, whole};
use super::stage::Watch;
use bytes::Bytes;
use pwtest::host::profile::Profile;
use pwtest::message::Part;
use pwtest::proxy::{Address, Clusters, Resolve};
use pwtest::trace::views::SeenMessage;
use pwtest::trace::{CallAnswer, Event, GrpcKind};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// So long for what needs nobody's word.
const MOMENT: Duration = Duration::from_millis(20);
/// So long for what a plugin makes of a piece; of some it makes nothing.
const PIECE: Duration = Duration::from_millis(200);

/// All of them.
pub struct Services<'a> {
    profile: &'static Profile,
    made: Vec<Made<'a>>,
    /// By the upstream's name.
    servers: BTreeMap<Bytes, Server>,
    /// By the number of the call.
    given: BTreeMap<usize, Given>,
    /// What gRPC services have not sent yet.
    left: BTreeMap<usize, VecDeque<Piece>>,
}

enum Server {
    Http(Origin, SocketAddr),
    Grpc(grpc::Service, SocketAddr),
    Nobody(Nobody),
}

/// A call that has come.
#[derive(Clone)]
enum Given {
    Http(origin::Arrival),
    Grpc(grpc::Arrival),
}

/// What a call said in memory, and what of it came.
#[derive(Debug)]
pub struct Called {
    pub memory: SeenMessage,
    /// None if it did not come.
    pub served: Option<SeenMessage>,
    /// It was answered, so it has to have come.
    pub answered: bool,
}

/// Whether the names of the calls can each be one server.
pub fn are_clear(made: &[Made<'_>]) -> bool {
    let mut who: BTreeMap<&[u8], Who> = BTreeMap::new();
    made.iter().all(|made| *who.entry(made.call.upstream()).or_insert(made.who()) == made.who())
}

impl<'a> Services<'a> {
    /// Starts them, on tasks of this thread.
    pub async fn start(profile: &'static Profile, made: Vec<Made<'a>>, events: &[Event]) -> Result<Self, String> {
        let mut servers = BTreeMap::new();
        for made in &made {
            let name = Bytes::copy_from_slice(made.call.upstream());
            if servers.contains_key(&name) {
                continue;
            }
            let server = async {
                Ok::<_, std::io::Error>(match made.who() {
                    Who::Http => {
                        let origin = Origin::default();
                        let address = origin.listen().await?;
                        Server::Http(origin, address)
                    }
                    Who::Grpc => {
                        let service = grpc::Service::default();
                        let address = service.listen().await?;
                        Server::Grpc(service, address)
                    }
                    Who::Nobody => Server::Nobody(Nobody::bind()?),
                })
            };
            servers.insert(name, server.await.map_err(|error| error.to_string())?);
        }
        for name in plan::known(events) {
            if !servers.contains_key(name) {
                servers.insert(name.clone(), Server::Nobody(Nobody::bind().map_err(|error| error.to_string())?));
            }
        }
        Ok(Self { profile, made, servers, given: BTreeMap::new(), left: BTreeMap::new() })
    }

    /// Where they are, for a host that knows its upstreams by name.
    pub fn clusters(&self) -> Result<Clusters, String> {
        let mut clusters = Clusters::default();
        for (name, server) in self.servers.iter().filter(|_| self.profile.knows_upstreams) {
            let name = std::str::from_utf8(name).map_err(|error| error.to_string())?;
            clusters.insert(name, &server.address().to_string()).map_err(|error| error.to_string())?;
        }
        Ok(clusters)
    }

    /// The same for one that calls addresses.
    pub fn resolve(&self, resolve: &mut Resolve) -> Result<(), String> {
        for (name, server) in self.servers.iter().filter(|_| !self.profile.knows_upstreams) {
            let name = std::str::from_utf8(name).map_err(|error| error.to_string())?;
            // What is no address is refused before it is looked for.
            if let Some(host) = Address::parse(name, Some(80)) {
                resolve.insert(host, server.address()).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// The last call of this name that was made before.
    fn number(&self, key: Key, before: usize) -> Option<(usize, &Made<'a>)> {
        self.made.iter().enumerate().rfind(|(_, made)| made.key == key && made.at < before)
    }

    /// The call that came for one in memory. Of several that are the same in whole the one that came first.
    async fn arrival(&mut self, number: usize, before: usize, watch: &Watch, patience: Duration) -> bool {
        if self.given.contains_key(&number) {
            return true;
        }
        let Some(made) = self.made.get(number) else { return false };
        let name = made.call.upstream();
        let Some(server) = self.servers.get(name) else { return false };
        // All that have been made come first: two on their way at once may overtake each other.
        let until_now = self.made.iter().filter(|made| made.call.upstream() == name && made.at < before).count();
        watch.until(patience, |_| server.arrivals().len() >= until_now).await;
        let expected = said(made, self.profile, &[]);
        let like = |seen: &Seen| head_of(&seen.borrow()) == head_of(&expected);
        let taken = |came: &Given| self.given.values().any(|given| Rc::ptr_eq(given.seen(), came.seen()));
        let free: Vec<Given> = server.arrivals().into_iter().filter(|came| !taken(came)).collect();
        // One that is like none is this one, changed.
        let heads: Vec<_> = self.made.iter().map(|made| head_of(&said(made, self.profile, &[]))).collect();
        let strange = || free.iter().find(|came| !heads.contains(&head_of(&came.seen().borrow())));
        let found = free.iter().find(|came| like(came.seen())).or_else(strange).cloned();
        let came = found.is_some();
        self.given.extend(found.map(|given| (number, given)));
        came
    }

    /// An HTTP call was answered in memory: now it is here. Gives a line if it can't be.
    pub async fn answer(
        &mut self,
        key: Key,
        before: usize,
        answer: &CallAnswer,
        watch: &Watch,
        patience: Duration,
    ) -> Result<Duration, String> {
        let Some((number, made)) = self.number(key, before) else { return Ok(patience) };
        let (who, fate) = (made.who(), made.fate(self.profile));
        let late = made.times_out(self.profile).then(|| made.timeout(self.profile)).flatten().unwrap_or_default();
        let longer = patience + late;
        if who == Who::Nobody || matches!(fate, Fate::Nothing) {
            return Ok(longer);
        }
        self.arrival(number, before, watch, patience).await;
        let Some(Given::Http(arrival)) = self.given.get(&number) else {
            return Err(format!("call {} did not come, which is answered in memory", number + 1));
        };
        let failed = |error: std::io::Error| format!("call {} can't be answered: {error}", number + 1);
        let parts = match fate {
            Fate::Answer => whole(answer, self.profile),
            Fate::Reset => vec![Part::Reset],
            Fate::Breaks(reply) => begun(reply).into_iter().chain([Part::Reset]).collect(),
            Fate::Stops(reply) => begun(reply),
            Fate::Garbage => {
                arrival.garbage().await.map_err(failed)?;
                Vec::new()
            }
            Fate::Nothing => Vec::new(),
        };
        for part in &parts {
            arrival.answer(part, false).await.map_err(failed)?;
        }
        Ok(longer)
    }

    /// A gRPC call was answered in memory so far: now it is here. `taken` says whether that much has been taken.
    pub async fn answer_grpc(
        &mut self,
        key: Key,
        before: usize,
        taken: impl Fn(&[Event]) -> bool,
        watch: &Watch,
        patience: Duration,
    ) -> Result<Duration, String> {
        let Some((number, made)) = self.number(key, before).filter(|_| !watch.ask(&taken)) else {
            return Ok(patience);
        };
        let (who, late) = (made.who(), made.times_out(self.profile));
        let stream = matches!(&made.call, Call::Grpc(call) if matches!(call.kind, GrpcKind::Stream));
        let longer = patience + late.then(|| made.timeout(self.profile)).flatten().unwrap_or_default();
        let pieces = match made.plan {
            Some(plan) if !made.is_late(self.profile) => grpc::pieces(&plan.reply),
            _ => VecDeque::new(),
        };
        let mut left = self.left.remove(&number).unwrap_or(pieces);
        if who == Who::Nobody || (who == Who::Grpc && left.is_empty()) {
            return Ok(longer);
        }
        if !self.arrival(number, before, watch, patience).await {
            return Err(format!("call {} did not come, which is answered in memory", number + 1));
        }
        match self.given.get(&number) {
            Some(Given::Http(arrival)) => {
                let _ = arrival.garbage().await;
            }
            Some(Given::Grpc(arrival)) => {
                while let Some(piece) = left.pop_front() {
                    if matches!(piece, Piece::BreakOff) {
                        // What goes before is on its way by then.
                        tokio::time::sleep(MOMENT).await;
                    }
                    arrival
                        .answer(&piece)
                        .map_err(|error| format!("call {} can't be answered: {error}", number + 1))?;
                    // Each piece of a stream is told of; of a call only the end is.
                    if stream && watch.until(PIECE.min(patience), &taken).await {
                        break;
                    }
                }
            }
            None => {}
        }
        self.left.insert(number, left);
        Ok(longer)
    }

    /// Whether a call can come to another end because a busy machine is slow.
    pub fn are_hurried(&self) -> bool {
        const SHORT: Duration = Duration::from_millis(500);
        self.made.iter().any(|made| made.timeout(self.profile).is_some_and(|timeout| timeout <= SHORT))
    }

    /// What became of all of them.
    pub async fn called(
        &mut self,
        events: &[Event],
        watch: &Watch,
        patience: Duration,
        moment: Duration,
    ) -> Vec<Called> {
        let mut called = Vec::new();
        for number in 0..self.made.len() {
            let Some(made) = self.made.get(number) else { continue };
            let until = self
                .made
                .iter()
                .skip(number + 1)
                .find(|next| next.key == made.key)
                .map_or(events.len(), |next| next.at);
            let later = events.get(made.at..until).unwrap_or_default();
            let nobody = made.who() == Who::Nobody;
            // What speaks no HTTP/2 sees nothing but its first words.
            let deaf = matches!(made.call, Call::Grpc(_)) && made.who() == Who::Http;
            let is_answer = |event: &Event| match event {
                Event::CallAnswered { call, plugin, .. } => {
                    (*plugin, *call) == made.key && matches!(made.call, Call::Http(_))
                }
                Event::GrpcAnswered { call, plugin, .. } => {
                    (*plugin, *call) == made.key && matches!(made.call, Call::Grpc(_))
                }
                _ => false,
            };
            let answered = later.iter().any(is_answer) && !nobody;
            let memory = said(made, self.profile, later);
            let limit = if answered { patience } else { moment };
            if !nobody {
                self.arrival(number, events.len(), watch, limit).await;
            }
            let seen = self.given.get(&number).map(|given| given.seen().clone());
            if let Some(seen) = seen.as_ref().filter(|_| !deaf) {
                let all = |_: &[Event]| {
                    let seen = seen.borrow();
                    seen.body.len() >= memory.body.len()
                        && (seen.complete || seen.reset || !(memory.complete || memory.reset))
                };
                watch.until(limit, all).await;
            }
            let served = seen.map(|seen| seen.borrow().clone());
            if !deaf {
                called.push(Called { memory, served, answered });
            }
        }
        called
    }
}

impl Server {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Http(_, address) | Self::Grpc(_, address) => *address,
            Self::Nobody(nobody) => nobody.address,
        }
    }

    fn arrivals(&self) -> Vec<Given> {
        match self {
            Self::Http(origin, _) => (0..).map_while(|at| origin.arrival(at)).map(Given::Http).collect(),
            Self::Grpc(service, _) => service.arrivals().into_iter().map(Given::Grpc).collect(),
            Self::Nobody(_) => Vec::new(),
        }
    }
}

impl Given {
    fn seen(&self) -> &Seen {
        match self {
            Self::Http(arrival) => &arrival.seen,
            Self::Grpc(arrival) => &arrival.seen,
        }
    }
}
