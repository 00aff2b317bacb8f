//! Stores that several threads have in common.

use super::*;
use crate::host::env::{Clock, Entropy};
use crate::host::profile;
use crate::host::world::World;
use crate::trace::Recording;
use std::thread;

fn world(stores: &Stores) -> World {
    World::new(&profile::ENVOY, Clock::starting_at(0), Entropy::seeded(0), Recording::Off).with_stores(stores)
}

/// Runs the same on several threads at once, each with a world of its own.
fn workers(stores: &Stores, count: usize, run: impl Fn(World) + Sync) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| run(world(stores)));
        }
    });
}

// abi.md 8.5: a write with a stale number is refused, so of those who read one number only one can write by it.
#[test]
fn compare_and_swap_loses_no_update() {
    const EACH: u32 = 500;
    let stores = Stores::default();
    world(&stores).stores.set_shared_data(b"n", b"0", 0).expect("written");
    workers(&stores, 4, |world| {
        for _ in 0..EACH {
            loop {
                let (value, cas) = world.stores.shared_data(b"n").expect("written");
                let before: u32 = std::str::from_utf8(&value).expect("text").parse().expect("a number");
                match world.stores.set_shared_data(b"n", (before + 1).to_string().as_bytes(), cas) {
                    Ok(_) => break,
                    Err(status) => assert_eq!(status, Status::CasMismatch),
                }
            }
        }
    });
    let (value, _) = world(&stores).stores.shared_data(b"n").expect("written");
    assert_eq!(value, (4 * EACH).to_string());
}

// Envoy: one stat for the process, whichever worker defined it.
#[test]
fn a_metric_is_the_same_in_every_worker() {
    const EACH: u64 = 1000;
    let stores = Stores::default();
    workers(&stores, 4, |mut world| {
        let vm = VmIndex(0);
        let mut define = |kind, name: &[u8]| world.metrics.define(&world.stores, vm, kind, name).expect("new");
        let counter = define(MetricType::Counter, b"requests");
        let gauge = define(MetricType::Gauge, b"requests");
        let histogram = define(MetricType::Histogram, b"time");
        for _ in 0..EACH {
            world.metrics.increment(vm, counter, 1).expect("up");
            world.metrics.increment(vm, gauge, -1).expect("down");
            world.metrics.increment(vm, gauge, 1).expect("up");
            world.metrics.record(vm, histogram, 2).expect("recorded");
        }
    });
    // The workers are gone, what they counted is not.
    let samples = stores.samples();
    let seen: Vec<_> =
        samples.iter().map(|s| (std::str::from_utf8(&s.name).expect("text"), s.kind, s.value, s.sum)).collect();
    assert_eq!(
        seen,
        [
            ("requests", MetricType::Counter, 4 * EACH, 0),
            ("requests", MetricType::Gauge, 0, 0),
            ("time", MetricType::Histogram, 2, 2 * 4 * EACH),
        ]
    );
    assert_eq!(samples[2].recorded, 4 * EACH);
}

// abi.md 8.4: the owner is told wherever it runs, and another worker may have taken the message by then.
#[test]
fn a_queue_of_another_worker() {
    let stores = Stores::default();
    let owning = world(&stores);
    let root = ContextId(1);
    let id = owning.stores.register_queue(b"", b"jobs", VmIndex(0), root).expect("new");
    workers(&stores, 2, |world| {
        assert_eq!(world.stores.resolve_queue(b"", b"jobs"), Some(id));
        let owner = world.stores.enqueue(id, b"job").expect("a queue").expect("an owner");
        assert_eq!((owner.host, owner.vm, owner.root), (owning.stores.host(), VmIndex(0), root));
        assert_ne!(owner.host, world.stores.host());
    });
    for _ in 0..2 {
        assert_eq!(owning.stores.dequeue(id), Ok(Bytes::from("job")));
    }
    assert_eq!(owning.stores.dequeue(id), Err(Status::Empty));
}

#[test]
fn owners_that_are_gone_are_not_told_and_the_next_generation_takes_over() {
    let stores = Stores::default();
    let (old, other) = (world(&stores), world(&stores));
    let id = old.stores.register_queue(b"", b"jobs", VmIndex(0), ContextId(1)).expect("new");
    old.stores.set_shared_data(b"k", b"v", 0).expect("written");
    let new = world(&stores);
    assert_eq!(new.stores.register_queue(b"", b"jobs", VmIndex(0), ContextId(1)), Ok(id));
    // The old one's end does not take the queue from the new one.
    drop(old);
    assert_eq!(other.stores.enqueue(id, b"a").map(|owner| owner.map(|o| o.host)), Ok(Some(new.stores.host())));
    // Its VM broke: until it has registered again nobody is told, and nothing is lost.
    new.stores.forget_vm(VmIndex(1));
    assert!(other.stores.enqueue(id, b"b").expect("a queue").is_some());
    new.stores.forget_vm(VmIndex(0));
    assert_eq!(other.stores.enqueue(id, b"c"), Ok(None));
    for message in ["a", "b", "c"] {
        assert_eq!(other.stores.dequeue(id), Ok(Bytes::from(message)));
    }
    assert!(new.stores.shared_data(b"k").is_some());
    // A worker that died leaves the others what they have; the last one does not.
    new.stores.begin_anew();
    assert!(other.stores.shared_data(b"k").is_some());
    drop(new);
    other.stores.begin_anew();
    assert_eq!(other.stores.shared_data(b"k"), None);
    assert_eq!(other.stores.resolve_queue(b"", b"jobs"), None);
}
