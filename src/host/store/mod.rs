//! What outlives one VM: shared data, queues, metrics, and the properties that a host knows.

pub mod metrics;
pub mod properties;
pub mod queues;
pub mod shared_data;
