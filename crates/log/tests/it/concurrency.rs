use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_log::{BatchBuilder, NewRecord, TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_producers_share_fsyncs_and_get_their_own_offsets() {
    const PRODUCERS: usize = 40;
    const CALLS: usize = 25;
    let dir = tempdir().unwrap();
    let log = Arc::new(with_topic(&dir, TopicConfig::with_partitions(3)).await);
    let producers = (0..PRODUCERS).map(|producer| {
        let log = log.clone();
        tokio::spawn(async move {
            let mut acked = Vec::new();
            for call in 0..CALLS {
                let records = (0..1 + call % 4).map(|n| NewRecord {
                    partition: Some(((producer + n) % 3) as u32),
                    ..record(format!("{producer}-{call}-{n}"))
                });
                let values: Vec<String> = (0..1 + call % 4).map(|n| format!("{producer}-{call}-{n}")).collect();
                let acks = log.produce(TOPIC, records.collect()).await.unwrap();
                acked.extend(acks.into_iter().zip(values));
            }
            acked
        })
    });
    let mut acked: BTreeMap<(u32, i64), String> = BTreeMap::new();
    for producer in producers.collect::<Vec<_>>() {
        let mut last = [-1i64; 3];
        for (ack, value) in producer.await.unwrap() {
            let before = std::mem::replace(&mut last[ack.partition as usize], ack.offset);
            assert!(ack.offset > before, "the records of one producer keep their order");
            assert_eq!(acked.insert((ack.partition, ack.offset), value), None, "no offset is given twice");
        }
    }
    for partition in 0..3 {
        for (offset, value) in read_partition(&log, partition, 0).await.unwrap() {
            let expected = acked.remove(&(partition, offset)).expect("what is read was acknowledged");
            assert_eq!(value, expected.as_bytes());
        }
    }
    assert!(acked.is_empty(), "all that was acknowledged is read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_written_in_the_order_in_which_they_were_first_polled() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    let calls: Vec<_> = (0..100).map(|n| log.produce(TOPIC, vec![record(n.to_string())])).collect();
    let mut calls: Vec<_> = calls.into_iter().map(Some).collect();
    let mut offsets = vec![None; calls.len()];
    std::future::poll_fn(|context| {
        for (call, offset) in calls.iter_mut().zip(&mut offsets) {
            if let Some(future) = call
                && let std::task::Poll::Ready(acks) = future.as_mut().poll(context)
            {
                *offset = Some(acks.unwrap()[0].offset);
                *call = None;
            }
        }
        if calls.iter().all(Option::is_none) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    assert!(offsets.iter().enumerate().all(|(n, offset)| *offset == Some(n as i64)), "{offsets:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_appends_and_produce_calls_mix() {
    let dir = tempdir().unwrap();
    let log = Arc::new(with_topic(&dir, TopicConfig::default()).await);
    let bulk = tokio::task::spawn_blocking({
        let log = log.clone();
        move || {
            let mut batch = BatchBuilder::new();
            let mut pending = Vec::new();
            for n in 0..100 {
                batch.clear();
                (0..10).for_each(|k| batch.push(1, None, Some(format!("bulk {n} {k}").as_bytes())).unwrap());
                pending.push(log.write_batch(TOPIC, 0, &batch).unwrap());
            }
            pending.into_iter().map(|pending| pending.wait().unwrap()).collect::<Vec<_>>()
        }
    });
    let mut singles = Vec::new();
    for n in 0..50 {
        singles.push(log.produce(TOPIC, vec![record(format!("single {n}"))]).await.unwrap()[0].offset);
    }
    let bulk = bulk.await.unwrap();
    let read: Vec<Vec<u8>> = read_from(&log, 0).await.unwrap().into_iter().map(|(_, value)| value).collect();
    assert_eq!(read.len(), 1_050);
    for (n, first) in bulk.iter().enumerate() {
        for k in 0..10 {
            assert_eq!(read[*first as usize + k], format!("bulk {n} {k}").as_bytes());
        }
    }
    for (n, offset) in singles.iter().enumerate() {
        assert_eq!(read[*offset as usize], format!("single {n}").as_bytes());
    }
}
