//! What has to be known of a case before it is played on a real Envoy: the case is run in memory first, and its trace
//! says which servers it needs, how long to wait for what, and whether it can share a process with others.

use super::chance;
use super::config::Origin;
use super::unseen::{self, Sight};
use crate::diagnostic::Span;
use crate::expect::Failure;
use crate::host::profile::{self, Profile};
use crate::message::{Headers, Part};
use crate::runner::Plugins;
use crate::runner::case::{self, Job};
use crate::runner::drive::StepRun;
use crate::runner::message;
use crate::runner::result::Unseen;
use crate::scenario::{
    CalloutReply, Case, ConnectEvent, ConnectUpstream, Cut, Failure as Fault, PropertyValue, Protocol, Reply, Request,
    Spanned, StepKind, TrapVm, Upstream,
};
use crate::trace::views::{self, SeenMessage};
use crate::trace::{Effect, Entry, Event, GrpcKind, HostcallResult, HttpCall, Peer, TrapKind, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A run in memory.
#[derive(Default)]
pub struct Rehearsal {
    /// Its trace.
    pub events: Vec<Event>,
    /// Its steps.
    pub steps: Vec<StepRun>,
    /// Every plugin started.
    pub started: bool,
    /// What did not hold.
    pub failures: Vec<Failure>,
    /// Why a plugin was not even loaded.
    pub refused: Vec<Failure>,
}

/// How a name that plugins call is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// By a server of ours.
    By {
        /// Over HTTP/2.
        http2: bool,
    },
    /// By a gRPC service of ours.
    Grpc,
    /// Nobody listens.
    Refused,
    /// Envoy does not know it.
    Unknown,
}

/// A case that is ready to be played.
pub struct Cast<'a> {
    /// Its place among all jobs.
    pub at: usize,
    /// The case as the scenario has it.
    pub job: &'a Job<'a>,
    /// Of what is expected what can be judged.
    pub case: Case,
    /// What can't be.
    pub unseen: Vec<Unseen>,
    /// How many things are judged.
    pub judged: usize,
    /// How often it was played.
    pub attempts: usize,
    /// Its run in memory.
    pub rehearsal: Rehearsal,
    /// What is there by chance.
    pub chance: BTreeSet<String>,
    /// The modules' bytes, by plugin.
    pub modules: Vec<Vec<u8>>,
    /// The way to the origin, for each step.
    pub origins: Vec<Origin>,
    /// The upstreams that it calls.
    pub upstreams: BTreeMap<String, Served>,
    /// It touches what a process has once.
    pub alone: bool,
    /// A plugin has a timer, so real time matters.
    pub ticks: bool,
    /// What the machine may miss: a short timeout, bytes and an end in one read.
    pub hasty: bool,
    /// Milliseconds until Envoy gives up on the origin.
    pub route_timeout_ms: u64,
}

impl Cast<'_> {
    /// The calls that somebody serves, in the order in which plugins make them.
    pub fn calls(&self) -> impl Iterator<Item = &HttpCall> {
        self.served(&self.rehearsal.events)
    }

    fn served<'e>(&'e self, events: &'e [Event]) -> impl Iterator<Item = &'e HttpCall> {
        views::http_calls(events).map(|(_, call)| &**call).filter(|call| self.is_served(call))
    }

    /// Whether somebody listens where a call goes.
    pub fn is_served(&self, call: &HttpCall) -> bool {
        let name = String::from_utf8_lossy(&call.upstream);
        matches!(self.upstreams.get(&*name), Some(Served::By { .. }))
    }

    /// How many of them are made while plugins start.
    pub fn calls_at_start(&self) -> usize {
        let events = &self.rehearsal.events;
        let first_step = events.iter().position(|event| matches!(event, Event::Step(_))).unwrap_or(events.len());
        self.served(events.get(..first_step).unwrap_or_default()).count()
    }

    /// Whether the request of this step has come to its end in memory before the next step.
    pub fn ends_at_once(&self, step: usize) -> bool {
        let Some(run) = self.rehearsal.steps.get(step) else { return true };
        let Some(exchange) = run.exchange else { return true };
        let is = |event: &Event| matches!(event, Event::Step(started) if started.index == step);
        let Some(start) = self.rehearsal.events.iter().position(is) else { return !run.stuck };
        let mut behind = self.rehearsal.events.iter().skip(start + 1);
        behind
            .find_map(|event| match event {
                Event::Step(_) => Some(false),
                Event::ExchangeClosed(closed) => (*closed == exchange).then_some(true),
                _ => None,
            })
            .unwrap_or(!run.stuck)
    }
}

/// More real time than this nobody waits for.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// Looks at a rehearsal; says why the case can't be decided on a real Envoy, if it can't.
pub fn cast<'a>(
    at: usize,
    job: &'a Job<'a>,
    rehearsal: Rehearsal,
    otherwise: &Rehearsal,
    modules: Vec<Vec<u8>>,
) -> Result<Cast<'a>, &'static str> {
    let events = &rehearsal.events;
    let ticks = effects(events).any(|effect| matches!(effect, Effect::TickPeriod { milliseconds: 1.. }));
    undecidable(job, events, ticks)?;
    let mut upstreams: BTreeMap<String, Served> = BTreeMap::new();
    let services: BTreeSet<String> = effects(events)
        .filter_map(|effect| match effect {
            Effect::GrpcCall(call) => Some(String::from_utf8_lossy(&call.upstream).into_owned()),
            _ => None,
        })
        .collect();
    for callout in job.case.steps.iter().flat_map(|step| &step.callouts) {
        let service = services.contains(&callout.to.value) || callout.is_grpc();
        let served = served(&callout.reply, &callout.to.value, events, service);
        let old = upstreams.entry(callout.to.value.clone()).or_insert(served);
        match (*old, served) {
            (Served::By { http2: true }, Served::By { http2: false }) => *old = served,
            (old, new) if old == new || matches!((old, new), (Served::By { .. }, Served::By { .. })) => {}
            _ => return Err("one upstream can't both exist and not"),
        }
    }
    for name in services {
        upstreams.entry(name).or_insert(Served::Grpc);
    }
    // A call that nobody plans for is refused.
    for (_, call) in views::http_calls(events) {
        let name = String::from_utf8_lossy(&call.upstream).into_owned();
        upstreams.entry(name).or_insert(Served::By { http2: false });
    }
    let origins = job.case.steps.iter().enumerate().map(|(index, step)| match &step.kind {
        StepKind::Request(request) => origin(job.scenario.protocol, request, index, &rehearsal),
        StepKind::Connect(connect) => match connect.upstream {
            ConnectUpstream::Refuses => Origin::TcpRefused,
            ConnectUpstream::Accepts | ConnectUpstream::Never(_) => Origin::Tcp,
        },
        // No listener of its own.
        StepKind::Advance(_)
        | StepKind::Reconfigure { .. }
        | StepKind::ForeignFunction { .. }
        | StepKind::Concurrent(_)
        | StepKind::Admin(_)
        | StepKind::Shutdown => match connects(job) {
            true => Origin::Tcp,
            false => Origin::Http2,
        },
    });
    let origins = origins.collect();
    let times_out = |step: &crate::scenario::Step| match &step.kind {
        StepKind::Request(request) => {
            matches!(request.upstream, Upstream::Fail(Fault::Timeout))
                || matches!(&request.upstream, Upstream::Reply(Reply { fail: Some(Fault::Timeout), .. }))
        }
        _ => false,
    };
    let route_timeout_ms = if job.case.steps.iter().any(times_out) { 500 } else { 15_000 };
    let hasty = effects(events).any(|effect| match effect {
        Effect::GrpcCall(call) => matches!(call.kind, GrpcKind::Unary { timeout_ms: 1..=200, .. }),
        _ => false,
    });
    let hasty = hasty || job.case.steps.iter().any(sends_with_end);
    let alone = ticks || alone(job, &rehearsal);
    let origins: Vec<Origin> = origins;
    let sight = Sight {
        scheme: origins.iter().all(|origin| *origin == Origin::Http2),
        panics: views::traps(events).any(|trap| trap.panic.is_some()),
        metrics: {
            let before_steps = events.iter().take_while(|event| !matches!(event, Event::Step(_)));
            !effects_of(before_steps).any(|effect| matches!(effect, Effect::MetricChanged { .. }))
        },
        shaky: shaky(&rehearsal, otherwise),
    };
    let mut case = job.case.clone().into_owned();
    let (mut unseen, judged) = unseen::mask(&mut case, &sight);
    if cut_every(job) {
        let why = "the body was sent in one piece only".to_owned();
        unseen.push(Unseen { what: "cut".to_owned(), why, span: Some(job.case.span.clone()) });
    }
    Ok(Cast {
        at,
        job,
        case,
        unseen,
        judged,
        attempts: 0,
        modules,
        origins,
        upstreams,
        alone,
        ticks,
        hasty,
        route_timeout_ms,
        chance: chance::names(&rehearsal.events, &otherwise.events),
        rehearsal,
    })
}

fn effects(events: &[Event]) -> impl Iterator<Item = &Effect> {
    effects_of(events.iter())
}

fn effects_of<'e>(events: impl Iterator<Item = &'e Event>) -> impl Iterator<Item = &'e Effect> {
    events.flat_map(|event| match event {
        Event::Hostcall(record) => record.effects.as_slice(),
        _ => &[],
    })
}

/// What holds in one run in memory and not in another, in which only what nobody promises is otherwise: the clock,
/// ports, how long things take.
fn shaky(rehearsal: &Rehearsal, otherwise: &Rehearsal) -> Vec<Span> {
    let spans = |of: &Rehearsal| of.failures.iter().filter_map(|f| f.span.clone()).collect::<Vec<Span>>();
    let always = spans(rehearsal);
    spans(otherwise).into_iter().filter(|span| !always.contains(span)).collect()
}

/// Envoy's profile, with another time in the one header that has one.
static LATER: Profile =
    Profile { added_call_response_headers: &[("x-envoy-upstream-service-time", "1")], ..profile::ENVOY };

/// How much later a timer may come than in memory.
const SLACK: Duration = Duration::from_millis(25);

/// Runs a case in memory where everything that nobody promises is otherwise.
pub fn rehearse_otherwise(job: &Job<'_>, rehearsal: &Rehearsal, plugins: &Plugins) -> Rehearsal {
    let mut scenario = job.scenario.clone();
    scenario.clock_ns = scenario.clock_ns.wrapping_add(987_654_321_987_654_000);
    scenario.seed = scenario.seed.wrapping_add(1);
    let text = |path: &str, value: &str| (path.to_owned(), PropertyValue::Bytes(value.to_owned().into()));
    let int = |path: &str| (path.to_owned(), PropertyValue::Int(1_234_567));
    let others = [
        text("source.address", "127.0.0.1:51234"),
        text("destination.address", "127.0.0.1:11234"),
        text("upstream.address", "127.0.0.1:8181"),
        text("upstream.local_address", "127.0.0.1:51235"),
        int("source.port"),
        int("destination.port"),
        int("upstream.port"),
        int("request.time"),
        int("request.duration"),
        int("response.backend_latency"),
        int("upstream.cx_pool_ready_duration"),
        int("connection_id"),
        int("connection.id"),
        text("xds.node", "another"),
    ];
    for (path, value) in others {
        if scenario.properties.iter().all(|(given, _)| given.value != path) {
            scenario.properties.push((Spanned { value: path, span: 0..0 }, value));
        }
    }
    let mut case = job.case.clone().into_owned();
    for (index, step) in case.steps.iter_mut().enumerate() {
        match &mut step.kind {
            StepKind::Advance(duration) => *duration += SLACK,
            StepKind::Request(request) => {
                let way = origin(job.scenario.protocol, request, index, rehearsal);
                if let (Upstream::Reply(reply), Origin::Http1) = (&mut request.upstream, way) {
                    announce(reply);
                }
            }
            StepKind::Connect(connect) => {
                for event in &mut connect.events {
                    if let ConnectEvent::Advance(duration) = event {
                        *duration += SLACK;
                    }
                }
            }
            StepKind::Reconfigure { .. }
            | StepKind::ForeignFunction { .. }
            | StepKind::Concurrent(_)
            | StepKind::Admin(_)
            | StepKind::Shutdown => {}
        }
        for callout in &mut step.callouts {
            let way = served(&callout.reply, &callout.to.value, &rehearsal.events, false);
            if let (CalloutReply::Reply(reply, _), Served::By { http2: false }) = (&mut callout.reply, way) {
                announce(reply);
            }
        }
    }
    let (host, store) = (job.host.clone(), job.store);
    let other =
        Job { scenario: &scenario, case: Cow::Owned(case), profile: &LATER, host, store, gateway: None, real: None };
    case::rehearse(&other, plugins)
}

/// Whether bytes and an end are to be one read, which a busy machine may make two.
fn sends_with_end(step: &crate::scenario::Step) -> bool {
    match &step.kind {
        StepKind::Connect(connect) => {
            connect.events.iter().any(|event| matches!(event, ConnectEvent::Data { end: true, .. }))
        }
        _ => false,
    }
}

/// Whether a callback breaks a gRPC call off that it has made itself.
fn breaks_off_at_once(events: &[Event]) -> bool {
    let mut made = Vec::new();
    for event in events {
        match event {
            Event::CallbackLeft(_) | Event::CallbackEntered(_) => made.clear(),
            Event::Hostcall(record) => {
                for effect in &record.effects {
                    match effect {
                        Effect::GrpcCall(call) => made.push(call.id),
                        Effect::GrpcCancelled(id) if made.contains(id) => return true,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether the case is about TCP.
fn connects(job: &Job<'_>) -> bool {
    job.case.steps.iter().any(|step| matches!(step.kind, StepKind::Connect(_)))
}

/// HTTP/1.1 announces that there is no body.
fn announce(reply: &mut Reply) {
    let known = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
    if reply.body.is_none() && !known {
        reply.headers.push(("content-length".into(), "0".into()));
    }
}

fn undecidable(job: &Job<'_>, events: &[Event], ticks: bool) -> Result<(), &'static str> {
    let bodies = job.case.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Request(request) => Some(request),
        _ => None,
    });
    for request in bodies {
        let reply = match &request.upstream {
            Upstream::Reply(reply) => reply.body.as_ref(),
            Upstream::Never(_) | Upstream::Fail(_) => None,
        };
        for body in request.body.iter().chain(reply) {
            if body.end == Some(crate::scenario::End::WithLast) && job.scenario.protocol == Protocol::Http1 {
                return Err("on HTTP/1.1 Envoy never ends a body with its last chunk");
            }
        }
        if request.abort.is_some() || request.early {
            return Err("clients that go away and origins that answer early are not played on a real Envoy yet");
        }
        let metadata = match &request.upstream {
            Upstream::Reply(reply) => !reply.metadata.is_empty(),
            Upstream::Never(_) | Upstream::Fail(_) => false,
        };
        if metadata || !request.metadata.is_empty() {
            return Err("METADATA frames are not played on a real Envoy yet");
        }
        if request.scheme != "http" {
            return Err("the client speaks plain HTTP");
        }
    }
    let mut now = 0;
    for step in &job.case.steps {
        if matches!(step.kind, StepKind::Concurrent(_)) {
            return Err("requests that are in flight together are not played on a real Envoy yet");
        }
        if matches!(step.kind, StepKind::Reconfigure { .. }) {
            return Err("a running Envoy is not given a new configuration");
        }
        if matches!(step.kind, StepKind::ForeignFunction { .. }) {
            return Err("nothing in Envoy calls proxy_on_foreign_function");
        }
        if let StepKind::Advance(duration) = &step.kind {
            now += duration.as_millis();
        }
        if let StepKind::Connect(connect) = &step.kind {
            let waits = connect.events.iter().map(|event| match event {
                ConnectEvent::Advance(duration) => duration.as_millis(),
                ConnectEvent::Data { .. } | ConnectEvent::End(_) | ConnectEvent::Reset(_) => 0,
            });
            now += waits.sum::<u128>();
        }
    }
    let several = job.scenario.plugins.iter().any(|plugin| plugin.env.len() > 1);
    if breaks_off_at_once(events) {
        return Err("a gRPC call that the callback that makes it breaks off never leaves Envoy");
    }
    if events.iter().any(|event| matches!(event, Event::Finding(finding) if finding.id == "foreign-not-modelled")) {
        return Err("pwtest does not know what Envoy's own function answers");
    }
    if calls_foreign(events).any(|called| job.scenario.foreign.iter().any(|(name, _)| called == name.value.as_bytes()))
    {
        return Err("the scenario gives a foreign function that Envoy does not have");
    }
    if several && views::hostcalls(events).any(|record| record.name == "environ_get") {
        return Err("Envoy gives environment variables in no order");
    }
    if ticks && now > LONGEST_WAIT.as_millis() {
        return Err("a timer would have to be waited for");
    }
    if job.scenario.on_trap.vm == Some(TrapVm::Rebuild) {
        return Err("Envoy rebuilds a VM by the clock only");
    }
    // Without a limit of the scenario's own, a plugin that never ends is one that hangs Envoy.
    let limited = |kind: TrapKind| match kind {
        TrapKind::OutOfFuel => job.scenario.limits.fuel.is_some(),
        TrapKind::Limit => true,
        TrapKind::Guest | TrapKind::Hostcall => false,
    };
    if views::traps(events).any(|trap| limited(trap.kind)) {
        return Err("the limits of a case are pwtest's");
    }
    if job.scenario.limits.memory.is_some() {
        return Err("the limits of a case are pwtest's");
    }
    if reads(events).any(|path| path == "xds.node") {
        return Err("Envoy's description of its own node is long, and nobody else's");
    }
    let given: Vec<&str> = job.scenario.properties.iter().map(|(path, _)| path.value.as_str()).collect();
    if !given.is_empty() && reads(events).any(|path| given.iter().any(|given| overlaps(given, &path))) {
        return Err("the scenario gives a property that Envoy knows by itself");
    }
    Ok(())
}

/// The dotted paths of the properties that plugins read.
fn reads(events: &[Event]) -> impl Iterator<Item = String> {
    views::hostcalls(events).filter(|record| record.name == "proxy_get_property").filter_map(|record| {
        record.args.iter().find_map(|(_, value)| match value {
            Value::Bytes(bytes) => {
                Some(String::from_utf8_lossy(bytes).replace('\0', ".").trim_end_matches('.').to_owned())
            }
            _ => None,
        })
    })
}

/// The names of the foreign functions that plugins call.
fn calls_foreign(events: &[Event]) -> impl Iterator<Item = &[u8]> {
    let calls = views::hostcalls(events).filter(|record| record.name == "proxy_call_foreign_function");
    calls.filter_map(|record| match record.args.first() {
        Some(("function_name", Value::Bytes(name))) => Some(&name[..]),
        _ => None,
    })
}

fn overlaps(given: &str, path: &str) -> bool {
    let top = |text: &str| text.split('.').next().map(str::to_owned);
    top(given) == top(path)
}

fn served(reply: &CalloutReply, name: &str, events: &[Event], service: bool) -> Served {
    match reply {
        CalloutReply::Fail(Fault::Unknown) => Served::Unknown,
        CalloutReply::Fail(Fault::Refused) => Served::Refused,
        _ if service => Served::Grpc,
        // Reset before an answer reads the same over both; a connection that ends is HTTP/1.1's.
        CalloutReply::Fail(Fault::Reset | Fault::Garbage) => Served::By { http2: false },
        CalloutReply::Fail(Fault::Timeout) => Served::By { http2: true },
        CalloutReply::Grpc(_) => Served::By { http2: true },
        CalloutReply::Reply(reply, _) => {
            let tame = views::http_calls(events).filter(|(_, call)| call.upstream == name).all(|(_, call)| {
                let headers: Headers = call.headers.iter().cloned().collect();
                is_tame(&headers, &call.body)
            });
            Served::By { http2: tame && reply_fits_http2(reply) }
        }
    }
}

/// Whether HTTP/2 carries an answer as the scenario means it: what HTTP/1.1 alone has makes it HTTP/1.1's.
fn reply_fits_http2(reply: &Reply) -> bool {
    let parts = message::response(reply, Protocol::Http1, None, false, false);
    let Some(Part::Headers { headers, .. }) = parts.first() else { return false };
    let own = [&b"transfer-encoding"[..], b"connection", b"keep-alive", b"upgrade"];
    (200..=999).contains(&reply.status)
        // A connection that breaks off reads otherwise than a stream that is reset.
        && reply.fail.is_none()
        && !headers.iter().any(|(name, _)| own.contains(&&name[..]))
        && super::server2::map(headers).is_ok()
        && length_holds(headers, &data(&parts))
}

fn data(parts: &[Part]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        if let Part::Data { bytes, .. } = part {
            all.extend_from_slice(bytes);
        }
    }
    all
}

fn length_holds(headers: &Headers, body: &[u8]) -> bool {
    headers.get(b"content-length").is_none_or(|length| length == body.len().to_string().as_bytes())
}

/// Whether a strict HTTP/2 implementation takes such a request.
fn is_tame(headers: &Headers, body: &[u8]) -> bool {
    let text = |name: &[u8]| headers.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let own = [&b"connection"[..], b"keep-alive", b"proxy-connection", b"upgrade", b"transfer-encoding"];
    let path = text(b":path").is_some_and(|path| {
        path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.as_str() == path)
    });
    path && text(b":method").is_some_and(|method| method.parse::<http::Method>().is_ok())
        && text(b":authority").is_some_and(|authority| authority.parse::<http::uri::Authority>().is_ok())
        && headers.get(b"te").is_none_or(|te| te == "trailers")
        && !headers.iter().any(|(name, _)| own.contains(&&name[..]))
        && headers.iter().filter(|(name, _)| name.starts_with(b":")).count() <= 4
        && super::server2::map(headers).is_ok()
        && length_holds(headers, body)
}

/// Responses without a body go over HTTP/2, for HTTP/1.1 would have to announce that there is none.
fn origin(protocol: Protocol, request: &Request, index: usize, rehearsal: &Rehearsal) -> Origin {
    if protocol == Protocol::H2 {
        return match &request.upstream {
            Upstream::Fail(Fault::Refused | Fault::Unknown) => Origin::Refused,
            _ => Origin::Http2,
        };
    }
    let exchange = rehearsal.steps.get(index).and_then(|step| step.exchange);
    let seen = exchange.map_or_else(SeenMessage::default, |of| views::seen(&rehearsal.events, of, Peer::Upstream));
    let tame = seen.headers.as_ref().is_none_or(|headers| is_tame(headers, &seen.body) || !seen.complete);
    if reads(&rehearsal.events).any(|path| path.starts_with("xds")) {
        // One origin, by the name that the profile has.
        return Origin::Http1;
    }
    let bare = match &request.upstream {
        Upstream::Fail(Fault::Refused | Fault::Unknown) => return Origin::Refused,
        Upstream::Fail(_) => false,
        // Nothing is to arrive: over HTTP/2 a head may already be on its way when the plugin answers.
        Upstream::Never(_) => false,
        Upstream::Reply(reply) => {
            reply.body.is_none() && !matches!(reply.status, 204 | 304) && request.method != "HEAD" && {
                let announced = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
                !announced && reply_fits_http2(&Reply { trailers: Vec::new(), ..reply.clone() })
            }
        }
    };
    if bare && tame { Origin::Http2 } else { Origin::Http1 }
}

/// Whether a case touches what a process has only once, or ends the process.
fn alone(job: &Job<'_>, rehearsal: &Rehearsal) -> bool {
    let events = &rehearsal.events;
    if !rehearsal.started || !rehearsal.refused.is_empty() {
        return true;
    }
    let once = |name: &str| {
        name.contains("shared_") || name.contains("metric") || name.contains("queue") || name.contains("grpc")
    };
    let touches = views::hostcalls(events).any(|record| once(record.name));
    let reads_process = reads(events).any(|path| {
        let own = ["connection_id", "connection", "plugin_vm_id", "xds", "node", "listener", "upstream"];
        own.iter().any(|top| path.split('.').next() == Some(*top))
    });
    let first_step = events.iter().position(|event| matches!(event, Event::Step(_))).unwrap_or(events.len());
    let start = events.get(..first_step).unwrap_or_default();
    let calls_early = views::http_calls(start).next().is_some();
    let start_functions = start.iter().any(|event| match event {
        Event::CallbackEntered(entered) => matches!(entered.callback, Entry::Start(_)),
        _ => false,
    });
    // Whether the request goes out beside the answer hangs on a connection that another case may have left.
    let both =
        |calls: &[&str]| ["proxy_continue_stream", "proxy_send_local_response"].iter().all(|n| calls.contains(n));
    let two_minded = events
        .split(|event| matches!(event, Event::CallbackEntered(_)))
        .any(|of| both(&views::hostcalls(of).map(|record| record.name).collect::<Vec<_>>()));
    let unanswered = views::http_calls(events).count()
        > events.iter().filter(|event| matches!(event, Event::CallAnswered { .. })).count();
    // What Envoy 1.40 was seen to die of.
    let deadly = events.iter().any(|event| match event {
        Event::Finding(finding) => {
            matches!(finding.id, "local-response-in-log" | "continue-not-paused" | "double-local-response")
        }
        _ => false,
    });
    let start_matters = job.case.all_expectations().any(|expect| {
        let callbacks = expect.actions.iter().map(|actions| actions.callback);
        callbacks.into_iter().any(|c| c.kind() == crate::abi::CallbackKind::Lifecycle) || expect.load.is_some()
    });
    let traps_at_start = views::traps(start).next().is_some();
    let shuts_down = job.case.steps.iter().any(|step| matches!(step.kind, StepKind::Shutdown));
    let never_ends = views::traps(events).any(|trap| trap.kind == TrapKind::OutOfFuel);
    let failed_start = views::hostcalls(start).any(|record| record.result == HostcallResult::None);
    // What nobody ends may still end in the next case.
    let stays = connects(job) && rehearsal.steps.iter().any(|run| run.stuck);
    touches
        || stays
        || reads_process
        || calls_early
        || start_functions
        || unanswered
        || two_minded
        || deadly
        || start_matters
        || traps_at_start
        || failed_start
        || never_ends
        || shuts_down
}

/// Whether the case has bodies that it wants cut in every way.
pub fn cut_every(job: &Job<'_>) -> bool {
    job.case.steps.iter().any(|step| match &step.kind {
        StepKind::Request(request) => {
            let reply = match &request.upstream {
                Upstream::Reply(reply) => reply.body.as_ref(),
                Upstream::Never(_) | Upstream::Fail(_) => None,
            };
            request.body.iter().chain(reply).any(|body| body.cut == Some(Cut::Every))
        }
        _ => false,
    })
}
