//! APISIX's model as pure data: what a person configures, and what follows from it for a request.
//!
//! No I/O and no clock: the runner and the proxy read files, tell the time and open connections, and get the same
//! answers from here, so what is served is what is tested.

pub mod address;
pub mod admin;
pub mod balance;
pub mod chain;
pub mod client;
pub mod config;
pub mod document;
pub mod facts;
pub mod files;
pub mod forward;
pub mod gate;
pub mod model;
pub mod resources;
pub mod router;
pub mod schema;
pub mod target;
pub mod uri;
pub mod variables;
pub mod vars;
pub mod way;
