//! The two seams to the outside: time and randomness.
//!
//! The runner moves a virtual clock and seeds the randomness; a proxy reads the system's. There is no third.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The system's.
    System {
        /// When the host began.
        began: Instant,
    },
    /// Moves only when the driver says so.
    Virtual {
        /// Nanoseconds since the epoch at which the case began.
        start_ns: u64,
        /// Nanoseconds since then.
        elapsed_ns: u64,
    },
}

impl Clock {
    /// A virtual clock that stands at this moment.
    pub fn starting_at(start_ns: u64) -> Self {
        Self::Virtual { start_ns, elapsed_ns: 0 }
    }

    /// The system's clock.
    pub fn system() -> Self {
        Self::System { began: Instant::now() }
    }

    /// Nanoseconds since the epoch.
    pub fn realtime_ns(self) -> u64 {
        match self {
            Self::System { .. } => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos),
            Self::Virtual { start_ns, elapsed_ns } => start_ns.saturating_add(elapsed_ns),
        }
    }

    /// What a guest reads as monotonic time: an hour of uptime and then what has passed. Go's runtime refuses to
    /// start where it is 0.
    pub fn uptime_ns(self) -> u64 {
        const BEFORE: u64 = 3_600_000_000_000;
        self.monotonic_ns().saturating_add(BEFORE)
    }

    /// Nanoseconds since the host began.
    pub fn monotonic_ns(self) -> u64 {
        match self {
            Self::System { began } => nanos(began.elapsed()),
            Self::Virtual { elapsed_ns, .. } => elapsed_ns,
        }
    }

    /// Moves forward to so many nanoseconds after the start; never back. The system's clock moves by itself, so
    /// whoever wants it there has to wait; a worker waits for nobody longer than a moment.
    pub fn advance_to(&mut self, monotonic_ns: u64) {
        const MOMENT: Duration = Duration::from_millis(50);
        match self {
            Self::System { .. } => {
                let ahead = Duration::from_nanos(monotonic_ns.saturating_sub(self.monotonic_ns()));
                std::thread::sleep(ahead.min(MOMENT));
            }
            Self::Virtual { elapsed_ns, .. } => *elapsed_ns = (*elapsed_ns).max(monotonic_ns),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The source of randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entropy {
    /// The system's.
    System,
    /// SplitMix64, a published algorithm of one line that is the same on every machine.
    Seeded(u64),
}

impl Entropy {
    /// The same seed gives the same numbers.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        match self {
            Self::System => {
                if getrandom::fill(buffer).is_err() {
                    // A system without randomness: something that at least differs from call to call.
                    let now = Clock::system().realtime_ns();
                    Self::Seeded(now).fill(buffer);
                }
            }
            Self::Seeded(state) => {
                for chunk in buffer.chunks_mut(8) {
                    chunk.copy_from_slice(&split_mix(state).to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
