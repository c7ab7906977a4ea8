//! A crash in the middle of a write: whatever the last bytes are, exactly what is whole before them is there.

use std::fs;
use std::path::Path;

use millrace_log::{TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

const KEPT: usize = 4;

/// A log with batches of one to three records; returns where the last batch begins.
async fn sample(dir: &Path) -> u64 {
    let log = open(dir);
    log.create_topic(TOPIC, TopicConfig::default()).await.unwrap();
    log.produce(TOPIC, vec![record("one")]).await.unwrap();
    log.produce(TOPIC, vec![record("two"), record("three"), record("four")]).await.unwrap();
    let start = fs::metadata(&segment_files(dir)[0]).unwrap().len();
    log.produce(TOPIC, vec![record("five, which the crash takes"), record("six")]).await.unwrap();
    start
}

async fn check_recovered(dir: &Path, last_batch_start: u64, what: &str) {
    let log = open(dir);
    let read = read_from(&log, 0).await.unwrap();
    let values: Vec<&[u8]> = read.iter().map(|(_, value)| value.as_slice()).collect();
    assert_eq!(values, [&b"one"[..], b"two", b"three", b"four"], "{what}");
    assert_eq!(fs::metadata(&segment_files(dir)[0]).unwrap().len(), last_batch_start, "{what}");
    // The offsets of what was cut are used again, and nothing of it shines through.
    let acks = log.produce(TOPIC, vec![record("five anew")]).await.unwrap();
    assert_eq!(acks[0].offset, KEPT as i64, "{what}");
    assert_eq!(read_from(&log, 4).await.unwrap(), [(4, b"five anew".to_vec())], "{what}");
}

#[tokio::test]
async fn the_last_batch_cut_at_every_byte_leaves_the_prefix() {
    let origin = tempdir().unwrap();
    let start = sample(origin.path()).await;
    let bytes = fs::read(&segment_files(origin.path())[0]).unwrap();
    for length in start..bytes.len() as u64 {
        let dir = tempdir().unwrap();
        copy_tree(origin.path(), dir.path());
        fs::OpenOptions::new().write(true).open(&segment_files(dir.path())[0]).unwrap().set_len(length).unwrap();
        check_recovered(dir.path(), start, &format!("cut at {length}")).await;
    }
}

#[tokio::test]
async fn the_last_batch_spoilt_at_every_byte_leaves_the_prefix() {
    let origin = tempdir().unwrap();
    let start = sample(origin.path()).await;
    let bytes = fs::read(&segment_files(origin.path())[0]).unwrap();
    for place in start as usize..bytes.len() {
        let dir = tempdir().unwrap();
        copy_tree(origin.path(), dir.path());
        let mut spoilt = bytes.clone();
        spoilt[place] ^= 0x40;
        fs::write(&segment_files(dir.path())[0], &spoilt).unwrap();
        check_recovered(dir.path(), start, &format!("spoilt at {place}")).await;
    }
}

#[tokio::test]
async fn zeros_and_noise_after_the_last_batch_are_cut_and_reported() {
    for tail in [vec![0u8; 10_000], (0..10_000u32).map(|n| (n * 7_919) as u8).collect()] {
        let dir = tempdir().unwrap();
        sample(dir.path()).await;
        let file = &segment_files(dir.path())[0];
        let mut bytes = fs::read(file).unwrap();
        bytes.extend_from_slice(&tail);
        fs::write(file, &bytes).unwrap();
        let log = open(dir.path());
        assert_eq!(log.tails_cut().len(), 1);
        assert_eq!((log.tails_cut()[0].offset, log.tails_cut()[0].bytes), (6, 10_000));
        assert_eq!(read_from(&log, 0).await.unwrap().len(), 6);
    }
}

#[tokio::test]
async fn a_batch_from_another_place_is_no_batch_here() {
    let dir = tempdir().unwrap();
    sample(dir.path()).await;
    let file = &segment_files(dir.path())[0];
    let bytes = fs::read(file).unwrap();
    fs::write(file, [&bytes[..], &bytes[..]].concat()).unwrap(); // whole batches, but offsets that were given before
    let log = open(dir.path());
    assert_eq!(log.tails_cut()[0].offset, 6);
    assert_eq!(read_from(&log, 0).await.unwrap().len(), 6);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_not_cut() {
    let dir = tempdir().unwrap();
    sample(dir.path()).await;
    let file = &segment_files(dir.path())[0];
    let mut bytes = fs::read(file).unwrap();
    bytes[7] = b'2';
    fs::write(file, &bytes).unwrap();
    let refused = millrace_log::EmbeddedLog::open(dir.path(), Default::default()).err().unwrap();
    assert!(refused.to_string().contains("newer version"), "{refused}");
    assert_eq!(fs::read(file).unwrap(), bytes);
}

#[tokio::test]
async fn a_crash_while_a_topic_was_made_or_a_segment_begun_leaves_nothing_strange() {
    let dir = tempdir().unwrap();
    sample(dir.path()).await;
    fs::create_dir_all(dir.path().join("unfinished/half/0")).unwrap();
    fs::create_dir_all(dir.path().join("trash/0/0")).unwrap();
    fs::write(partition_dir(dir.path()).join("00000000000000000006.log"), b"").unwrap();
    fs::write(partition_dir(dir.path()).join("00000000000000000000.tmp"), b"half an index").unwrap();
    fs::write(partition_dir(dir.path()).join("00000000000000000099.index"), b"of a removed segment").unwrap();
    let log = open(dir.path());
    assert_eq!(log.topics().await.unwrap().len(), 1);
    assert_eq!(log.produce(TOPIC, vec![record("seven")]).await.unwrap()[0].offset, 6);
    assert_eq!(read_from(&log, 0).await.unwrap().len(), 7);
    let left = fs::read_dir(partition_dir(dir.path())).unwrap().count();
    assert_eq!(left, 3, "two segments and the index of the first");
}
