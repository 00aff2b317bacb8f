//! The proxy on sockets: a server in this process, an origin and clients that read and write raw bytes.

mod breaks;
mod calls;
mod ends;
mod flow;
mod gateway;
mod h2c;
mod soak;
mod upstreams;
mod wire;

use libtest_mimic::{Failed, Trial};

type Test = fn() -> Result<(), Failed>;

fn named(tests: &[(&str, Test)]) -> Vec<Trial> {
    tests.iter().map(|(name, test)| Trial::test(format!("serve: {name}"), *test)).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(actual: T, expected: T) -> Result<(), Failed> {
    if actual == expected { Ok(()) } else { Err(format!("expected {expected:?}\n     got {actual:?}").into()) }
}

fn holds(what: bool, words: &str) -> Result<(), Failed> {
    if what { Ok(()) } else { Err(words.into()) }
}

/// The trials.
pub fn trials() -> Vec<Trial> {
    [
        flow::trials(),
        calls::trials(),
        wire::trials(),
        upstreams::trials(),
        h2c::trials(),
        gateway::trials(),
        soak::trials(),
        breaks::trials(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
