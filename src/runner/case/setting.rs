//! What a scenario says of its host, in the host's terms: limits, traps, properties.

use crate::gateway::document::Gateway;
use crate::host::limits::{Limits, Work};
use crate::host::plugin::LoadedPlugin;
use crate::host::profile::Profile;
use crate::host::store::properties::Property;
use crate::host::{PluginConfig, Rebuild, TrapPolicy};
use crate::scenario::{PluginSpec, PropertyValue, Scenario, TrapRequest, TrapVm};
use bytes::Bytes;
use std::sync::Arc;

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
            Some(TrapVm::Rebuild) => Rebuild::ForNextRequest,
            Some(TrapVm::Keep) => Rebuild::Never,
            None => profile.trap_rebuilds_vm,
        },
    }
}

impl From<&PropertyValue> for Property {
    fn from(value: &PropertyValue) -> Self {
        match value {
            PropertyValue::Absent => Self::Absent,
            PropertyValue::Bytes(bytes) => Self::Bytes(bytes.clone()),
            PropertyValue::Int(number) => Self::Int(*number),
            PropertyValue::Bool(truth) => Self::Bool(*truth),
            PropertyValue::Map(entries) => {
                Self::Map(entries.iter().map(|(k, v)| (Bytes::from(k.clone()), v.into())).collect())
            }
            PropertyValue::List(items) => Self::List(items.iter().map(Self::from).collect()),
        }
    }
}

/// The plugins of a chain, as the host is given them.
pub(super) fn of_chain(scenario: &Scenario, modules: &[Arc<LoadedPlugin>]) -> Vec<PluginConfig> {
    scenario.plugins.iter().zip(modules).map(|(spec, code)| plugin_config(spec, code.clone())).collect()
}

/// A plugin of a scenario's chain, as a host is given it.
pub fn plugin_config(spec: &PluginSpec, code: Arc<LoadedPlugin>) -> PluginConfig {
    PluginConfig {
        root_id: spec.root_id.clone(),
        config: spec.config.clone(),
        configured: spec.configured,
        vm_config: spec.vm_config.clone(),
        holds_only_headers: spec.allow_on_headers_stop_iteration,
        environment: spec.env.iter().map(|(k, v)| Bytes::from(format!("{k}={v}"))).collect(),
        ..PluginConfig::new(spec.name.as_str(), code)
    }
}

/// The plugins of a gateway, as the host is given them.
pub(super) fn of_gateway(gateway: &Gateway, modules: &[Arc<LoadedPlugin>]) -> Vec<PluginConfig> {
    let entries = gateway.resources.plugins().iter().zip(modules);
    entries.map(|(plugin, code)| PluginConfig::gateway_entry(&plugin.name, code.clone())).collect()
}
