//! Writing to a partition: batches go to the last segment, an fsync makes them durable, and what an fsync covers
//! is acknowledged and shown to readers together.
//!
//! With [`Durability::Group`] nothing is seen before it is durable, so when a write or an fsync fails for want of
//! room everything after the last durable byte is taken back, and the writers are told. Any other failed fsync
//! leaves the file in a state that nobody knows: the partition then takes no more records until it is recovered.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Durability;
use super::batch::{BatchHeader, HEADER_BYTES, body_checksum};
use super::disk::{is_disk_full, sync_dir, write_atomically};
use super::partition::{Partition, Standing};
use super::segment::Segment;
use super::segment_index::SegmentIndex;
use crate::batch_builder::BatchBuilder;
use crate::error::LogError;

/// Where the first of some records lies, and when it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub first_offset: i64,
    pub append_time_ms: i64,
}

pub(crate) type Reply = oneshot::Sender<Result<Written, LogError>>;

/// Somebody who waits until the records before `end` are durable.
struct Waiter {
    end: i64,
    written: Written,
    reply: Reply,
}

pub(crate) struct Appender {
    active: Option<Active>,
    next_offset: i64,
    /// Bytes of the active segment, and offset, up to which all is durable.
    synced_bytes: u64,
    synced_offset: i64,
    waiters: VecDeque<Waiter>,
    standing: Standing,
    /// Whether an fsync runs. The system tells an error once, so another fsync must not take it away from this one.
    syncing: bool,
    /// Why the partition takes no more records.
    failure: Option<String>,
}

struct Active {
    segment: Arc<Segment>,
    /// Opened with the first write.
    file: Option<Arc<File>>,
}

/// Replies that are sent when the lock is not held any more.
type Replies = Vec<(Reply, Result<Written, LogError>)>;

impl Appender {
    pub fn new(active: Option<Arc<Segment>>, next_offset: i64) -> Self {
        Self {
            synced_bytes: active.as_ref().map_or(0, |segment| segment.readable_bytes()),
            active: active.map(|segment| Active { segment, file: None }),
            next_offset,
            synced_offset: next_offset,
            waiters: VecDeque::new(),
            standing: Standing::Open,
            syncing: false,
            failure: None,
        }
    }

    /// Whether the last segment has no room for `bytes` more.
    fn is_full_for(&self, bytes: u64, segment_bytes: u64) -> bool {
        self.active.as_ref().is_none_or(|active| {
            let used = active.segment.index().bytes;
            active.segment.is_sealed() || used > 0 && used.saturating_add(bytes) > segment_bytes
        })
    }

    fn is_dirty(&self) -> bool {
        self.synced_offset < self.next_offset && self.failure.is_none()
    }

    fn fail_waiters(&mut self, error: &LogError) -> Replies {
        self.waiters.drain(..).map(|waiter| (waiter.reply, Err(error.clone()))).collect()
    }

    fn release_waiters(&mut self) -> Replies {
        let durable = self.waiters.partition_point(|waiter| waiter.end <= self.synced_offset);
        self.waiters.drain(..durable).map(|waiter| (waiter.reply, Ok(waiter.written))).collect()
    }
}

impl Partition {
    /// Appends a batch whose records belong, in order, to the given replies (number of records each). Each gets its
    /// answer when its records are durable, or at once if they need not be; all get the error if there is one.
    pub fn append(self: &Arc<Self>, batch: &BatchBuilder, replies: Vec<(usize, Reply)>) {
        let checksum = body_checksum(batch); // the long part of the work, before the lock
        let mut rolled = false;
        let mut answers = Replies::new();
        let mut appender = self.lock_with_room((HEADER_BYTES + batch.bytes()) as u64);
        match self.write(&mut appender, batch, checksum, &mut rolled, &mut answers) {
            Ok(mut written) => {
                for (records, reply) in replies {
                    let end = written.first_offset + records as i64;
                    match self.shared.durability {
                        Durability::Group if records > 0 => appender.waiters.push_back(Waiter { end, written, reply }),
                        _ => answers.push((reply, Ok(written))),
                    }
                    written.first_offset = end;
                }
            }
            Err(error) => answers.extend(replies.into_iter().map(|(_, reply)| (reply, Err(error.clone())))),
        }
        let dirty = appender.is_dirty();
        drop(appender);
        send(answers);
        match self.shared.durability {
            Durability::Group if dirty => self.shared.io.schedule(self),
            Durability::Interval(_) if dirty => self.shared.io.sync_soon(self),
            _ => {}
        }
        if rolled {
            self.remove_expired();
        }
    }

    fn write(
        &self,
        appender: &mut Appender,
        batch: &BatchBuilder,
        checksum: u32,
        rolled: &mut bool,
        answers: &mut Replies,
    ) -> Result<Written, LogError> {
        self.check_takes_records(appender)?;
        let append_time_ms = self.shared.clock.now_ms();
        let first_offset = appender.next_offset;
        let written = Written { first_offset, append_time_ms };
        if batch.is_empty() {
            return Ok(written);
        }
        let header = BatchHeader::for_batch(batch, first_offset, append_time_ms);
        let (segment, file) = self.segment_for(appender, header.total_bytes(), rolled, answers)?;
        let position = segment.index().bytes;
        let head: [u8; HEADER_BYTES] = header.encode(checksum);
        if let Err(error) = self.shared.disk.write_at(&file, &[&head, batch.table(), batch.data()], position) {
            if let Err(cut_error) = file.set_len(position) {
                appender.failure = Some(format!("a failed write could not be taken back ({cut_error})"));
                answers.extend(appender.fail_waiters(&self.failed(appender)));
            }
            return Err(self.write_error("cannot append to", &segment, error));
        }
        segment.index().add(&header);
        appender.next_offset = header.next_offset();
        if self.shared.durability != Durability::Group {
            segment.set_readable_bytes(position + header.total_bytes());
            self.publish_end(appender.next_offset);
        }
        Ok(written)
    }

    fn check_takes_records(&self, appender: &Appender) -> Result<(), LogError> {
        if let Some(error) = self.gone(appender.standing) {
            return Err(error);
        }
        if appender.failure.is_some() { Err(self.failed(appender)) } else { Ok(()) }
    }

    fn failed(&self, appender: &Appender) -> LogError {
        let reason = appender.failure.clone().unwrap_or_default();
        LogError::PartitionFailed { topic: self.topic.to_string(), partition: self.id, reason }
    }

    fn write_error(&self, action: &'static str, segment: &Segment, error: io::Error) -> LogError {
        if is_disk_full(&error) {
            return LogError::DiskFull { topic: self.topic.to_string(), partition: self.id, dir: self.dir.clone() };
        }
        LogError::io(action, segment.path(), error)
    }

    /// The segment that takes the next `bytes`, a new one if the last is full.
    fn segment_for(
        &self,
        appender: &mut Appender,
        bytes: u64,
        rolled: &mut bool,
        answers: &mut Replies,
    ) -> Result<(Arc<Segment>, Arc<File>), LogError> {
        if appender.is_full_for(bytes, self.config.segment_bytes) {
            *rolled = appender.active.is_some();
            return self.roll(appender, answers);
        }
        let Some(active) = &mut appender.active else { return self.roll(appender, answers) };
        let file = match &active.file {
            Some(file) => file.clone(),
            None => {
                let opened = active.segment.file_to_write();
                opened.map_err(|error| LogError::io("cannot open", active.segment.path(), error))?
            }
        };
        active.file = Some(file.clone());
        Ok((active.segment.clone(), file))
    }

    /// The appender, when `bytes` have room in the last segment or nothing keeps it from beginning another: sealing
    /// a segment fsyncs it, so that waits for an fsync that runs.
    fn lock_with_room(&self, bytes: u64) -> MutexGuard<'_, Appender> {
        let mut appender = self.lock_appender();
        while appender.syncing && appender.is_full_for(bytes, self.config.segment_bytes) {
            appender = self.sync_ended.wait(appender).unwrap_or_else(PoisonError::into_inner);
        }
        appender
    }

    /// Closes the last segment, durably, and begins the next one.
    fn roll(&self, appender: &mut Appender, answers: &mut Replies) -> Result<(Arc<Segment>, Arc<File>), LogError> {
        self.seal_active(appender, answers)?;
        let path = Segment::path_in(&self.dir, appender.next_offset);
        let index = SegmentIndex::new(appender.next_offset);
        let segment = Arc::new(Segment::new(path, appender.next_offset, index, false));
        let file = segment.file_to_write().map_err(|error| self.write_error("cannot create", &segment, error))?;
        sync_dir(&self.dir)?;
        self.add_segment(segment.clone());
        appender.active = Some(Active { segment: segment.clone(), file: Some(file.clone()) });
        appender.synced_bytes = 0;
        Ok((segment, file))
    }

    fn seal_active(&self, appender: &mut Appender, answers: &mut Replies) -> Result<(), LogError> {
        let Some(active) = &appender.active else { return Ok(()) };
        if active.segment.is_sealed() {
            return Ok(());
        }
        let segment = active.segment.clone();
        if let Some(file) = &active.file
            && let Err(error) = self.shared.disk.sync(file)
        {
            let error = self.sync_failed(appender, &segment, error);
            answers.extend(appender.fail_waiters(&error));
            return Err(error);
        }
        let index = segment.index().encode();
        if let Err(error) = write_atomically(&segment.index_path(), &index) {
            tracing::warn!(%error, "the index of a segment was not written; the next start makes it anew");
        }
        segment.seal();
        appender.synced_offset = appender.next_offset;
        self.publish_end(appender.synced_offset);
        answers.extend(appender.release_waiters());
        Ok(())
    }

    /// Makes durable what was appended before this call, and answers who waits for it.
    pub fn sync(&self) {
        let (segment, file, bytes, offset) = {
            let mut appender = self.lock_appender();
            let Some(Active { segment, file: Some(file) }) = &appender.active else { return };
            if !appender.is_dirty() {
                return;
            }
            let bytes = segment.index().bytes;
            let taken = (segment.clone(), file.clone(), bytes, appender.next_offset);
            appender.syncing = true;
            taken
        };
        let synced = self.shared.disk.sync(&file);
        let mut appender = self.lock_appender();
        appender.syncing = false;
        self.sync_ended.notify_all();
        let still_active = appender.active.as_ref().is_some_and(|active| Arc::ptr_eq(&active.segment, &segment));
        let answers = match synced {
            Ok(()) => {
                if still_active {
                    appender.synced_bytes = appender.synced_bytes.max(bytes);
                    segment.set_readable_bytes(segment.readable_bytes().max(bytes));
                }
                appender.synced_offset = appender.synced_offset.max(offset);
                self.publish_end(appender.synced_offset);
                appender.release_waiters()
            }
            Err(error) => {
                let error = self.sync_failed(&mut appender, &segment, error);
                if appender.waiters.is_empty() {
                    tracing::warn!(%error, "records that were acknowledged are not durable yet");
                }
                appender.fail_waiters(&error)
            }
        };
        drop(appender);
        send(answers);
    }

    /// Takes back what was not durable if the disk was only full; else the partition has failed.
    fn sync_failed(&self, appender: &mut Appender, segment: &Arc<Segment>, error: io::Error) -> LogError {
        let active = appender.active.as_ref().filter(|active| Arc::ptr_eq(&active.segment, segment));
        let file = active.and_then(|active| active.file.clone());
        let taken_back = match (&file, self.shared.durability) {
            (Some(file), Durability::Group) if is_disk_full(&error) => file.set_len(appender.synced_bytes).is_ok(),
            // Without group fsync readers may have seen the records: they stay, and the next fsync tries again.
            (Some(_), _) if is_disk_full(&error) => return self.write_error("cannot sync", segment, error),
            _ => false,
        };
        if taken_back {
            segment.index().cut(appender.synced_bytes, appender.synced_offset);
            appender.next_offset = appender.synced_offset;
            return self.write_error("cannot sync", segment, error);
        }
        tracing::error!(topic = %self.topic, partition = self.id, %error, "an fsync failed: the partition takes no more records");
        appender.failure = Some(format!("an fsync of {} failed ({error})", segment.file_name()));
        self.failed(appender)
    }

    /// Begins a new segment so that the last one can expire.
    pub fn roll_for_retention(&self) -> Result<(), LogError> {
        let mut answers = Replies::new();
        let mut appender = self.lock_with_room(u64::MAX);
        let result =
            self.check_takes_records(&appender).and_then(|()| self.roll(&mut appender, &mut answers)).map(|_| ());
        drop(appender);
        send(answers);
        result
    }

    /// Ends all writing and reading of this partition.
    pub fn end_with(&self, standing: Standing) {
        let _removal = self.removal.lock();
        let mut appender = self.lock_appender();
        appender.standing = standing;
        let answers = match self.gone(standing) {
            Some(error) => appender.fail_waiters(&error),
            None => Replies::new(),
        };
        appender.active = None;
        drop(appender);
        self.close_queue();
        send(answers);
        self.publish_standing(standing);
    }

    pub fn needs_sync(&self) -> bool {
        let durable_at_once = self.shared.durability == Durability::Group;
        (durable_at_once || self.sync_wanted.load(Ordering::SeqCst)) && self.lock_appender().is_dirty()
    }
}

fn send(answers: Replies) {
    for (reply, answer) in answers {
        // Nobody listens when a writer has given up waiting; its records are written all the same.
        let _ = reply.send(answer);
    }
}
