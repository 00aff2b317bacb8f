//! A connection with what has been read from it and what waits to be written to it.

use super::http1::write::Outbox;
use bytes::BytesMut;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

/// Bytes that one read asks for, at least.
const READ: usize = 8 << 10;
/// The same where one read after the other fills its buffer.
const READ_MORE: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    io: TcpStream,
    /// What has been read and not been taken.
    pub input: BytesMut,
    /// What has not been written.
    pub out: Outbox,
    read_size: usize,
}

impl Wire {
    pub(super) fn new(io: TcpStream) -> Self {
        Self { io, input: BytesMut::new(), out: Outbox::default(), read_size: READ }
    }

    /// Reads more; 0 is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // A buffer that nobody else holds a part of is used again.
        if self.input.capacity() - self.input.len() < 1024 {
            self.input.reserve(self.read_size);
        }
        let room = self.input.capacity() - self.input.len();
        let read = ready!(pin!(self.io.read_buf(&mut self.input)).poll(cx))?;
        self.read_size = if read == room { READ_MORE } else { READ };
        Poll::Ready(Ok(read))
    }

    /// Writes what waits, as far as it is taken. Says whether everything has been written.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = match self.out.single() {
                Some(bytes) => ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?,
                None => {
                    let mut slices = Outbox::no_slices();
                    let count = self.out.slices(&mut slices);
                    ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count]))?
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.written(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Whether the peer has said nothing and not gone away, as far as is known: nothing is waited for.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [0u8];
        self.input.is_empty()
            && self.out.is_empty()
            && matches!(self.io.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The connection, and what has been read of it.
    pub(super) fn into_parts(self) -> (TcpStream, BytesMut) {
        (self.io, self.input)
    }
}
