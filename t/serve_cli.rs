//! `pwtest serve` as its users meet it: what it refuses, the tutorial, reloads, the state file, how it stops, and
//! what it writes.

mod arguments;
mod clusters;
mod logs;
mod record;
mod reload;
mod resolve;
pub mod support;
mod told;
mod tutorial;

use libtest_mimic::{Failed, Trial};

type Test = fn() -> Result<(), String>;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let tests: &[(&str, Test)] = &[
        ("serve: what it refuses, and how it says so", arguments::refusals),
        ("serve: an address that is taken", arguments::taken),
        ("serve: where it listens", arguments::listens),
        ("serve: a cluster of the command line is called", clusters::given),
        ("serve: a cluster of the document is called", clusters::configured),
        ("serve: names that the command line resolves", resolve::names),
        ("serve: the tutorial", tutorial::walk),
        ("serve: the admin API is not for web pages", tutorial::pages),
        ("serve: routes survive a kill", tutorial::state),
        ("serve: routes whose time is over", tutorial::expiry),
        ("serve: a state file that is none", tutorial::broken_state),
        ("serve: a new module without a lost request", reload::module),
        ("serve: what does not load changes nothing", reload::broken),
        ("serve: SIGHUP reads everything anew", reload::hang_up),
        ("serve: the admin API reloads plugins", reload::asked),
        ("serve: requests under way end before it stops", reload::drains),
        ("serve: a second signal is enough", reload::at_once),
        ("serve: logs in JSON, in files, and opened anew", logs::files),
        ("serve: a trap is in the log with its place", logs::trap),
        ("serve: nothing passes without a plugin that does not start", logs::unstarted),
        ("serve: a plugin does not get all memory there is", logs::memory),
        ("serve: traces and numbers", logs::traces),
        ("serve: what is told at the start", told::at_the_start),
        ("serve: a plugin without a configuration", told::without_configuration),
        ("serve: the error log of a whole config.yaml", told::the_default_log),
        ("serve: a plugin that is gone is missed", told::a_plugin_that_is_gone),
        ("serve: a reload forgets nothing", told::what_would_be_forgotten),
        ("serve: keys that come and go", told::keys_that_come_and_go),
        ("serve: a name that leads nowhere", told::a_name_that_leads_nowhere),
        ("serve: JSON and nothing else", told::nothing_but_json),
        ("serve: record: what passed is played, and nobody reads what is masked", record::masked),
        ("serve: record: nothing is masked where nobody wants it", record::unmasked),
        ("serve: record: bodies", record::bodies),
        ("serve: record: calls of plugins", record::calls),
        ("serve: record: what plugins keep from one request to the next", record::state),
        ("serve: record: a gateway", record::gateway),
        ("serve: record: a kill leaves files that can be played", record::killed),
        ("serve: record: what it refuses", record::refused),
    ];
    let trial = |(name, test): &(&str, Test)| {
        let test = *test;
        Trial::test(*name, move || test().map_err(Failed::from))
    };
    tests.iter().map(trial).collect()
}
