//! What a gateway's driver relies on, on the probe that runs scripts out of the path.

use super::super::engine::{Heart, Metering, ModuleCache, metered_engine};
use super::super::env::{Clock, Entropy};
use super::super::limits::{Limits, Work};
use super::super::plugin::LoadedPlugin;
use super::super::profile::{self, Profile};
use super::super::world::{LogLine, Output, World};
use super::super::{Host, PluginConfig, Rebuild, TrapPolicy};
use crate::abi::{ExchangeId, LogLevel, PluginIndex};
use crate::host::exchange::ConnectionInfo;
use crate::message::{Headers, Part};
use crate::trace::Recording;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// A host that records nothing and whose guests are stopped by time, as the proxy's, and what it has said so far.
struct Served {
    host: Host,
    code: Arc<LoadedPlugin>,
    _heart: Heart,
    lines: Vec<LogLine>,
    parts: Vec<(ExchangeId, &'static str, Part)>,
    closed: Vec<ExchangeId>,
    traps: usize,
}

const PROBE: &str = include_str!("../../../fixtures/wat/portable.wat");

impl Served {
    fn new(profile: &'static Profile, wat: &str) -> Self {
        let engine = metered_engine(&ModuleCache::Off, Metering::Beats).expect("an engine");
        let heart = Heart::of(&engine).expect("a heart");
        let bytes = wat.as_bytes().to_vec();
        let code = LoadedPlugin::from_bytes(&engine, Path::new("probe.wat"), bytes, profile).expect("the probe loads");
        let mut world = World::new(profile, Clock::system(), Entropy::System, Recording::Off);
        world.log_level = Some(LogLevel::Info);
        let limits = Limits { callback: Work::Beats(20), start: Work::Beats(500), memory: None };
        let host = Host::new(world, limits, TrapPolicy { fail_request: true, rebuild: Rebuild::Soon });
        let (lines, parts, closed) = (Vec::new(), Vec::new(), Vec::new());
        Self { host, code: Arc::new(code), _heart: heart, lines, parts, closed, traps: 0 }
    }

    fn config(&self, config: &str) -> PluginConfig {
        PluginConfig::new("probe", self.code.clone()).with_config(config.to_owned())
    }

    fn add(&mut self, config: &str) -> PluginIndex {
        let config = self.config(config);
        self.host.add_plugin(config).expect("the plugin starts")
    }

    fn open(&mut self, chain: &[PluginIndex], order: &[usize]) -> ExchangeId {
        self.host.open_chain(ConnectionInfo::new("HTTP/1.1"), chain, order)
    }

    fn request(&mut self, chain: &[PluginIndex], path: &str, end_of_stream: bool) -> ExchangeId {
        let id = self.open(chain, &[]);
        self.head(id, path, end_of_stream);
        id
    }

    fn head(&mut self, id: ExchangeId, path: &str, end_of_stream: bool) {
        let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let mut headers = Headers::new();
        for (name, value) in [(":authority", "app.test"), (":path", path), (":method", "POST"), (":scheme", "http")] {
            headers.append(text(name), text(value));
        }
        self.host.from_client(id, Part::Headers { headers, end_of_stream });
        self.drain();
    }

    fn data(&mut self, id: ExchangeId, bytes: &'static str, end_of_stream: bool) {
        self.host.from_client(id, Part::Data { bytes: Bytes::from_static(bytes.as_bytes()), end_of_stream });
        self.drain();
    }

    fn answer(&mut self, id: ExchangeId) {
        let headers: Headers = [(Bytes::from(":status"), Bytes::from("200"))].into_iter().collect();
        self.host.from_upstream(id, Part::Headers { headers, end_of_stream: true });
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.host.next_output() {
            match output {
                Output::Log(line) => self.lines.push(line),
                Output::ToClient(id, part) => self.parts.push((id, "client", part)),
                Output::ToUpstream(id, part) => self.parts.push((id, "upstream", part)),
                Output::Closed(id) => self.closed.push(id),
                Output::Trap(_) => self.traps += 1,
                _ => {}
            }
        }
    }

    fn text(&mut self) -> Vec<String> {
        let lines = std::mem::take(&mut self.lines);
        lines.iter().map(|line| String::from_utf8_lossy(&line.message).into_owned()).collect()
    }

    /// The status that the client of an exchange was sent.
    fn status(&self, id: ExchangeId) -> Option<String> {
        self.parts.iter().find_map(|(of, to, part)| match part {
            Part::Headers { headers, .. } if *of == id && *to == "client" => {
                headers.get(b":status").map(|s| String::from_utf8_lossy(s).into_owned())
            }
            _ => None,
        })
    }
}

fn position(lines: &[String], wanted: &str) -> usize {
    lines.iter().position(|line| line == wanted).unwrap_or_else(|| panic!("no `{wanted}` in {lines:#?}"))
}

// apisix.md 4.5: lines of a request carry its suffix, lines of a context's end none (2.4).
#[test]
fn log_lines_say_which_request_they_are_about() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    let plugin = served.add("p/");
    let id = served.request(&[plugin], "/request_headers:/log,hello", true);
    served.answer(id);
    let about = |wanted: &str| {
        let mut found = served.lines.iter().filter(|l| l.message == wanted);
        found.next().unwrap_or_else(|| panic!("no `{wanted}`: {:?}", served.lines)).exchange
    };
    assert_eq!(about("p request_headers 0 1"), Some(id));
    assert_eq!(about("create http context 2"), Some(id));
    assert_eq!(about("create plugin context 1"), None);
    assert_eq!(about("p done 2"), None);
    assert_eq!(about("free http context 2"), None);
    assert!(served.host.world().recorder.events().is_empty());
}

#[test]
fn what_is_below_the_level_is_not_said() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    served.host.world_mut().log_level = Some(LogLevel::Critical);
    let plugin = served.add("p/");
    let id = served.request(&[plugin], "/x", true);
    served.answer(id);
    assert_eq!(served.text(), Vec::<String>::new());
    assert_eq!(served.closed, [id]);
}

// apisix.md 2.6: the response order is a list of its own where plugins run in different request phases.
#[test]
fn a_response_has_an_order_of_its_own() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    // A VM for each: the probe knows one configuration.
    let second = PluginConfig { name: "other".to_owned(), ..served.config("p2/") };
    let first = served.add("p1/");
    let second = served.host.add_plugin(second).expect("the plugin starts");
    let id = served.open(&[first, second], &[1, 0]);
    served.head(id, "/x", true);
    served.answer(id);
    let lines = served.text();
    assert!(position(&lines, "p2 response_headers 0 1") < position(&lines, "p1 response_headers 0 1"), "{lines:#?}");
}

// apisix.md 2.6: in 3.11 the route's plugins are looked up when the global rules have run.
#[test]
fn a_global_rule_that_answers_is_alone_with_its_answer() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    let rule = served.add("p/");
    let route = PluginConfig { name: "other".to_owned(), ..served.config("q/") };
    let route = served.host.add_plugin(route).expect("the plugin starts");
    for (path, seen) in [("/request_headers:/local,401,no", false), ("/x", true)] {
        let id = served.open(&[rule, route], &[]);
        served.host.begins_with_global_rules(id, 1);
        served.head(id, path, true);
        served.answer(id);
        let lines = served.text();
        assert!(lines.iter().any(|line| line.starts_with("p response_headers")), "{lines:#?}");
        assert_eq!(lines.iter().any(|line| line.starts_with("q response_headers")), seen, "{lines:#?}");
    }
}

// apisix.md 2.3, 2.4: an id that was freed is given out again; "if http ctxs are still live the ctx is freed after
// the last http ctx".
#[test]
fn a_plugin_that_leaves_ends_with_its_last_request() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    let plugin = served.add("p/");
    let id = served.request(&[plugin], "/x", true);
    served.host.remove_plugin(plugin);
    served.drain();
    assert!(!served.text().iter().any(|line| line.starts_with("free")));
    served.answer(id);
    let lines = served.text();
    assert!(position(&lines, "free http context 2") < position(&lines, "free plugin context 1"));
    assert_eq!(served.host.population().plugin_contexts, 0);
    // The place and the id are taken again.
    let again = served.add("q/");
    assert_eq!(again, plugin);
    let id = served.request(&[again], "/x", true);
    served.answer(id);
    assert!(served.text().contains(&"create plugin context 1".to_owned()));
    served.host.remove_plugin(again);
    assert_eq!(served.host.population().plugin_contexts, 0);
}

// apisix.md 2.6: "No route matched: global rules' request phases still run, then 404".
#[test]
fn the_host_answers_in_place_of_an_upstream() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    let plugin = served.add("p/");
    let id = served.open(&[plugin], &[]);
    served.host.has_no_upstream(id);
    served.head(id, "/response_headers:/get,2,:status", false);
    assert!(matches!(served.parts.as_slice(), [(_, "upstream", Part::Headers { .. })]), "{:?}", served.parts);
    served.host.reply(id, 404, Headers::new(), Bytes::from_static(b"{}\n"));
    served.drain();
    assert_eq!(served.status(id).as_deref(), Some("404"));
    assert!(served.text().contains(&"p get,2,:status = ok 404".to_owned()));
    assert_eq!(served.closed, [id]);
}

#[test]
fn a_plugin_that_loops_is_cut_off() {
    let wat = r#"(module
        (memory (export "memory") 1)
        (func (export "malloc") (param i32) (result i32) i32.const 8)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_context_create") (param i32 i32))
        (func (export "proxy_on_configure") (param i32 i32) (result i32) i32.const 1)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (loop br 0) i32.const 0))"#;
    for profile in [&profile::APISIX, &profile::ENVOY] {
        let mut served = Served::new(profile, wat);
        let plugin = served.add("p/");
        for round in 1..=2 {
            let id = served.request(&[plugin], "/x", true);
            assert_eq!(served.status(id).as_deref(), Some("503"), "{}", profile.name);
            assert_eq!(served.traps, round);
        }
        assert_eq!(served.host.population().stream_contexts, 0, "{}", profile.name);
    }
}

#[test]
fn a_new_vm_leaves_no_request_with_contexts_of_the_old_one() {
    for profile in [&profile::APISIX, &profile::ENVOY] {
        let mut served = Served::new(profile, PROBE);
        let plugin = served.add("p/");
        let waits = served.request(&[plugin], "/x", true);
        let breaks = served.request(&[plugin], "/request_headers:/trap", true);
        assert_eq!((served.traps, served.status(breaks).as_deref()), (1, Some("503")), "{}", profile.name);
        let fine = served.request(&[plugin], "/x", true);
        served.answer(fine);
        served.answer(waits);
        assert_eq!(served.status(fine).as_deref(), Some("200"), "{}", profile.name);
        // APISIX makes a new context for the response; Envoy's streams fail with their VM.
        let expected = if profile.plugins_run_in_turn { "200" } else { "503" };
        assert_eq!(served.status(waits).as_deref(), Some(expected), "{}", profile.name);
        assert_eq!((served.closed.len(), served.traps), (3, 1), "{}", profile.name);
        assert_eq!(served.host.population().stream_contexts, 0, "{}", profile.name);
    }
}

#[test]
fn a_long_body_streams_if_no_plugin_wants_it() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    served.host.world_mut().stream_after = Some(4);
    let plugin = served.add("p/");
    let id = served.request(&[plugin], "/x", false);
    served.data(id, "abcd", false);
    assert!(served.parts.is_empty(), "{:?}", served.parts);
    served.data(id, "e", false);
    served.data(id, "f", true);
    let bodies = served.parts.iter().filter_map(|(_, _, part)| match part {
        Part::Data { bytes, end_of_stream } => Some((bytes.clone(), *end_of_stream)),
        _ => None,
    });
    let bodies: Vec<_> = bodies.collect();
    assert_eq!(bodies, [(Bytes::from("abcde"), false), (Bytes::from("f"), true)]);
}

#[test]
fn a_body_that_a_plugin_waits_for_has_a_bound() {
    let mut served = Served::new(&profile::APISIX, PROBE);
    served.host.world_mut().stream_after = Some(4);
    served.host.world_mut().buffer_limit = 8;
    let plugin = served.add("p/");
    let path = "/request_headers:/set_property,wasm_process_req_body,true";
    let id = served.request(&[plugin], path, false);
    served.data(id, "12345678", false);
    assert_eq!(served.status(id), None);
    served.data(id, "9", false);
    assert_eq!(served.status(id).as_deref(), Some("413"));
    assert!(!served.parts.iter().any(|(_, to, _)| *to == "upstream"));
}

// Nobody has to come: what waited for the VM is answered, and its ticks go on, with a second between two attempts.
#[test]
fn a_vm_that_trapped_comes_back_by_itself() {
    let mut served = Served::new(&profile::ENVOY, PROBE);
    served.host.world_mut().clock = Clock::Virtual { start_ns: 0, elapsed_ns: 0 };
    let plugin = served.add("p/configure:/tick,50/tick:/trap");
    let waiting = served.request(&[plugin], "/request_headers:/pause", true);
    let mut times = Vec::new();
    while times.len() < 5 {
        let at = served.host.next_tick().expect("something is due");
        served.host.world_mut().clock.advance_to(at);
        assert!(served.host.fire_tick());
        served.drain();
        times.push((at / 1_000_000, served.traps, served.status(waiting)));
    }
    let answered = Some("503".to_owned());
    let none = None;
    let expected = [
        (50, 1, none),
        (50, 1, answered.clone()),
        (100, 2, answered.clone()),
        (1050, 2, answered.clone()),
        (1100, 3, answered),
    ];
    assert_eq!(times, expected);
    assert_eq!(served.closed, [waiting]);
}
