//! The log in a local directory, for one process.
//!
//! ```text
//! LOCK                                  held by the process that has the log open
//! topics/NAME/topic.json                configuration
//! topics/NAME/0/00000000000000000000.log    batches; the name is the first offset
//! topics/NAME/0/00000000000000000000.index  of a sealed segment; made anew when missing
//! ```
//!
//! A record's way in: batch (`batch.rs`), last segment (`append.rs`), fsync together with others (`io_threads.rs`),
//! acknowledged and shown. Its way out: `reader.rs`. Its end: `retention.rs`. After a crash: `recovery.rs`.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use crate::batch_builder::BatchBuilder;
use crate::clock::{Clock, SystemClock};
use crate::error::LogError;
use crate::limits::PRODUCE_QUEUE_BYTES_MAX;
use crate::topic::{TopicConfig, TopicDescription};
use crate::topic_log::{Ack, NewRecord, PartitionReader, TopicLog};

mod append;
mod batch;
mod catalog;
mod disk;
mod io_threads;
mod lock_file;
mod partition;
mod produce;
mod reader;
mod recovery;
mod retention;
mod segment;
mod segment_index;
mod topic_directory;

pub use catalog::TailCut;
pub use disk::{DiskFaults, WriteFault};

use append::Written;
use catalog::{Catalog, Topic};
use lock_file::LockFile;
use partition::{Partition, Shared, Standing};

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// After the fsync that covers it; writers that come at the same time share one. Readers see only what is
    /// durable, so nobody acts on a record that a power failure takes back.
    #[default]
    Group,
    /// At once; an fsync follows within this time. A power failure (not the end of the process) may take back what
    /// came since, also from readers that have seen it.
    Interval(Duration),
    /// At once; the operating system writes when it likes.
    None,
}

/// How an embedded log behaves.
#[derive(Clone)]
pub struct EmbeddedLogOptions {
    pub durability: Durability,
    pub clock: Arc<dyn Clock>,
    /// How often all segments are looked at for retention.
    pub retention_interval: Duration,
    #[doc(hidden)]
    pub disk_faults: Option<Arc<dyn DiskFaults>>,
}

impl Default for EmbeddedLogOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Group,
            clock: Arc::new(SystemClock),
            retention_interval: Duration::from_secs(30),
            disk_faults: None,
        }
    }
}

/// Topics in a local directory. Dropping it closes it.
pub struct EmbeddedLog {
    inner: Arc<Inner>,
    tails_cut: Vec<TailCut>,
}

struct Inner {
    catalog: Catalog,
    shared: Arc<Shared>,
    /// Bounds the records that wait to be written, in KiB.
    queue_permits: Semaphore,
    closed: AtomicBool,
    /// Taken by whoever closes the log.
    running: Mutex<Option<Running>>,
}

struct Running {
    io_threads: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
    lock: LockFile,
}

const QUEUE_PERMITS: u32 = (PRODUCE_QUEUE_BYTES_MAX >> 10) as u32;

impl EmbeddedLog {
    /// Opens the log in `dir`, which is made if it is not there. Blocks while the last segments are checked.
    /// Refused when another process has it open.
    pub fn open(dir: &Path, options: EmbeddedLogOptions) -> Result<Self, LogError> {
        std::fs::create_dir_all(dir).map_err(|error| LogError::io("cannot create", dir, error))?;
        let lock = LockFile::take(dir)?;
        let shared = Arc::new(Shared {
            clock: options.clock,
            durability: options.durability,
            disk: disk::Disk { faults: options.disk_faults },
            buffers: Default::default(),
            io: Default::default(),
        });
        let (catalog, tails_cut) = Catalog::open(dir, shared.clone())?;
        let inner = Arc::new(Inner {
            catalog,
            shared: shared.clone(),
            queue_permits: Semaphore::new(QUEUE_PERMITS as usize),
            closed: AtomicBool::new(false),
            running: Mutex::new(None),
        });
        let io_threads = shared.io.start()?;
        let (log, interval) = (Arc::downgrade(&inner), options.retention_interval);
        let keeper = std::thread::Builder::new()
            .name("log-keeper".to_owned())
            .spawn(move || keep(&log, &shared, interval))
            .map_err(|error| LogError::io("cannot start a thread for", dir, error))?;
        *inner.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running { io_threads, keeper, lock });
        Ok(Self { inner, tails_cut })
    }

    /// Writes what waits, makes all durable and gives the directory free. Everything after that is
    /// [`LogError::Closed`], also for readers.
    pub async fn close(&self) {
        let inner = self.inner.clone();
        // Fails only when the runtime ends; then dropping the log closes it.
        let _ = tokio::task::spawn_blocking(move || inner.shut_down()).await;
    }

    /// Ends of partitions that were cut off when the log was opened.
    pub fn tails_cut(&self) -> &[TailCut] {
        &self.tails_cut
    }

    /// Appends all records of `batch` to one partition and blocks until they are durable, as the options say.
    /// Returns the first record's offset; the others follow it. For producers of many records on threads of their
    /// own; among async tasks use [`TopicLog::produce`] or [`Self::write_batch`].
    pub fn append_batch(&self, topic: &str, partition: u32, batch: &BatchBuilder) -> Result<i64, LogError> {
        self.write_batch(topic, partition, batch)?.wait()
    }

    /// Appends all records of `batch` to one partition, without waiting for the fsync that makes them durable (and
    /// visible). Copies into the page cache where it is called.
    pub fn write_batch(&self, topic: &str, partition: u32, batch: &BatchBuilder) -> Result<PendingAppend, LogError> {
        let topic = self.inner.topic(topic)?;
        let (reply, receiver) = oneshot::channel();
        topic.partition(partition)?.append(batch, vec![(batch.len(), reply)]);
        Ok(PendingAppend { receiver })
    }

    /// Removes what has expired now. The log does this by itself every `retention_interval`.
    pub fn enforce_retention(&self) -> Result<(), LogError> {
        self.inner.catalog.enforce_retention()
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.inner.shut_down();
    }
}

impl Inner {
    fn topic(&self, name: &str) -> Result<Arc<Topic>, LogError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(LogError::Closed);
        }
        self.catalog.topic(name)
    }

    fn partition(&self, topic: &str, partition: u32) -> Result<Arc<Partition>, LogError> {
        self.topic(topic)?.partition(partition).cloned()
    }

    /// Only the first call does anything; it blocks.
    fn shut_down(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Running { io_threads, keeper, lock }) = running.take() else { return };
        self.closed.store(true, Ordering::SeqCst);
        self.shared.io.stop();
        for thread in io_threads.into_iter().chain([keeper]) {
            if thread.join().is_err() {
                tracing::error!("a thread of the log has panicked");
            }
        }
        for topic in self.catalog.topics() {
            for partition in &topic.partitions {
                partition.write_queued(&mut BatchBuilder::new());
                partition.sync();
                partition.end_with(Standing::Closed);
            }
        }
        drop(lock);
    }
}

/// The thread that looks after retention and, where fsyncs have an interval, after that.
fn keep(log: &Weak<Inner>, shared: &Shared, retention_interval: Duration) {
    let mut retention_due = Instant::now() + retention_interval;
    while !shared.io.is_stopping() {
        let left = retention_due.saturating_duration_since(Instant::now());
        if let (true, Durability::Interval(interval)) = (shared.io.wait_for_sync_due(left), shared.durability) {
            shared.io.sleep(interval);
            shared.io.sync_now();
        }
        if Instant::now() < retention_due || shared.io.is_stopping() {
            continue;
        }
        retention_due = Instant::now() + retention_interval;
        let Some(log) = log.upgrade() else { return };
        if let Err(error) = log.catalog.enforce_retention() {
            tracing::warn!(%error, "retention is late");
        }
    }
}

/// An append whose fsync may still be under way.
#[must_use = "the records are durable only when this says so"]
pub struct PendingAppend {
    receiver: oneshot::Receiver<Result<Written, LogError>>,
}

impl PendingAppend {
    /// Blocks until the records are durable; the first one's offset.
    pub fn wait(self) -> Result<i64, LogError> {
        // Unconstrained: a task's budget would end the wait until the task yields, which it cannot do here.
        block_on(tokio::task::unconstrained(self.acknowledged()))
    }

    /// Waits until the records are durable; the first one's offset.
    pub async fn acknowledged(self) -> Result<i64, LogError> {
        let written = self.receiver.await.unwrap_or(Err(LogError::Closed))?;
        Ok(written.first_offset)
    }
}

/// Parks the thread until the future is ready; unlike a runtime's, this does not mind where it is called.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

impl EmbeddedLog {
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or(Err(LogError::Closed))
    }
}

#[async_trait]
impl TopicLog for EmbeddedLog {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<(), LogError> {
        let name = name.to_owned();
        self.on_disk(move |inner| {
            if inner.closed.load(Ordering::SeqCst) {
                return Err(LogError::Closed);
            }
            inner.catalog.create(&name, config)
        })
        .await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let topic = self.inner.topic(name)?;
        self.on_disk(move |inner| inner.catalog.delete(&topic.name)).await
    }

    async fn topics(&self) -> Result<Vec<TopicDescription>, LogError> {
        if self.inner.closed.load(Ordering::SeqCst) {
            return Err(LogError::Closed);
        }
        Ok(self.inner.catalog.topics().iter().map(|topic| topic.describe()).collect())
    }

    async fn topic(&self, name: &str) -> Result<TopicDescription, LogError> {
        Ok(self.inner.topic(name)?.describe())
    }

    async fn offset_at(&self, topic: &str, partition: u32, timestamp_ms: i64) -> Result<i64, LogError> {
        let partition = self.inner.partition(topic, partition)?;
        self.on_disk(move |_| partition.offset_at(timestamp_ms)).await
    }

    async fn produce(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let topic = self.inner.topic(topic)?;
        let now_ms = self.inner.shared.clock.now_ms();
        let partitions = topic.partitions.len() as u32;
        let without_key = match records.iter().any(|record| record.partition.is_none() && record.key.is_none()) {
            true => topic.partition_without_key(),
            false => 0,
        };
        let batches = produce::plan(&topic.name, partitions, without_key, now_ms, &records)?;
        let timestamps_ms = records.iter().map(|record| record.timestamp_ms).collect();
        drop(records);
        let bytes: usize = batches.iter().map(|call| call.batch.bytes()).sum();
        let permits = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(QUEUE_PERMITS).min(QUEUE_PERMITS);
        let Ok(_permits) = self.inner.queue_permits.acquire_many(permits).await else { return Err(LogError::Closed) };
        let mut enqueued = Vec::with_capacity(batches.len());
        for batch in batches {
            let partition = topic.partition(batch.partition)?;
            enqueued.push(batch.enqueue(partition));
        }
        produce::acknowledge(enqueued, timestamps_ms, now_ms).await
    }

    async fn open(&self, topic: &str, partition: u32, offset: i64) -> Result<Box<dyn PartitionReader>, LogError> {
        let partition = self.inner.partition(topic, partition)?;
        Ok(Box::new(reader::EmbeddedReader::new(partition, offset)?))
    }
}
