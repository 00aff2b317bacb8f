//! Metrics. Ids carry the type in their low bits, as Envoy's do; two definitions of one name are two ids for one
//! stat.

use crate::abi::{MetricId, MetricType, Status};
use bytes::Bytes;
use std::collections::BTreeMap;

/// All metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    ids: BTreeMap<MetricId, (MetricType, Bytes)>,
    values: BTreeMap<(Bytes, MetricType), u64>,
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
    pub fn define(&mut self, kind: MetricType, name: &[u8]) -> MetricId {
        let count = &mut self.defined[kind as usize];
        *count += 1;
        let id = MetricId(*count * 4 + kind.number());
        let name = Bytes::copy_from_slice(name);
        self.values.entry((name.clone(), kind)).or_insert(0);
        self.ids.insert(id, (kind, name));
        id
    }

    /// Counter: adds. Gauge: sets. Histogram: records.
    pub fn record(&mut self, id: MetricId, value: u64) -> Result<Changed, Status> {
        self.change(id, |kind, old| {
            Ok(match kind {
                MetricType::Counter => old.wrapping_add(value),
                MetricType::Gauge | MetricType::Histogram => value,
            })
        })
    }

    /// Counter: only upwards. Gauge: both ways. Histogram: refused.
    pub fn increment(&mut self, id: MetricId, offset: i64) -> Result<Changed, Status> {
        self.change(id, |kind, old| match kind {
            MetricType::Counter if offset > 0 => Ok(old.wrapping_add(offset as u64)),
            MetricType::Gauge => Ok(old.wrapping_add_signed(offset)),
            MetricType::Counter | MetricType::Histogram => Err(Status::BadArgument),
        })
    }

    /// The value; a histogram has none.
    pub fn get(&self, id: MetricId) -> Result<u64, Status> {
        let Some(metric) = self.ids.get(&id) else {
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
        id: MetricId,
        apply: impl FnOnce(MetricType, u64) -> Result<u64, Status>,
    ) -> Result<Changed, Status> {
        let (kind, name) = self.ids.get(&id).ok_or(Status::NotFound)?;
        let old = self.values.entry((name.clone(), *kind)).or_insert(0);
        *old = apply(*kind, *old)?;
        Ok(Changed { name: name.clone(), kind: *kind, value: *old })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // abi.md 8.6 and 3.9, column Envoy.
    #[test]
    fn counters_add_gauges_set_histograms_have_no_value() {
        let mut metrics = Metrics::default();
        let counter = metrics.define(MetricType::Counter, b"c");
        metrics.increment(counter, 2).expect("up");
        assert_eq!(metrics.increment(counter, -1), Err(Status::BadArgument));
        assert_eq!(metrics.increment(counter, 0), Err(Status::BadArgument));
        metrics.record(counter, 10).expect("adds");
        assert_eq!(metrics.get(counter), Ok(12));

        let gauge = metrics.define(MetricType::Gauge, b"g");
        metrics.record(gauge, 10).expect("sets");
        metrics.increment(gauge, -3).expect("down");
        assert_eq!(metrics.get(gauge), Ok(7));

        let histogram = metrics.define(MetricType::Histogram, b"h");
        assert!(metrics.record(histogram, 5).is_ok());
        assert_eq!(metrics.get(histogram), Err(Status::BadArgument));
        assert_eq!(metrics.increment(histogram, 1), Err(Status::BadArgument));
        assert_eq!(metrics.get(MetricId(12345)), Err(Status::NotFound));
    }

    #[test]
    fn one_name_is_one_stat() {
        let mut metrics = Metrics::default();
        let (a, b) = (metrics.define(MetricType::Counter, b"c"), metrics.define(MetricType::Counter, b"c"));
        assert_ne!(a, b);
        metrics.increment(a, 1).expect("up");
        assert_eq!(metrics.get(b), Ok(1));
    }
}
