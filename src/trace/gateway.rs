//! What a gateway does around its plugins.

use crate::abi::ExchangeId;
use crate::abi::pairs::Pair;
use bytes::Bytes;

/// One thing that a gateway did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayEvent {
    /// It looked for the route of a request.
    Routed {
        /// The request.
        exchange: ExchangeId,
        /// The route's id; none took it.
        route: Option<String>,
    },
    /// It chose a node of the upstream; again where an earlier one failed.
    Node {
        /// The request.
        exchange: ExchangeId,
        /// `host:port`
        node: String,
    },
    /// Its admin API was called.
    Admin {
        /// `PUT /apisix/admin/routes/1`
        call: String,
        /// The status of the answer.
        status: u16,
        /// Its headers.
        headers: Vec<Pair>,
        /// Its body.
        body: Bytes,
    },
}

impl GatewayEvent {
    /// The request that it is about.
    pub fn exchange(&self) -> Option<ExchangeId> {
        match self {
            Self::Routed { exchange, .. } | Self::Node { exchange, .. } => Some(*exchange),
            Self::Admin { .. } => None,
        }
    }
}
