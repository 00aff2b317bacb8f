//! What one case may use before it is stopped.

/// Bounds on fuel and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fuel of one callback. About one unit for each wasm instruction, and 200 for each hostcall.
    pub callback_fuel: u64,
    /// Fuel of a start function, of `proxy_on_vm_start` and of `proxy_on_configure`: a WAF compiles its rules
    /// there.
    pub start_fuel: u64,
    /// Bytes of linear memory of one VM; `None` is the profile's.
    pub memory: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { callback_fuel: 2_000_000_000, start_fuel: 10_000_000_000, memory: None }
    }
}
