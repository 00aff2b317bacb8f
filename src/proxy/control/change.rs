//! Changes of what is served: files that were written, objects that the admin API was given, objects whose time is over.
//!
//! Each is made as a whole or not at all, and what the log says of one that was refused names the reason.

use super::modules::Freshness;
use super::plan::{Fixed, Now, config};
use super::{Control, ControlError, TWO_KEEPERS};
use crate::diagnostic::Diagnostic;
use crate::gateway::model::Matching;
use crate::gateway::resources::Resources;
use crate::proxy::log::Severity;
use crate::proxy::{Running, ServeError};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// Why something is reloaded.
pub(super) enum Why {
    /// Somebody wants it.
    Asked,
    /// These files have changed.
    Changed(Vec<PathBuf>),
}

impl Control {
    /// Whether any file has changed, and whether the time of any object is over.
    pub(super) fn look(&self, now: &mut Now) {
        let changed = now.watch.look();
        if !changed.is_empty() {
            // The log has the reason of a failure.
            let _ = self.reload(now, Why::Changed(changed));
        }
        if now.resources.next_expiry().is_some_and(|end| end <= seconds()) {
            let mut next = now.resources.clone();
            if next.expire(seconds())
                && let Err(error) = self.change(now, next)
            {
                self.journal.errors().say(Severity::Error, &error.to_string());
            }
        }
    }

    /// Reads everything anew, and has it served if all of it can be.
    pub(super) fn reload(&self, now: &mut Now, why: Why) -> Result<(), ControlError> {
        let log = self.journal.errors();
        let freshness = match &why {
            Why::Changed(_) => Freshness::Kept,
            Why::Asked => {
                now.watch.take();
                Freshness::Anew
            }
        };
        let result = self.replace(now, freshness);
        match (&result, &why) {
            (Ok(()), Why::Asked) => log.say(Severity::Warn, "configuration and plugins reloaded"),
            (Ok(()), Why::Changed(files)) => {
                for file in files {
                    log.say(Severity::Warn, &format!("config file {} reloaded.", file.display()));
                }
            }
            (Err(error), _) => {
                log.say(
                    Severity::Error,
                    &format!("nothing was reloaded, what was served before is served on: {error}"),
                );
            }
        }
        result
    }

    fn replace(&self, now: &mut Now, freshness: Freshness) -> Result<(), ControlError> {
        let read = self.source.read().map_err(ControlError::Configuration)?;
        if self.state.is_some() && read.has_objects() {
            return Err(ControlError::Configuration(Diagnostic::new(TWO_KEEPERS)));
        }
        if let Some(file) = read.files.iter().find(|file| is_empty(file)) {
            let problem = Diagnostic::new(format!("`{}` is empty, it was cut off and not written yet", file.display()));
            return Err(ControlError::Configuration(problem.hint("a comment in it says that nothing is left out")));
        }
        let plugins = read.resources.plugins().to_vec();
        // From here on changes of these are noticed, whether or not they can be used now.
        now.watch.set(read.all_files());
        for warning in &read.warnings {
            self.journal.errors().say(Severity::Warn, warning);
        }
        let loaded = now.modules.load(&plugins, freshness)?;
        // What the admin API was told stays, unless the objects of the source are others now.
        let mut resources = match same_objects(&read.resources, &now.read) {
            true => now.resources.clone(),
            false => read.resources.clone(),
        };
        resources.set_plugins(plugins);
        resources.set_matching(read.options.matching);
        for line in resources.unknown_plugins().iter().filter(|line| !read.warnings.contains(line)) {
            self.journal.errors().say(Severity::Warn, line);
        }
        let config = config(&resources, read.route.as_ref());
        let edge = self.frame.edge(&read.options)?;
        let generation = self.frame.generation(resources.plugins(), &loaded, config, edge.clone());
        self.with_server(|server| server.reload(generation))?;
        now.edge = edge;
        for name in now.fixed.changed(&Fixed::of(&read.options)) {
            let line = format!("{name} is another than at the start, which counts after a restart");
            self.journal.errors().say(Severity::Warn, &line);
        }
        (now.resources, now.read, now.route) = (resources, read.resources, read.route);
        (now.loaded, now.admin) = (loaded, read.options.admin);
        self.open.store(now.admin.keys.is_empty(), Ordering::Relaxed);
        self.journal.serves(|| now.serving());
        Ok(())
    }

    pub(super) fn with_server<R>(
        &self,
        act: impl FnOnce(&Running) -> Result<R, ServeError>,
    ) -> Result<R, ControlError> {
        match &*self.server.read().unwrap_or_else(PoisonError::into_inner) {
            Some(server) => Ok(act(server)?),
            None => Err(ControlError::Stopping),
        }
    }

    /// Keeps other objects, and has them served. When this comes back, every worker does.
    pub(super) fn change(&self, now: &mut Now, next: Resources) -> Result<(), ControlError> {
        if let Some(file) = &self.state {
            file.write(&next.to_state())?;
        }
        let config = config(&next, now.route.as_ref());
        self.with_server(|server| {
            server.set_config(&config);
            // Workers do what they are told in order: who has counted serves the new configuration.
            server.population();
            Ok(())
        })?;
        now.resources = next;
        self.journal.serves(|| now.serving());
        Ok(())
    }
}

/// Whether a file is there and has nothing in it: somebody is about to write it, or the disk is full. Nobody wants all
/// plugins to be gone in between.
fn is_empty(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Whether two readings have the same objects, whatever their plugins are.
fn same_objects(one: &Resources, other: &Resources) -> bool {
    let bare = |resources: &Resources| {
        let mut resources = resources.clone();
        resources.set_plugins(Vec::new());
        resources.set_matching(Matching::default());
        resources
    };
    bare(one) == bare(other)
}

/// Seconds since 1970.
pub(super) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
