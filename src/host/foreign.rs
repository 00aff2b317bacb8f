//! Calls that the host makes of a plugin's own functions.

use super::Host;
use crate::abi::{Callback, PluginIndex};
use bytes::Bytes;

impl Host {
    /// Calls a foreign function of a plugin, in its root context.
    pub fn foreign_function(&mut self, plugin: PluginIndex, function_id: u32, arguments: Bytes) {
        let Some(entry) = self.plugins.get(plugin.0) else { return };
        let (vm, Some(root)) = (entry.vm, entry.root) else { return };
        let size = arguments.len() as u32;
        self.world.foreign_arguments = Some(arguments);
        self.call(vm, plugin, Callback::OnForeignFunction, root, &[function_id, size]);
        self.world.foreign_arguments = None;
        self.settle();
        self.run_posted();
    }
}
