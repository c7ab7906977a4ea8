//! Dead letters: what is in them, when they cannot be kept, and as records of a topic.

use std::sync::Arc;
use std::time::Duration;

use delivery::{DeadLetterKind, RecordRoute};
use firehose::{DeadLetters, FirehoseConfig, FirehoseError, FirehoseState, TopicDeadLetters};
use log::{TopicConfig, TopicLog};

use crate::world::{Faults, TOPIC, World, until};

#[tokio::test]
async fn letters_are_the_records_as_they_were_and_say_why() {
    let world = World::new(1, 1, Faults::default()).await;
    world.append(0, &(0..50).collect::<Vec<_>>()).await;
    assert_eq!(world.finish(world.config()).await, 0);
    let letters = world.state.letters.lock().unwrap().clone();
    let kind_of = |offset: i64| letters[&(0, offset)].kind;
    assert_eq!(
        [0, 2, 3, 4].map(kind_of),
        [
            DeadLetterKind::Undecodable,
            DeadLetterKind::ExpressionFailed,
            DeadLetterKind::Undeliverable,
            DeadLetterKind::Undeliverable
        ]
    );
    let poison = &letters[&(0, 4)];
    let record = crate::records::record(4);
    assert_eq!(poison.error, "was refused by the sink: poison");
    assert_eq!(
        (&poison.value, &poison.record_key),
        (&record.value.map(|v| v.to_vec()), &record.key.map(|k| k.to_vec()))
    );
    assert_eq!(poison.headers[0], ("h".to_owned(), b"v".to_vec()));
    assert_eq!(poison.headers[1], ("millrace-error-class".to_owned(), b"refused".to_vec()));
    assert_eq!((poison.key.owner.as_str(), poison.key.topic.as_str(), poison.key.offset), ("test", TOPIC, 4));
    assert!(letters[&(0, 0)].error_byte_offset.is_some());
}

#[tokio::test]
async fn a_bad_record_can_end_the_run_and_what_is_before_it_is_delivered() {
    for route in [RecordRoute::Fail, RecordRoute::Retry] {
        let world = World::new(1, 1, Faults::default()).await;
        world.append(0, &(9..60).collect::<Vec<_>>()).await;
        let mut config = world.config();
        config.courier.policy.bad_record = route;
        let handle = world.spawn(config);
        let status = handle.watch_status();
        let error = handle.ended().await.unwrap_err();
        let FirehoseError::BadRecord { offset, .. } = &error else { panic!("{error}") };
        // The first is number 50.
        assert_eq!(*offset, 41);
        assert_eq!(status.borrow().state, FirehoseState::Failed);
        assert_eq!(status.borrow().message, Some(error.to_string()));
        assert_eq!(world.state.positions.committed().partitions[0].next_offset, 41);
        assert!(world.state.letters.lock().unwrap().is_empty());
        let stored = world.state.sink.lock().unwrap().stored.iter().map(|(_, offset, _)| *offset).max();
        assert_eq!(stored, Some(40));
    }
}

#[tokio::test]
async fn a_topic_of_dead_letters_has_origin_and_error_as_headers() {
    let world = World::new(1, 1, Faults::default()).await;
    world.append(0, &(0..10).collect::<Vec<_>>()).await;
    assert_eq!(world.finish(world.config()).await, 0);
    let letters: Vec<_> = world.state.letters.lock().unwrap().values().cloned().collect();
    world.log.create_topic("dead", TopicConfig::with_partitions(1)).await.unwrap();
    let topic = TopicDeadLetters::new(Arc::clone(&world.log) as _, "dead");
    topic.keep(&letters).await.unwrap();
    let slab = world.log.open("dead", 0, 0).await.unwrap().poll(1 << 20, Duration::from_secs(5)).await.unwrap();
    assert_eq!(slab.len(), letters.len());
    for (record, letter) in letters.iter().enumerate() {
        assert_eq!(slab.value(record), letter.value.as_deref());
        assert_eq!(slab.key(record), letter.record_key.as_deref());
        let header = |name: &str| String::from_utf8(slab.header(record, name).unwrap().to_vec()).unwrap();
        assert_eq!(header("millrace-origin-topic"), TOPIC);
        assert_eq!(header("millrace-origin-offset"), letter.key.offset.to_string());
        assert_eq!(header("millrace-origin-partition"), "0");
        assert_eq!(header("millrace-error"), letter.error);
        assert_eq!(header("millrace-error-kind"), letter.kind.as_str());
    }
    let error = TopicDeadLetters::new(Arc::clone(&world.log) as _, "gone").keep(&letters).await.unwrap_err();
    assert!(!error.may_pass && error.message.contains("gone"), "{error:?}");
}

#[tokio::test]
async fn letters_that_cannot_be_kept_hold_the_position_and_are_told() {
    let world = World::new(1, 1, Faults { letters: 100, ..Faults::default() }).await;
    world.append(0, &(0..10).collect::<Vec<_>>()).await;
    let handle = world.spawn(FirehoseConfig { drain_time_max: Duration::from_millis(50), ..world.config() });
    until("the problem is told", || {
        handle.status().message.as_ref().is_some_and(|message| message.contains("no room"))
    })
    .await;
    assert_eq!(handle.status().state, FirehoseState::Retrying);
    handle.stop().await.unwrap();
    assert_eq!(world.state.positions.committed().partitions[0].next_offset, 0);
}
