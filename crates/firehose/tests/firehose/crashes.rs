//! The run is dropped at any point and begins anew: nothing lost, nothing counted twice, duplicates only behind the
//! committed position, and none in a sink that keeps positions.

use std::time::Duration;

use firehose::FirehoseConfig;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sinks::Order;

use crate::records::some;
use crate::world::{Faults, World};

async fn crash_and_go_on(seed: u64, order: Order, keeps_positions: bool, faults: Faults) -> usize {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let partitions = random.random_range(1..5);
    let world = World::new(seed, partitions, faults).await;
    world.state.sink.lock().unwrap().keeps_positions = keeps_positions;
    let mut config = FirehoseConfig { order, ..world.config() };
    config.courier.lanes = random.random_range(1..4);
    let mut next = 0;
    for _ in 0..random.random_range(2..7) {
        for partition in 0..partitions {
            world.append(partition, &some(&mut random, 0..400, &mut next)).await;
        }
        let handle = world.spawn(config.clone());
        tokio::time::sleep(Duration::from_micros(random.random_range(0..30_000))).await;
        handle.abort();
        // Of a process that has died nothing goes on.
        let _ = handle.ended().await;
    }
    world.finish(config).await
}

/// Seeds of `SEED`, or some.
fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

const FAULTS: Faults = Faults { calls: 20, commits: 3, letters: 10 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_at_any_point_lose_and_miscount_nothing() {
    let mut duplicates = 0;
    for seed in seeds(12) {
        let order = [Order::Key, Order::Partition, Order::All][seed as usize % 3];
        println!("seed {seed}, {order:?}");
        duplicates += crash_and_go_on(seed, order, false, FAULTS).await;
    }
    println!("{duplicates} records came twice");
    assert!(duplicates > 0, "answers were lost, and calls cut off between write and commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_keeps_positions_has_no_duplicates() {
    for seed in seeds(12) {
        println!("seed {seed}");
        let duplicates = crash_and_go_on(seed + 1_000, Order::Partition, true, FAULTS).await;
        assert_eq!(duplicates, 0, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_and_crashes_nothing_comes_twice() {
    let world = World::new(7, 3, Faults::default()).await;
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut next = 0;
    for partition in 0..3 {
        world.append(partition, &some(&mut random, 5_000..6_000, &mut next)).await;
    }
    assert_eq!(world.finish(world.config()).await, 0);
    // Keys keep their order.
    let mut last = std::collections::HashMap::new();
    for (partition, offset, number) in world.state.sink.lock().unwrap().stored.iter().copied() {
        if number % 11 != 0 {
            let before = last.insert((partition, number % 17), offset).unwrap_or(-1);
            assert!(before <= offset, "{partition}/{offset} came after {before}");
        }
    }
}
