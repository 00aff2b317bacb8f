//! What a `config.yaml` says beside its plugins, as far as pwtest honours it. Everything else in it is for APISIX.

use super::Places;
use crate::abi::LogLevel;
use crate::diagnostic::Diagnostic;
use crate::gateway::address::Addresses;
use crate::gateway::admin::{AdminKey, Allowed, Role};
use crate::gateway::client::{RealIp, Walk};
use crate::gateway::forward::UpstreamStatus;
use crate::gateway::model::{Matching, RouterKind, TailSlash};
use crate::gateway::resources::address;
use crate::gateway::schema::Step;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// What is configured beside plugins and objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// `apisix.node_listen`; empty where nothing is said. A port alone is one of 127.0.0.1.
    pub listen: Vec<SocketAddr>,
    /// The admin API.
    pub admin: Admin,
    /// `deployment.role_data_plane.config_provider` or `role_traditional`'s.
    pub provider: Provider,
    /// `nginx_config.error_log_level`.
    pub error_log_level: Option<LogLevel>,
    /// `nginx_config.error_log`, where it is a file.
    pub error_log: Option<PathBuf>,
    /// `apisix.show_upstream_status_in_response_header`: `X-APISIX-Upstream-Status` is always there (7.4).
    pub show_upstream_status: UpstreamStatus,
    /// `nginx_config.http.real_ip_header`, `real_ip_from` and `real_ip_recursive`.
    pub real_ip: RealIp,
    /// `apisix.router.http` and `apisix.delete_uri_tail_slash`.
    pub matching: Matching,
    /// Where the clusters are that plugins call by name, on the `envoy` profile: `host:port` each.
    pub clusters: BTreeMap<String, String>,
}

/// `deployment.admin`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Admin {
    /// `apisix.enable_admin`.
    pub enabled: Option<bool>,
    /// `admin_listen`.
    pub listen: Option<SocketAddr>,
    /// `admin_key`; none where `admin_key_required` is false, and none where none are written: APISIX would make one up.
    pub keys: Vec<AdminKey>,
    /// `allow_admin`.
    pub allowed: Allowed,
}

/// Where APISIX would take its objects from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// The admin API writes them.
    #[default]
    Etcd,
    /// `apisix.yaml` holds them.
    Yaml,
}

const LEVELS: [(&str, LogLevel); 8] = [
    ("debug", LogLevel::Debug),
    ("info", LogLevel::Info),
    // Between info and warn; plugins have nothing there.
    ("notice", LogLevel::Warn),
    ("warn", LogLevel::Warn),
    ("error", LogLevel::Error),
    ("crit", LogLevel::Critical),
    ("alert", LogLevel::Critical),
    ("emerg", LogLevel::Critical),
];

/// `deployment.role`.
const ROLES: [&str; 4] = ["traditional", "control_plane", "data_plane", "standalone"];

/// Reads the options of a document.
pub(in crate::gateway) fn read(
    document: &Map<String, Value>,
    base: &Path,
    places: &Places,
) -> Result<Options, Diagnostic> {
    let look = Look { document, places };
    let level = look.text(&["nginx_config", "error_log_level"])?;
    let error_log_level = match level {
        None => None,
        Some(word) => match LEVELS.iter().find(|(name, _)| *name == word) {
            Some((_, level)) => Some(*level),
            None => {
                let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
                let text = format!("expected one of {}, found `{word}`", names.join(", "));
                return Err(look.wrong(&["nginx_config", "error_log_level"], &text));
            }
        },
    };
    let error_log = look.text(&["nginx_config", "error_log"])?;
    Ok(Options {
        listen: look.listen()?,
        admin: look.admin()?,
        provider: look.provider()?,
        error_log_level,
        error_log: error_log.filter(|path| is_file(path)).map(|path| base.join(path)),
        show_upstream_status: match look.flag(&["apisix", "show_upstream_status_in_response_header"])? {
            Some(true) => UpstreamStatus::Always,
            Some(false) | None => UpstreamStatus::OnError,
        },
        real_ip: look.real_ip()?,
        matching: look.matching()?,
        clusters: look.clusters()?,
    })
}

/// Whether nginx's `error_log` is a file of its own. Images of APISIX link theirs to the standard streams.
fn is_file(path: &str) -> bool {
    !(path.is_empty() || path == "stderr" || path.starts_with("/dev/") || path.starts_with("syslog:"))
}

/// Looks into a document.
struct Look<'a> {
    document: &'a Map<String, Value>,
    places: &'a Places,
}

impl<'a> Look<'a> {
    fn get(&self, path: &[&str]) -> Option<&'a Value> {
        let (first, rest) = path.split_first()?;
        let mut value = self.document.get(*first)?;
        for key in rest {
            value = value.get(key)?;
        }
        (!value.is_null()).then_some(value)
    }

    fn wrong(&self, path: &[&str], text: &str) -> Diagnostic {
        let path: Vec<Step> = path.iter().map(|key| Step::Key((*key).to_owned())).collect();
        self.places.at(&path, text)
    }

    fn text(&self, path: &[&str]) -> Result<Option<&'a str>, Diagnostic> {
        match self.get(path) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(path, "expected text")),
        }
    }

    fn flag(&self, path: &[&str]) -> Result<Option<bool>, Diagnostic> {
        match self.get(path) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(path, "expected true or false")),
        }
    }

    fn listen(&self) -> Result<Vec<SocketAddr>, Diagnostic> {
        let path = ["apisix", "node_listen"];
        let all = match self.get(&path) {
            None => return Ok(Vec::new()),
            Some(Value::Array(all)) => all.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let addresses = all.iter().map(|one| match one {
            Value::Object(_) => listener(one.get("ip"), one.get("port")),
            port => listener(None, Some(port)),
        });
        let text = "expected a port, a list of ports, or a list of `{ ip, port }`";
        addresses.collect::<Option<_>>().ok_or_else(|| self.wrong(&path, text))
    }

    fn admin(&self) -> Result<Admin, Diagnostic> {
        let listen = ["deployment", "admin", "admin_listen"];
        let address = match self.get(&listen) {
            None => None,
            Some(one) => match listener(one.get("ip"), one.get("port")) {
                Some(address) => Some(address),
                None => return Err(self.wrong(&listen, "expected an `ip` and a `port`")),
            },
        };
        let required = self.flag(&["deployment", "admin", "admin_key_required"])?.unwrap_or(true);
        Ok(Admin {
            enabled: self.flag(&["apisix", "enable_admin"])?,
            listen: address,
            keys: if required { self.keys()? } else { Vec::new() },
            allowed: self.allowed()?,
        })
    }

    fn keys(&self) -> Result<Vec<AdminKey>, Diagnostic> {
        let path = ["deployment", "admin", "admin_key"];
        let written = match self.get(&path) {
            None => return Ok(Vec::new()),
            Some(written) => written.as_array().ok_or_else(|| self.wrong(&path, "expected a list of keys"))?,
        };
        let mut keys = Vec::new();
        for one in written {
            let text = |key: &str| one.get(key).and_then(Value::as_str);
            let role = match text("role") {
                Some("admin") => Role::Admin,
                Some("viewer") => Role::Viewer,
                _ => return Err(self.wrong(&path, "the `role` of a key is `admin` or `viewer`")),
            };
            match text("key") {
                // An empty key stands for one that APISIX makes up.
                Some("") => {}
                Some(key) => {
                    keys.push(AdminKey { name: text("name").unwrap_or_default().to_owned(), key: key.to_owned(), role })
                }
                None => return Err(self.wrong(&path, "every key needs a `key`, as text")),
            }
        }
        Ok(keys)
    }

    fn allowed(&self) -> Result<Allowed, Diagnostic> {
        let path = ["deployment", "admin", "allow_admin"];
        let written = match self.get(&path) {
            None => return Ok(Allowed::default()),
            Some(written) => written.as_array().ok_or_else(|| self.wrong(&path, "expected a list of addresses"))?,
        };
        let texts: Option<Vec<&str>> = written.iter().map(Value::as_str).collect();
        let texts = texts.ok_or_else(|| self.wrong(&path, "expected a list of addresses, as text"))?;
        Allowed::parse(texts).map_err(|error| self.wrong(&path, &error))
    }

    fn real_ip(&self) -> Result<RealIp, Diagnostic> {
        let usual = RealIp::default();
        let path = ["nginx_config", "http", "real_ip_from"];
        let from = match self.get(&path) {
            None => usual.from,
            Some(written) => {
                let wrong = |text: &str| self.wrong(&path, text);
                let written = written.as_array().ok_or_else(|| wrong("expected a list of addresses"))?;
                let texts: Option<Vec<&str>> = written.iter().map(Value::as_str).collect();
                let texts = texts.ok_or_else(|| wrong("expected a list of addresses, as text"))?;
                // Nobody comes over a socket of this machine's files.
                let texts = texts.into_iter().filter(|text| *text != "unix:");
                Addresses::parse(texts).map_err(|error| wrong(&error))?
            }
        };
        let recursive = ["nginx_config", "http", "real_ip_recursive"];
        let walk = match self.get(&recursive) {
            None | Some(Value::Bool(false)) => Walk::Last,
            Some(Value::Bool(true)) => Walk::PastTrusted,
            Some(word) => match word.as_str() {
                Some("off") => Walk::Last,
                Some("on") => Walk::PastTrusted,
                _ => return Err(self.wrong(&recursive, "expected `on` or `off`")),
            },
        };
        let header = self.text(&["nginx_config", "http", "real_ip_header"])?.map_or(usual.header, Into::into);
        Ok(RealIp { header, from, walk })
    }

    fn matching(&self) -> Result<Matching, Diagnostic> {
        let path = ["apisix", "router", "http"];
        let router = match self.text(&path)? {
            None | Some("radixtree_host_uri") => RouterKind::HostUri,
            Some("radixtree_uri") => RouterKind::Uri,
            Some("radixtree_uri_with_parameter") => RouterKind::UriWithParameter,
            Some(other) => {
                let known = "radixtree_host_uri, radixtree_uri and radixtree_uri_with_parameter";
                return Err(self.wrong(&path, &format!("pwtest does not support the router `{other}`, only {known}")));
            }
        };
        let tail_slash = match self.flag(&["apisix", "delete_uri_tail_slash"])? {
            Some(true) => TailSlash::IsDropped,
            Some(false) | None => TailSlash::Counts,
        };
        Ok(Matching { router, tail_slash })
    }

    fn provider(&self) -> Result<Provider, Diagnostic> {
        let role = self.text(&["deployment", "role"])?.unwrap_or("traditional");
        if !ROLES.contains(&role) {
            let text = format!("expected one of {}, found `{role}`", ROLES.join(", "));
            return Err(self.wrong(&["deployment", "role"], &text));
        }
        let key = format!("role_{role}");
        match self.text(&["deployment", &key, "config_provider"])? {
            Some("yaml") => Ok(Provider::Yaml),
            None | Some("etcd") => Ok(Provider::Etcd),
            Some(other) => {
                let text = format!("pwtest does not support the provider `{other}`, only etcd and yaml");
                Err(self.wrong(&["deployment", &key, "config_provider"], &text))
            }
        }
    }

    fn clusters(&self) -> Result<BTreeMap<String, String>, Diagnostic> {
        let clusters = match self.get(&["clusters"]) {
            None => return Ok(BTreeMap::new()),
            Some(clusters) => clusters.as_object(),
        };
        let clusters = clusters.ok_or_else(|| self.wrong(&["clusters"], "expected `name: host:port`"))?;
        let mut found = BTreeMap::new();
        for (name, at) in clusters {
            let text = at.as_str().ok_or_else(|| self.wrong(&["clusters", name], "expected `host:port`"))?;
            address(text).map_err(|error| self.wrong(&["clusters", name], &error))?;
            found.insert(name.clone(), text.to_owned());
        }
        Ok(found)
    }
}

fn listener(ip: Option<&Value>, port: Option<&Value>) -> Option<SocketAddr> {
    let port = u16::try_from(port?.as_u64()?).ok()?;
    let ip = match ip {
        None | Some(Value::Null) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(ip) => ip.as_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()?,
    };
    Some(SocketAddr::new(ip, port))
}
