//! Metrics of plugins.

use super::row::{Cx, Late, hostcall_rows};
use crate::abi::{MetricId, MetricType, Status};
use crate::host::store::metrics::Changed;
use crate::trace::Effect;
use bytes::Bytes;

hostcall_rows! {
    /// Defines a metric.
    proxy_define_metric [V0_1_0 V0_2_0 V0_2_1] { word metric_type: Late<MetricType>, slice name } -> { word metric_id } = define;
    /// Sets, adds or records a value, by the kind of metric.
    proxy_record_metric [V0_1_0 V0_2_0 V0_2_1] { word metric_id: MetricId, long value: u64 } -> {} = record;
    /// Adds to a value.
    proxy_increment_metric [V0_1_0 V0_2_0 V0_2_1] { word metric_id: MetricId, long offset: i64 } -> {} = increment;
    /// Reads a value.
    proxy_get_metric [V0_1_0 V0_2_0 V0_2_1] { word metric_id: MetricId } -> { long value } = get;
}

/// Envoy 1.40: a name outside the memory comes before a type that does not exist.
fn define(cx: &mut Cx, kind: Late<MetricType>, name: &[u8]) -> Result<u32, Status> {
    let kind = kind.0.map_err(|_| Status::BadArgument)?;
    let world = &mut cx.state.world;
    let id = world.metrics.define(&world.stores, cx.state.vm, kind, name)?;
    cx.effect(|| Effect::MetricDefined { id, kind, name: Bytes::copy_from_slice(name) });
    Ok(id.0)
}

fn record(cx: &mut Cx, id: MetricId, value: u64) -> Result<(), Status> {
    let changed = cx.state.world.metrics.record(cx.state.vm, id, value)?;
    note(cx, changed);
    Ok(())
}

fn increment(cx: &mut Cx, id: MetricId, offset: i64) -> Result<(), Status> {
    let changed = cx.state.world.metrics.increment(cx.state.vm, id, offset)?;
    note(cx, changed);
    Ok(())
}

fn get(cx: &mut Cx, id: MetricId) -> Result<u64, Status> {
    cx.state.world.metrics.get(cx.state.vm, id)
}

fn note(cx: &mut Cx, Changed { name, kind, value }: Changed) {
    cx.effect(|| Effect::MetricChanged { name, kind, value });
}
