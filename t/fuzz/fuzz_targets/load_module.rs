//! Any bytes are a module or are refused; a module that loads is started and gets a request and a response with
//! bodies. It may do what it likes and may not break the host.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::host::env::{Clock, Entropy};
use pwtest::host::exchange::ConnectionInfo;
use pwtest::host::limits::{Limits, Work};
use pwtest::host::plugin::LoadedPlugin;
use pwtest::host::profile::ENVOY;
use pwtest::host::world::World;
use pwtest::host::{CallResult, Host, Output, PluginConfig, TrapPolicy, Rebuild};
use pwtest::message::{Headers, Part};
use pwtest::trace::Recording;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const LIMITS: Limits = Limits { callback: Work::Fuel(1_000_000), start: Work::Fuel(1_000_000), memory: Some(16 << 20) };

fuzz_target!(|bytes: &[u8]| {
    static ENGINE: LazyLock<wasmtime::Engine> =
        LazyLock::new(|| engine(&ModuleCache::Off).expect("the engine starts"));
    let Ok(code) = LoadedPlugin::from_bytes(&ENGINE, Path::new("fuzz.wasm"), bytes.to_vec(), &ENVOY) else { return };
    let world = World::new(&ENVOY, Clock::starting_at(0), Entropy::seeded(0), Recording::On);
    let mut host = Host::new(world, LIMITS, TrapPolicy { fail_request: true, rebuild: Rebuild::ForNextRequest });
    let config = PluginConfig::new("fuzz", Arc::new(code)).with_config("a configuration");
    let config = PluginConfig { vm_config: Bytes::from_static(b"another"), ..config };
    if host.add_plugin(config).is_err() {
        return;
    }
    let exchange = host.open(ConnectionInfo::new("HTTP/1.1"));
    for part in message(&[(":method", "POST"), (":path", "/?q=1"), (":authority", "app.test"), (":scheme", "http")]) {
        host.from_client(exchange, part);
        carry_out(&mut host);
    }
    host.fire_tick();
    carry_out(&mut host);
    host.abort(exchange);
    host.shutdown();
});

fn message(head: &[(&'static str, &'static str)]) -> [Part; 4] {
    let map = |pairs: &[(&'static str, &'static str)]| -> Headers {
        pairs.iter().map(|(k, v)| (Bytes::from(*k), Bytes::from(*v))).collect()
    };
    let data = |text: &'static str| Part::Data { bytes: text.into(), end_of_stream: false };
    [
        Part::Headers { headers: map(head), end_of_stream: false },
        data("the first chunk"),
        data("the second"),
        Part::Trailers(map(&[("x-trailer", "1")])),
    ]
}

/// Answers requests and calls; a guest that goes on for ever is left alone after a while.
fn carry_out(host: &mut Host) {
    for _ in 0..100 {
        let Some(output) = host.next_output() else { return };
        match output {
            Output::ToUpstream(exchange, part) if matches!(part, Part::Trailers(_)) => {
                for part in message(&[(":status", "200")]) {
                    host.from_upstream(exchange, part);
                }
            }
            Output::HttpCall { call, .. } => {
                let headers = [(Bytes::from(":status"), Bytes::from("200"))].into_iter().collect();
                let body = Bytes::from("an answer");
                host.answer(call, CallResult::Response { headers, body, trailers: Headers::new() });
            }
            _ => {}
        }
    }
}
