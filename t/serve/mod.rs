//! The proxy on sockets: a server in this process, an origin and clients that read and write raw bytes.

mod calls;
mod ends;
mod flow;

use libtest_mimic::Trial;

/// The trials.
pub fn trials() -> Vec<Trial> {
    let mut trials = flow::trials();
    trials.extend(calls::trials());
    trials
}
