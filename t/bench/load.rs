//! Loading a large module: compiled, and from the cache.

use super::rounds::{Rounds, millis};
use super::{Line, fixture, scratch};
use pwtest::host::engine::{ModuleCache, engine};
use pwtest::host::plugin::LoadedPlugin;
use pwtest::host::profile::ENVOY;

pub fn measure(rounds: &Rounds) -> anyhow::Result<Vec<Line>> {
    let path = fixture("go/log.wasm");
    let load = |cache: &ModuleCache| -> anyhow::Result<()> {
        LoadedPlugin::load(&engine(cache)?, &path, &ENVOY)?;
        Ok(())
    };
    let cached = ModuleCache::Folder(scratch("load")?);
    let with = millis(rounds.median(15, || load(&cached))?);
    let without = millis(rounds.median(3, || load(&ModuleCache::Off))?);
    Ok(vec![
        Line::told("Go plugin, compiled", without, "ms"),
        Line::told("Go plugin, from the cache", with, "ms"),
        Line::told("without the cache to with it", without / with, "x"),
    ])
}
