//! Who hears of what the server does: log lines, requests that have ended, traps, workers that broke.
//!
//! The server formats nothing: it hands over what it knows, borrowed, and whoever listens writes it down or doesn't.

use crate::abi::{ExchangeId, LogLevel};
use crate::host::store::HostId;
use crate::message::Headers;
use crate::trace::{Event, Trap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Hears of what happens, on the worker's thread. Nothing here may block for long.
pub trait Observer: Send + Sync {
    /// From which level on it wants to hear of lines; with none, it hears of no traps either.
    fn log_level(&self) -> Option<LogLevel> {
        None
    }

    /// Whether it wants all that happens: hosts record only then.
    fn traces(&self) -> bool {
        false
    }

    /// A plugin, or the host, has something to say.
    fn log(&self, _line: &LogLine<'_>) {}

    /// A plugin broke.
    fn trap(&self, _broken: &Broken<'_>) {}

    /// What happened in one host since the last time, with the names of its plugins by their index.
    fn traced(&self, _host: HostId, _events: &[Event], _names: &[Arc<str>]) {}

    /// A connection was accepted.
    fn connected(&self, _worker: usize) {}

    /// A connection has ended.
    fn disconnected(&self, _worker: usize) {}

    /// A request has come to its end.
    fn access(&self, _access: &Access<'_>) {}

    /// A worker broke: what it served is gone, and another one serves in its place.
    fn worker_failed(&self, _failure: &WorkerFailure) {}
}

/// Nobody listens.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// One line of the log.
#[derive(Debug, Clone, Copy)]
pub struct LogLine<'a> {
    /// Its level.
    pub level: LogLevel,
    /// What it says, as it came.
    pub message: &'a [u8],
    /// The plugin, if one of them speaks.
    pub plugin: Option<&'a str>,
    /// The worker, from 0.
    pub worker: usize,
    /// The request that it belongs to.
    pub about: Option<About<'a>>,
}

/// The request that a line is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its number in the host.
    pub exchange: ExchangeId,
    /// The number of its connection, over all workers, from 1.
    pub connection: u64,
    /// The client.
    pub client: SocketAddr,
    /// The address that it came to.
    pub server: SocketAddr,
    /// `GET /hello HTTP/1.1`
    pub request_line: &'a str,
    /// What it said for `Host`.
    pub authority: &'a str,
    /// What it said for `Referer`.
    pub referrer: Option<&'a [u8]>,
    /// The upstream, while one is asked: `http://127.0.0.1:1980/hello`.
    pub upstream: Option<&'a str>,
}

/// A plugin that broke.
#[derive(Debug, Clone, Copy)]
pub struct Broken<'a> {
    /// Its name.
    pub plugin: &'a Arc<str>,
    /// Its module, for files and lines.
    pub wasm: &'a Arc<Vec<u8>>,
    /// How.
    pub trap: &'a Arc<Trap>,
    /// The worker, from 0.
    pub worker: usize,
    /// The request in which it happened.
    pub about: Option<About<'a>>,
}

/// A request that has come to its end.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The worker, from 0.
    pub worker: usize,
    /// The host that it was in; 0, which no host has, where what came was no request.
    pub host: HostId,
    /// Its number there.
    pub exchange: ExchangeId,
    /// The client.
    pub client: SocketAddr,
    /// The address that it came to.
    pub server: SocketAddr,
    /// The method; empty where what came was no request, or not all of one.
    pub method: &'a [u8],
    /// The target as it came; the first line, as far as there is one, where what came was no request.
    pub target: &'a [u8],
    /// `HTTP/1.1`; empty where what came was no request.
    pub protocol: &'static str,
    /// What it said for `Host`.
    pub authority: &'a [u8],
    /// The headers as they came.
    pub headers: &'a Headers,
    /// The status that went to the client; none if it went away before.
    pub status: Option<u16>,
    /// Bytes of body that went to the client.
    pub sent: u64,
    /// Bytes of body that came from it.
    pub received: u64,
    /// From the first byte of the request to the last one of the response.
    pub took: Duration,
    /// The nodes that were asked, in order; the last one answered, or none did.
    pub tries: &'a [Try],
    /// What was said for `Host` to the upstream.
    pub upstream_host: &'a [u8],
    /// The client broke off.
    pub aborted: bool,
}

/// A node that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// Where it is.
    pub address: SocketAddr,
    /// The status that it answered with; 502 or 504 where it failed, as nginx counts that; none where nobody waited.
    pub status: Option<u16>,
    /// How long that took.
    pub time: Duration,
}

/// A worker that broke.
#[derive(Debug, Clone)]
pub struct WorkerFailure {
    /// The worker, from 0.
    pub worker: usize,
    /// What it said.
    pub message: String,
}
