//! Metrics. Ids carry the type in their low bits, as Envoy's do; two definitions of one name are two ids for one
//! stat. Every VM counts its own ids (Envoy 1.40), and what they count is common to all.

use crate::abi::{MetricId, MetricType, Status, VmIndex};
use bytes::Bytes;
use std::collections::BTreeMap;

/// All metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    vms: BTreeMap<VmIndex, Ids>,
    values: BTreeMap<(Bytes, MetricType), u64>,
}

/// What one VM has defined.
#[derive(Debug, Default)]
struct Ids {
    metrics: BTreeMap<MetricId, (MetricType, Bytes)>,
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

impl Metrics {
    /// Defines a metric; every call gives a new id.
    pub fn define(&mut self, vm: VmIndex, kind: MetricType, name: &[u8]) -> MetricId {
        let ids = self.vms.entry(vm).or_default();
        let count = &mut ids.defined[kind as usize];
        *count += 1;
        let id = MetricId(*count * 4 + kind.number());
        let name = Bytes::copy_from_slice(name);
        self.values.entry((name.clone(), kind)).or_insert(0);
        ids.metrics.insert(id, (kind, name));
        id
    }

    /// A VM is gone: its ids mean nothing any more, the values stay.
    pub fn forget(&mut self, vm: VmIndex) {
        self.vms.remove(&vm);
    }

    /// Counter: adds. Gauge: sets. Histogram: records.
    pub fn record(&mut self, vm: VmIndex, id: MetricId, value: u64) -> Result<Changed, Status> {
        self.change(vm, id, |kind, old| {
            Ok(match kind {
                MetricType::Counter => old.wrapping_add(value),
                MetricType::Gauge | MetricType::Histogram => value,
            })
        })
    }

    /// Counter: only upwards. Gauge: both ways. Histogram: refused.
    pub fn increment(&mut self, vm: VmIndex, id: MetricId, offset: i64) -> Result<Changed, Status> {
        if id.0 & 3 >= 2 && self.vms.get(&vm).is_none_or(|ids| !ids.metrics.contains_key(&id)) {
            // Envoy 1.40 looks at the type in the id first, as it does when the value is asked for.
            return Err(Status::BadArgument);
        }
        self.change(vm, id, |kind, old| match kind {
            MetricType::Counter if offset > 0 => Ok(old.wrapping_add(offset as u64)),
            MetricType::Gauge => Ok(old.wrapping_add_signed(offset)),
            MetricType::Counter | MetricType::Histogram => Err(Status::BadArgument),
        })
    }

    /// The value; a histogram has none.
    pub fn get(&self, vm: VmIndex, id: MetricId) -> Result<u64, Status> {
        let Some(metric) = self.vms.get(&vm).and_then(|ids| ids.metrics.get(&id)) else {
            // Envoy 1.40 looks at the type in the id first: histograms have no value to read.
            return Err(if id.0 & 3 >= 2 { Status::BadArgument } else { Status::NotFound });
        };
        match metric {
            (MetricType::Histogram, _) => Err(Status::BadArgument),
            (kind, name) => Ok(self.values.get(&(name.clone(), *kind)).copied().unwrap_or(0)),
        }
    }

    fn change(
        &mut self,
        vm: VmIndex,
        id: MetricId,
        apply: impl FnOnce(MetricType, u64) -> Result<u64, Status>,
    ) -> Result<Changed, Status> {
        let (kind, name) = self.vms.get(&vm).and_then(|ids| ids.metrics.get(&id)).ok_or(Status::NotFound)?;
        let old = self.values.entry((name.clone(), *kind)).or_insert(0);
        *old = apply(*kind, *old)?;
        Ok(Changed { name: name.clone(), kind: *kind, value: *old })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: VmIndex = VmIndex(0);

    // abi.md 8.6 and 3.9, column Envoy.
    #[test]
    fn counters_add_gauges_set_histograms_have_no_value() {
        let mut metrics = Metrics::default();
        let counter = metrics.define(VM, MetricType::Counter, b"c");
        metrics.increment(VM, counter, 2).expect("up");
        assert_eq!(metrics.increment(VM, counter, -1), Err(Status::BadArgument));
        assert_eq!(metrics.increment(VM, counter, 0), Err(Status::BadArgument));
        metrics.record(VM, counter, 10).expect("adds");
        assert_eq!(metrics.get(VM, counter), Ok(12));

        let gauge = metrics.define(VM, MetricType::Gauge, b"g");
        metrics.record(VM, gauge, 10).expect("sets");
        metrics.increment(VM, gauge, -3).expect("down");
        assert_eq!(metrics.get(VM, gauge), Ok(7));

        let histogram = metrics.define(VM, MetricType::Histogram, b"h");
        assert!(metrics.record(VM, histogram, 5).is_ok());
        assert_eq!(metrics.get(VM, histogram), Err(Status::BadArgument));
        assert_eq!(metrics.increment(VM, histogram, 1), Err(Status::BadArgument));
        assert_eq!(metrics.get(VM, MetricId(12345)), Err(Status::NotFound));
    }

    #[test]
    fn one_name_is_one_stat() {
        let mut metrics = Metrics::default();
        let (a, b) = (metrics.define(VM, MetricType::Counter, b"c"), metrics.define(VM, MetricType::Counter, b"c"));
        assert_ne!(a, b);
        metrics.increment(VM, a, 1).expect("up");
        assert_eq!(metrics.get(VM, b), Ok(1));
    }

    // Envoy 1.40.
    #[test]
    fn ids_belong_to_a_vm_and_stats_do_not() {
        let mut metrics = Metrics::default();
        let first = metrics.define(VM, MetricType::Counter, b"c");
        assert_eq!(metrics.define(VmIndex(1), MetricType::Counter, b"c"), first);
        metrics.increment(VM, first, 1).expect("up");
        assert_eq!(metrics.get(VmIndex(1), first), Ok(1));
        metrics.forget(VM);
        assert_eq!(metrics.get(VM, first), Err(Status::NotFound));
        assert_eq!(metrics.get(VmIndex(1), first), Ok(1));
    }
}
