//! Where a configuration comes from: files, or a plugin that was named on the command line. It can be read again.

use crate::diagnostic::Diagnostic;
use crate::gateway::document::{Options, Provider};
use crate::gateway::files::{self, Environment};
use crate::gateway::model::{
    Meta, Objects, PluginConf, RequestPhase, Revision, Route, Upstream, UpstreamRef, WasmPlugin,
};
use crate::gateway::resources::{Kind, Resources};
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;

/// A plugin's configuration is not longer.
const LONGEST: u64 = 64 << 20;

/// What to serve.
#[derive(Debug, Clone)]
pub enum Source {
    /// A folder with APISIX's files, or one document.
    Files(PathBuf),
    /// One plugin.
    Plugin(OnePlugin),
}

/// A plugin that was named on the command line.
#[derive(Debug, Clone)]
pub struct OnePlugin {
    /// Its name: its root id, and what routes call it.
    pub name: Arc<str>,
    /// Its module.
    pub file: PathBuf,
    /// Its configuration.
    pub config: Text,
    /// Where all requests go, through the plugin; with none, routes come by the admin API.
    pub upstream: Option<Arc<Upstream>>,
}

/// A text, or the file that it is in.
#[derive(Debug, Clone)]
pub enum Text {
    /// The text.
    Inline(Bytes),
    /// The file.
    File(PathBuf),
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Read {
    /// The plugins and the objects.
    pub resources: Resources,
    /// Everything else that is configured.
    pub options: Options,
    /// Lines for the log.
    pub warnings: Vec<String>,
    /// What it was read from. Modules are not among these.
    pub files: Vec<PathBuf>,
    /// A route that the admin API does not know of: it takes what no other route takes.
    pub route: Option<Arc<Route>>,
}

impl Read {
    /// What it was read from, and its modules: a change of any of these is one of what is served.
    pub(super) fn all_files(&self) -> impl Iterator<Item = PathBuf> {
        let modules = self.resources.plugins().iter().map(|plugin| &plugin.file);
        self.files.iter().chain(modules).cloned()
    }
}

impl Source {
    /// Reads it.
    pub fn read(&self) -> Result<Read, Diagnostic> {
        match self {
            Self::Files(path) => {
                let loaded = files::load(path, &Environment::of_process())?;
                let (resources, options) = (loaded.gateway.resources, loaded.gateway.options);
                Ok(Read { resources, options, warnings: loaded.warnings, files: loaded.files, route: None })
            }
            Self::Plugin(plugin) => plugin.read(),
        }
    }
}

impl Read {
    /// Whether routes and the rest come from files, so that nothing else may keep them.
    pub fn has_objects(&self) -> bool {
        self.options.provider == Provider::Yaml
            || self.route.is_some()
            || Kind::ALL.iter().any(|kind| self.resources.list(*kind).next().is_some())
    }
}

impl OnePlugin {
    fn read(&self) -> Result<Read, Diagnostic> {
        let (config, files) = match &self.config {
            Text::Inline(text) => (text.clone(), Vec::new()),
            Text::File(path) => (read(path)?, vec![path.clone()]),
        };
        let plugin = WasmPlugin {
            name: self.name.clone(),
            file: self.file.clone(),
            priority: 0,
            http_request_phase: RequestPhase::default(),
        };
        let resources = Resources::new(vec![plugin]);
        let route = self.upstream.as_ref().map(|upstream| Arc::new(self.route(config, upstream)));
        Ok(Read { resources, options: Options::default(), warnings: Vec::new(), files, route })
    }

    fn route(&self, conf: Bytes, upstream: &Arc<Upstream>) -> Route {
        Route {
            id: "command-line".into(),
            revision: Revision(0),
            uris: vec!["/*".to_owned()],
            hosts: Vec::new(),
            methods: Vec::new(),
            remote_addrs: Vec::new(),
            vars: None,
            priority: i64::MIN,
            enabled: true,
            plugins: vec![PluginConf { name: self.name.clone(), conf, meta: Meta::default() }],
            plugin_config_id: None,
            service_id: None,
            upstream: Some(UpstreamRef::Inline(upstream.clone())),
            timeout: None,
            enable_websocket: false,
        }
    }
}

/// The objects as they are to be served.
pub fn objects(resources: &Resources, route: Option<&Arc<Route>>) -> Objects {
    let mut objects = resources.objects();
    objects.routes.extend(route.cloned());
    objects
}

fn read(path: &std::path::Path) -> Result<Bytes, Diagnostic> {
    use std::io::Read as _;
    let problem = |why: String| Diagnostic::new(format!("the configuration `{}` can't be read: {why}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| problem(error.to_string()))?;
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| problem(error.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        return Err(problem(format!("longer than {} MiB", LONGEST >> 20)));
    }
    Ok(bytes.into())
}
