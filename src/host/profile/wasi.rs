//! What hosts do differently with WASI, on which Proxy-Wasm says nothing (abi.md 3.12).

/// WASI of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WasiRules {
    /// What is written to these descriptors becomes lines of the log; else it goes to the streams of the process.
    pub logged: &'static [u32],
    /// Bytes of randomness that one call can ask for.
    pub most_random: Option<u32>,
    /// The errno of a clock that is neither the realtime nor the monotonic one.
    pub unknown_clock: u16,
}

impl WasiRules {
    /// The C++ host's own implementation (Envoy 1.40).
    pub const CPP: Self = Self { logged: &[1, 2], most_random: Some(65536), unknown_clock: 58 };
    /// Wasmtime's, with the streams of the process. nginx's standard error is its log (apisix.md 5.8, test 3).
    pub const WASMTIME: Self = Self { logged: &[2], most_random: None, unknown_clock: 28 };
}
