//! HTTP/1.1 on the wire, in both directions and without any I/O: heads, bodies, and how they are written.
//!
//! Our own and not hyper's: what plugins see has to be what came, header by header in order, and whatever two parties
//! could read in two ways has to be refused before anybody reads it. hyper keeps headers in a map, drops the length
//! of a request that has a transfer coding before it, and says nothing of it. HTTP/2 is hyper's.

pub mod body;
pub mod head;
pub mod request;
pub mod response;
pub mod write;

#[cfg(test)]
mod tests;

/// Why a message is not taken. On the client's side it is answered; what an upstream sent is only garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the client gets.
    pub status: u16,
    /// What is wrong, for people.
    pub reason: &'static str,
}

impl Refusal {
    /// 400
    pub const fn bad(reason: &'static str) -> Self {
        Self { status: 400, reason }
    }
}

/// What a head may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadBounds {
    /// Bytes, all lines together.
    pub bytes: usize,
    /// Bytes of a request's target.
    pub target: usize,
    /// Lines of headers.
    pub lines: usize,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection. Only responses.
    Close,
}
