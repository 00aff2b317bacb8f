//! The command line of `pwtest serve`: what may be given, and what each text means.

use crate::gateway::model::{Node, Upstream};
use crate::host::profile::{self, Profile};
use crate::proxy::control::{OnePlugin, Source, Text};
use crate::proxy::log::{Format, Severity};
use crate::proxy::{Address, Resolve};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// Serve plugins as a reverse proxy.
#[derive(Args)]
#[command(
    after_help = "Exit codes:\n  0  stopped by SIGTERM, SIGINT or SIGQUIT\n  2  invalid input: a flag, a path, a configuration, a state file\n  3  a plugin could not be loaded or started, or an address not be listened on"
)]
pub struct ServeArgs {
    /// A folder with APISIX's config.yaml, and apisix.yaml where it is standalone; or one gateway document.
    path: Option<PathBuf>,
    /// Serve this module.
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    plugin: Option<PathBuf>,
    /// Its name, which is also its root id; without it, the name of the file.
    #[arg(long, value_name = "NAME", requires = "plugin")]
    name: Option<String>,
    /// Its configuration, or `@FILE`.
    #[arg(long, value_name = "TEXT", requires = "plugin")]
    config: Option<String>,
    /// Where all requests go.
    #[arg(long, value_name = "URL", requires = "plugin")]
    upstream: Option<String>,
    /// Imitate this host: `apisix`, `envoy`, `spec`.
    #[arg(long, value_name = "NAME", default_value = "apisix")]
    host: String,
    /// Listen here; port 0 is any that is free (repeatable). Without it, as configured, or else 127.0.0.1:9080.
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// Listen here for the admin API and for /metrics. Without it, as configured, or else not at all. Without an
    /// address, 127.0.0.1:9180.
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "9180")]
    admin: Option<String>,
    /// Keep what the admin API is told in this file, and begin with what is in it.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Threads that serve.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=512))]
    workers: u16,
    /// The mildest level that the error log has: `debug`, `info`, `notice`, `warn`, `error`, `crit`, `alert`, `emerg`.
    /// Without it, as configured, or else `warn`.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log_level: Option<Severity>,
    /// How logs are written: lines like nginx's, or one object of JSON each.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Write the error log here, instead of on standard error.
    #[arg(long, value_name = "FILE")]
    error_log: Option<PathBuf>,
    /// Write the access log here, instead of on standard output; `off` for none.
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Show every callback and hostcall of each request, decoded, on standard error.
    #[arg(long)]
    trace: bool,
    /// Write what passes as scenarios into this folder.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Replace the values of this header, query parameter or form field in what is recorded (repeatable), beside those of
    /// authorization, cookie, set-cookie, proxy-authorization and x-api-key. With `none`, only of those that follow it.
    #[arg(long, value_name = "NAME", requires = "record")]
    mask: Vec<String>,
    /// Compile modules anew and don't keep them.
    #[arg(long)]
    no_cache: bool,
    /// Where a cluster is that plugins call by name, for `envoy` and `spec` (repeatable).
    #[arg(long, value_name = "NAME=HOST:PORT")]
    cluster: Vec<String>,
    /// Connect to this IP address where a node, a cluster or a call names this host and port (repeatable). Without the
    /// second port it is the first. `Host` stays as it is.
    #[arg(long, value_name = "HOST:PORT:ADDRESS[:PORT]")]
    resolve: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The command line, understood.
pub struct Wanted {
    /// What to serve.
    pub source: Source,
    /// The host that is imitated.
    pub profile: &'static Profile,
    /// Where to listen; empty where nothing was said.
    pub listen: Vec<SocketAddr>,
    /// Where to listen for the admin API.
    pub admin: Option<SocketAddr>,
    /// The state file.
    pub state: Option<PathBuf>,
    /// Threads.
    pub workers: NonZeroUsize,
    /// The error log's level, if one was given.
    pub level: Option<Severity>,
    /// Of both logs.
    pub format: Format,
    /// Where the error log goes, unless to standard error.
    pub error_log: Option<PathBuf>,
    /// Where the access log goes.
    pub access_log: AccessTo,
    /// Traces are wanted.
    pub trace: bool,
    /// Where to record, if anywhere.
    pub record: Option<PathBuf>,
    /// Names of headers that are masked in it.
    pub mask: Vec<String>,
    /// Compiled modules are kept.
    pub cache: bool,
    /// Clusters, `NAME=HOST:PORT` each.
    pub clusters: Vec<String>,
    /// Hosts whose place is given.
    pub resolve: Resolve,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessTo {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
    /// Nowhere.
    Off,
}

impl Wanted {
    /// The plugin of the command line that was given no configuration, where requests pass it.
    pub fn unconfigured(&self) -> Option<&str> {
        match &self.source {
            Source::Plugin(OnePlugin { name, config: Text::Inline(text), upstream: Some(_), .. }) => {
                text.is_empty().then_some(&**name)
            }
            Source::Plugin(_) | Source::Files(_) => None,
        }
    }
}

impl ServeArgs {
    /// What they mean; an error is the user's.
    pub fn wanted(&self) -> anyhow::Result<Wanted> {
        let Some(profile) = profile::by_name(&self.host) else {
            bail!("no host is called `{}`; there are apisix, envoy and spec", self.host);
        };
        let listen = self.listen.iter().map(|text| address(text)).collect::<anyhow::Result<Vec<_>>>()?;
        let access_log = match &self.access_log {
            None => AccessTo::Stdout,
            Some(path) if path.as_os_str() == "off" => AccessTo::Off,
            Some(path) => AccessTo::File(path.clone()),
        };
        let mut resolve = Resolve::default();
        for text in &self.resolve {
            resolve.add(text)?;
        }
        Ok(Wanted {
            source: self.source()?,
            profile,
            listen,
            admin: self.admin.as_deref().map(address).transpose()?,
            state: self.state.clone(),
            workers: NonZeroUsize::new(usize::from(self.workers)).unwrap_or(NonZeroUsize::MIN),
            level: self.log_level,
            format: match self.log_format {
                LogFormat::Text => Format::Text,
                LogFormat::Json => Format::Json,
            },
            error_log: self.error_log.clone(),
            access_log,
            trace: self.trace,
            record: self.record.clone(),
            mask: self.mask.clone(),
            cache: !self.no_cache,
            clusters: self.cluster.clone(),
            resolve,
        })
    }

    fn source(&self) -> anyhow::Result<Source> {
        let Some(file) = &self.plugin else {
            let Some(path) = &self.path else {
                bail!("give a configuration (a folder or a file), or --plugin FILE with --upstream URL");
            };
            return Ok(Source::Files(path.clone()));
        };
        if self.upstream.is_none() && self.admin.is_none() {
            bail!("say where requests go: --upstream URL, or --admin and routes by the admin API");
        }
        if self.upstream.is_none() && self.config.is_some() {
            bail!("--config belongs to --upstream; without it each route has its own configuration");
        }
        let of_file = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(of_file).unwrap_or_default();
        let config = match self.config.as_deref() {
            Some(text) => match text.strip_prefix('@') {
                Some(path) => Text::File(path.into()),
                None => Text::Inline(text.to_owned().into()),
            },
            None => Text::Inline(bytes::Bytes::new()),
        };
        let upstream = self.upstream.as_deref().map(upstream).transpose()?;
        Ok(Source::Plugin(OnePlugin { name: name.into(), file: file.clone(), config, upstream }))
    }
}

fn level(text: &str) -> Result<Severity, String> {
    let names = || Severity::ALL.iter().map(|level| level.name()).collect::<Vec<_>>().join(", ");
    Severity::from_name(text).ok_or_else(|| format!("one of {}", names()))
}

/// `127.0.0.1:9080`, `localhost:9080`, `[::1]:9080`, or a port alone, which is one of 127.0.0.1.
fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let port = |text: &str| text.parse::<u16>().ok();
    let local = text.strip_prefix("localhost:").and_then(port).or_else(|| port(text));
    match local {
        Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok().with_context(|| {
            format!("`{text}` is not an address to listen on; write 127.0.0.1:9080, [::1]:9080, or a port alone")
        }),
    }
}

/// An upstream with one node.
fn upstream(url: &str) -> anyhow::Result<Arc<Upstream>> {
    let begins = |scheme: &str| url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    if begins("https://") {
        bail!("`{url}`: pwtest speaks no TLS to upstreams; give an http:// URL");
    }
    if !url.is_empty() && url.bytes().all(|byte| byte.is_ascii_digit()) {
        bail!("`{url}` is not an upstream; write http://127.0.0.1:{url}");
    }
    let rest = match begins("http://") {
        true => url.get("http://".len()..),
        false => (!url.contains("://")).then_some(url),
    };
    let rest = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)).filter(|rest| !rest.contains(['@', '?', '#']));
    let Some(Address { host, port }) = rest.and_then(|rest| Address::parse(rest, Some(80))) else {
        bail!("`{url}` is not an upstream; write http://HOST:PORT, without a path: requests keep theirs");
    };
    Ok(Arc::new(Upstream::of(vec![Node::new(host, port)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("9080", "127.0.0.1:9080"),
            ("localhost:0", "127.0.0.1:0"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:9080", "[::1]:9080"),
        ] {
            assert_eq!(address(text).map(|address| address.to_string()).ok().as_deref(), Some(expected));
        }
        for text in ["", "x", "127.0.0.1", "127.0.0.1:70000", "::1:80", "example.com:80", "-1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn upstreams() {
        for (url, host, port) in [
            ("http://127.0.0.1:1980", "127.0.0.1", 1980),
            ("http://app.test/", "app.test", 80),
            ("http://[::1]:8080", "::1", 8080),
            ("app_1.test:81", "app_1.test", 81),
            ("HTTP://app.test:81", "app.test", 81),
        ] {
            let found = upstream(url).expect("an upstream");
            assert_eq!((&*found.nodes[0].host, found.nodes[0].port), (host, port), "{url}");
        }
        let wrong = [
            "",
            "http://",
            "https://a",
            "HTTPS://a",
            "1980",
            "ftp://a",
            "http://a/b",
            "http://a:0",
            "http://a:x",
            "http://u@a",
            "http://a b",
            "http://[::1",
            "http://[x]:1",
            "http://:80",
            "http://a?b",
        ];
        for url in wrong {
            assert!(upstream(url).is_err(), "{url}");
        }
    }
}
