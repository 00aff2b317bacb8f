//! The signals that a server obeys.
//!
//! A closed pipe is none of them: Rust ignores SIGPIPE, and a write that fails is an error like any other.

use std::io;
use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// End what is under way, and go: SIGTERM, SIGINT, SIGQUIT.
    Stop,
    /// Read everything anew: SIGHUP.
    Reload,
    /// Open the log files anew, as after `logrotate`: SIGUSR1.
    Reopen,
}

/// The signals, from now on.
pub struct Signals {
    streams: Vec<(unix::Signal, Wish)>,
}

impl Signals {
    /// Begins to listen; what these signals do otherwise, they do no more.
    pub fn listen() -> io::Result<Self> {
        let kinds = [
            (SignalKind::terminate(), Wish::Stop),
            (SignalKind::interrupt(), Wish::Stop),
            (SignalKind::quit(), Wish::Stop),
            (SignalKind::hangup(), Wish::Reload),
            (SignalKind::user_defined1(), Wish::Reopen),
        ];
        let streams = kinds.into_iter().map(|(kind, wish)| Ok((unix::signal(kind)?, wish)));
        Ok(Self { streams: streams.collect::<io::Result<_>>()? })
    }

    /// The next one.
    pub async fn next(&mut self) -> Wish {
        std::future::poll_fn(|cx| {
            for (stream, wish) in &mut self.streams {
                if stream.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(*wish);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
