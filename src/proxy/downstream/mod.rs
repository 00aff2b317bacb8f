//! Connections of clients: which protocol one speaks shows in its first bytes.

mod answer;
mod http1;
mod http2;

pub(super) use http1::Connection;
