//! Connections to upstreams that wait for their next request.

use super::wire::Wire;
use crate::gateway::model::KeepalivePool;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Where a connection goes to.
pub(super) type Address = (Arc<str>, u16);

/// How often connections that have waited too long are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// A connection that can serve another request.
#[derive(Debug)]
pub(super) struct Idle {
    pub wire: Wire,
    /// Whom it goes to.
    pub peer: SocketAddr,
    /// Requests that it has served.
    pub served: u32,
}

#[derive(Debug)]
struct Waiting {
    idle: Idle,
    until: Instant,
}

/// The idle connections of one worker. The one that was used last is used first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    waiting: RefCell<BTreeMap<Address, Vec<Waiting>>>,
    sweeps: Cell<bool>,
}

impl Pool {
    /// A connection that is still there.
    pub(super) fn take(&self, address: &Address) -> Option<Idle> {
        let mut waiting = self.waiting.borrow_mut();
        let list = waiting.get_mut(address)?;
        while let Some(Waiting { idle, .. }) = list.pop() {
            if idle.wire.is_quiet() {
                return Some(idle);
            }
        }
        None
    }

    /// Keeps a connection, within the bounds of its upstream.
    pub(super) fn keep(self: &Rc<Self>, address: Address, idle: Idle, bounds: &KeepalivePool, now: Instant) {
        if idle.served >= bounds.requests || bounds.size == 0 || !idle.wire.input.is_empty() {
            return;
        }
        let until = now + Duration::from_millis(bounds.idle_timeout_ms.min(1 << 40));
        {
            let mut waiting = self.waiting.borrow_mut();
            let list = waiting.entry(address).or_default();
            if list.len() >= bounds.size as usize {
                // The one that has waited longest goes.
                list.remove(0);
            }
            list.push(Waiting { idle, until });
        }
        if !self.sweeps.replace(true) {
            let pool = Rc::downgrade(self);
            tokio::task::spawn_local(async move {
                loop {
                    sleep(SWEEP).await;
                    match pool.upgrade() {
                        Some(pool) if pool.sweep() => {}
                        _ => return,
                    }
                }
            });
        }
    }

    /// Drops what has waited too long or has been closed; says whether there is something left to watch.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut waiting = self.waiting.borrow_mut();
        for list in waiting.values_mut() {
            list.retain(|waiting| waiting.until > now && waiting.idle.wire.is_quiet());
        }
        waiting.retain(|_, list| !list.is_empty());
        self.sweeps.set(!waiting.is_empty());
        !waiting.is_empty()
    }

    /// Drops everything.
    pub(super) fn clear(&self) {
        self.waiting.borrow_mut().clear();
    }
}
