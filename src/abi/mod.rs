//! Pure facts of the Proxy-Wasm ABI: versions, enums, callbacks, ids and the two codecs.
//!
//! Nothing here knows a host, an engine or a scenario; every number comes from the specification
//! (abi-versions v0.1.0, v0.2.0, v0.2.1) and can be checked against it line by line.

mod callback;
mod enums;
mod ids;
pub mod pairs;
pub mod property_path;
mod version;

pub use callback::{ALL as ALL_CALLBACKS, Callback, CallbackKind, Returns};
pub use enums::{Action, BufferType, LogLevel, MapType, MetricType, PeerType, Status, StreamType};
pub use ids::{CallId, ContextId, ExchangeId, MetricId, PluginIndex, QueueId, VmIndex};
pub use version::AbiVersion;
