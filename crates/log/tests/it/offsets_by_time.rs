use millrace_log::{BatchBuilder, EmbeddedLog, TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

/// Timestamps that mostly rise, with some far too old and some far too new.
fn timestamps() -> Vec<i64> {
    (0..3_000i64)
        .map(|n| match n % 101 {
            7 => n * 10 - 5_000.min(n * 10),
            50 => n * 10 + 400,
            _ => n * 10,
        })
        .collect()
}

async fn check_all(log: &EmbeddedLog, timestamps: &[i64]) {
    let end = timestamps.len() as i64;
    for wanted in (0..30_600).step_by(37).chain([i64::MIN, -1, i64::MAX]) {
        let expected = timestamps.iter().position(|&ts| ts >= wanted).map_or(end, |place| place as i64);
        assert_eq!(log.offset_at(TOPIC, 0, wanted).await.unwrap(), expected, "since {wanted}");
    }
}

#[tokio::test]
async fn the_first_offset_since_a_time_is_exact_also_after_a_restart_without_indexes() {
    let dir = tempdir().unwrap();
    let (options, _) = quick_options();
    let log = EmbeddedLog::open(dir.path(), options.clone()).unwrap();
    log.create_topic(TOPIC, TopicConfig { segment_bytes: 300 << 10, ..TopicConfig::default() }).await.unwrap();
    assert_eq!(log.offset_at(TOPIC, 0, 5).await.unwrap(), 0, "an empty partition has only its end");
    let timestamps = timestamps();
    let mut batch = BatchBuilder::new();
    for chunk in timestamps.chunks(23) {
        batch.clear();
        for ts in chunk {
            batch.push(*ts, None, Some(&[0; 700])).unwrap();
        }
        log.append_batch(TOPIC, 0, &batch).unwrap();
    }
    check_all(&log, &timestamps).await;
    drop(log);
    for entry in std::fs::read_dir(partition_dir(dir.path())).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "index") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    check_all(&log, &timestamps).await;
}
