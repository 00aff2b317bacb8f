//! pwtest: runs Proxy-Wasm plugins against scripted traffic and records what they did.

pub mod abi;
pub mod cli;
pub mod diagnostic;
pub mod expect;
pub mod host;
pub mod message;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod snapshot;
pub mod trace;
