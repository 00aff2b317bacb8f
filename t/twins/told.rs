//! What no request and no configuration can say, and a scenario does: it is told to the host of the served proxy, as the
//! runner tells it to the one in memory.

use super::served::Served;
use bytes::Bytes;
use pwtest::abi::PluginIndex;
use pwtest::host::Host;
use pwtest::host::store::properties::Property;
use pwtest::scenario::{Scenario, StepKind};

/// What the host knows beside what it sees.
pub fn at_the_start(server: &Served, scenario: &Scenario) {
    if scenario.properties.is_empty() && scenario.foreign.is_empty() {
        return;
    }
    let properties: Vec<_> =
        scenario.properties.iter().map(|(path, value)| (path.value.clone(), Property::from(value))).collect();
    let foreign: Vec<_> =
        scenario.foreign.iter().map(|(name, answer)| (Bytes::from(name.value.clone()), answer.clone())).collect();
    server.act(move |host| {
        let world = host.world_mut();
        world.properties = properties.iter().cloned().collect();
        world.foreign = foreign.iter().cloned().collect();
    });
}

/// What a step tells the host.
pub fn at_a_step(server: &Served, step: &StepKind, last: bool) {
    match step {
        StepKind::Reconfigure { plugin, config } => {
            let (plugin, config) = (PluginIndex(*plugin), config.clone());
            server.act(move |host| {
                // A configuration that is refused leaves the old one, here and there.
                let _ = host.reconfigure(plugin, config.clone());
            });
        }
        StepKind::ForeignFunction { plugin, function_id, arguments } => {
            let (plugin, id, arguments) = (PluginIndex(*plugin), *function_id, arguments.clone());
            server.act(move |host| host.foreign_function(plugin, id, arguments.clone()));
        }
        // At the end the server is stopped.
        StepKind::Shutdown if !last => server.act(Host::shutdown),
        StepKind::Shutdown
        | StepKind::Request(_)
        | StepKind::Concurrent(_)
        | StepKind::Connect(_)
        | StepKind::Advance(_)
        | StepKind::Admin(_) => {}
    }
}

/// Time has passed.
pub fn the_time(server: &Served, to: u64) {
    server.act(move |host| host.world_mut().clock.advance_to(to));
}

/// The timer that is due first.
pub fn to_tick(server: &Served) {
    server.act(|host| {
        host.fire_tick();
    });
}
