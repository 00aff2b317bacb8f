//! What the host adds to a request: the same guest calls through the host core, not recorded, and through bare
//! wasmtime with host functions that do nothing.
//!
//! A cycle is a context created, two header callbacks with three hostcalls between them, log, done and delete.

use super::rounds::{Rounds, micros};
use super::{Line, fixture};
use anyhow::{anyhow, bail};
use bytes::Bytes;
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::host::env::{Clock, Entropy};
use pwtest::host::exchange::ConnectionInfo;
use pwtest::host::limits::Limits;
use pwtest::host::plugin::LoadedPlugin;
use pwtest::host::profile::ENVOY;
use pwtest::host::world::World;
use pwtest::host::{Host, Output, PluginConfig, Rebuild, TrapPolicy};
use pwtest::message::{Headers, Part};
use pwtest::trace::Recording;
use std::sync::Arc;
use wasmtime::{Engine, Linker, Module, Store, TypedFunc};

/// So many make a round: a few milliseconds.
const CYCLES: u32 = 1_000;
/// Of one entry; the host sets it anew each time, so bare wasmtime does too.
const FUEL: u64 = 2_000_000_000;

pub fn measure(rounds: &Rounds) -> anyhow::Result<Vec<Line>> {
    let engine = engine(&ModuleCache::Off)?;
    let path = fixture("rust/header.wasm");
    let mut host = host(&engine, &path)?;
    let request = head(&[(":method", "GET"), (":path", "/hello"), (":authority", "app.test"), (":scheme", "http")]);
    let response = head(&[(":status", "200"), ("content-length", "0")]);
    let mut bare = Bare::new(&engine, &std::fs::read(&path)?)?;
    let mut with_host = || (0..CYCLES).try_for_each(|_| exchange(&mut host, &request, &response));
    let mut without = || (0..CYCLES).try_for_each(|_| bare.cycle());
    let [host, bare] = rounds.medians(101, [&mut with_host, &mut without])?;
    let (host, bare) = (micros(host) / f64::from(CYCLES), micros(bare) / f64::from(CYCLES));
    Ok(vec![
        Line::at_most("host overhead of a request", host - bare, 5.0, "us"),
        Line::told("the same calls, bare wasmtime", bare, "us"),
        Line::told("with the host to without", host / bare, "x"),
    ])
}

fn host(engine: &Engine, path: &std::path::Path) -> anyhow::Result<Host> {
    let code = Arc::new(LoadedPlugin::load(engine, path, &ENVOY)?);
    let world = World::new(&ENVOY, Clock::starting_at(0), Entropy::seeded(0), Recording::Off);
    let policy = TrapPolicy { fail_request: true, rebuild: Rebuild::Never };
    let mut host = Host::new(world, Limits::default(), policy);
    host.add_plugin(PluginConfig::new("header", code).with_config(""))?;
    Ok(host)
}

fn head(pairs: &[(&'static str, &'static str)]) -> Part {
    let headers: Headers = pairs.iter().map(|(k, v)| (Bytes::from(*k), Bytes::from(*v))).collect();
    Part::Headers { headers, end_of_stream: true }
}

/// Client and upstream of one exchange.
fn exchange(host: &mut Host, request: &Part, response: &Part) -> anyhow::Result<()> {
    let id = host.open(ConnectionInfo::new("HTTP/1.1"));
    host.from_client(id, request.clone());
    while let Some(output) = host.next_output() {
        match output {
            Output::ToUpstream(..) => host.from_upstream(id, response.clone()),
            Output::Closed(_) => return Ok(()),
            _ => {}
        }
    }
    bail!("the exchange did not come to its end")
}

/// The guest alone.
struct Bare {
    store: Store<()>,
    context: u32,
    create: TypedFunc<(u32, u32), ()>,
    request_headers: TypedFunc<(u32, u32, u32), u32>,
    response_headers: TypedFunc<(u32, u32, u32), u32>,
    log: TypedFunc<u32, ()>,
    done: TypedFunc<u32, u32>,
    delete: TypedFunc<u32, ()>,
}

impl Bare {
    fn new(engine: &Engine, wasm: &[u8]) -> anyhow::Result<Self> {
        Self::instantiate(engine, wasm).map_err(|error| anyhow!("{error:#}"))
    }

    fn instantiate(engine: &Engine, wasm: &[u8]) -> wasmtime::Result<Self> {
        let module = Module::new(engine, wasm)?;
        let mut linker: Linker<()> = Linker::new(engine);
        // The ones of the cycle, as the host defines them: typed.
        linker.func_wrap("env", "proxy_get_header_map_value", |_: i32, _: i32, _: i32, _: i32, _: i32| 1)?;
        linker.func_wrap("env", "proxy_add_header_map_value", |_: i32, _: i32, _: i32, _: i32, _: i32| 0)?;
        let mut store = Store::new(engine, ());
        store.set_fuel(FUEL)?;
        linker.define_unknown_imports_as_default_values(&mut store, &module)?;
        let instance = linker.instantiate(&mut store, &module)?;
        if let Ok(start) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
            start.call(&mut store, ())?;
        }
        let create = instance.get_typed_func::<(u32, u32), ()>(&mut store, "proxy_on_context_create")?;
        create.call(&mut store, (1, 0))?;
        Ok(Self {
            context: 1,
            create,
            request_headers: instance.get_typed_func(&mut store, "proxy_on_request_headers")?,
            response_headers: instance.get_typed_func(&mut store, "proxy_on_response_headers")?,
            log: instance.get_typed_func(&mut store, "proxy_on_log")?,
            done: instance.get_typed_func(&mut store, "proxy_on_done")?,
            delete: instance.get_typed_func(&mut store, "proxy_on_delete")?,
            store,
        })
    }

    fn cycle(&mut self) -> anyhow::Result<()> {
        self.calls().map_err(|error| anyhow!("{error:#}"))
    }

    fn calls(&mut self) -> wasmtime::Result<()> {
        self.context += 1;
        let (store, context) = (&mut self.store, self.context);
        store.set_fuel(FUEL)?;
        self.create.call(&mut *store, (context, 1))?;
        store.set_fuel(FUEL)?;
        self.request_headers.call(&mut *store, (context, 4, 1))?;
        store.set_fuel(FUEL)?;
        self.response_headers.call(&mut *store, (context, 2, 1))?;
        store.set_fuel(FUEL)?;
        self.log.call(&mut *store, context)?;
        store.set_fuel(FUEL)?;
        self.done.call(&mut *store, context)?;
        store.set_fuel(FUEL)?;
        self.delete.call(&mut *store, context)
    }
}
