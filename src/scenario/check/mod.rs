//! The checker: walks the tree of a file into the model and collects every mistake on the way.
//!
//! Every function returns `None` after it has said why. Callers check all their parts before they give up on
//! one, so that a file's mistakes are shown together.

mod body;
mod callout;
mod case;
mod concurrent;
mod connect;
mod context;
mod expect;
mod file;
mod foreign;
mod gateway;
mod grpc;
mod headers;
mod keys;
mod matcher;
mod plugin;
mod read;
mod request;
mod rows;
mod step;

use super::Scenario;
use super::yaml::Node;
use crate::diagnostic::{Diagnostic, Source};
use context::Cx;
use std::sync::Arc;

/// Checks a whole file. The scenario is there only if nothing is wrong with it.
pub(super) fn scenario(source: &Arc<Source>, root: &Node) -> (Option<Scenario>, Vec<Diagnostic>) {
    let mut cx = Cx::new(source);
    let scenario = file::scenario(&mut cx, root);
    (scenario, cx.into_problems())
}
