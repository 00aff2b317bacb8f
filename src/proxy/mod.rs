//! The proxy: the host core behind sockets.
//!
//! A second driver beside the runner, and like it one that decides nothing about plugins. It owns sockets, time and
//! the shape of bytes on the wire; what becomes of a message is the host's business. Only here are tokio and hyper.
//!
//! ```text
//!   Server: threads, reload, stop
//!     Worker: one thread, one runtime, sockets, a pool of upstream connections
//!       Live: one generation: the host, its exchanges, its ticks, its calls
//!       downstream: a task for each connection of a client, HTTP/1.1 (ours) or HTTP/2 (hyper's)
//!         Flight: a request under way, polled by that task
//!           upstream: the connection that it asks
//! ```

pub mod access_log;
pub mod admin;
mod alarm;
pub mod calls;
pub mod control;
pub mod date;
mod downstream;
mod errors;
mod flight;
mod gate;
pub mod http1;
pub mod journal;
mod lane;
mod listen;
mod live;
pub mod log;
pub mod metrics;
mod observer;
mod outward;
mod pool;
pub mod record;
pub mod reload;
mod resolve;
mod server;
mod settings;
pub mod signals;
pub mod state;
pub mod traces;
mod upstream;
mod wire;
mod worker;

pub use calls::{Address, Calls, Came, ClusterError, Clusters};
pub use observer::{About, Access, Broken, LogLine, Observer, Try, Unobserved, WorkerFailure};
pub use resolve::{Resolve, ResolveError};
pub use server::{Running, ServeError, Server};
pub use settings::{Bounds, Generation, Serves, Settings, Timeouts};
