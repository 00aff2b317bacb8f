//! How long a call may take.

use crate::host::profile::Profile;
use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long the pieces of a call are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// For ever.
    Endless,
    /// All of it until then.
    Until(Instant),
    /// So long for each piece.
    Each(Duration),
}

/// It took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl Patience {
    /// What a plugin's timeout means on a host.
    pub(super) fn of(profile: &Profile, timeout_ms: u32) -> Self {
        let given = match timeout_ms {
            0 => profile.default_call_timeout_ms,
            given => Some(given),
        };
        let Some(time) = given.map(|ms| Duration::from_millis(u64::from(ms))) else { return Self::Endless };
        match profile.call_timeout_for_each_step {
            true => Self::Each(time),
            false => Self::Until(Instant::now() + time),
        }
    }

    /// Waits for a piece.
    pub(super) async fn within<F: Future>(self, piece: F) -> Result<F::Output, TooLong> {
        match self {
            Self::Endless => Ok(piece.await),
            Self::Until(end) => timeout_at(end, piece).await.map_err(|_| TooLong),
            Self::Each(time) => timeout(time, piece).await.map_err(|_| TooLong),
        }
    }
}
