//! Where a request goes when its plugins have seen it: an upstream, or what APISIX answers in its place (7.3, 7.4).

use super::model::{Timeout, Upstream};
use std::sync::Arc;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// To a node of an upstream.
    Upstream {
        /// The upstream.
        upstream: Arc<Upstream>,
        /// The route's bounds, or the upstream's.
        timeout: Timeout,
        /// Whether `Upgrade` passes.
        websocket: Websocket,
    },
    /// The target of the request can't be read; no plugin sees it.
    BadRequest,
    /// No route takes it; global rules have seen it.
    NoRoute,
    /// The route's service does not exist; no plugin sees the request.
    MissingService(Arc<str>),
    /// The route's plugin_config does not exist; no plugin sees the request.
    MissingPluginConfig(Arc<str>),
    /// Neither the route nor its service has an upstream.
    NoUpstream,
    /// The upstream does not exist.
    MissingUpstream(Arc<str>),
    /// The upstream has no node.
    NoNode,
    /// A plugin of the route could not be started: nothing passes without it. Not on APISIX, where the plugin's own
    /// turn comes and fails (2.3).
    PluginNotStarted,
}

/// Whether `Upgrade` passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Websocket {
    /// It is dropped.
    Refused,
    /// It passes: `enable_websocket`.
    Enabled,
}

/// What APISIX answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The body; `None` is nginx's page of the status (3.5).
    pub body: Option<&'static str>,
    /// The line in the error log, at level error.
    pub log: Option<String>,
}

impl Target {
    /// What is answered where the request goes to no upstream.
    pub fn refusal(&self) -> Option<Refusal> {
        let page = |status, log: Option<String>| Some(Refusal { status, body: None, log });
        match self {
            Self::Upstream { .. } => None,
            Self::BadRequest => page(400, None),
            Self::NoRoute => {
                Some(Refusal { status: 404, body: Some("{\"error_msg\":\"404 Route Not Found\"}\n"), log: None })
            }
            Self::MissingService(id) => page(404, Some(format!("failed to fetch service configuration by id: {id}"))),
            Self::MissingPluginConfig(id) => page(503, Some(format!("failed to fetch plugin config by id: {id}"))),
            Self::NoUpstream => {
                let log = "failed to set upstream: missing upstream configuration in Route or Service";
                page(503, Some(log.to_owned()))
            }
            Self::MissingUpstream(id) => page(502, Some(format!("failed to find upstream by id: {id}"))),
            Self::NoNode => page(503, Some("failed to set upstream: no valid upstream node".to_owned())),
            Self::PluginNotStarted => page(503, None),
        }
    }
}
