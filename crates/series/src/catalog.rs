//! The measurements: names, columns, retention, counters, chunks; in memory, and how they lie on disk.
//!
//! Columns get small numbers once and keep them. A dropped measurement's number is not used again, so its points cannot
//! turn up in a later one of the same name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use storage::{Batch, Storage};

use crate::change_log::ChangeLog;
use crate::chunk::{ChunkHead, Chunks, load_heads};
use crate::counters::{self, Counters};
use crate::error::{read_error, storage_error};
use crate::known_rows::KnownBatches;
use crate::shape::{Shape, check_name};
use crate::space;
use crate::tag_table::KeptTable;
use crate::{SeriesError, SeriesLimits, TimeRange};

const SHAPE_PREFIX: u8 = b'm';
const COUNTERS_PREFIX: u8 = b'c';
/// What outlives measurements that are gone: next number, highest sequence number.
const FLOOR_KEY: &[u8] = b"f";

/// One measurement in memory.
pub(crate) struct Measurement {
    pub id: u32,
    shape: RwLock<Arc<Shape>>,
    /// As of the last successful write, for readers.
    published: RwLock<Counters>,
    chunks: RwLock<Chunks>,
    pub tag_table: Mutex<Option<KeptTable>>,
    writer: Mutex<Writer>,
}

/// What the one who writes to a measurement holds.
pub(crate) struct Writer {
    pub counters: Counters,
    pub changes: ChangeLog,
    /// A write failed: what is on disk has to be read again before the next one.
    pub stale: bool,
    pub dropped: bool,
    /// Said to whoever brings a new series when there are too many; made once per number of series.
    pub refusal: Option<(u64, String)>,
    /// Series written to while somebody looks for series without points.
    pub used_series: Option<HashSet<u64>>,
    /// Not after a write that failed, nor after series were removed.
    pub known_rows: KnownBatches,
    /// The last fold left as many chunks that overlap as there were; nothing was sealed since.
    pub fold_in_vain: bool,
    /// Number of the next new chunk.
    pub next_chunk: u64,
    /// Chunks that were retired, some of which are still read: those that were since this process began have a head.
    pub garbage: Vec<(u64, Option<Arc<ChunkHead>>)>,
}

impl Measurement {
    fn new(id: u32, shape: Shape, counters: Counters, (heads, garbage): (Vec<ChunkHead>, Vec<u64>)) -> Self {
        let writer = Writer {
            counters,
            changes: ChangeLog::starting_after(counters.sequence),
            stale: false,
            dropped: shape.dropped,
            refusal: None,
            used_series: None,
            known_rows: KnownBatches::default(),
            fold_in_vain: false,
            next_chunk: next_chunk(&heads, &garbage),
            garbage: garbage.into_iter().map(|id| (id, None)).collect(),
        };
        Self {
            id,
            shape: RwLock::new(Arc::new(shape)),
            published: RwLock::new(counters),
            chunks: RwLock::new(Arc::new(heads.into_iter().map(Arc::new).collect())),
            tag_table: Mutex::new(None),
            writer: Mutex::new(writer),
        }
    }

    /// The chunks that there are now. They stay readable for as long as one holds them.
    pub(crate) fn chunks(&self) -> Chunks {
        self.chunks.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_chunks(&self, chunks: Chunks) {
        *self.chunks.write().unwrap_or_else(PoisonError::into_inner) = chunks;
    }

    /// Reads again which chunks there are. Those that are known stay the same, so that who reads one is not forgotten.
    fn reload_chunks(&self, writer: &mut Writer, storage: &Storage) -> Result<(), SeriesError> {
        let (heads, garbage) = load_heads(storage, self.id)?;
        let old = self.chunks();
        let known = writer.garbage.iter().filter_map(|(_, head)| head.clone()).chain(old.iter().cloned());
        let known: HashMap<u64, Arc<ChunkHead>> = known.map(|head| (head.id, head)).collect();
        writer.next_chunk = writer.next_chunk.max(next_chunk(&heads, &garbage));
        writer.garbage = garbage.into_iter().map(|id| (id, known.get(&id).cloned())).collect();
        let chunks = heads.into_iter().map(|head| known.get(&head.id).cloned().unwrap_or_else(|| Arc::new(head)));
        self.set_chunks(Arc::new(chunks.collect()));
        Ok(())
    }

    /// Whether anybody reads chunks of it, or holds them to read them.
    pub(crate) fn is_read(&self) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        Arc::strong_count(&chunks) > 1
            || chunks.iter().any(|chunk| Arc::strong_count(chunk) > 1)
            || writer.garbage.iter().any(|(_, head)| head.as_ref().is_some_and(|head| Arc::strong_count(head) > 1))
    }

    pub(crate) fn shape(&self) -> Arc<Shape> {
        self.shape.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn counters(&self) -> Counters {
        *self.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for other writers. What a writer that panicked left half done was not published: it is read again.
    pub(crate) fn lock(&self, storage: &Storage) -> Result<MutexGuard<'_, Writer>, SeriesError> {
        let mut writer = self.writer.lock().unwrap_or_else(|poisoned| {
            self.writer.clear_poison();
            let mut writer = poisoned.into_inner();
            writer.stale = true;
            writer
        });
        if writer.stale {
            storage.mend().map_err(storage_error)?;
            if let Some(shape) = read_shape(storage, self.id)? {
                writer.dropped = shape.dropped;
                self.set_shape(Arc::new(shape));
            }
            writer.counters = read_counters(storage, self.id)?;
            writer.changes = ChangeLog::starting_after(writer.counters.sequence);
            writer.known_rows.clear();
            self.reload_chunks(&mut writer, storage)?;
            self.publish(writer.counters);
            writer.stale = false;
        }
        Ok(writer)
    }

    /// Number of the last write, and the times touched by writes after `sequence`.
    pub(crate) fn changes_since(&self, sequence: u64) -> (u64, Vec<TimeRange>) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // Only what was published is complete on disk.
        (self.counters().sequence, writer.changes.ranges_since(sequence))
    }

    pub(crate) fn set_shape(&self, shape: Arc<Shape>) {
        *self.shape.write().unwrap_or_else(PoisonError::into_inner) = shape;
    }

    pub(crate) fn publish(&self, counters: Counters) {
        *self.published.write().unwrap_or_else(PoisonError::into_inner) = counters;
    }
}

/// All measurements.
pub(crate) struct Catalog {
    by_name: RwLock<BTreeMap<String, Arc<Measurement>>>,
    /// Measurements dropped whose points are still on disk; and the next free number.
    rest: Mutex<Rest>,
}

/// A measurement that was dropped; what was known of it if that was since this process began.
pub(crate) type Dropped = (u32, Option<Arc<Measurement>>);

struct Rest {
    dropped: Vec<Dropped>,
    next_id: u32,
    /// Sequence numbers of a new measurement start here: above those of any earlier one of the same name.
    sequence_floor: u64,
}

impl Catalog {
    pub(crate) fn load(storage: &Storage) -> Result<Self, SeriesError> {
        let mut by_name: BTreeMap<String, Arc<Measurement>> = BTreeMap::new();
        let (next_id, sequence_floor) = read_floor(storage)?;
        let mut rest = Rest { dropped: Vec::new(), next_id, sequence_floor };
        for guard in storage.scan(space::CATALOG, [SHAPE_PREFIX]..[SHAPE_PREFIX + 1]).map_err(storage_error)? {
            let (key, value) = guard.into_inner().map_err(|error| read_error(&error))?;
            let id = key
                .get(1..5)
                .and_then(|id| id.try_into().ok())
                .map(u32::from_be_bytes)
                .ok_or_else(|| corrupt("a measurement's key is too short"))?;
            let shape: Shape = serde_json::from_slice(&value).map_err(|error| corrupt(&error.to_string()))?;
            let counters = read_counters(storage, id)?;
            rest.next_id = rest.next_id.max(id.saturating_add(1));
            rest.sequence_floor = rest.sequence_floor.max(counters.sequence);
            if shape.dropped {
                rest.dropped.push((id, None));
            } else if let Some(older) = by_name
                .insert(shape.name.clone(), Arc::new(Measurement::new(id, shape, counters, load_heads(storage, id)?)))
            {
                // Made twice because the first attempt was reported as failed; nothing was written to it.
                rest.dropped.push((older.id, None));
            }
        }
        Ok(Self { by_name: RwLock::new(by_name), rest: Mutex::new(rest) })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Measurement>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Measurement>> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let named = |(name, measurement): &(&String, &Arc<Measurement>)| measurement.shape().name == **name;
        by_name.iter().filter(named).map(|(_, measurement)| measurement.clone()).collect()
    }

    /// Gives a measurement another name; the caller holds its writer. Both names lead to it if it is open afterwards
    /// which one is on disk: whoever writes next finds out, see [`Self::forget_name`].
    pub(crate) fn rename(
        &self,
        measurement: &Arc<Measurement>,
        writer: &mut Writer,
        to: &str,
        storage: &Storage,
    ) -> Result<(), SeriesError> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shape = (*measurement.shape()).clone();
        let from = std::mem::replace(&mut shape.name, to.to_owned());
        let mut batch = storage.begin().map_err(storage_error)?;
        put_shape(&mut batch, measurement.id, &shape)?;
        {
            let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
            match by_name.get(to) {
                Some(other) if other.id != measurement.id => {
                    return Err(SeriesError::MeasurementExists { measurement: to.to_owned() });
                }
                _ => by_name.insert(to.to_owned(), measurement.clone()),
            };
        }
        if let Err(error) = batch.commit() {
            writer.stale = true;
            return Err(storage_error(error));
        }
        measurement.set_shape(Arc::new(shape));
        // A new measurement of the old name goes on above the sequence numbers of this one.
        rest.sequence_floor = rest.sequence_floor.max(writer.counters.sequence);
        drop(rest);
        self.forget_name(&from, measurement);
        Ok(())
    }

    /// Takes a name off a measurement that has another one by now.
    pub(crate) fn forget_name(&self, name: &str, measurement: &Measurement) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if by_name.get(name).is_some_and(|found| found.id == measurement.id) && measurement.shape().name != name {
            by_name.remove(name);
        }
    }

    pub(crate) fn get_or_create(
        &self,
        name: &str,
        storage: &Storage,
        limits: &SeriesLimits,
    ) -> Result<Arc<Measurement>, SeriesError> {
        if let Some(measurement) = self.get(name) {
            return Ok(measurement);
        }
        check_name("measurement", name, limits)?;
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(measurement) = self.get(name) {
            return Ok(measurement);
        }
        let count = self.by_name.read().unwrap_or_else(PoisonError::into_inner).len();
        if count >= limits.measurements_max {
            return Err(SeriesError::LimitExceeded {
                measurement: name.to_owned(),
                what: "the number of measurements",
                found: count + 1,
                max: limits.measurements_max,
            });
        }
        let id = rest.next_id;
        rest.next_id = id.checked_add(1).ok_or_else(|| corrupt("no number is left for a new measurement"))?;
        let shape = Shape::named(name);
        let counters = Counters {
            sequence: rest.sequence_floor,
            newest_time: i64::MIN,
            next_expiry: i64::MIN,
            ..Counters::default()
        };
        let mut batch = storage.begin().map_err(storage_error)?;
        put_shape(&mut batch, id, &shape)?;
        put_counters(&mut batch, id, counters);
        batch.commit().map_err(storage_error)?;
        let measurement = Arc::new(Measurement::new(id, shape, counters, (Vec::new(), Vec::new())));
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), measurement.clone());
        Ok(measurement)
    }

    /// Forgets a measurement that has been marked as dropped on disk.
    pub(crate) fn remove(&self, measurement: &Arc<Measurement>, last_sequence: u64) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.dropped.push((measurement.id, Some(measurement.clone())));
        rest.sequence_floor = rest.sequence_floor.max(last_sequence);
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).retain(|_, other| other.id != measurement.id);
    }

    /// Numbers of dropped measurements whose points are still there.
    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner).dropped.clone()
    }

    /// Forgets for good a dropped measurement whose points are gone.
    pub(crate) fn purged(&self, id: u32, storage: &Storage) -> Result<(), SeriesError> {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = storage.begin().map_err(storage_error)?;
        batch.delete(space::CATALOG, &key(SHAPE_PREFIX, id));
        batch.delete(space::CATALOG, &key(COUNTERS_PREFIX, id));
        let mut floor = rest.next_id.to_le_bytes().to_vec();
        floor.extend_from_slice(&rest.sequence_floor.to_le_bytes());
        batch.put(space::CATALOG, FLOOR_KEY, &floor);
        batch.commit().map_err(storage_error)?;
        rest.dropped.retain(|(dropped, _)| *dropped != id);
        Ok(())
    }
}

fn next_chunk(heads: &[ChunkHead], garbage: &[u64]) -> u64 {
    heads.iter().map(|head| head.id).chain(garbage.iter().copied()).max().map_or(0, |last| last + 1)
}

fn corrupt(reason: &str) -> SeriesError {
    SeriesError::Corrupt { what: "the list of measurements", reason: reason.to_owned() }
}

fn key(prefix: u8, id: u32) -> [u8; 5] {
    let mut key = [prefix; 5];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

fn read_shape(storage: &Storage, id: u32) -> Result<Option<Shape>, SeriesError> {
    let stored = storage.get(space::CATALOG, &key(SHAPE_PREFIX, id)).map_err(storage_error)?;
    stored.map(|value| serde_json::from_slice(&value).map_err(|error| corrupt(&error.to_string()))).transpose()
}

fn read_floor(storage: &Storage) -> Result<(u32, u64), SeriesError> {
    let Some(value) = storage.get(space::CATALOG, FLOOR_KEY).map_err(storage_error)? else { return Ok((0, 0)) };
    let next_id = value.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
    let sequence = value.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    next_id.zip(sequence).ok_or_else(|| corrupt("the entry of measurements that are gone is broken"))
}

fn read_counters(storage: &Storage, id: u32) -> Result<Counters, SeriesError> {
    let stored = storage.get(space::CATALOG, &key(COUNTERS_PREFIX, id)).map_err(storage_error)?;
    counters::read(stored.as_deref())
}

pub(crate) fn put_shape(batch: &mut Batch<'_>, id: u32, shape: &Shape) -> Result<(), SeriesError> {
    let json = serde_json::to_vec(shape).map_err(|error| corrupt(&error.to_string()))?;
    batch.put(space::CATALOG, &key(SHAPE_PREFIX, id), &json);
    Ok(())
}

pub(crate) fn put_counters(batch: &mut Batch<'_>, id: u32, counters: Counters) {
    batch.put(space::CATALOG, &key(COUNTERS_PREFIX, id), &counters.to_bytes());
}
