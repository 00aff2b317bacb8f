//! pwtest: runs Proxy-Wasm plugins against scripted traffic and records what they did.

pub mod abi;
pub mod diagnostic;
pub mod host;
pub mod message;
pub mod scenario;
pub mod trace;
