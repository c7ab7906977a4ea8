//! Opening, reading, writing, and reopening after a failed write.

use std::io;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use fjall::config::BlockSizePolicy;
use fjall::{Database, Iter, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable, Slice};

use crate::journal;

/// Below this much room a failed write is taken as "the disk is full", whatever the engine calls it: its background
/// threads report a full disk as a failure of their own only.
const DISK_FREE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Bytes of keys and values that a copy takes at a time.
const COPIED_AT_ONCE_BYTES: usize = 8 * 1024 * 1024;

/// A file in a copy that was not finished: it may be removed.
const UNFINISHED_COPY: &str = "unfinished-copy";

/// Journals are replayed when the store is opened, so their size bounds the time that takes.
const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("it is in use by another process")]
    InUse,
    #[error("the disk is full")]
    DiskFull,
    #[error("could not {action}: {reason}")]
    Failed { action: &'static str, reason: String },
}

/// One ordered map of keys to values. Named by its index in [`StorageOptions::spaces`] when it is used.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    pub name: &'static str,
    /// Bytes kept in memory until they are written as a sorted file.
    pub memtable_bytes: u64,
    /// Bytes of one block on disk, the unit of reading and compression.
    pub block_bytes: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct StorageOptions {
    pub spaces: &'static [Space],
    pub cache_bytes: u64,
    /// Background threads for flushing and compaction.
    pub worker_threads: usize,
}

struct Engine {
    database: Database,
    spaces: Vec<Keyspace>,
}

/// A moment between the syncs of a store, from [`Storage::sync_point`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncPoint(u64);

pub struct Storage {
    dir: PathBuf,
    options: StorageOptions,
    /// `None` only after a reopening failed.
    engine: RwLock<Option<Engine>>,
    /// A write failed: the engine refuses all further ones until it has been reopened.
    broken: AtomicBool,
    /// One at a time: the operating system tells each caller of its own, or only one, that bytes did not reach the disk.
    syncing: Mutex<()>,
    /// How many have failed.
    failed_syncs: AtomicU64,
}

impl Storage {
    /// Opens `dir`, which is made if it is missing. One process at a time.
    pub fn open(dir: &Path, options: StorageOptions) -> Result<Self, StorageError> {
        let engine = open_engine(dir, &options)?;
        Ok(Self {
            dir: dir.to_owned(),
            options,
            engine: RwLock::new(Some(engine)),
            broken: AtomicBool::new(false),
            syncing: Mutex::new(()),
            failed_syncs: AtomicU64::new(0),
        })
    }

    pub fn get(&self, space: usize, key: &[u8]) -> Result<Option<Slice>, StorageError> {
        let guard = self.read("read")?;
        let engine = opened(&guard, "read")?;
        engine.spaces[space].get(key).map_err(|error| self.classify("read", &error))
    }

    /// The keys of a range as they are now; later writes do not show in it.
    pub fn scan<K: AsRef<[u8]>>(&self, space: usize, range: impl RangeBounds<K>) -> Result<Iter, StorageError> {
        let guard = self.read("read")?;
        let engine = opened(&guard, "read")?;
        Ok(engine.database.snapshot().range(&engine.spaces[space], range))
    }

    /// Starts a batch of changes that happen together or not at all. Do not read from the store while it is open.
    pub fn begin(&self) -> Result<Batch<'_>, StorageError> {
        self.mend()?;
        let guard = self.read("write")?;
        let batch = opened(&guard, "write")?.database.batch();
        Ok(Batch { storage: self, guard, batch })
    }

    /// To be taken before the first batch that a [`Self::sync`] is to bring to disk is committed.
    pub fn sync_point(&self) -> SyncPoint {
        SyncPoint(self.failed_syncs.load(Ordering::Acquire))
    }

    /// All batches committed since `point` survive a power loss once this has returned. After an error, of this call or of
    /// another's since `point`, they have to be taken as lost and be written again: what a failed sync was to bring to
    /// disk is not brought there by the next one, which may well succeed.
    pub fn sync(&self, point: SyncPoint) -> Result<(), StorageError> {
        let _one = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.sync_point() != point {
            return Err(StorageError::Failed {
                action: "sync",
                reason: "bytes did not reach the disk when it was tried last; they have to be written again".into(),
            });
        }
        self.mend()?;
        let guard = self.read("sync")?;
        let engine = opened(&guard, "sync")?;
        engine.database.persist(PersistMode::SyncData).map_err(|error| {
            self.failed_syncs.fetch_add(1, Ordering::AcqRel);
            self.broken.store(true, Ordering::Release);
            self.classify("sync", &error)
        })
    }

    /// Makes a store in `dir`, which must not exist, with everything that is here now; later writes do not show in it. What
    /// is written meanwhile does not wait.
    pub fn copy_to(&self, dir: &Path) -> Result<(), StorageError> {
        let failed = |error: io::Error| StorageError::Failed { action: "copy", reason: error.to_string() };
        if dir.exists() {
            return Err(failed(io::Error::other(format!("{} exists already", dir.display()))));
        }
        let (snapshot, spaces) = {
            let guard = self.read("copy")?;
            let engine = opened(&guard, "copy")?;
            (engine.database.snapshot(), engine.spaces.clone())
        };
        // Under another name until it is whole.
        let mut unfinished = dir.components().collect::<PathBuf>().into_os_string();
        unfinished.push(".unfinished");
        let unfinished = PathBuf::from(unfinished);
        let marker = unfinished.join(UNFINISHED_COPY);
        if marker.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(failed)?;
        } else if unfinished.exists() {
            return Err(failed(io::Error::other(format!("{} is in the way and no copy", unfinished.display()))));
        }
        std::fs::create_dir_all(&unfinished).and_then(|()| std::fs::write(&marker, b"")).map_err(failed)?;
        let copy = Self::open(&unfinished, self.options)?;
        let point = copy.sync_point();
        for (space, keyspace) in spaces.iter().enumerate() {
            let (mut batch, mut bytes) = (copy.begin()?, 0);
            for guard in snapshot.iter(keyspace) {
                let (key, value) = guard.into_inner().map_err(|error| self.classify("copy", &error))?;
                bytes += key.len() + value.len();
                batch.put(space, &key, &value);
                if bytes >= COPIED_AT_ONCE_BYTES {
                    batch.commit()?;
                    (batch, bytes) = (copy.begin()?, 0);
                }
            }
            batch.commit()?;
        }
        copy.sync(point)?;
        drop(copy);
        std::fs::remove_file(&marker).map_err(failed)?;
        std::fs::rename(&unfinished, dir).map_err(failed)?;
        match dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed),
            None => Ok(()),
        }
    }

    pub fn disk_bytes(&self) -> Result<u64, StorageError> {
        let guard = self.read("measure its size")?;
        let engine = opened(&guard, "measure its size")?;
        engine.database.disk_space().map_err(|error| self.classify("measure its size", &error))
    }

    fn read(&self, action: &'static str) -> Result<RwLockReadGuard<'_, Option<Engine>>, StorageError> {
        self.engine.read().map_err(|_| panicked(action))
    }

    /// Reopens the engine if a write has failed since it was opened; else does nothing. [`Self::begin`] and
    /// [`Self::sync`] do so themselves. What is read before may differ from what is there after: a batch whose commit
    /// failed may be there or not.
    pub fn mend(&self) -> Result<(), StorageError> {
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut slot = self.engine.write().map_err(|_| panicked("reopen"))?;
        if !self.broken.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.disk_is_full() {
            return Err(StorageError::DiskFull);
        }
        // The old engine holds the lock file: it goes first.
        *slot = None;
        *slot = Some(open_engine(&self.dir, &self.options)?);
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    fn disk_is_full(&self) -> bool {
        rustix::fs::statvfs(&self.dir)
            .is_ok_and(|found| found.f_bavail.saturating_mul(found.f_frsize) < DISK_FREE_BYTES_MIN)
    }

    fn classify(&self, action: &'static str, error: &fjall::Error) -> StorageError {
        match classify(action, error) {
            StorageError::Failed { .. } if self.disk_is_full() => StorageError::DiskFull,
            other => other,
        }
    }
}

/// Changes that are not visible before [`Batch::commit`].
pub struct Batch<'a> {
    storage: &'a Storage,
    guard: RwLockReadGuard<'a, Option<Engine>>,
    batch: OwnedWriteBatch,
}

impl Batch<'_> {
    pub fn put(&mut self, space: usize, key: &[u8], value: &[u8]) {
        if let Some(engine) = self.guard.as_ref() {
            self.batch.insert(&engine.spaces[space], key, value);
        }
    }

    pub fn delete(&mut self, space: usize, key: &[u8]) {
        if let Some(engine) = self.guard.as_ref() {
            self.batch.remove(&engine.spaces[space], key);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Makes the changes visible, all at once; they survive `kill -9` from here on, and a power loss after
    /// [`Storage::sync`]. After an error it is open whether they happened: read before relying on either.
    pub fn commit(self) -> Result<(), StorageError> {
        self.batch.commit().map_err(|error| {
            self.storage.broken.store(true, Ordering::Release);
            self.storage.classify("write", &error)
        })
    }
}

fn opened<'a>(
    guard: &'a RwLockReadGuard<'_, Option<Engine>>,
    action: &'static str,
) -> Result<&'a Engine, StorageError> {
    guard.as_ref().ok_or_else(|| StorageError::Failed {
        action,
        reason: "it could not be reopened after a failed write; the next write tries again".into(),
    })
}

fn panicked(action: &'static str) -> StorageError {
    StorageError::Failed { action, reason: "another thread failed while reopening it; restart the process".into() }
}

fn open_engine(dir: &Path, options: &StorageOptions) -> Result<Engine, StorageError> {
    match try_open_engine(dir, options) {
        Err(fjall::Error::JournalRecovery(_)) => {
            journal::cut_torn_tail(dir)
                .map_err(|error| StorageError::Failed { action: "cut the torn journal", reason: error.to_string() })?;
            try_open_engine(dir, options)
        }
        result => result,
    }
    .map_err(|error| classify("open", &error))
}

fn try_open_engine(dir: &Path, options: &StorageOptions) -> Result<Engine, fjall::Error> {
    std::fs::create_dir_all(dir)?;
    let database = Database::builder(dir)
        .cache_size(options.cache_bytes)
        .max_journaling_size(JOURNAL_BYTES_MAX)
        .worker_threads(options.worker_threads.max(1))
        .open()?;
    let mut spaces = Vec::with_capacity(options.spaces.len());
    for space in options.spaces {
        spaces.push(database.keyspace(space.name, || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(space.memtable_bytes)
                .data_block_size_policy(BlockSizePolicy::all(space.block_bytes))
        })?);
    }
    Ok(Engine { database, spaces })
}

fn classify(action: &'static str, error: &fjall::Error) -> StorageError {
    let io_error = match error {
        fjall::Error::Locked => return StorageError::InUse,
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => Some(error),
        _ => None,
    };
    match io_error.map(io::Error::kind) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge) => {
            StorageError::DiskFull
        }
        _ => StorageError::Failed {
            action,
            reason: match error {
                fjall::Error::Poisoned => {
                    "an earlier write or background task failed; it is reopened on the next write".into()
                }
                other => other.to_string(),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_sync_was_to_bring_to_disk_is_not_brought_there_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let options = StorageOptions {
            spaces: &[Space { name: "points", memtable_bytes: 1 << 20, block_bytes: 4096 }],
            cache_bytes: 1 << 20,
            worker_threads: 1,
        };
        let storage = Storage::open(dir.path(), options).unwrap();
        let point = storage.sync_point();
        let mut batch = storage.begin().unwrap();
        batch.put(0, b"key", b"value");
        batch.commit().unwrap();
        // As after another's sync that failed.
        storage.failed_syncs.fetch_add(1, Ordering::AcqRel);
        storage.broken.store(true, Ordering::Release);
        assert!(matches!(storage.sync(point), Err(StorageError::Failed { action: "sync", .. })));
        let point = storage.sync_point();
        let mut batch = storage.begin().unwrap();
        batch.put(0, b"key", b"value");
        batch.commit().unwrap();
        storage.sync(point).unwrap();
    }
}
