//! The gateway's objects, as they are after validation: APISIX's model, with its defaults filled in.
//!
//! Data only. What a person wrote is checked and turned into these in `document` and `admin`; `router`, `chain` and
//! `balance` read them. Section numbers are those of `apisix.md`.

use bytes::Bytes;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The number of a write: objects of different revisions are different tables to APISIX, even where they are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

/// An entry of `wasm.plugins` (1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmPlugin {
    /// The name by which routes use it.
    pub name: Arc<str>,
    /// The module.
    pub file: PathBuf,
    /// Higher runs first.
    pub priority: i64,
    /// When its request callbacks run.
    pub http_request_phase: RequestPhase,
}

/// APISIX's phase of the request callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum RequestPhase {
    /// Before every plugin of the access phase.
    Rewrite,
    /// The default.
    #[default]
    Access,
}

/// A plugin where an object uses it (1.3).
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConf {
    /// Of an entry of `wasm.plugins`.
    pub name: Arc<str>,
    /// What the plugin reads: the text, or the object as compact JSON in document order.
    pub conf: Bytes,
    /// What APISIX itself reads.
    pub meta: Meta,
}

/// `_meta` of a plugin (1.3).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Meta {
    /// Out of use.
    pub disable: bool,
    /// In place of the entry's.
    pub priority: Option<i64>,
    /// In place of the body of the 503 that APISIX answers when the plugin fails.
    pub error_response: Option<Bytes>,
    /// Triples of lua-resty-expr; the plugin is left out where they don't hold.
    pub filter: Option<serde_json::Value>,
}

/// A route (7.3).
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its id, as text.
    pub id: Arc<str>,
    /// Of its last write.
    pub revision: Revision,
    /// Exact paths, and prefixes that end with `*`.
    pub uris: Vec<String>,
    /// Lower case; `*.foo.com` is every host below it. None at all: every host.
    pub hosts: Vec<String>,
    /// Upper case. None at all: every method.
    pub methods: Vec<String>,
    /// Addresses and CIDR ranges. None at all: every client.
    pub remote_addrs: Vec<String>,
    /// Triples of lua-resty-expr.
    pub vars: Option<serde_json::Value>,
    /// Higher is tried first, where the paths are equal.
    pub priority: i64,
    /// `status: 0` takes a route out of use.
    pub enabled: bool,
    /// The plugins, in document order.
    pub plugins: Vec<PluginConf>,
    /// More plugins, by id.
    pub plugin_config_id: Option<Arc<str>>,
    /// What it inherits, by id.
    pub service_id: Option<Arc<str>>,
    /// Where it goes.
    pub upstream: Option<UpstreamRef>,
    /// In place of the upstream's.
    pub timeout: Option<Timeout>,
    /// `Upgrade` passes.
    pub enable_websocket: bool,
}

/// A service (7.5).
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its id, as text.
    pub id: Arc<str>,
    /// Of its last write.
    pub revision: Revision,
    /// For routes that name none.
    pub hosts: Vec<String>,
    /// Its plugins, in document order.
    pub plugins: Vec<PluginConf>,
    /// Where its routes go.
    pub upstream: Option<UpstreamRef>,
    /// `Upgrade` passes.
    pub enable_websocket: bool,
}

/// Plugins that routes share (7.5).
#[derive(Debug, Clone, PartialEq)]
pub struct PluginConfig {
    /// Its id, as text.
    pub id: Arc<str>,
    /// Of its last write.
    pub revision: Revision,
    /// The plugins, in document order.
    pub plugins: Vec<PluginConf>,
}

/// Plugins of every request (7.5).
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalRule {
    /// Its id, as text.
    pub id: Arc<str>,
    /// Of its last write.
    pub revision: Revision,
    /// The plugins, in document order.
    pub plugins: Vec<PluginConf>,
}

/// An upstream, or the id of one.
#[derive(Debug, Clone, PartialEq)]
pub enum UpstreamRef {
    /// Written where it is used.
    Inline(Arc<Upstream>),
    /// An object of its own.
    Id(Arc<str>),
}

/// An upstream (7.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Its id, as text; none for one that is written where it is used.
    pub id: Option<Arc<str>>,
    /// Of its last write.
    pub revision: Revision,
    /// How a node is chosen.
    pub balance: Balance,
    /// Where to.
    pub nodes: Vec<Node>,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// What `Host` says.
    pub pass_host: PassHost,
    /// Times to try another node; `None` is the number of nodes less one.
    pub retries: Option<u32>,
    /// Nothing is tried again after so many seconds.
    pub retry_timeout: Option<f64>,
    /// Bounds.
    pub timeout: Timeout,
    /// Idle connections are kept.
    pub keepalive_pool: KeepalivePool,
}

impl Upstream {
    /// These nodes, and of all else what APISIX has where nothing is said (7.4).
    pub fn of(nodes: Vec<Node>) -> Self {
        Self {
            id: None,
            revision: Revision::default(),
            balance: Balance::RoundRobin,
            nodes,
            scheme: Scheme::default(),
            pass_host: PassHost::default(),
            retries: None,
            retry_timeout: None,
            timeout: Timeout::default(),
            keepalive_pool: KeepalivePool::default(),
        }
    }
}

/// A node of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// A name or an address, without brackets.
    pub host: Arc<str>,
    /// Its port, the scheme's where none was given.
    pub port: u16,
    /// Its share; 0 is never chosen.
    pub weight: u32,
    /// Nodes of a lower priority are for when those of a higher one failed.
    pub priority: i64,
}

impl Node {
    /// A node like every other: weight 1, priority 0.
    pub fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self { host: host.into(), port, weight: 1, priority: 0 }
    }
}

impl From<SocketAddr> for Node {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

/// How a node is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// Smooth weighted; `ewma` and `least_conn` are done this way, too.
    RoundRobin,
    /// By a hash of what the request says.
    Chash {
        /// Where the key is taken from.
        hash_on: HashOn,
        /// Its name there.
        key: String,
    },
}

/// Where the key of `chash` is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashOn {
    /// A variable, such as `uri`, `remote_addr`, `arg_x`.
    Vars,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
    /// Variables within a text: `$uri-$remote_addr`.
    VarsCombinations,
    /// The consumer's name; here is none.
    Consumer,
}

/// How an upstream is spoken to. TLS is refused when the document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 without TLS.
    Grpc,
}

/// What `Host` says to an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PassHost {
    /// What the client said.
    #[default]
    Pass,
    /// The node.
    Node,
    /// This.
    Rewrite(String),
}

/// Bounds on one request, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// Between two writes.
    pub send_ms: u64,
    /// Between two reads.
    pub read_ms: u64,
}

impl Default for Timeout {
    /// nginx's: 60 s each (7.4).
    fn default() -> Self {
        Self { connect_ms: 60_000, send_ms: 60_000, read_ms: 60_000 }
    }
}

/// Connections that are kept for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepalivePool {
    /// How many.
    pub size: u32,
    /// How long.
    pub idle_timeout_ms: u64,
    /// How many requests each.
    pub requests: u32,
}

impl Default for KeepalivePool {
    /// APISIX's: 320 connections, 60 s, 1000 requests.
    fn default() -> Self {
        Self { size: 320, idle_timeout_ms: 60_000, requests: 1_000 }
    }
}

/// Everything that a gateway is configured with, at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Objects {
    /// In the order of their first write.
    pub routes: Vec<Arc<Route>>,
    /// By id.
    pub services: Vec<Arc<Service>>,
    /// By id.
    pub plugin_configs: Vec<Arc<PluginConfig>>,
    /// In the order of their first write.
    pub global_rules: Vec<Arc<GlobalRule>>,
    /// By id.
    pub upstreams: Vec<Arc<Upstream>>,
    /// How routes are looked for.
    pub matching: Matching,
}

/// How routes are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matching {
    /// `apisix.router.http`
    pub router: RouterKind,
    /// `apisix.delete_uri_tail_slash`
    pub tail_slash: TailSlash,
}

/// What a slash at the end of a path is to routes. The upstream gets the path as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TailSlash {
    /// `/hello/` is not `/hello`.
    #[default]
    Counts,
    /// It is dropped first.
    IsDropped,
}

/// `apisix.router.http`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouterKind {
    /// `radixtree_host_uri`: by host, then by path.
    #[default]
    HostUri,
    /// `radixtree_uri`: by path; hosts are one condition more.
    Uri,
    /// `radixtree_uri_with_parameter`: the same, and `:name` in a path stands for a part of it.
    UriWithParameter,
}
