//! What a running firehose can be told.

use std::sync::atomic::Ordering;
use std::time::Duration;

use delivery::OutageRoute;
use firehose::{
    AcceptedLoss, Ended, FirehoseConfig, FirehoseError, FirehoseState, PositionError, PositionStore, SeekTo,
    StartPosition, StopAt,
};
use log::{LogError, TopicConfig, TopicLog};
use sinks::Order;

use crate::world::{Faults, TOPIC, World, until};

async fn world_with(partitions: u32, records: u64) -> World {
    let world = World::new(3, partitions, Faults::default()).await;
    for partition in 0..partitions {
        world.append(partition, &(9..9 + records).collect::<Vec<_>>()).await;
    }
    world
}

#[tokio::test]
async fn paused_it_reads_nothing_and_resumed_it_goes_on() {
    let world = world_with(2, 30).await;
    let handle = world.spawn(FirehoseConfig { is_paused: true, ..world.config() });
    until("it is paused", || handle.status().state == FirehoseState::Paused).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!((handle.status().ledger().consumed, handle.status().lag()), (0, 60));
    handle.resume();
    until("all is there", || handle.status().ledger().consumed == 60 && handle.status().lag() == 0).await;
    handle.pause();
    until("it is paused", || handle.status().state == FirehoseState::Paused).await;
    world.append(0, &[9, 10]).await;
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert_eq!(handle.status().ledger().consumed, 60);
    handle.resume();
    until("the rest is there", || handle.status().ledger().consumed == 62).await;
    assert_eq!(handle.stop().await.unwrap(), Ended::Asked);
    world.check_all();
}

#[tokio::test]
async fn a_seek_goes_on_elsewhere_in_a_new_generation() {
    let world = world_with(2, 30).await;
    world.state.sink.lock().unwrap().keeps_positions = true;
    let handle = world.spawn(FirehoseConfig { order: Order::Partition, ..world.config() });
    until("all is there", || handle.status().lag() == 0 && handle.status().ledger().consumed == 60).await;
    let stored = world.state.sink.lock().unwrap().stored.len();
    let sought = handle.seek(SeekTo::Offsets(vec![(1, 10)])).await.unwrap();
    assert_eq!((sought.positions, sought.given_up), (vec![(0, 30), (1, 10)], 0));
    until("it is there again", || handle.status().ledger().consumed == 80 && handle.status().lag() == 0).await;
    let again = world.state.sink.lock().unwrap().stored[stored..].to_vec();
    assert!(again.iter().all(|(partition, offset, _)| *partition == 1 && *offset >= 10) && again.len() >= 20);
    assert_eq!(handle.status().generation, 1);
    let sought = handle.seek(SeekTo::Timestamp(1_700_000_000_000 + 19)).await.unwrap();
    assert_eq!(sought.positions, vec![(0, 10), (1, 10)]);
    assert_eq!(handle.seek(SeekTo::Latest).await.unwrap().positions, vec![(0, 30), (1, 30)]);
    assert_eq!(handle.seek(SeekTo::Earliest).await.unwrap().positions, vec![(0, 0), (1, 0)]);
    for (offsets, wanted) in [((0, 31), "beyond the end"), ((7, 0), "has no partition 7")] {
        let error = handle.seek(SeekTo::Offsets(vec![offsets])).await.unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    until("it goes on", || handle.status().lag() == 0 && handle.status().ledger().held == 0).await;
    assert!(handle.status().ledger().balances());
    handle.stop().await.unwrap();
}

#[tokio::test]
async fn a_seek_past_what_the_sink_does_not_take_is_possible_while_it_is_down() {
    let world = world_with(1, 30).await;
    world.state.is_down.store(true, Ordering::SeqCst);
    let handle = world.spawn(FirehoseConfig { drain_time_max: Duration::from_millis(50), ..world.config() });
    until("it waits", || handle.status().state == FirehoseState::Retrying).await;
    let status = handle.status();
    assert!(status.message.as_ref().is_some_and(|message| message.contains("it is down")), "{status:?}");
    assert!(status.ledger().held > 0 && status.ledger().balances());
    let sought = handle.seek(SeekTo::Offsets(vec![(0, 20)])).await.unwrap();
    assert!(sought.given_up > 0);
    world.state.is_down.store(false, Ordering::SeqCst);
    until("it goes on", || handle.status().lag() == 0 && handle.status().ledger().held == 0).await;
    let ledger = handle.status().ledger();
    assert!(ledger.balances() && ledger.consumed == 10, "{ledger:?}");
    assert!(world.state.letters.lock().unwrap().is_empty(), "an outage puts nothing aside");
    assert!(world.state.sink.lock().unwrap().stored.iter().all(|(_, offset, _)| *offset >= 20));
    handle.stop().await.unwrap();
}

#[tokio::test]
async fn it_scales_when_nothing_is_on_its_way_and_stays_in_order() {
    let world = world_with(3, 500).await;
    let handle = world.spawn(world.config());
    for lanes in [5, 1, 3] {
        handle.scale(lanes);
        until("it has scaled", || handle.status().parallelism == lanes).await;
    }
    until("all is there", || handle.status().lag() == 0 && handle.status().ledger().consumed == 1_500).await;
    handle.stop().await.unwrap();
    assert_eq!(world.check_all(), 0);
}

#[tokio::test]
async fn it_stops_at_a_time() {
    let world = world_with(2, 30).await;
    let stop = |ms: i64| FirehoseConfig { stop_at: Some(StopAt::Time(1_700_000_000_000 + ms)), ..world.config() };
    let handle = world.spawn(stop(20));
    assert_eq!(handle.ended().await.unwrap(), Ended::StopReached);
    let positions: Vec<i64> = world.state.positions.committed().partitions.iter().map(|p| p.next_offset).collect();
    assert_eq!(positions, [11, 11]);
    // It is there already.
    assert_eq!(world.spawn(stop(15)).ended().await.unwrap(), Ended::StopReached);
    let ahead = firehose_clock_ms() + 300;
    let handle = world.spawn(FirehoseConfig { stop_at: Some(StopAt::Time(ahead)), ..world.config() });
    assert_eq!(handle.ended().await.unwrap(), Ended::StopReached);
    assert!(firehose_clock_ms() >= ahead);
    assert_eq!(world.check_all(), 0);
}

fn firehose_clock_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}

#[tokio::test]
async fn who_is_taken_over_from_ends_and_commits_nothing() {
    let world = world_with(1, 30).await;
    world.state.is_down.store(true, Ordering::SeqCst);
    let handle = world.spawn(world.config());
    until("it runs", || handle.status().state == FirehoseState::Retrying).await;
    let taken = world.state.positions.take_over().await.unwrap();
    world.state.is_down.store(false, Ordering::SeqCst);
    let error = handle.ended().await.unwrap_err();
    assert!(matches!(error, FirehoseError::Positions(PositionError::Fenced)), "{error}");
    assert_eq!(world.state.positions.committed(), taken.positions);
}

#[tokio::test]
async fn a_failed_courier_ends_it_with_the_reason_and_positions_are_safe() {
    let world = world_with(1, 30).await;
    let mut config = world.config();
    let handle = world.spawn(config.clone());
    until("all is there", || handle.status().lag() == 0 && handle.status().ledger().consumed == 30).await;
    handle.stop().await.unwrap();
    world.append(0, &[9, 10]).await;
    world.state.is_down.store(true, Ordering::SeqCst);
    config.courier.policy.down = OutageRoute::Fail;
    let handle = world.spawn(config.clone());
    let status = handle.watch_status();
    let error = handle.ended().await.unwrap_err();
    assert!(error.to_string().contains("the sink: it is down"), "{error}");
    assert_eq!(status.borrow().state, FirehoseState::Failed);
    assert_eq!(world.state.positions.committed().partitions[0].next_offset, 30);
    world.state.is_down.store(false, Ordering::SeqCst);
    assert_eq!(world.finish(config).await, 0);
}

#[tokio::test]
async fn what_is_gone_unread_is_never_skipped_in_silence() {
    let world = world_with(1, 30).await;
    let config = world.config();
    world.spawn(FirehoseConfig { stop_at: Some(StopAt::End), ..config.clone() }).ended().await.unwrap();
    world.log.delete_topic(TOPIC).await.unwrap();
    world.log.create_topic(TOPIC, TopicConfig::with_partitions(1)).await.unwrap();
    *world.state.topic.lock().unwrap() = vec![Vec::new()];
    world.append(0, &[9, 10, 11]).await;
    let error = world.spawn(config.clone()).ended().await.unwrap_err();
    assert!(matches!(error, FirehoseError::Log(LogError::OffsetBeyondEnd { requested: 30, end: 3, .. })), "{error}");
    // Somebody says where to go on.
    let handle = world.spawn(config.clone());
    let error = handle.seek(SeekTo::Offsets(vec![(1, 0)])).await.unwrap_err();
    assert!(error.to_string().contains("has no partition 1"), "{error}");
    assert_eq!(handle.seek(SeekTo::Offsets(vec![(0, 2)])).await.unwrap().positions, vec![(0, 2)]);
    until("it goes on", || handle.status().lag() == 0 && handle.status().ledger().consumed == 31).await;
    handle.stop().await.unwrap();
    let committed = world.state.positions.committed();
    assert_eq!((committed.generation, committed.partitions[0].next_offset), (1, 3));
}

#[tokio::test]
async fn a_loss_can_be_accepted_beforehand() {
    let world = world_with(1, 30).await;
    let config = world.config();
    world.spawn(FirehoseConfig { stop_at: Some(StopAt::End), ..config.clone() }).ended().await.unwrap();
    world.log.delete_topic(TOPIC).await.unwrap();
    world.log.create_topic(TOPIC, TopicConfig::with_partitions(1)).await.unwrap();
    *world.state.topic.lock().unwrap() = vec![Vec::new()];
    world.append(0, &[9, 10, 11]).await;
    let accepted = FirehoseConfig { accepted_loss: Some(AcceptedLoss::Earliest), ..config };
    let handle = world.spawn(FirehoseConfig { stop_at: Some(StopAt::End), ..accepted });
    assert_eq!(handle.ended().await.unwrap(), Ended::StopReached);
    let committed = world.state.positions.committed();
    assert_eq!((committed.generation, committed.partitions[0].next_offset), (1, 3));
    assert_eq!(committed.partitions[0].ledger.consumed, 33);
}

#[tokio::test]
async fn latest_is_fixed_by_the_first_start() {
    let world = world_with(1, 30).await;
    let config = FirehoseConfig { start: StartPosition::Latest, ..world.config() };
    let handle = world.spawn(config.clone());
    until("it has started", || handle.status().state == FirehoseState::Running).await;
    handle.abort();
    assert_eq!(world.state.positions.committed().partitions[0].next_offset, 30);
}
