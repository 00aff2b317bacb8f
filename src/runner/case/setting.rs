//! What a scenario says of its host, in the host's terms: limits, traps, properties.

use crate::host::TrapPolicy;
use crate::host::limits::{Limits, Work};
use crate::host::profile::Profile;
use crate::host::store::properties::Property;
use crate::scenario::{PropertyValue, Scenario, TrapRequest, TrapVm};
use bytes::Bytes;

pub(super) fn limits(scenario: &Scenario) -> Limits {
    let default = Limits::default();
    let fuel = scenario.limits.fuel.map(Work::Fuel);
    Limits {
        callback: fuel.unwrap_or(default.callback),
        start: fuel.unwrap_or(default.start),
        memory: scenario.limits.memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

pub(super) fn policy(scenario: &Scenario, profile: &Profile) -> TrapPolicy {
    TrapPolicy {
        fail_request: match scenario.on_trap.request {
            Some(TrapRequest::FailClosed) => true,
            Some(TrapRequest::FailOpen) => false,
            None => profile.trap_fails_request,
        },
        rebuild: match scenario.on_trap.vm {
            Some(TrapVm::Rebuild) => true,
            Some(TrapVm::Keep) => false,
            None => profile.trap_rebuilds_vm,
        },
    }
}

pub(super) fn property(value: &PropertyValue) -> Property {
    match value {
        PropertyValue::Absent => Property::Absent,
        PropertyValue::Bytes(bytes) => Property::Bytes(bytes.clone()),
        PropertyValue::Int(number) => Property::Int(*number),
        PropertyValue::Bool(truth) => Property::Bool(*truth),
        PropertyValue::Map(entries) => {
            Property::Map(entries.iter().map(|(k, v)| (Bytes::from(k.clone()), property(v))).collect())
        }
        PropertyValue::List(items) => Property::List(items.iter().map(property).collect()),
    }
}
