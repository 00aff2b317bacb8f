//! Newtypes for the numbers that go between host and guest, so that they can't be mixed up.

use std::fmt;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($repr:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A context as the guest knows it: one counter for each VM, from 1; 0 is the VM itself.
    ContextId(u32);
    /// A shared queue, from 1.
    QueueId(u32);
    /// A metric.
    MetricId(u32);
    /// An HTTP or gRPC call, the token that the guest gets back in the callback.
    CallId(u32);
    /// One request with its response, as the host counts them, from 1. Guests never see it.
    ExchangeId(u32);
    /// The place of a plugin in the scenario's chain, from 0. Guests never see it.
    PluginIndex(usize);
    /// The place of a VM in the host, from 0. Guests never see it.
    VmIndex(usize);
}
