//! The HTTP messages of the host core: ordered headers, body chunks, trailers.
//!
//! Not hyper's types: order, repeats and raw bytes are kept, and pseudo headers are entries like any other.

mod headers;

pub use headers::{Headers, same_name};

use bytes::Bytes;

/// The two directions of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the upstream.
    Request,
    /// From the upstream to the client.
    Response,
}

/// A piece of a message on its way, in the order in which pieces can come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The head of the message.
    Headers {
        /// Pseudo headers first.
        headers: Headers,
        /// Nothing follows.
        end_of_stream: bool,
    },
    /// A chunk of the body.
    Data {
        /// The bytes of the chunk.
        bytes: Bytes,
        /// Nothing follows.
        end_of_stream: bool,
    },
    /// An HTTP/2 METADATA frame, which belongs to no particular place of the message.
    Metadata(Headers),
    /// The trailers, which always end the message.
    Trailers(Headers),
    /// The stream was broken off.
    Reset,
}
