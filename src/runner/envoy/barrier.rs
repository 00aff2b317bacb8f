//! The barrier: a request that Envoy's worker answers by itself. There is one worker, so when the answer is here,
//! the worker has dealt with everything that was sent to it before.

use super::error::EnvoyError;
use super::http1::{Reader, Rest, head_bytes};
use bytes::Bytes;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Mutex;

/// A worker that does not answer for so long is held by a plugin.
const LIMIT: Duration = Duration::from_secs(10);

/// The barrier of one Envoy.
#[derive(Debug)]
pub struct Barrier {
    address: SocketAddr,
    connection: Mutex<Option<(Reader, OwnedWriteHalf)>>,
}

impl Barrier {
    /// A barrier at the listener of this port.
    pub fn new(port: u16) -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), connection: Mutex::new(None) }
    }

    /// Waits until the worker has done everything that it was given before. Several times in a row, for what it does
    /// then (connect to an upstream, say) comes back to it as something new.
    pub async fn pass(&self, times: usize) -> Result<(), EnvoyError> {
        for _ in 0..times {
            match tokio::time::timeout(LIMIT, self.once()).await {
                Ok(Ok(())) => {}
                // Whoever watches the process says what happened to it.
                Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(_) => return Err(EnvoyError::Hangs { seconds: LIMIT.as_secs() }),
            }
        }
        Ok(())
    }

    async fn once(&self) -> std::io::Result<()> {
        let mut slot = self.connection.lock().await;
        let (mut reader, mut writing) = match slot.take() {
            Some(open) => open,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                let (reading, writing) = stream.into_split();
                (Reader::new(reading), writing)
            }
        };
        let host = [(Bytes::from_static(b"host"), Bytes::from_static(b"barrier"))];
        writing.write_all(&head_bytes(&[b"GET", b"/", b"HTTP/1.1"], &host)).await?;
        let head = reader.head().await?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut rest = head.rest(Rest::Done);
        while reader.piece(&mut rest).await?.is_some() {}
        // What our own side has received is dealt with before anybody goes on.
        tokio::task::yield_now().await;
        *slot = Some((reader, writing));
        Ok(())
    }
}
