//! A gateway in a scenario, and calls to its admin API. What a gateway document says is `gateway`'s business; here it is
//! a text with its place.

use super::Spanned;
use crate::diagnostic::{Source, Span};
use crate::scenario::yaml::Node;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;

/// The gateway that requests of a file go through.
#[derive(Debug, Clone)]
pub struct GatewaySpec {
    /// Where it is written, or its path is.
    pub span: Span,
    /// Where its modules are looked up from.
    pub base: PathBuf,
    /// The document itself.
    pub document: GatewayDocument,
}

/// A gateway document.
#[derive(Debug, Clone)]
pub enum GatewayDocument {
    /// Within the scenario.
    Inline(InlineDocument),
    /// In a file of its own.
    File(Arc<Source>),
    /// APISIX's two files: their folder, or the path of one of them.
    Files(PathBuf),
}

/// A document within a scenario: a part of its tree.
#[derive(Debug, Clone)]
pub struct InlineDocument(pub(crate) Node);

/// A call to the admin API.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: Spanned<String>,
    /// In order.
    pub headers: Vec<(Bytes, Bytes)>,
    /// Text as it is, a mapping or list as JSON.
    pub body: Bytes,
}
