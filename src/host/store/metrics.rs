//! Metrics. Ids carry the type in their low bits, as Envoy's do; two definitions of one name are two ids for one
//! stat. Every VM counts its own ids (Envoy 1.40), and what they count is common to all hosts of the process.

use super::Seat;
use crate::abi::{MetricId, MetricType, Status, VmIndex};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Names of metrics, and ids of one VM: a plugin that defines one for each request comes to an end.
const MOST: usize = 1 << 20;

/// The stats of all hosts, by name and type.
#[derive(Debug, Default)]
pub struct Stats(BTreeMap<(Bytes, MetricType), Arc<Stat>>);

/// A metric that all who define it under this name and type have in common.
#[derive(Debug)]
pub struct Stat {
    name: Bytes,
    kind: MetricType,
    /// What it counts; for a histogram the value recorded last.
    value: AtomicU64,
    /// How many values a histogram was given, and their sum.
    recorded: AtomicU64,
    sum: AtomicU64,
}

/// A metric as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The name.
    pub name: Bytes,
    /// The kind.
    pub kind: MetricType,
    /// The value; for a histogram the one recorded last.
    pub value: u64,
    /// How many values were recorded, of a histogram.
    pub recorded: u64,
    /// Their sum.
    pub sum: u64,
}

/// The ids by which the VMs of one host name their metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    vms: BTreeMap<VmIndex, Ids>,
}

/// What one VM has defined.
#[derive(Debug, Default)]
struct Ids {
    metrics: BTreeMap<MetricId, Arc<Stat>>,
    /// Envoy counts the definitions of each type by itself.
    defined: [u32; 3],
}

/// A metric's name and kind with the value it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The name.
    pub name: Bytes,
    /// The kind.
    pub kind: MetricType,
    /// The new value; for a histogram the one recorded.
    pub value: u64,
}

impl Stats {
    /// The stat of this name and type.
    pub fn define(&mut self, kind: MetricType, name: &[u8]) -> Result<Arc<Stat>, Status> {
        let key = (Bytes::copy_from_slice(name), kind);
        if let Some(stat) = self.0.get(&key) {
            return Ok(stat.clone());
        }
        if self.0.len() >= MOST {
            return Err(Status::InternalFailure);
        }
        let [value, recorded, sum] = [const { AtomicU64::new(0) }; 3];
        let stat = Arc::new(Stat { name: key.0.clone(), kind, value, recorded, sum });
        self.0.insert(key, stat.clone());
        Ok(stat)
    }

    /// All of them, by name.
    pub fn samples(&self) -> Vec<Sample> {
        let sample = |stat: &Stat| Sample {
            name: stat.name.clone(),
            kind: stat.kind,
            value: stat.value.load(Relaxed),
            recorded: stat.recorded.load(Relaxed),
            sum: stat.sum.load(Relaxed),
        };
        self.0.values().map(|stat| sample(stat)).collect()
    }
}

impl Stat {
    /// Counter: adds. Gauge: sets. Histogram: records.
    fn record(&self, value: u64) -> Changed {
        let value = match self.kind {
            MetricType::Counter => self.value.fetch_add(value, Relaxed).wrapping_add(value),
            MetricType::Gauge => {
                self.value.store(value, Relaxed);
                value
            }
            MetricType::Histogram => {
                self.value.store(value, Relaxed);
                self.recorded.fetch_add(1, Relaxed);
                self.sum.fetch_add(value, Relaxed);
                value
            }
        };
        self.changed(value)
    }

    /// Counter: only upwards. Gauge: both ways. Histogram: refused.
    fn increment(&self, offset: i64) -> Result<Changed, Status> {
        match self.kind {
            MetricType::Counter if offset <= 0 => return Err(Status::BadArgument),
            MetricType::Histogram => return Err(Status::BadArgument),
            MetricType::Counter | MetricType::Gauge => {}
        }
        // A negative number as it is stored takes away: both add around the end.
        let before = self.value.fetch_add(offset as u64, Relaxed);
        Ok(self.changed(before.wrapping_add_signed(offset)))
    }

    fn changed(&self, value: u64) -> Changed {
        Changed { name: self.name.clone(), kind: self.kind, value }
    }
}

impl Metrics {
    /// Defines a metric; every call gives a new id.
    pub fn define(&mut self, stores: &Seat, vm: VmIndex, kind: MetricType, name: &[u8]) -> Result<MetricId, Status> {
        let ids = self.vms.entry(vm).or_default();
        if ids.metrics.len() >= MOST {
            return Err(Status::InternalFailure);
        }
        let stat = stores.stat(kind, name)?;
        let count = &mut ids.defined[kind as usize];
        *count += 1;
        let id = MetricId(*count * 4 + kind.number());
        ids.metrics.insert(id, stat);
        Ok(id)
    }

    /// A VM is gone: its ids mean nothing any more, the values stay.
    pub fn forget(&mut self, vm: VmIndex) {
        self.vms.remove(&vm);
    }

    /// Counter: adds. Gauge: sets. Histogram: records.
    pub fn record(&self, vm: VmIndex, id: MetricId, value: u64) -> Result<Changed, Status> {
        Ok(self.stat(vm, id).ok_or(Status::NotFound)?.record(value))
    }

    /// Counter: only upwards. Gauge: both ways. Histogram: refused.
    pub fn increment(&self, vm: VmIndex, id: MetricId, offset: i64) -> Result<Changed, Status> {
        // Envoy 1.40 looks at the type in the id first, as it does when the value is asked for.
        self.stat(vm, id).ok_or(missing(id))?.increment(offset)
    }

    /// The value; a histogram has none.
    pub fn get(&self, vm: VmIndex, id: MetricId) -> Result<u64, Status> {
        // Envoy 1.40 looks at the type in the id first: histograms have no value to read.
        let stat = self.stat(vm, id).ok_or(missing(id))?;
        match stat.kind {
            MetricType::Histogram => Err(Status::BadArgument),
            MetricType::Counter | MetricType::Gauge => Ok(stat.value.load(Relaxed)),
        }
    }

    fn stat(&self, vm: VmIndex, id: MetricId) -> Option<&Stat> {
        Some(self.vms.get(&vm)?.metrics.get(&id)?)
    }
}

fn missing(id: MetricId) -> Status {
    if id.0 & 3 >= 2 { Status::BadArgument } else { Status::NotFound }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: VmIndex = VmIndex(0);

    // abi.md 8.6 and 3.9, column Envoy.
    #[test]
    fn counters_add_gauges_set_histograms_have_no_value() {
        let (seat, mut metrics) = (Seat::default(), Metrics::default());
        let counter = metrics.define(&seat, VM, MetricType::Counter, b"c").expect("new");
        metrics.increment(VM, counter, 2).expect("up");
        assert_eq!(metrics.increment(VM, counter, -1), Err(Status::BadArgument));
        assert_eq!(metrics.increment(VM, counter, 0), Err(Status::BadArgument));
        metrics.record(VM, counter, 10).expect("adds");
        assert_eq!(metrics.get(VM, counter), Ok(12));

        let gauge = metrics.define(&seat, VM, MetricType::Gauge, b"g").expect("new");
        metrics.record(VM, gauge, 10).expect("sets");
        let changed = metrics.increment(VM, gauge, -3).expect("down");
        assert_eq!(changed.value, 7);
        assert_eq!(metrics.get(VM, gauge), Ok(7));

        let histogram = metrics.define(&seat, VM, MetricType::Histogram, b"h").expect("new");
        assert!(metrics.record(VM, histogram, 5).is_ok());
        assert_eq!(metrics.get(VM, histogram), Err(Status::BadArgument));
        assert_eq!(metrics.increment(VM, histogram, 1), Err(Status::BadArgument));
        assert_eq!(metrics.get(VM, MetricId(12345)), Err(Status::NotFound));
    }

    #[test]
    fn one_name_is_one_stat() {
        let (seat, mut metrics) = (Seat::default(), Metrics::default());
        let mut define = |kind| metrics.define(&seat, VM, kind, b"c").expect("new");
        let (a, b, other) = (define(MetricType::Counter), define(MetricType::Counter), define(MetricType::Gauge));
        assert_ne!(a, b);
        metrics.increment(VM, a, 1).expect("up");
        assert_eq!(metrics.get(VM, b), Ok(1));
        assert_eq!(metrics.get(VM, other), Ok(0));
    }

    // Envoy 1.40.
    #[test]
    fn ids_belong_to_a_vm_and_stats_do_not() {
        let (seat, mut metrics) = (Seat::default(), Metrics::default());
        let first = metrics.define(&seat, VM, MetricType::Counter, b"c").expect("new");
        assert_eq!(metrics.define(&seat, VmIndex(1), MetricType::Counter, b"c"), Ok(first));
        metrics.increment(VM, first, 1).expect("up");
        assert_eq!(metrics.get(VmIndex(1), first), Ok(1));
        metrics.forget(VM);
        assert_eq!(metrics.get(VM, first), Err(Status::NotFound));
        assert_eq!(metrics.get(VmIndex(1), first), Ok(1));
    }
}
