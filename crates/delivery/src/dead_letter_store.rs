//! Keeps dead letters on disk, within limits, and knows how many there are without reading them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::{Guard, Space, Storage, StorageOptions, SyncPoint};

use crate::dead_letter_encoding::{Stored, cursor_of, decode_key, encode_key, key_of_cursor, owner_prefix};
use crate::dead_letter_usage::{Changed, Usage, Usages};
use crate::error::{read_error, storage_error};
use crate::{DeadLetter, DeadLetterFilter, DeadLetterKey, DeadLetterState, DeadLetterUsage, DeliveryError};

const LETTERS: usize = 0;
const USAGES: usize = 1;
const SPACES: &[Space] = &[
    Space { name: "letters", memtable_bytes: 16 * 1024 * 1024, block_bytes: 16 * 1024 },
    Space { name: "usages", memtable_bytes: 1024 * 1024, block_bytes: 4 * 1024 },
];
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// Letters changed in one step while other writers wait.
const LETTERS_PER_STEP: usize = 1_000;
/// A page ends early when it holds this many bytes.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How much is kept of each dagger. What goes beyond is counted by [`PutSummary::over_limit`] and not stored.
#[derive(Clone, Debug)]
pub struct DeadLetterLimits {
    pub letters_per_owner_max: u64,
    pub bytes_per_owner_max: u64,
    /// Key, value and headers of one record. A longer record is kept without them.
    pub record_bytes_max: usize,
    /// A longer error is cut.
    pub error_bytes_max: usize,
    /// Of an owner, a stream or a topic.
    pub name_bytes_max: usize,
    /// Letters of one page.
    pub page_letters_max: usize,
}

impl Default for DeadLetterLimits {
    fn default() -> Self {
        Self {
            letters_per_owner_max: 1_000_000,
            bytes_per_owner_max: 1024 * 1024 * 1024,
            record_bytes_max: 16 * 1024 * 1024,
            error_bytes_max: 4 * 1024,
            name_bytes_max: 1_024,
            page_letters_max: 10_000,
        }
    }
}

/// What became of the dead letters of one call: their number is `stored + already_there + over_limit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutSummary {
    pub stored: u64,
    pub already_there: u64,
    pub over_limit: u64,
    /// Of those stored: kept without key, value and headers, which are longer than a record may be.
    pub stored_without_record: u64,
    /// Which limit was reached by whom, and what to do; set when `over_limit` is not 0.
    pub over_limit_message: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterPage {
    pub letters: Vec<DeadLetter>,
    /// Pass it to get the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

/// Handle to the store; clones share it.
#[derive(Clone)]
pub struct DeadLetterStore {
    inner: Arc<Inner>,
}

struct Inner {
    storage: Storage,
    limits: DeadLetterLimits,
    /// Holding it is the right to change letters.
    counts: Mutex<Counts>,
}

struct Counts {
    usages: Usages,
    /// A commit failed, and it is open whether it happened: they have to be read again.
    stale: bool,
}

impl DeadLetterStore {
    /// Opens the store in `dir`, which is made if it is missing. One process at a time.
    pub fn open(dir: &Path, limits: DeadLetterLimits) -> Result<Self, DeliveryError> {
        let options = StorageOptions { spaces: SPACES, cache_bytes: CACHE_BYTES, worker_threads: 1 };
        let storage = Storage::open(dir, options).map_err(storage_error)?;
        let counts = Mutex::new(Counts { usages: Usages::load(&storage, USAGES)?, stale: false });
        Ok(Self { inner: Arc::new(Inner { storage, limits, counts }) })
    }

    /// Keeps dead letters, all that are within the limits or, on an error, none. A letter whose key is there already is
    /// left as it is. Survives `kill -9` when this has returned, and a power loss after [`Self::sync`].
    pub fn put_many(&self, letters: &[DeadLetter]) -> Result<PutSummary, DeliveryError> {
        let mut summary = PutSummary::default();
        let mut counts = self.lock()?;
        let mut new: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        let mut changed = Changed::default();
        for letter in letters {
            self.check_names(&letter.key)?;
            let key = encode_key(&letter.key);
            if new.contains_key(&key) || self.inner.storage.get(LETTERS, &key).map_err(storage_error)?.is_some() {
                summary.already_there += 1;
                continue;
            }
            let (value, without_record) = Stored::encode(letter, &self.inner.limits);
            let bytes = (key.len() + value.len()) as u64;
            let totals = changed.totals(&counts.usages, &letter.key.owner);
            if let Some(message) = self.limit_reached(&letter.key.owner, totals, bytes) {
                summary.over_limit += 1;
                summary.over_limit_message.get_or_insert(message);
                continue;
            }
            changed.add(&counts.usages, &letter.key.owner, letter.kind, letter.state, bytes);
            summary.stored += 1;
            summary.stored_without_record += u64::from(without_record);
            new.insert(key, value);
        }
        if !new.is_empty() {
            let mut batch = self.inner.storage.begin().map_err(storage_error)?;
            for (key, value) in &new {
                batch.put(LETTERS, key, value);
            }
            self.commit(batch, &mut counts, changed)?;
        }
        Ok(summary)
    }

    /// Letters that match, in the order of (owner, stream, topic, partition, offset), from after a page's cursor.
    pub fn list(
        &self,
        filter: &DeadLetterFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DeadLetterPage, DeliveryError> {
        let limit = limit.clamp(1, self.inner.limits.page_letters_max);
        let mut page = DeadLetterPage::default();
        let mut bytes = 0;
        for guard in self.matching_owner(filter, after.map(key_of_cursor).transpose()?)? {
            let (key, value) = guard.into_inner().map_err(|error| read_error(&error))?;
            let stored = Stored::decode(decode_key(&key)?, &value)?;
            if !filter.matches(&stored) {
                continue;
            }
            if page.letters.len() == limit || bytes > PAGE_BYTES_MAX {
                page.next_cursor = page.letters.last().map(|last| cursor_of(&last.key));
                break;
            }
            bytes += key.len() + value.len();
            page.letters.push(stored);
        }
        Ok(page)
    }

    pub fn get(&self, key: &DeadLetterKey) -> Result<Option<DeadLetter>, DeliveryError> {
        let value = self.inner.storage.get(LETTERS, &encode_key(key)).map_err(storage_error)?;
        value.map(|value| Stored::decode(key.clone(), &value)).transpose()
    }

    /// How much is kept, by owner and kind, in their order.
    pub fn usage(&self) -> Vec<DeadLetterUsage> {
        let counts = self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (owner, kinds) in counts.usages.iter() {
            for (kind, usage) in kinds {
                let Usage { kept, replayed, bytes } = *usage;
                found.push(DeadLetterUsage { owner: owner.clone(), kind: *kind, kept, replayed, bytes });
            }
        }
        found
    }

    /// Notes one more replay. `false` if there is no such dead letter.
    pub fn mark_replayed(&self, key: &DeadLetterKey) -> Result<bool, DeliveryError> {
        let mut counts = self.lock()?;
        let encoded_key = encode_key(key);
        let Some(stored) = self.inner.storage.get(LETTERS, &encoded_key).map_err(storage_error)? else {
            return Ok(false);
        };
        let mut letter = Stored::decode(key.clone(), &stored)?;
        let mut changed = Changed::default();
        changed.subtract(
            &counts.usages,
            &key.owner,
            letter.kind,
            letter.state,
            (encoded_key.len() + stored.len()) as u64,
        );
        letter.state = DeadLetterState::Replayed;
        letter.replays = letter.replays.saturating_add(1);
        let (value, _) = Stored::encode(&letter, &self.inner.limits);
        changed.add(&counts.usages, &key.owner, letter.kind, letter.state, (encoded_key.len() + value.len()) as u64);
        let mut batch = self.inner.storage.begin().map_err(storage_error)?;
        batch.put(LETTERS, &encoded_key, &value);
        self.commit(batch, &mut counts, changed)?;
        Ok(true)
    }

    /// Removes what matches and tells how many that were. Letters put meanwhile may stay.
    pub fn delete(&self, filter: &DeadLetterFilter) -> Result<u64, DeliveryError> {
        let mut deleted = 0;
        let mut after = None;
        loop {
            let mut counts = self.lock()?;
            let mut removed = Vec::new();
            let mut changed = Changed::default();
            let mut last = None;
            for guard in self.matching_owner(filter, after)?.take(LETTERS_PER_STEP) {
                let (key, value) = guard.into_inner().map_err(|error| read_error(&error))?;
                let letter = Stored::decode(decode_key(&key)?, &value)?;
                last = Some(key.to_vec());
                if filter.matches(&letter) {
                    let bytes = (key.len() + value.len()) as u64;
                    changed.subtract(&counts.usages, &letter.key.owner, letter.kind, letter.state, bytes);
                    removed.push(key);
                }
            }
            let Some(last) = last else { return Ok(deleted) };
            after = Some(last);
            if !removed.is_empty() {
                let mut batch = self.inner.storage.begin().map_err(storage_error)?;
                for key in &removed {
                    batch.delete(LETTERS, key);
                }
                self.commit(batch, &mut counts, changed)?;
                deleted += removed.len() as u64;
            }
        }
    }

    /// To be taken before the first letter that a [`Self::sync`] is to bring to disk is put.
    pub fn sync_point(&self) -> SyncPoint {
        self.inner.storage.sync_point()
    }

    /// Everything put since `point` survives `kill -9` and power loss once this has returned. After an error, of this call
    /// or of another's since `point`, take it as lost and put it again.
    pub fn sync(&self, point: SyncPoint) -> Result<(), DeliveryError> {
        self.inner.storage.sync(point).map_err(storage_error)
    }

    fn lock(&self) -> Result<MutexGuard<'_, Counts>, DeliveryError> {
        let mut counts = self.inner.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.stale {
            self.inner.storage.mend().map_err(storage_error)?;
            counts.usages = Usages::load(&self.inner.storage, USAGES)?;
            counts.stale = false;
        }
        Ok(counts)
    }

    /// Commits together with what changes in the counts.
    fn commit(
        &self,
        mut batch: storage::Batch<'_>,
        counts: &mut Counts,
        changed: Changed,
    ) -> Result<(), DeliveryError> {
        changed.put(&mut batch, USAGES)?;
        batch.commit().map_err(|error| {
            counts.stale = true;
            storage_error(error)
        })?;
        counts.usages.apply(changed);
        Ok(())
    }

    fn matching_owner(
        &self,
        filter: &DeadLetterFilter,
        after: Option<Vec<u8>>,
    ) -> Result<impl Iterator<Item = Guard> + use<>, DeliveryError> {
        let prefix = filter.owner.as_deref().map(owner_prefix).unwrap_or_default();
        let start = match after {
            // The smallest key after it.
            Some(mut after) => {
                after.push(0);
                after.max(prefix.clone())
            }
            None => prefix.clone(),
        };
        // Keys are text with terminators: none begins with this.
        let mut end = prefix;
        end.push(0xff);
        self.inner.storage.scan(LETTERS, start..end).map_err(storage_error)
    }

    fn check_names(&self, key: &DeadLetterKey) -> Result<(), DeliveryError> {
        let max = self.inner.limits.name_bytes_max;
        for (what, name) in [("'s owner", &key.owner), ("'s stream", &key.stream), ("'s topic", &key.topic)] {
            if name.len() > max {
                return Err(DeliveryError::TooLong { what, found: name.len(), max });
            }
        }
        Ok(())
    }

    fn limit_reached(&self, owner: &str, (letters, bytes): (u64, u64), more_bytes: u64) -> Option<String> {
        let limits = &self.inner.limits;
        let reached = if letters + 1 > limits.letters_per_owner_max {
            format!("{letters} dead letters, the limit is {}", limits.letters_per_owner_max)
        } else if bytes + more_bytes > limits.bytes_per_owner_max {
            format!("{bytes} bytes of dead letters, the limit is {}", limits.bytes_per_owner_max)
        } else {
            return None;
        };
        Some(format!("`{owner}` has {reached}: further ones are counted, not kept; replay or delete some"))
    }
}
