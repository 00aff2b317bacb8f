//! Messages that another host put into a queue of ours.

use super::Host;
use super::world::Posted;
use crate::abi::{ContextId, QueueId, VmIndex};

impl Host {
    /// Tells the owner of a queue of a message, as [`Output::QueueReady`](super::Output::QueueReady) of another host
    /// asked for. An owner that is gone is not told.
    pub fn queue_ready(&mut self, vm: VmIndex, root: ContextId, queue: QueueId) {
        self.world.posted.push_back(Posted::QueueReady { vm, root, queue });
        self.run_posted();
    }
}

#[cfg(test)]
mod tests {
    use crate::host::engine::{ModuleCache, engine};
    use crate::host::env::{Clock, Entropy};
    use crate::host::limits::Limits;
    use crate::host::plugin::LoadedPlugin;
    use crate::host::world::World;
    use crate::host::{Host, Output, PluginConfig, Rebuild, Stores, TrapPolicy, profile::ENVOY};
    use crate::trace::{Effect, Recording, views};
    use std::path::Path;
    use std::sync::Arc;

    fn host(stores: &Stores, code: &Arc<LoadedPlugin>, config: &'static str) -> Host {
        let world = World::new(&ENVOY, Clock::starting_at(0), Entropy::seeded(0), Recording::On).with_stores(stores);
        let mut host =
            Host::new(world, Limits::default(), TrapPolicy { fail_request: true, rebuild: Rebuild::ForNextRequest });
        let plugin = PluginConfig::new("queues", code.clone()).with_config(config);
        host.add_plugin(plugin).expect("it starts");
        host
    }

    fn logs(host: &Host) -> Vec<String> {
        let logs = views::effects(host.world().recorder.events()).filter_map(|effect| match effect {
            Effect::Log { message, .. } => Some(String::from_utf8_lossy(message).into_owned()),
            _ => None,
        });
        logs.collect()
    }

    // abi.md 8.4: the owner is told in its own thread, once for each message, and in that of nobody else.
    #[test]
    fn the_owner_in_another_host_is_told() {
        let engine = engine(&ModuleCache::Off).expect("an engine");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wat/queues.wat");
        let code = Arc::new(LoadedPlugin::load(&engine, &file, &ENVOY).expect("it loads"));
        let stores = Stores::default();
        let mut owning = host(&stores, &code, "register_shared_queue 'q' @");
        let script = "resolve_shared_queue '' 'q' @; enqueue_shared_queue 1 'a'; enqueue_shared_queue 1 'b'";
        let mut sending = host(&stores, &code, script);
        let mut told = 0;
        while let Some(output) = sending.next_output() {
            let Output::QueueReady { owner, queue } = output else { continue };
            assert_eq!(owner.host, owning.world().stores.host());
            owning.queue_ready(owner.vm, owner.root, queue);
            told += 1;
        }
        assert_eq!(told, 2);
        assert_eq!(logs(&owning), ["register_shared_queue 'q' @ = ok 1", "queue_ready 1 1", "queue_ready 1 1"]);
        assert!(!logs(&sending).iter().any(|line| line.starts_with("queue_ready")));
        // The owner's worker is gone: nobody is to be told, and what comes too late does no harm.
        drop(owning);
        let mut late = host(&stores, &code, script);
        assert!(late.next_output().is_none());
        late.queue_ready(crate::abi::VmIndex(7), crate::abi::ContextId(1), crate::abi::QueueId(1));
        let told = logs(&late).iter().any(|line| line.starts_with("queue_ready"));
        assert!(!told);
    }
}
