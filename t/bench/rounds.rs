//! Rounds and medians.

use std::time::{Duration, Instant};

/// How often something is measured.
pub struct Rounds {
    in_earnest: bool,
}

impl Rounds {
    /// As often as it takes, or once to see that it runs.
    pub fn new(in_earnest: bool) -> Self {
        Self { in_earnest }
    }

    /// So many times, or once.
    pub fn count(&self, wanted: usize) -> usize {
        if self.in_earnest { wanted } else { 1 }
    }

    /// The median time of what `run` does, over so many rounds after one that warms up.
    pub fn median(&self, wanted: usize, mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
        run()?;
        let mut times = Vec::new();
        for _ in 0..self.count(wanted) {
            let begun = Instant::now();
            run()?;
            times.push(begun.elapsed());
        }
        times.sort();
        Ok(times[times.len() / 2])
    }
}

/// In milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// In microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
