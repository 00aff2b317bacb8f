//! The server as a whole: worker threads, the sockets they listen on, reload and stop.

use super::settings::{Generation, Settings};
use crate::host::StartError;
use std::net::SocketAddr;
use std::time::Duration;

/// Starts servers.
pub struct Server;

/// Why nothing, or nothing new, is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// A plugin did not start.
    #[error("the plugin `{plugin}` did not start: {error}")]
    Plugin {
        /// Its name.
        plugin: String,
        /// Why.
        error: StartError,
    },
    /// A thread or a runtime can't be had.
    #[error("a worker did not start: {0}")]
    Worker(std::io::Error),
    /// A worker broke, or does not answer.
    #[error("worker {0} does not answer")]
    Silent(usize),
}

/// A server that runs.
pub struct Running {
    listening: Vec<SocketAddr>,
}

impl Server {
    /// Starts every worker, and gives the server when all of them serve.
    pub fn start(settings: Settings, generation: Generation) -> Result<Running, ServeError> {
        let _ = (settings, generation);
        Err(ServeError::Worker(std::io::ErrorKind::Unsupported.into()))
    }
}

impl Running {
    /// The addresses that are listened on, in the order of the settings, ports filled in.
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }

    /// Builds new hosts on all workers and gives them all new requests; what is under way ends in the old ones. If
    /// one of them does not start, all of the old ones stay.
    pub fn reload(&self, generation: Generation) -> Result<(), ServeError> {
        let _ = generation;
        Ok(())
    }

    /// Stops: nothing new is accepted, what is under way has so long to end, contexts are finished.
    pub fn stop(self, grace: Duration) {
        let _ = grace;
    }
}
