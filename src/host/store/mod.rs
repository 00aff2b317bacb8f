//! What outlives one VM: shared data, queues, metrics, and the properties that a host knows.
//!
//! [`Stores`] is what the hosts of one process have in common: a proxy has a host for each worker thread, and after
//! a reload the old ones for a while beside the new. A scenario's host has stores of its own. Each is behind a lock
//! that is held for one look or one change, never while a guest runs, so a compare-and-swap holds across threads.
//!
//! A real host lets plugins fill the process's memory. Here each store is bounded, and what goes past the bound
//! fails with `InternalFailure`, so that one plugin can't take the others down.

pub mod metrics;
pub mod properties;
pub mod queues;
pub mod shared_data;

use crate::abi::{ContextId, MetricType, QueueId, Status, VmIndex};
use bytes::Bytes;
use metrics::{Sample, Stat, Stats};
use queues::{Owner, Queues};
use shared_data::SharedData;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes that shared data may take, and queues beside it.
const MOST_BYTES: usize = 256 << 20;
/// What an entry takes beside its own bytes, as a guess that is rather too high.
const ENTRY: usize = 128;

/// One host among those that share stores: a worker thread's, of one generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// What hosts share. A clone is the same stores.
#[derive(Debug, Clone, Default)]
pub struct Stores(Arc<All>);

#[derive(Debug, Default)]
struct All {
    shared_data: Mutex<SharedData>,
    queues: Mutex<Queues>,
    stats: Mutex<Stats>,
    hosts: Mutex<Hosts>,
}

/// Which hosts there are.
#[derive(Debug, Default)]
struct Hosts {
    alive: BTreeSet<HostId>,
    last: u32,
}

/// A host's place at its stores; the queues that it owns are told to nobody once it is dropped.
#[derive(Debug)]
pub struct Seat {
    stores: Stores,
    host: HostId,
}

impl Stores {
    /// A place for one more host.
    pub fn seat(&self) -> Seat {
        let mut hosts = lock(&self.0.hosts);
        hosts.last = hosts.last.wrapping_add(1);
        let host = HostId(hosts.last);
        hosts.alive.insert(host);
        drop(hosts);
        Seat { stores: self.clone(), host }
    }

    /// Every metric of every plugin, by name.
    pub fn samples(&self) -> Vec<Sample> {
        lock(&self.0.stats).samples()
    }
}

impl Default for Seat {
    fn default() -> Self {
        Stores::default().seat()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.stores.0.hosts).alive.remove(&self.host);
        lock(&self.stores.0.queues).forget(|owner| owner.host == self.host);
    }
}

impl Seat {
    /// Which host sits here.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// The stores themselves.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// A value of the shared data and its CAS number.
    pub fn shared_data(&self, key: &[u8]) -> Option<(Bytes, u32)> {
        lock(&self.stores.0.shared_data).get(key)
    }

    /// Writes to the shared data; gives the new CAS number.
    pub fn set_shared_data(&self, key: &[u8], value: &[u8], cas: u32) -> Result<u32, Status> {
        lock(&self.stores.0.shared_data).set(key, value, cas)
    }

    /// The queue of this name, which a root context of this host now owns.
    pub fn register_queue(&self, vm_id: &[u8], name: &[u8], vm: VmIndex, root: ContextId) -> Result<QueueId, Status> {
        lock(&self.stores.0.queues).register(vm_id, name, Owner { host: self.host, vm, root })
    }

    /// The queue of this name, if it has been registered.
    pub fn resolve_queue(&self, vm_id: &[u8], name: &[u8]) -> Option<QueueId> {
        lock(&self.stores.0.queues).resolve(vm_id, name)
    }

    /// Appends a message; gives the owner to tell, if there still is one.
    pub fn enqueue(&self, id: QueueId, message: &[u8]) -> Result<Option<Owner>, Status> {
        lock(&self.stores.0.queues).enqueue(id, message)
    }

    /// Takes the oldest message.
    pub fn dequeue(&self, id: QueueId) -> Result<Bytes, Status> {
        lock(&self.stores.0.queues).dequeue(id)
    }

    /// The metric of this name and type.
    pub fn stat(&self, kind: MetricType, name: &[u8]) -> Result<Arc<Stat>, Status> {
        lock(&self.stores.0.stats).define(kind, name)
    }

    /// A VM is gone, so nobody is told of its queues' messages until they are registered anew.
    pub fn forget_vm(&self, vm: VmIndex) {
        lock(&self.stores.0.queues).forget(|owner| owner.host == self.host && owner.vm == vm);
    }

    /// The host died as a whole and begins anew. Where it was alone nothing is left of what its plugins had kept;
    /// what other hosts still work with stays.
    pub fn begin_anew(&self) {
        let alone = lock(&self.stores.0.hosts).alive.len() <= 1;
        if !alone {
            return lock(&self.stores.0.queues).forget(|owner| owner.host == self.host);
        }
        *lock(&self.stores.0.shared_data) = SharedData::default();
        *lock(&self.stores.0.queues) = Queues::default();
        *lock(&self.stores.0.stats) = Stats::default();
    }
}

/// What a thread left behind that broke off in the middle is whole: nothing in here can panic half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
