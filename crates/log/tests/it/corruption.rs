//! Bytes that went bad in a segment that was durable: the reader is told, and nothing else suffers.

use std::fs;
use std::path::Path;

use millrace_log::{BatchBuilder, EmbeddedLog, LogError, TopicConfig, TopicLog};
use tempfile::tempdir;

use crate::fixture::*;

/// Three segments of four batches of ten records, closed.
async fn sample(dir: &Path) -> Vec<std::path::PathBuf> {
    let (options, _) = quick_options();
    let log = EmbeddedLog::open(dir, options).unwrap();
    log.create_topic(TOPIC, TopicConfig { segment_bytes: 18_000, ..TopicConfig::default() }).await.unwrap();
    let mut batch = BatchBuilder::new();
    for n in 0..10 {
        batch.push(n, Some(b"key"), Some(&[n as u8; 400])).unwrap();
    }
    for n in 0..12 {
        assert_eq!(log.append_batch(TOPIC, 0, &batch).unwrap(), n * 10);
    }
    drop(log);
    let files = segment_files(dir);
    assert_eq!(files.len(), 3);
    files
}

fn spoil(file: &Path, place: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[place] ^= 0x40;
    fs::write(file, &bytes).unwrap();
}

async fn read_until_error(log: &EmbeddedLog, offset: i64) -> (i64, LogError) {
    let mut reader = log.open(TOPIC, 0, offset).await.unwrap();
    loop {
        match reader.poll(1 << 20, std::time::Duration::ZERO).await {
            Ok(slab) => assert!(!slab.is_empty(), "the log ended without the error"),
            Err(error) => return (reader.position(), error),
        }
    }
}

#[tokio::test]
async fn a_spoilt_batch_of_an_old_segment_stops_its_readers_with_the_place() {
    let origin = tempdir().unwrap();
    let files = sample(origin.path()).await;
    let bytes = fs::read(&files[1]).unwrap();
    let batch_bytes = bytes.len() / 4;
    let name = files[1].file_name().unwrap().to_str().unwrap();
    // in the header (magic, length, offset, count), in the entries, in the data, in the last byte
    for place in [0, 5, 9, 17, 25, 50, 70, 1_000, batch_bytes - 1] {
        let dir = tempdir().unwrap();
        copy_tree(origin.path(), dir.path());
        spoil(&segment_files(dir.path())[1], batch_bytes + place);
        let log = open(dir.path());
        let (position, error) = read_until_error(&log, 0).await;
        assert_eq!(position, 50, "all before the place was read");
        let LogError::Corrupt { topic, partition, segment, position, resume_offset, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((topic.as_str(), partition, segment.as_str()), (TOPIC, 0, name));
        assert_eq!((position, resume_offset), (batch_bytes as u64, 80));
        assert_eq!(read_from(&log, resume_offset).await.unwrap().len(), 40, "the rest can be read");
        assert_eq!(log.produce(TOPIC, vec![record("more")]).await.unwrap()[0].offset, 120, "and written");
    }
}

#[tokio::test]
async fn an_old_segment_that_was_cut_is_reported() {
    let origin = tempdir().unwrap();
    let bytes = fs::read(&sample(origin.path()).await[1]).unwrap();
    let batch_bytes = bytes.len() / 4;
    for length in [0, 1, batch_bytes, batch_bytes + 63, bytes.len() - 1] {
        let dir = tempdir().unwrap();
        copy_tree(origin.path(), dir.path());
        fs::write(&segment_files(dir.path())[1], &bytes[..length]).unwrap();
        let log = open(dir.path());
        let (position, error) = read_until_error(&log, 0).await;
        assert_eq!(position, 40 + (length / batch_bytes * 10) as i64, "{error}");
        assert!(matches!(error, LogError::Corrupt { resume_offset: 80, .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_missing_segment_is_reported() {
    let dir = tempdir().unwrap();
    let files = sample(dir.path()).await;
    fs::remove_file(&files[1]).unwrap();
    let log = open(dir.path());
    let (position, error) = read_until_error(&log, 0).await;
    assert_eq!(position, 40);
    assert!(error.to_string().contains("offsets 40 to 79 are missing"), "{error}");
}

#[tokio::test]
async fn bytes_that_go_bad_while_the_log_is_open_are_found() {
    let dir = tempdir().unwrap();
    let log = with_topic(&dir, TopicConfig::default()).await;
    log.produce(TOPIC, vec![record("good")]).await.unwrap();
    log.produce(TOPIC, vec![record("spoilt")]).await.unwrap();
    let file = &segment_files(dir.path())[0];
    let place = fs::metadata(file).unwrap().len() as usize - 1;
    use std::os::unix::fs::FileExt;
    let open_file = fs::OpenOptions::new().write(true).open(file).unwrap();
    open_file.write_all_at(b"!", place as u64).unwrap();
    let (position, error) = read_until_error(&log, 0).await;
    assert_eq!(position, 1);
    assert!(matches!(error, LogError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn unreadable_metadata_is_named() {
    let dir = tempdir().unwrap();
    drop(with_topic(&dir, TopicConfig::default()).await);
    let path = dir.path().join("topics").join(TOPIC).join("topic.json");
    fs::write(&path, b"{\"version\": 1").unwrap();
    let refused = EmbeddedLog::open(dir.path(), Default::default()).err().unwrap();
    assert!(matches!(&refused, LogError::BadMetadata { path: found, .. } if *found == path), "{refused:?}");
}
