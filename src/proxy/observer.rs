//! Who hears of what the server does: log lines, requests that have ended, traps, workers that broke.
//!
//! The server formats nothing: it hands over what it knows, borrowed, and whoever listens writes it down or doesn't.

use crate::abi::{ExchangeId, LogLevel};
use std::net::SocketAddr;
use std::time::Duration;

/// Hears of what happens, on the worker's thread. Nothing here may block for long.
pub trait Observer: Send + Sync {
    /// A plugin, or the host, has something to say.
    fn log(&self, _line: &LogLine<'_>) {}

    /// A request has come to its end.
    fn access(&self, _access: &Access<'_>) {}

    /// A worker's thread broke: what it served is gone, and nobody serves in its place.
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
    /// The client.
    pub client: SocketAddr,
    /// The address that it came to.
    pub server: SocketAddr,
    /// `GET /hello HTTP/1.1`
    pub request_line: &'a str,
    /// What it said for `Host`.
    pub authority: &'a str,
}

/// A request that has come to its end.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The worker, from 0.
    pub worker: usize,
    /// The client.
    pub client: SocketAddr,
    /// The address that it came to.
    pub server: SocketAddr,
    /// The method.
    pub method: &'a [u8],
    /// The target as it came.
    pub target: &'a [u8],
    /// `HTTP/1.1`
    pub protocol: &'static str,
    /// What it said for `Host`.
    pub authority: &'a [u8],
    /// The status that went to the client; none if it went away before.
    pub status: Option<u16>,
    /// Bytes of body that went to the client.
    pub sent: u64,
    /// Bytes of body that came from it.
    pub received: u64,
    /// From the first byte of the request to the last one of the response.
    pub took: Duration,
    /// The upstream that was asked last.
    pub upstream: Option<SocketAddr>,
    /// The status that it answered with.
    pub upstream_status: Option<u16>,
    /// The client broke off.
    pub aborted: bool,
}

/// A worker's thread that broke.
#[derive(Debug, Clone)]
pub struct WorkerFailure {
    /// The worker, from 0.
    pub worker: usize,
    /// What it said.
    pub message: String,
}
