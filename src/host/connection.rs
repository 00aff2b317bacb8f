//! A TCP connection as the host holds it: what has been read, what waits to be written, and how far the chain is
//! open. Data only; how it moves is in `tcp`.

use bytes::BytesMut;

/// The TCP side of an exchange.
#[derive(Debug, Default)]
pub struct Connection {
    /// Filters that have had `on_new_connection`; always the first ones of the chain.
    pub opened: usize,
    /// Where the upstream stands.
    pub upstream: Upstream,
    /// What the client sent and the host has not read: it reads nothing before there is an upstream (Envoy 1.40).
    pub unread: BytesMut,
    /// How that ends.
    pub unread_end: UnreadEnd,
    /// From the client to the upstream.
    pub downstream_data: Flow,
    /// From the upstream to the client.
    pub upstream_data: Flow,
}

/// Where the upstream of a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Upstream {
    /// The chain has not let the connection through.
    #[default]
    NotAsked,
    /// The driver has been asked for it.
    Connecting,
    /// It is there.
    Connected,
}

/// How what the client sent goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnreadEnd {
    /// It may send more.
    #[default]
    Open,
    /// It sends nothing more.
    End,
    /// It broke the connection off.
    Reset,
}

/// One direction. All filters share the buffer: what one of them holds is shown again, with what has come since,
/// to it and to those before it (Envoy 1.40).
#[derive(Debug, Default)]
pub struct Flow {
    /// What has not gone on.
    pub buffer: BytesMut,
    /// The end came in.
    pub ended: bool,
    /// The end went out.
    pub ended_out: bool,
    /// The filter that holds it.
    pub held_by: Option<usize>,
}

impl Connection {
    /// Whether the host reads from the client.
    pub fn reads(&self, limit: usize) -> bool {
        // Envoy 1.40: past the limit nothing is read, so that the end and a reset are not noticed either.
        self.upstream == Upstream::Connected && self.downstream_data.buffer.len() <= limit
    }
}
