//! A word to whoever waits, where something takes longer than one expects.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Something is under way, until this is dropped.
pub(super) struct Meanwhile {
    _over: Sender<()>,
}

impl Meanwhile {
    /// Says something once it has taken so long. Where there is no thread for that, nothing is said.
    pub(super) fn after(patience: Duration, say: impl FnOnce() + Send + 'static) -> Self {
        let (over, wait) = channel();
        let thread = std::thread::Builder::new().name("meanwhile".to_owned());
        let _ = thread.spawn(move || {
            if wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                say();
            }
        });
        Self { _over: over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_told_of() {
        let (told, hear) = channel();
        let short = told.clone();
        drop(Meanwhile::after(Duration::from_secs(60), move || short.send("short").unwrap_or_default()));
        let long = Meanwhile::after(Duration::ZERO, move || told.send("long").unwrap_or_default());
        assert_eq!(hear.recv_timeout(Duration::from_secs(60)), Ok("long"));
        drop(long);
        // Both threads are gone, and the first one has said nothing.
        assert_eq!(hear.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    }
}
