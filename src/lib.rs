//! pwtest drives Proxy-Wasm plugins through scripted traffic against an in-memory host, and records what they did.
//!
//! # Architecture
//!
//! No Proxy-Wasm hostcall blocks: whatever is slow (an HTTP call, a timer, a queue) returns at once and comes back through
//! a callback. So the host core does no I/O. It is a synchronous state machine: a driver feeds it pieces of messages,
//! answers and time, and carries out the [`host::Output`]s that it leaves.
//!
//! ```text
//!   scenario.yaml
//!        |
//!    scenario        parsed and checked, spans kept
//!        |
//!     runner         virtual clock, scripted client, origin and callouts
//!        |  Input v      ^ Output
//!      host          Host, Vm, Exchange, hostcall rows, Profile
//!        |           every step appends
//!      trace
//!        |
//!   expect, snapshot, report      pure functions of the trace
//! ```
//!
//! * **Hostcalls are rows.** One row is a name, the versions of the ABI that have it, typed arguments and results, and a
//!   handler ([`host::hostcalls`]). Decoding, bounds checks, out pointers, statuses and tracing are written once, for
//!   all rows; the linker, `pwtest abi` and the import check are made of the same table.
//! * **The trace is the only record** ([`trace`]). Effects in it are the very values that the driver carries out.
//! * **What steers a stream** (continue, close, a local response) takes hold when the guest has returned
//!   (`host::world::Deferred`).
//! * **The world is lent.** A VM's store holds its contexts; everything else, exchanges, shared data, time, the trace, is
//!   one [`host::world::World`], swapped into the store while the guest runs and out again afterwards. There are no locks
//!   and no reference counts between VMs.
//! * **Two seams to the outside**: [`host::env::Clock`] and [`host::env::Entropy`].
//! * **What hosts do differently is data**, a [`host::profile::Profile`]; every field says where the claim comes from.
//!
//! Lower modules never import higher ones: `abi`, `message`, `diagnostic`; `trace`; `host`, `scenario`, `snapshot`; `expect`;
//! `gateway`; `runner`; `proxy`; `report`; `cli`. A test in `t/layering.rs` reads the imports.

pub mod abi;
pub mod cli;
pub mod diagnostic;
pub mod expect;
pub mod gateway;
pub mod host;
pub mod message;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod snapshot;
pub mod trace;
