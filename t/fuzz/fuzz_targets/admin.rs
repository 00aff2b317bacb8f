//! Whatever is asked of the admin API, it answers with JSON or with a page, its objects stay valid, and they come back
//! from a state file as they were.
//!
//! The input is a list of requests, each ended by a zero byte: `METHOD TARGET`, a line feed, and the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pwtest::gateway::admin::{self, AdminRequest, Allowed};
use pwtest::gateway::config::Config;
use pwtest::gateway::model::{RequestPhase, WasmPlugin};
use pwtest::gateway::resources::Resources;
use pwtest::message::Headers;
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|bytes: &[u8]| {
    let mut resources = Resources::new(plugins());
    for (at, request) in bytes.split(|b| *b == 0).take(32).enumerate() {
        let end = request.iter().position(|b| *b == b'\n').unwrap_or(request.len());
        let Ok(line) = std::str::from_utf8(&request[..end]) else { continue };
        let (method, target) = line.split_once(' ').unwrap_or(("PUT", line));
        let reply = admin::handle(
            &mut resources,
            &AdminRequest {
                method,
                target,
                headers: &Headers::new(),
                body: request.get(end + 1..).unwrap_or_default(),
                now: 1_700_000_000 + at as u64,
                keys: &[],
                allowed: &Allowed::default(),
                client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            },
        );
        assert!((200..600).contains(&reply.status), "status {}", reply.status);
    }
    let objects = resources.objects();
    let _ = Config::compile(resources.plugins(), objects.clone());
    let again = Resources::restore(plugins(), &resources.to_state()).expect("what was kept is read again");
    assert_eq!(again.objects(), objects);
});

fn plugins() -> Vec<WasmPlugin> {
    vec![WasmPlugin {
        name: "wasm_log".into(),
        file: "log.wasm".into(),
        priority: 7999,
        http_request_phase: RequestPhase::Access,
    }]
}
