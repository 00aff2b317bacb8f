//! Snapshots: what a case did, as text, compared with what somebody accepted.
//!
//! Owns where the files lie, how they are read and written, how a difference is shown, and the
//! decisions of a review. It refuses to print, to ask, and to read the environment: the command line
//! does those. It also refuses to overwrite what it can't read: a damaged snapshot stays as it is,
//! and the error says where.

pub mod diff;
pub mod file;
pub mod render;
pub mod review;
pub mod store;

mod error;
mod name;
mod unused;
mod walk;

pub use diff::{DiffOptions, diff};
pub use error::{FileAction, SnapshotError, shown};
pub use file::{Metadata, Snapshot};
pub use review::{Found, Pending, SelectError};
pub use store::{Mode, Outcome, Store};
pub use unused::{CasesOf, SnapshotCase, Unused, unused};
