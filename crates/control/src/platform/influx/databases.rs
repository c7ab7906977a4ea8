//! Groups as databases, for one caller: what they may read is there, what they may change can be changed.

use super::InfluxRefusal;
use crate::access::{Actor, Caller, Permission, Subject};
use crate::error::ControlError;
use crate::measurement_name::stored;
use crate::platform::Platform;
use crate::platform::people::GroupSpec;
use crate::resource::Kind;
use arrow::record_batch::RecordBatch;
use influxql::{
    Batches, Database, Databases, MeasurementShape, QueryError, RetentionPolicy, SeriesDatabase, StatementChunk,
    TakeSeries,
};
use series::{ScanRequest, TagFilter, WindowRequest};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// For all statements of one request.
const QUERY_TIME_MAX: Duration = Duration::from_secs(60);

/// Series listed before it is asked again whether anybody waits for them.
const SERIES_BETWEEN_CHECKS: usize = 4_096;

pub(super) type Answers = mpsc::Sender<Result<StatementChunk, InfluxRefusal>>;

/// Lives on a thread where waiting is allowed.
pub(super) struct GroupDatabases {
    platform: Arc<Platform>,
    caller: Caller,
    handle: Handle,
    watch: Watch,
    refused: Mutex<Option<String>>,
}

/// When a query is to end early: its time is over, or nobody waits for it any more.
#[derive(Clone)]
struct Watch {
    until: Instant,
    answers: Answers,
}

impl Watch {
    fn check(&self) -> Result<(), QueryError> {
        if self.answers.is_closed() {
            return Err(QueryError::new("query interrupted"));
        }
        if Instant::now() > self.until {
            return Err(QueryError::new("query-timeout limit exceeded"));
        }
        Ok(())
    }
}

impl GroupDatabases {
    pub fn new(platform: Arc<Platform>, caller: Caller, handle: Handle, answers: Answers) -> Self {
        let watch = Watch { until: Instant::now() + QUERY_TIME_MAX, answers };
        Self { platform, caller, handle, watch, refused: Mutex::default() }
    }

    /// What the caller has no right to, if a statement asked for such.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, what: String) -> QueryError {
        let text = format!("error authorizing query: {} not authorized to {what}", self.caller.user);
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text.clone());
        QueryError(text)
    }

    fn is_group(&self, name: &str) -> Result<bool, QueryError> {
        let group = self.handle.block_on(self.platform.db.get(Kind::Group, name));
        group.map(|group| group.is_some()).map_err(query_error)
    }

    fn check_platform(&self, statement: String) -> Result<Actor, QueryError> {
        if !self.caller.is_admin || self.caller.require(Permission::WritePlatform, "").is_err() {
            return Err(self.refuse(format!("execute statement '{statement}', requires admin privilege")));
        }
        Ok(Actor::new(self.caller.clone()))
    }
}

impl Databases for GroupDatabases {
    fn names(&self) -> Result<Vec<String>, QueryError> {
        let groups = self.handle.block_on(self.platform.db.by_name(Kind::Group)).map_err(query_error)?;
        let readable = groups.keys().filter(|group| self.caller.may(Permission::ReadRecords, group));
        Ok(readable.cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Database>>, QueryError> {
        self.watch.check()?;
        if !self.is_group(name)? {
            return Ok(None);
        }
        if !self.caller.may(Permission::ReadRecords, name) {
            return Err(self.refuse(format!("read database {name:?}, requires READ on {name}")));
        }
        Ok(Some(Arc::new(GroupDatabase {
            series: SeriesDatabase::new(self.platform.series.clone(), name),
            platform: Arc::clone(&self.platform),
            caller: self.caller.clone(),
            group: name.to_owned(),
            handle: self.handle.clone(),
            watch: self.watch.clone(),
        })))
    }

    /// Makes the group; one that is there already is fine, as in InfluxDB.
    fn create(&self, name: &str) -> Result<(), QueryError> {
        if self.is_group(name)? {
            return Ok(());
        }
        let actor = self.check_platform(format!("CREATE DATABASE {name}"))?;
        let spec = GroupSpec { description: None, open_records: false };
        self.handle.block_on(self.platform.create_group(&actor, name, &spec)).map(drop).map_err(query_error)
    }

    /// Drops the group with its measurements, unless something else is in it.
    fn drop_database(&self, name: &str) -> Result<(), QueryError> {
        let actor = self.check_platform(format!("DROP DATABASE {name}"))?;
        if !self.is_group(name)? {
            return Ok(());
        }
        self.handle
            .block_on(async {
                self.platform.check_group_deletable(name).await?;
                for measurement in self.platform.measurements_of(name) {
                    self.platform.series.drop_measurement(&stored(name, &measurement))?;
                }
                self.platform.delete_group(&actor, name).await
            })
            .map_err(query_error)
    }
}

/// A group's measurements.
struct GroupDatabase {
    series: SeriesDatabase,
    platform: Arc<Platform>,
    caller: Caller,
    group: String,
    handle: Handle,
    watch: Watch,
}

impl Database for GroupDatabase {
    fn measurements(&self) -> Result<Vec<String>, QueryError> {
        self.series.measurements()
    }

    fn shape(&self, measurement: &str) -> Result<Option<MeasurementShape>, QueryError> {
        self.series.shape(measurement)
    }

    fn retention_policies(&self) -> Result<Vec<RetentionPolicy>, QueryError> {
        self.series.retention_policies()
    }

    fn series(&self, measurement: &str, filters: &[TagFilter], take: TakeSeries<'_>) -> Result<(), QueryError> {
        let mut found = 0_usize;
        self.series.series(measurement, filters, &mut |tags| {
            if found.is_multiple_of(SERIES_BETWEEN_CHECKS) {
                self.watch.check()?;
            }
            found += 1;
            take(tags)
        })
    }

    fn tag_values(&self, measurement: &str, tag: &str) -> Result<Vec<String>, QueryError> {
        self.watch.check()?;
        self.series.tag_values(measurement, tag)
    }

    fn scan(&self, measurement: &str, request: &ScanRequest) -> Result<Batches, QueryError> {
        let (batches, watch) = (self.series.scan(measurement, request)?, self.watch.clone());
        Ok(Box::new(batches.map(move |batch| watch.check().and(batch))))
    }

    fn aggregate(&self, measurement: &str, request: &WindowRequest) -> Result<Option<RecordBatch>, QueryError> {
        let found = self.series.aggregate_while(measurement, request, &|| self.watch.check().is_ok());
        self.watch.check().and(found)
    }

    /// A dagger that still writes it makes it again.
    fn drop_measurement(&self, measurement: &str) -> Result<bool, QueryError> {
        self.caller.require(Permission::WriteDaggers, &self.group).map_err(query_error)?;
        let dropped = self.series.drop_measurement(measurement)?;
        if dropped {
            let subject = Subject { kind: "Measurement", name: measurement, group: &self.group };
            let noted = self.platform.access.record(&self.caller, "delete", subject, None, None);
            self.handle.block_on(noted).map_err(query_error)?;
        }
        Ok(dropped)
    }
}

fn query_error(error: ControlError) -> QueryError {
    QueryError(error.detail)
}
