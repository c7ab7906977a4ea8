//! The store: one handle for writing, scanning and keeping house.

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use storage::{Storage, StorageOptions, SyncPoint};

use crate::catalog::{Catalog, Measurement, Writer, put_counters, put_shape};
use crate::chunk::ChunkHead;
use crate::dictionary::Dictionary;
use crate::error::storage_error;
use crate::migration::migrate;
use crate::scan::SeriesScan;
use crate::series_cache::SeriesCache;
use crate::series_tags::tag_values;
use crate::shape::{Shape, check_name};
use crate::table::SeriesTable;
use crate::tag_table::{TagTable, up_to_date};
use crate::windows::aggregate;
use crate::{
    Clock, FieldType, PointLayout, ScanRequest, SeriesError, SeriesLimits, SeriesOptions, SeriesTags, TagFilter,
    WindowRequest, WriteSummary, retention, space, write,
};

/// Background threads of the storage engine: one flushes while another compacts.
const STORAGE_THREADS: usize = 2;

/// Handle to an open store; clones share it.
#[derive(Clone)]
pub struct SeriesStore {
    pub(crate) inner: Arc<Inner>,
    points_left_out: u64,
}

pub(crate) struct Inner {
    pub storage: Storage,
    pub catalog: Catalog,
    pub series_cache: SeriesCache,
    pub limits: SeriesLimits,
    pub clock: Clock,
    retention: Duration,
    pub keys_scanned: AtomicU64,
    /// Bytes of tables of tags that are kept.
    pub tag_table_bytes: Arc<AtomicUsize>,
    /// Bytes of batches remembered, see [`crate::known_rows`].
    pub known_rows_bytes: Arc<AtomicUsize>,
    /// Held by the one who merges chunks.
    pub compacting: Mutex<()>,
}

impl Inner {
    pub(crate) fn dictionary(&self) -> Dictionary<'_> {
        Dictionary { storage: &self.storage, cache: &self.series_cache }
    }

    /// The tags of a measurement's series, those of some chunks among them.
    pub(crate) fn tag_table(
        &self,
        measurement: &Measurement,
        chunks: &[Arc<ChunkHead>],
    ) -> Result<Arc<TagTable>, SeriesError> {
        let end = chunks.iter().map(|chunk| chunk.last_series.saturating_add(1)).max().unwrap_or(0);
        let mut kept = measurement.tag_table.lock().unwrap_or_else(PoisonError::into_inner);
        up_to_date(&mut kept, &self.dictionary(), measurement.id, end, &self.tag_table_bytes)
    }

    fn retention(&self, shape: &Shape) -> Duration {
        shape.retention_seconds.map_or(self.retention, Duration::from_secs)
    }

    pub(crate) fn retention_nanos(&self, shape: &Shape) -> i64 {
        i64::try_from(self.retention(shape).as_nanos()).unwrap_or(i64::MAX)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    pub name: String,
    pub field_type: FieldType,
}

/// What is known of a measurement without reading its points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementInfo {
    pub name: String,
    pub tags: Vec<String>,
    pub fields: Vec<FieldInfo>,
    /// Points written minus points removed; a point overwritten as a whole counts again.
    pub points_estimate: u64,
    /// Distinct sets of tags, those whose name starts with `_` not counted.
    pub series: u64,
    /// Nanoseconds since 1970; `None` when nothing was written yet.
    pub last_write_nanos: Option<i64>,
    pub retention: Duration,
    /// See [`SeriesStore::sequence`].
    pub sequence: u64,
}

/// What one run of [`SeriesStore::expire`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpireSummary {
    /// Points older than their measurement's retention.
    pub expired: u64,
    /// Points of measurements that had been dropped.
    pub dropped: u64,
    /// Series without a point left, taken off the measurement's series limit.
    pub series: u64,
}

/// What changed in a measurement after a sequence number.
pub struct Changes {
    /// The points, as they are now.
    pub scan: SeriesScan,
    /// Ask with this number next time: nothing is returned twice unless written again, nothing is left out.
    pub next_sequence: u64,
}

impl SeriesStore {
    /// Opens the store in `dir`, which is made if it is missing. One process at a time.
    pub fn open(dir: &Path, options: SeriesOptions) -> Result<Self, SeriesError> {
        let storage_options =
            StorageOptions { spaces: space::ALL, cache_bytes: options.cache_bytes, worker_threads: STORAGE_THREADS };
        let storage = Storage::open(dir, storage_options).map_err(storage_error)?;
        let catalog = Catalog::load(&storage)?;
        let inner = Arc::new(Inner {
            storage,
            catalog,
            series_cache: SeriesCache::new(options.limits.series_cached_max),
            limits: options.limits,
            clock: options.clock,
            retention: options.retention,
            keys_scanned: AtomicU64::new(0),
            tag_table_bytes: Arc::new(AtomicUsize::new(0)),
            known_rows_bytes: Arc::new(AtomicUsize::new(0)),
            compacting: Mutex::new(()),
        });
        let points_left_out = migrate(&inner)?;
        Ok(Self { inner, points_left_out })
    }

    /// Points of an earlier version, which kept microseconds, that were left out when this was opened: before 1677 or after
    /// 2262, which nanoseconds cannot tell.
    pub fn points_left_out(&self) -> u64 {
        self.points_left_out
    }

    /// Rows of `batch` become points of `measurement`, which is made on first use; all of them at once or, on an error,
    /// none. The same (measurement, tags, time) is one point: what is written again overwrites field by field, and the
    /// last row of a batch wins. Rows that cannot be a point are told in the summary and do not disturb the others.
    ///
    /// Writes survive `kill -9` when this has returned, and a power loss after [`Self::sync`].
    pub fn write(
        &self,
        measurement: &str,
        batch: &RecordBatch,
        layout: &PointLayout,
    ) -> Result<WriteSummary, SeriesError> {
        write::write(&self.inner, measurement, batch, layout)
    }

    /// To be taken before the first of the writes that a [`Self::sync`] is to bring to disk.
    pub fn sync_point(&self) -> SyncPoint {
        self.inner.storage.sync_point()
    }

    /// Everything written since `point` survives `kill -9` and power loss once this has returned. After an error, of this
    /// call or of another's since `point`, take it as lost and write it again.
    pub fn sync(&self, point: SyncPoint) -> Result<(), SeriesError> {
        self.inner.storage.sync(point).map_err(storage_error)
    }

    /// All measurements in the order of their names.
    pub fn measurements(&self) -> Vec<MeasurementInfo> {
        self.inner.catalog.all().iter().map(|measurement| self.info(measurement)).collect()
    }

    pub fn measurement(&self, measurement: &str) -> Option<MeasurementInfo> {
        self.inner.catalog.get(measurement).map(|measurement| self.info(&measurement))
    }

    fn info(&self, measurement: &Measurement) -> MeasurementInfo {
        let (shape, counters) = (measurement.shape(), measurement.counters());
        MeasurementInfo {
            name: shape.name.clone(),
            tags: shape.tags.clone(),
            fields: shape
                .fields
                .iter()
                .map(|field| FieldInfo { name: field.name.clone(), field_type: field.field_type })
                .collect(),
            points_estimate: counters.points,
            series: counters.series,
            last_write_nanos: (counters.last_write != 0).then_some(counters.last_write),
            retention: self.inner.retention(&shape),
            sequence: counters.sequence,
        }
    }

    pub(crate) fn find(&self, measurement: &str) -> Result<Arc<Measurement>, SeriesError> {
        let unknown = || SeriesError::UnknownMeasurement { measurement: measurement.to_owned() };
        let named = |found: &Arc<Measurement>| found.shape().name == measurement;
        self.inner.catalog.get(measurement).filter(named).ok_or_else(unknown)
    }

    /// The tag sets of the series for which all `filters` hold, without reading points. A series whose points have all
    /// expired is listed until it is taken off, see [`ExpireSummary::series`]. Tags whose name starts with `_` name no
    /// series: they are not listed, and a filter on one is refused.
    pub fn series(&self, measurement: &str, filters: &[TagFilter]) -> Result<SeriesTags, SeriesError> {
        SeriesTags::new(&self.inner, &*self.find(measurement)?, filters)
    }

    /// The distinct values of a tag, sorted. Reads points only for a tag whose name
    /// starts with `_`.
    pub fn tag_values(&self, measurement: &str, tag: &str) -> Result<Vec<String>, SeriesError> {
        tag_values(&self.inner, &*self.find(measurement)?, tag)
    }

    /// Points as they are now, in order of time.
    pub fn scan(&self, measurement: &str, request: &ScanRequest) -> Result<SeriesScan, SeriesError> {
        SeriesScan::new(self.inner.clone(), &*self.find(measurement)?, request, None)
    }

    /// Aggregates by windows of time and by tags. Columns of the result: the tags grouped by (`Utf8`, NULL where absent), `time`
    /// (the window's start, nanoseconds), then one for each aggregate, named as in `mean(field)`: NULL where the points of
    /// a group have no such field in the window, while a count is 0. Rows are in the order of groups, then of windows; there
    /// are none for windows without points. More than 4 million aggregates are refused.
    pub fn aggregate(&self, measurement: &str, request: &WindowRequest) -> Result<RecordBatch, SeriesError> {
        self.aggregate_while(measurement, request, &|| true)
    }

    /// The same as long as `go_on` says so, which is asked before each chunk; then it is [`SeriesError::Stopped`].
    pub fn aggregate_while(
        &self,
        measurement: &str,
        request: &WindowRequest,
        go_on: &dyn Fn() -> bool,
    ) -> Result<RecordBatch, SeriesError> {
        aggregate(&self.inner, &*self.find(measurement)?, request, go_on)
    }

    /// The number of the last write to `measurement`; grows with every write, also over restarts. Cheap enough to be
    /// asked often by whoever follows a measurement.
    pub fn sequence(&self, measurement: &str) -> Result<u64, SeriesError> {
        Ok(self.find(measurement)?.counters().sequence)
    }

    /// Points written or overwritten after the write numbered `sequence`, as they are now. Reads only the times touched
    /// since, as far as the last writes are remembered; without a limit in `request` nothing is left out.
    pub fn scan_since(&self, measurement: &str, sequence: u64, request: &ScanRequest) -> Result<Changes, SeriesError> {
        let measurement = self.find(measurement)?;
        let (until, ranges) = measurement.changes_since(sequence);
        let scan = SeriesScan::new(self.inner.clone(), &measurement, request, Some(((sequence, until), ranges)))?;
        Ok(Changes { scan, next_sequence: until })
    }

    /// Forgets the measurement at once; its disk space is freed by the next [`Self::expire`]. `false` if there is none.
    pub fn drop_measurement(&self, name: &str) -> Result<bool, SeriesError> {
        let Some(measurement) = self.inner.catalog.get(name) else { return Ok(false) };
        let mut writer = measurement.lock(&self.inner.storage)?;
        let mut shape = (*measurement.shape()).clone();
        // Dropped or renamed between looking it up and locking it.
        if writer.dropped || shape.name != name {
            return Ok(false);
        }
        shape.dropped = true;
        self.store_shape(&measurement, &mut writer, shape)?;
        writer.dropped = true;
        self.inner.catalog.remove(&measurement, writer.counters.sequence);
        Ok(true)
    }

    /// Gives a measurement another name, with its points, columns, retention and sequence numbers. Refused if there is one
    /// of that name. Scans that have begun go on.
    pub fn rename_measurement(&self, from: &str, to: &str) -> Result<(), SeriesError> {
        check_name("measurement", to, &self.inner.limits)?;
        let measurement = self.find(from)?;
        let mut writer = measurement.lock(&self.inner.storage)?;
        if writer.dropped || measurement.shape().name != from {
            return Err(SeriesError::UnknownMeasurement { measurement: from.to_owned() });
        }
        if from == to {
            return Ok(());
        }
        self.inner.catalog.rename(&measurement, &mut writer, to, &self.inner.storage)
    }

    /// How long points of a measurement are kept instead of the store's default; whole seconds, at least one.
    pub fn set_retention(&self, name: &str, retention: Duration) -> Result<(), SeriesError> {
        let measurement = self.find(name)?;
        let mut writer = measurement.lock(&self.inner.storage)?;
        let mut shape = (*measurement.shape()).clone();
        if writer.dropped || shape.name != name {
            return Err(SeriesError::UnknownMeasurement { measurement: name.to_owned() });
        }
        shape.retention_seconds = Some(retention.as_secs().max(1));
        self.store_shape(&measurement, &mut writer, shape)
    }

    fn store_shape(&self, measurement: &Measurement, writer: &mut Writer, shape: Shape) -> Result<(), SeriesError> {
        let mut counters = writer.counters;
        // Another retention may make points due that were not.
        counters.next_expiry = i64::MIN;
        let mut batch = self.inner.storage.begin().map_err(storage_error)?;
        put_shape(&mut batch, measurement.id, &shape)?;
        put_counters(&mut batch, measurement.id, counters);
        if let Err(error) = batch.commit() {
            writer.stale = true;
            return Err(storage_error(error));
        }
        writer.counters = counters;
        measurement.set_shape(Arc::new(shape));
        measurement.publish(counters);
        Ok(())
    }

    /// Removes what is older than its retention, and the points of dropped measurements. Meant to be called every minute
    /// or so; costs nothing when nothing is due.
    pub fn expire(&self) -> Result<ExpireSummary, SeriesError> {
        retention::expire(&self.inner)
    }

    /// The measurement as a table of DataFusion: `time`, tags, fields, as they are known now.
    pub fn table_provider(&self, measurement: &str) -> Result<Arc<dyn TableProvider>, SeriesError> {
        Ok(Arc::new(SeriesTable::new(self.clone(), &*self.find(measurement)?)))
    }

    /// Makes a store in `dir`, which must not exist, with everything that was written before: a consistent copy, to be opened
    /// in the place of this one. Writes go on meanwhile and are not in it.
    pub fn backup_to(&self, dir: &Path) -> Result<(), SeriesError> {
        self.inner.storage.copy_to(dir).map_err(storage_error)
    }

    /// Bytes on disk, journals included.
    pub fn disk_bytes(&self) -> Result<u64, SeriesError> {
        self.inner.storage.disk_bytes().map_err(storage_error)
    }

    /// Keys read by all scans so far, also those that a condition then left out.
    pub fn keys_scanned(&self) -> u64 {
        self.inner.keys_scanned.load(Ordering::Relaxed)
    }
}
