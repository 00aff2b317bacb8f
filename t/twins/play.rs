//! Plays a case: what came in from both ends in memory goes into the served proxy, piece by piece and in the same
//! order, each when the one before has been taken.

use super::origin::{Nobody, Origin};
use super::plan;
use super::player::{Player, Setting};
use super::served::{Answered, Served};
use super::services::{Called, Services};
use super::stage::{self, Ends, Watch};
use super::told;
use pwtest::host::profile::Profile;
use pwtest::proxy::Resolve;
use pwtest::runner::gateway_of;
use pwtest::scenario::{Case, Failure, Reply, Request, Scenario, Step, StepKind, Upstream};
use pwtest::trace::Event;
use pwtest::trace::views::SeenMessage;
use std::sync::Arc;
use std::time::Duration;

/// One case may take so long.
const LIMIT: Duration = Duration::from_secs(15);

/// What both ends saw of the served proxy.
#[derive(Debug, Default)]
pub struct Played {
    /// By request.
    pub flights: Vec<Both>,
    /// Requests that reached the origin.
    pub arrivals: usize,
    /// Where the server listened.
    pub port: u16,
    /// By call.
    pub calls: Vec<Called>,
    /// By call of the admin API.
    pub admin: Vec<Answered>,
    /// A call may have come to another end because the machine was slow.
    pub hurried: bool,
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

/// Plays a case under a host; `events` is what happened in memory.
pub fn play(scenario: &Scenario, case: &Case, profile: &'static Profile, events: &[Event]) -> Result<Played, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    let played = local.block_on(&runtime, async {
        tokio::time::timeout(LIMIT, on_stage(scenario, case, profile, events))
            .await
            .map_err(|_| "it hangs".to_owned())?
    });
    drop(local);
    played
}

async fn on_stage(
    scenario: &Scenario,
    case: &Case,
    profile: &'static Profile,
    events: &[Event],
) -> Result<Played, String> {
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
    let services = Services::start(profile, plan::calls(case, profile, events), events).await?;
    let mut resolve = Resolve::default();
    services.resolve(&mut resolve)?;
    stage::resolve_nodes(events, address, &mut resolve)?;
    let running = stage::start(scenario, profile, address, ends, services.clusters()?, resolve, &watch);
    let running = match (running, events.iter().any(|event| matches!(event, Event::Step(_)))) {
        (Ok(running), true) => running,
        (Ok(_), false) => return Err("it starts, and in memory it does not".to_owned()),
        (Err(error), true) => return Err(error),
        (Err(_), false) => return Ok(Played { events: watch.all(), ..Played::default() }),
    };
    let to = running.listening().first().copied().ok_or("it listens nowhere")?;
    let gateway = gateway_of(scenario).map_err(|error| error.render(false))?;
    let served = match gateway {
        Some(read) if case.steps.iter().any(|step| matches!(step.kind, StepKind::Admin(_))) => {
            Served::steered(running, &read.gateway, stage::modules(profile), profile).await?
        }
        _ => Served::Bare(running),
    };
    told::at_the_start(&served, scenario);
    let setting =
        Setting { events, watch: watch.clone(), server: &served, case, origin, to, protocol: scenario.protocol };
    let mut played = Player::new(setting, services).play(&requests).await?;
    served.stop();
    // Nobody finishes the contexts in memory, unless the scenario says so.
    if matches!(case.steps.last(), Some(Step { kind: StepKind::Shutdown, .. })) {
        played.events = watch.all();
    }
    Ok(played)
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
