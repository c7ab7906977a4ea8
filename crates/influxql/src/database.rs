//! Where statements find what they ask for. Whoever asks hands these in, cut to what he may see.

use std::sync::Arc;

use arrow::array::RecordBatch;
use series::{FieldInfo, ScanRequest, SeriesError, SeriesStore, TagFilter, WindowRequest};

use crate::QueryError;

/// The databases that the asking person may see and change.
pub trait Databases: Send + Sync {
    /// In the order of their names.
    fn names(&self) -> Result<Vec<String>, QueryError>;

    /// `None` if there is no such database (or none that may be seen).
    fn open(&self, name: &str) -> Result<Option<Arc<dyn Database>>, QueryError>;

    fn create(&self, name: &str) -> Result<(), QueryError>;

    fn drop_database(&self, name: &str) -> Result<(), QueryError>;
}

/// What a measurement looks like: names of tags, fields with their types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasurementShape {
    pub tags: Vec<String>,
    pub fields: Vec<FieldInfo>,
}

/// What `SHOW RETENTION POLICIES` says of a database. Durations in nanoseconds, 0 keeps for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    pub name: String,
    pub duration_nanos: i64,
    pub shard_group_duration_nanos: i64,
    pub replicas: i64,
    pub default: bool,
}

/// Names and values of the tags of one series, in the order of the names; absent tags are not in it.
pub type TagSet = Vec<(String, String)>;

/// What is done with one series; an error ends it.
pub type TakeSeries<'a> = &'a mut dyn FnMut(TagSet) -> Result<(), QueryError>;

/// Points as batches: `time` as `Timestamp(Nanosecond)`, then what was asked for.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, QueryError>> + Send>;

/// One database: a set of measurements.
pub trait Database: Send + Sync {
    /// Names of all measurements, in their order.
    fn measurements(&self) -> Result<Vec<String>, QueryError>;

    /// `None` if there is no such measurement.
    fn shape(&self, measurement: &str) -> Result<Option<MeasurementShape>, QueryError>;

    fn retention_policies(&self) -> Result<Vec<RetentionPolicy>, QueryError>;

    /// Gives `take` the tag sets of a measurement for which all `filters` hold. Times are not considered, as in InfluxDB.
    fn series(&self, measurement: &str, filters: &[TagFilter], take: TakeSeries<'_>) -> Result<(), QueryError>;

    /// The values of a tag, in their order.
    fn tag_values(&self, measurement: &str, tag: &str) -> Result<Vec<String>, QueryError>;

    fn scan(&self, measurement: &str, request: &ScanRequest) -> Result<Batches, QueryError>;

    /// As [`SeriesStore::aggregate`] has it; `None` if these would be too many, while points could still be read.
    fn aggregate(&self, measurement: &str, request: &WindowRequest) -> Result<Option<RecordBatch>, QueryError>;

    /// `false` if there is no such measurement.
    fn drop_measurement(&self, measurement: &str) -> Result<bool, QueryError>;
}

/// The measurements of the built-in series whose names begin with a prefix: `m` of database `g` is stored as `g/m`.
#[derive(Clone)]
pub struct SeriesDatabase {
    store: SeriesStore,
    prefix: String,
}

impl SeriesDatabase {
    /// `name` is the database's; its measurements are stored as `name/measurement`.
    pub fn new(store: SeriesStore, name: &str) -> Self {
        Self { store, prefix: format!("{name}/") }
    }

    fn stored(&self, measurement: &str) -> String {
        format!("{}{measurement}", self.prefix)
    }

    /// As [`Database::aggregate`], for as long as `go_on` says so; an error when it does no more.
    pub fn aggregate_while(
        &self,
        measurement: &str,
        request: &WindowRequest,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Option<RecordBatch>, QueryError> {
        match self.store.aggregate_while(&self.stored(measurement), request, go_on) {
            Ok(found) => Ok(Some(found)),
            Err(SeriesError::LimitExceeded { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Database for SeriesDatabase {
    fn measurements(&self) -> Result<Vec<String>, QueryError> {
        let named = |info: series::MeasurementInfo| info.name.strip_prefix(&self.prefix).map(str::to_owned);
        let mut names: Vec<String> = self.store.measurements().into_iter().filter_map(named).collect();
        names.sort();
        Ok(names)
    }

    fn shape(&self, measurement: &str) -> Result<Option<MeasurementShape>, QueryError> {
        // Tags that only tell points apart name no series and are not shown.
        let shape = |info: series::MeasurementInfo| MeasurementShape {
            tags: info.tags.into_iter().filter(|tag| !tag.starts_with('_')).collect(),
            fields: info.fields,
        };
        Ok(self.store.measurement(&self.stored(measurement)).map(shape))
    }

    fn retention_policies(&self) -> Result<Vec<RetentionPolicy>, QueryError> {
        Ok(vec![RetentionPolicy::only()])
    }

    fn series(&self, measurement: &str, filters: &[TagFilter], take: TakeSeries<'_>) -> Result<(), QueryError> {
        for tags in self.store.series(&self.stored(measurement), filters)? {
            let mut tags: TagSet = tags?;
            tags.sort();
            take(tags)?;
        }
        Ok(())
    }

    fn tag_values(&self, measurement: &str, tag: &str) -> Result<Vec<String>, QueryError> {
        Ok(self.store.tag_values(&self.stored(measurement), tag)?)
    }

    fn scan(&self, measurement: &str, request: &ScanRequest) -> Result<Batches, QueryError> {
        let scan = self.store.scan(&self.stored(measurement), request)?;
        Ok(Box::new(scan.map(|batch| batch.map_err(QueryError::from))))
    }

    fn aggregate(&self, measurement: &str, request: &WindowRequest) -> Result<Option<RecordBatch>, QueryError> {
        self.aggregate_while(measurement, request, &|| true)
    }

    fn drop_measurement(&self, measurement: &str) -> Result<bool, QueryError> {
        Ok(self.store.drop_measurement(&self.stored(measurement))?)
    }
}

impl RetentionPolicy {
    /// The one policy that a database of Millrace shows: InfluxDB's default.
    pub fn only() -> Self {
        Self {
            name: "autogen".into(),
            duration_nanos: 0,
            shard_group_duration_nanos: 604_800_000_000_000,
            replicas: 1,
            default: true,
        }
    }
}
