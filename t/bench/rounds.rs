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
    pub fn median(&self, wanted: usize, run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
        let mut run = run;
        let [median] = self.medians(wanted, [&mut run])?;
        Ok(median)
    }

    /// The same for several things that are compared: they take turns, so that whatever else the machine does falls
    /// on all of them.
    pub fn medians<const N: usize>(
        &self,
        wanted: usize,
        mut runs: [&mut dyn FnMut() -> anyhow::Result<()>; N],
    ) -> anyhow::Result<[Duration; N]> {
        let mut times = [const { Vec::new() }; N];
        for round in 0..=self.count(wanted) {
            for (run, times) in runs.iter_mut().zip(&mut times) {
                let begun = Instant::now();
                run()?;
                if round > 0 {
                    times.push(begun.elapsed());
                }
            }
        }
        Ok(times.map(|mut times| {
            times.sort();
            times[times.len() / 2]
        }))
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
