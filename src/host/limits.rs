//! What one case, or one request of the proxy, may use before it is stopped.

/// Bounds on work and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On one callback.
    pub callback: Work,
    /// On a start function, on `proxy_on_vm_start` and on `proxy_on_configure`: a WAF compiles its rules there.
    pub start: Work,
    /// Bytes of linear memory of one VM; `None` is the profile's.
    pub memory: Option<usize>,
}

/// A bound on work, as the engine measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// About one unit for each wasm instruction, and 200 for each hostcall: the same on every machine.
    Fuel(u64),
    /// Beats of the engine's heart, which are of time: cheaper, and different on every run.
    Beats(u64),
}

impl Default for Limits {
    fn default() -> Self {
        Self { callback: Work::Fuel(2_000_000_000), start: Work::Fuel(10_000_000_000), memory: None }
    }
}
