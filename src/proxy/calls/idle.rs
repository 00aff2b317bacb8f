//! Connections of HTTP calls that wait for the next call to the same address.

use super::clusters::Address;
use super::http::Once;
use hyper::client::conn::http1::SendRequest;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// So many wait for one address.
const MOST: usize = 32;
/// So long; the resty client's default.
const IDLE: Duration = Duration::from_secs(60);

/// Connections to one address, and since when they wait.
type Waiting = Vec<(SendRequest<Once>, Instant)>;

/// The connections of one host.
#[derive(Debug, Default)]
pub(super) struct Idle(RefCell<BTreeMap<Address, Waiting>>);

impl Idle {
    /// One that is still open; the one that was used last is the likeliest to be.
    pub(super) fn take(&self, address: &Address) -> Option<SendRequest<Once>> {
        let mut all = self.0.borrow_mut();
        let waiting = all.get_mut(address)?;
        while let Some((sender, since)) = waiting.pop() {
            if sender.is_ready() && since.elapsed() < IDLE {
                return Some(sender);
            }
        }
        all.remove(address);
        None
    }

    /// Keeps one.
    pub(super) fn keep(&self, address: Address, sender: SendRequest<Once>) {
        let mut all = self.0.borrow_mut();
        // Nothing else looks at addresses that are not called any more.
        all.retain(|_, waiting| {
            waiting.retain(|(sender, since)| sender.is_ready() && since.elapsed() < IDLE);
            !waiting.is_empty()
        });
        let waiting = all.entry(address).or_default();
        if waiting.len() < MOST {
            waiting.push((sender, Instant::now()));
        }
    }
}
