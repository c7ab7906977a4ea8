//! What is bounded, and what a partition that cannot get on does to others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use firehose::FirehoseConfig;
use sinks::Order;

use crate::world::{Faults, World, until};

#[tokio::test]
async fn a_partition_that_cannot_get_on_does_not_stop_the_others() {
    let world = World::new(5, 2, Faults::default()).await;
    *world.state.stuck_partition.lock().unwrap() = Some(0);
    let mut config = FirehoseConfig { order: Order::Partition, ..world.config() };
    config.courier.held_bytes_max = 1 << 20;
    let numbers: Vec<u64> = (0..20_000).collect();
    for part in numbers.chunks(500) {
        world.append(0, part).await;
        world.append(1, part).await;
    }
    let handle = world.spawn(config.clone());
    until("the other one is done", || {
        handle.status().partitions.get(1).is_some_and(|partition| partition.position == 20_000)
    })
    .await;
    let status = handle.status();
    assert_eq!(status.partitions[0].position, 0);
    assert!(status.message.as_ref().is_some_and(|message| message.contains("later")), "{status:?}");
    assert!(status.held_bytes <= 2 << 20, "{} bytes", status.held_bytes);
    *world.state.stuck_partition.lock().unwrap() = None;
    until("all is there", || handle.status().lag() == 0).await;
    handle.stop().await.unwrap();
    assert_eq!(world.check_all(), 0);
}

#[tokio::test]
async fn what_is_read_while_the_sink_is_down_is_bounded_and_nothing_is_put_aside_for_it() {
    let world = World::new(5, 1, Faults::default()).await;
    world.state.is_down.store(true, Ordering::SeqCst);
    for part in (0..60_000).collect::<Vec<u64>>().chunks(5_000) {
        world.append(0, part).await;
    }
    let mut config = world.config();
    config.courier.held_bytes_max = 1 << 20;
    let handle = world.spawn(config);
    until("so many calls have failed that one at a time is tried", || handle.status().is_broken_open).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let status = handle.status();
    assert!(status.held_bytes <= 2 << 20 && status.lag() == 60_000, "{status:?}");
    let letters = world.state.letters.lock().unwrap().values().filter(|letter| letter.error.contains("down")).count();
    assert_eq!(letters, 0);
    world.state.is_down.store(false, Ordering::SeqCst);
    until("all is there", || handle.status().lag() == 0).await;
    let status = handle.status();
    assert!(status.latency.is_some() && !status.is_broken_open, "{status:?}");
    handle.stop().await.unwrap();
    assert_eq!(world.check_all(), 0);
}
