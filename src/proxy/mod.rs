//! The proxy: the host core behind sockets.
//!
//! A second driver beside the runner, and like it one that decides nothing about plugins. It owns sockets, time and
//! the shape of bytes on the wire; what becomes of a message is the host's business. Only here are tokio and hyper.

pub mod access_log;
pub mod calls;
pub mod journal;
pub mod log;
pub mod metrics;
mod observer;
pub mod reload;
mod server;
mod settings;
pub mod state;
pub mod traces;

pub use calls::{Address, Calls, Came, ClusterError, Clusters};
pub use observer::{About, Access, Broken, LogLine, Observer, Try, Unobserved, WorkerFailure};
pub use server::{Running, ServeError, Server};
pub use settings::{Bounds, Generation, Serves, Settings, Timeouts};
