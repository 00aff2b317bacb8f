//! The two seams to the outside: time and randomness.
//!
//! The runner moves a virtual clock and seeds the randomness; a proxy reads the system's. There is no third.

/// The source of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
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

    /// Nanoseconds since the epoch.
    pub fn realtime_ns(self) -> u64 {
        match self {
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
            Self::Virtual { elapsed_ns, .. } => elapsed_ns,
        }
    }

    /// Moves forward to so many nanoseconds after the start; never back.
    pub fn advance_to(&mut self, monotonic_ns: u64) {
        match self {
            Self::Virtual { elapsed_ns, .. } => *elapsed_ns = (*elapsed_ns).max(monotonic_ns),
        }
    }
}

/// The source of randomness: SplitMix64, a published algorithm of one line that is the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entropy(u64);

impl Entropy {
    /// The same seed gives the same numbers.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fills a buffer.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}
