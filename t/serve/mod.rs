//! The proxy on sockets: a server in this process, an origin and clients that read and write raw bytes.

mod ends;
mod flow;

use libtest_mimic::Trial;

/// The trials.
pub fn trials() -> Vec<Trial> {
    flow::trials()
}
