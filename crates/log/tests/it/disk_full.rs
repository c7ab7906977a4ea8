//! The disk is full, or fails: writers are told, what was acknowledged stays, and room makes it go on.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use millrace_log::{
    BatchBuilder, DiskFaults, Durability, EmbeddedLog, EmbeddedLogOptions, LogError, TopicConfig, TopicLog, WriteFault,
};
use tempfile::tempdir;

use crate::fixture::*;

/// Holds the first fsync until it is let go, and then makes it fail.
struct HeldSync {
    is_first: AtomicBool,
    begun: mpsc::Sender<()>,
    let_go: Mutex<mpsc::Receiver<()>>,
}

impl DiskFaults for HeldSync {
    fn on_write(&self, _: usize) -> WriteFault {
        WriteFault::None
    }

    fn on_sync(&self) -> Option<io::Error> {
        if !self.is_first.swap(false, Ordering::SeqCst) {
            return None;
        }
        self.begun.send(()).unwrap();
        self.let_go.lock().unwrap().recv().unwrap();
        Some(io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn a_new_segment_waits_for_the_fsync_that_runs_and_hears_of_its_failure() {
    let dir = tempdir().unwrap();
    let (begun, has_begun) = mpsc::channel();
    let (let_go, gate) = mpsc::channel();
    let faults = HeldSync { is_first: AtomicBool::new(true), begun, let_go: Mutex::new(gate) };
    let options = EmbeddedLogOptions { disk_faults: Some(Arc::new(faults)), ..EmbeddedLogOptions::default() };
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let config = TopicConfig { segment_bytes: 4_096, ..TopicConfig::default() };
    runtime.block_on(log.create_topic(TOPIC, config)).unwrap();
    let mut batch = BatchBuilder::new();
    batch.push(1, None, Some(&[b'a'; 3_000])).unwrap();
    let first = log.write_batch(TOPIC, 0, &batch).unwrap();
    has_begun.recv().unwrap();
    let (written, is_written) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut batch = BatchBuilder::new();
            batch.push(1, None, Some(&[b'b'; 3_000])).unwrap(); // needs a new segment
            let second = log.write_batch(TOPIC, 0, &batch).unwrap();
            written.send(second).unwrap();
        });
        // Were it not to wait, it would be through by then.
        let early = is_written.recv_timeout(Duration::from_millis(100));
        let_go.send(()).unwrap();
        assert!(early.is_err(), "it did not wait");
        assert!(matches!(first.wait(), Err(LogError::DiskFull { .. })));
        assert_eq!(is_written.recv().unwrap().wait().unwrap(), 0, "the offset is free again");
    });
    assert_eq!(runtime.block_on(values(&log)), ["b".repeat(3_000)]);
}

/// Makes some writes and fsyncs fail for want of room, by chance that a seed repeats as far as threads allow.
struct UnluckyDisk(AtomicU64);

impl UnluckyDisk {
    /// One in `n`.
    fn strikes(&self, n: u64) -> bool {
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).is_multiple_of(n)
    }
}

impl DiskFaults for UnluckyDisk {
    fn on_write(&self, bytes: usize) -> WriteFault {
        match self.strikes(7) {
            true => WriteFault::Fail { written: bytes / 2, error: io::ErrorKind::StorageFull.into() },
            false => WriteFault::None,
        }
    }

    fn on_sync(&self) -> Option<io::Error> {
        self.strikes(5).then(|| io::ErrorKind::StorageFull.into())
    }
}

/// Producers, bulk appends, new segments and failures at the same time: an acknowledgement is true for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_luck_never_touches_what_was_acknowledged() {
    for seed in 0..5 {
        let dir = tempdir().unwrap();
        let faults = Arc::new(UnluckyDisk(AtomicU64::new(seed)));
        let options = EmbeddedLogOptions { disk_faults: Some(faults), ..EmbeddedLogOptions::default() };
        let log = Arc::new(EmbeddedLog::open(dir.path(), options).unwrap());
        let config = TopicConfig { segment_bytes: 4_096, ..TopicConfig::default() };
        log.create_topic(TOPIC, config).await.unwrap();
        let producers = (0..6).map(|producer| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0..80 {
                    let value = format!("{producer} {n} {}", "x".repeat(n * 5));
                    match log.produce(TOPIC, vec![record(value.clone())]).await {
                        Ok(acks) => acknowledged.push((acks[0].offset, value)),
                        Err(error) => assert!(matches!(error, LogError::DiskFull { .. }), "seed {seed}: {error:?}"),
                    }
                }
                acknowledged
            })
        });
        let mut tasks: Vec<_> = producers.collect();
        tasks.push(tokio::task::spawn_blocking({
            let log = log.clone();
            move || bulk_with_bad_luck(&log, seed)
        }));
        let mut acknowledged = Vec::new();
        for task in tasks {
            acknowledged.extend(task.await.unwrap());
        }
        assert!(acknowledged.len() > 100, "seed {seed}: hardly anything was written");
        for log in [log, Arc::new(open(&reopened_copy(&dir)))] {
            let values = values(&log).await;
            for (offset, value) in &acknowledged {
                assert_eq!(values.get(*offset as usize), Some(value), "seed {seed}, offset {offset}");
            }
            assert_eq!(values.len(), acknowledged.len(), "seed {seed}: something refused is there");
        }
    }
}

fn bulk_with_bad_luck(log: &EmbeddedLog, seed: u64) -> Vec<(i64, String)> {
    let mut acknowledged = Vec::new();
    let mut batch = BatchBuilder::new();
    for n in 0..60 {
        let appends: Vec<_> = (0..4)
            .map(|k| {
                let values: Vec<String> = (0..10).map(|place| format!("bulk {n} {k} {place}")).collect();
                batch.clear();
                values.iter().for_each(|value| batch.push(1, None, Some(value.as_bytes())).unwrap());
                (log.write_batch(TOPIC, 0, &batch).unwrap(), values)
            })
            .collect();
        for (pending, values) in appends {
            match pending.wait() {
                Ok(first) => acknowledged.extend((first..).zip(values)),
                Err(error) => assert!(matches!(error, LogError::DiskFull { .. }), "seed {seed}: {error:?}"),
            }
        }
    }
    acknowledged
}

/// The directory of a log that is open, as a crash would leave it.
fn reopened_copy(dir: &tempfile::TempDir) -> std::path::PathBuf {
    let copy = dir.path().join("copy");
    copy_tree(&dir.path().join("topics"), &copy.join("topics"));
    copy
}

/// Lets the test choose what the next writes and fsyncs do.
#[derive(Default)]
struct Faults {
    write: Mutex<Option<(usize, io::ErrorKind)>>,
    sync: Mutex<Option<io::ErrorKind>>,
    /// Bytes that still have room; `None` is a great disk.
    room: Mutex<Option<usize>>,
}

impl DiskFaults for Faults {
    fn on_write(&self, bytes: usize) -> WriteFault {
        if let Some((written, kind)) = self.write.lock().unwrap().take() {
            return WriteFault::Fail { written, error: kind.into() };
        }
        match self.room.lock().unwrap().as_mut() {
            Some(room) if *room < bytes => {
                WriteFault::Fail { written: *room, error: io::ErrorKind::StorageFull.into() }
            }
            Some(room) => {
                *room -= bytes;
                WriteFault::None
            }
            None => WriteFault::None,
        }
    }

    fn on_sync(&self) -> Option<io::Error> {
        self.sync.lock().unwrap().take().map(io::Error::from)
    }
}

fn open_with(dir: &Path, faults: &Arc<Faults>) -> EmbeddedLog {
    let options = EmbeddedLogOptions { disk_faults: Some(faults.clone()), ..EmbeddedLogOptions::default() };
    EmbeddedLog::open(dir, options).unwrap()
}

async fn values(log: &EmbeddedLog) -> Vec<String> {
    let read = read_from(log, 0).await.unwrap();
    assert!(read.iter().enumerate().all(|(place, (offset, _))| place as i64 == *offset));
    read.into_iter().map(|(_, value)| String::from_utf8(value).unwrap()).collect()
}

#[tokio::test]
async fn a_write_that_ends_at_any_byte_is_taken_back() {
    let dir = tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let log = open_with(dir.path(), &faults);
    log.create_topic(TOPIC, TopicConfig::default()).await.unwrap();
    log.produce(TOPIC, vec![record("first")]).await.unwrap();
    let mut expected = vec!["first".to_owned()];
    for (round, kind) in
        [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::Other].iter().enumerate()
    {
        for written in (0..110).step_by(7) {
            *faults.write.lock().unwrap() = Some((written, *kind));
            let refused = log.produce(TOPIC, vec![record("lost to the full disk")]).await.unwrap_err();
            match round {
                2 => assert!(matches!(refused, LogError::Io { .. }), "{refused:?}"),
                _ => assert!(matches!(refused, LogError::DiskFull { .. }), "{refused:?}"),
            }
            assert!(refused.is_retryable());
            assert_eq!(values(&log).await, expected);
            let ack = log.produce(TOPIC, vec![record(format!("{round} {written}"))]).await.unwrap()[0];
            assert_eq!(ack.offset, expected.len() as i64);
            expected.push(format!("{round} {written}"));
        }
    }
    drop(log);
    let log = open(dir.path());
    assert_eq!(values(&log).await, expected);
    assert!(log.tails_cut().is_empty());
}

#[tokio::test]
async fn an_fsync_without_room_takes_back_what_nobody_saw() {
    let dir = tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let log = open_with(dir.path(), &faults);
    log.create_topic(TOPIC, TopicConfig::default()).await.unwrap();
    log.produce(TOPIC, vec![record("first")]).await.unwrap();
    for n in 0..3 {
        *faults.sync.lock().unwrap() = Some(io::ErrorKind::StorageFull);
        let refused = log.produce(TOPIC, vec![record("lost")]).await.unwrap_err();
        assert!(matches!(refused, LogError::DiskFull { .. }), "{refused:?}");
        assert_eq!(values(&log).await.len(), n + 1);
        assert_eq!(log.produce(TOPIC, vec![record("kept")]).await.unwrap()[0].offset, n as i64 + 1);
    }
    drop(log);
    assert_eq!(values(&open(dir.path())).await, ["first", "kept", "kept", "kept"]);
}

#[tokio::test]
async fn after_a_failed_fsync_the_partition_rests_until_it_is_recovered() {
    let dir = tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let log = open_with(dir.path(), &faults);
    log.create_topic(TOPIC, TopicConfig::with_partitions(2)).await.unwrap();
    log.produce(TOPIC, vec![record("first")]).await.unwrap();
    *faults.sync.lock().unwrap() = Some(io::ErrorKind::Other);
    for _ in 0..2 {
        let refused = log.produce(TOPIC, vec![record("not known")]).await.unwrap_err();
        assert!(matches!(refused, LogError::PartitionFailed { partition: 0, .. }), "{refused:?}");
        assert!(!refused.is_retryable());
    }
    assert_eq!(values(&log).await, ["first"], "what is durable can be read");
    let elsewhere = millrace_log::NewRecord { partition: Some(1), ..record("fine") };
    let mixed = log.produce(TOPIC, vec![record("no"), elsewhere]).await.unwrap_err();
    let LogError::PartlyWritten { acks, .. } = mixed else { panic!("{mixed:?}") };
    assert_eq!(acks.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    drop(log);
    let log = open(dir.path());
    let offset = log.produce(TOPIC, vec![record("again")]).await.unwrap()[0].offset;
    assert_eq!(values(&log).await[offset as usize], "again");
}

#[tokio::test]
async fn without_group_fsync_a_failed_fsync_is_tried_again() {
    let dir = tempdir().unwrap();
    let faults = Arc::new(Faults::default());
    let options = EmbeddedLogOptions {
        disk_faults: Some(faults.clone()),
        durability: Durability::None,
        ..EmbeddedLogOptions::default()
    };
    let log = EmbeddedLog::open(dir.path(), options).unwrap();
    log.create_topic(TOPIC, TopicConfig { segment_bytes: 4_096, ..TopicConfig::default() }).await.unwrap();
    log.produce(TOPIC, vec![record("a".repeat(4_000))]).await.unwrap();
    *faults.sync.lock().unwrap() = Some(io::ErrorKind::StorageFull);
    let refused = log.produce(TOPIC, vec![record("b")]).await.unwrap_err(); // needs a new segment, so an fsync
    assert!(matches!(refused, LogError::DiskFull { .. }), "{refused:?}");
    assert_eq!(log.produce(TOPIC, vec![record("b")]).await.unwrap()[0].offset, 1);
    assert_eq!(values(&log).await.len(), 2);
}

/// Fills the disk, sees the error, makes room, goes on, and finds exactly what was acknowledged.
async fn fill_and_go_on(dir: &Path, log: EmbeddedLog, reopen: impl Fn() -> EmbeddedLog, make_room: impl Fn()) {
    let config = TopicConfig { segment_bytes: 50_000, ..TopicConfig::default() };
    log.create_topic(TOPIC, config).await.unwrap();
    let mut expected = Vec::new();
    for round in 0..2 {
        let mut refused = 0;
        for n in 0..200 {
            let value = format!("{round} {n} {}", "x".repeat(5_000 + n));
            match log.produce(TOPIC, vec![record(value.clone())]).await {
                Ok(acks) => {
                    assert_eq!(acks[0].offset, expected.len() as i64);
                    expected.push(value);
                }
                Err(LogError::DiskFull { dir: found, .. }) => {
                    assert!(found.starts_with(dir));
                    refused += 1;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(refused > 0, "the disk never got full");
        assert!(expected.len() > 5);
        assert_eq!(values(&log).await, expected);
        if round == 0 {
            make_room();
            let ack = log.produce(TOPIC, vec![record("there is room")]).await.unwrap()[0];
            assert_eq!(ack.offset, expected.len() as i64);
            expected.push("there is room".to_owned());
        }
    }
    drop(log);
    let log = reopen();
    assert_eq!(values(&log).await, expected);
    assert!(log.tails_cut().is_empty());
}

#[tokio::test]
async fn a_counted_disk_gets_full_and_goes_on() {
    let dir = tempdir().unwrap();
    let faults = Arc::new(Faults { room: Mutex::new(Some(300_000)), ..Faults::default() });
    let log = open_with(dir.path(), &faults);
    let make_room = || *faults.room.lock().unwrap() = Some(100_000);
    fill_and_go_on(dir.path(), log, || open(dir.path()), make_room).await;
}

/// A real file system of 512 KiB, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_small_file_system_gets_full_and_goes_on() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!(
            "no right to mount a tmpfs: the same course ran on the counted disk (a_counted_disk_gets_full_and_goes_on)"
        );
        return;
    };
    let dir = disk.0.path().join("log");
    let filler = disk.0.path().join("filler");
    std::fs::write(&filler, vec![1; 150_000]).unwrap();
    let make_room = || std::fs::remove_file(&filler).unwrap();
    fill_and_go_on(&dir, open(&dir), || open(&dir), make_room).await;
}
