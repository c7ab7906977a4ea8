//! What comes by InfluxDB's API: each group is a database. Points are written here; `influx/databases.rs` answers
//! questions.

mod databases;

use super::Platform;
use crate::access::{Caller, Permission};
use crate::error::ControlError;
use crate::measurement_name::stored;
use crate::resource::Kind;
use bytes::Bytes;
use databases::GroupDatabases;
use influxql::{QueryLimits, QueryOptions, Statement, StatementChunk};
use line_protocol::{MeasurementPoints, ParseLimits, ParseOptions, Points, Precision};
use series::{SeriesError, SeriesStore, SyncPoint};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The one retention policy that every database has, by InfluxDB's name for it. How long points are kept is a setting of
/// each measurement.
pub(super) const RETENTION_POLICY: &str = "autogen";
/// Requests that are written together; more wait.
const WRITES_AT_ONCE_MAX: usize = 4;
/// Questions that are answered together; more wait.
const QUERIES_AT_ONCE_MAX: usize = 8;
/// Bytes that one statement may hold.
const QUERY_MEMORY_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Parts of an answer that wait to be sent.
const ANSWERS_QUEUED_MAX: usize = 2;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Rows that are written in one step.
const WRITE_ROWS_MAX: usize = 16_384;
/// A body is taken apart anew when a field got another type meanwhile.
const ATTEMPTS_MAX: usize = 3;
/// Points left out that are told in detail.
const LEFT_OUT_TOLD_MAX: usize = 100;

/// One `/write`.
pub struct InfluxWrite {
    pub database: String,
    /// Empty is the database's own.
    pub retention_policy: String,
    pub precision: Precision,
    /// Line protocol.
    pub body: Bytes,
}

/// Why a request by InfluxDB's API is not (wholly) done, in InfluxDB's words where it has them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfluxRefusal {
    #[error("database not found: {0:?}")]
    NoDatabase(String),
    #[error("{0}")]
    Forbidden(String),
    /// Nothing was done.
    #[error("{0}")]
    Invalid(String),
    /// Points were left out; the others were written.
    #[error("partial write: {reason} dropped={dropped}")]
    Partial { reason: String, dropped: u64 },
    #[error("retention policy not found: {0}")]
    NoRetentionPolicy(String),
    /// Nobody's mistake: it may go the next time.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Internal(String),
}

impl From<ControlError> for InfluxRefusal {
    fn from(error: ControlError) -> Self {
        match error.kind {
            crate::ErrorKind::Internal => Self::Internal(error.detail),
            crate::ErrorKind::Unavailable => Self::Unavailable(error.detail),
            _ => Self::Invalid(error.detail),
        }
    }
}

/// Turns of requests, and the flush that several writes share.
#[derive(Clone)]
pub(super) struct Turns {
    writes: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    written: Arc<AtomicU64>,
    /// Writes up to this number are on disk.
    synced: Arc<Mutex<u64>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE_MAX)),
            queries: Arc::new(Semaphore::new(QUERIES_AT_ONCE_MAX)),
            written: Arc::default(),
            synced: Arc::default(),
        }
    }
}

impl Turns {
    /// Brings what this thread has written since `point` to disk, unless a flush that began later has done so.
    fn sync(&self, store: &SeriesStore, point: SyncPoint) -> Result<(), SeriesError> {
        let mine = self.written.fetch_add(1, Ordering::AcqRel) + 1;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        // Another's may have failed since: the store says so.
        if *synced < mine || store.sync_point() != point {
            let until = self.written.load(Ordering::Acquire);
            store.sync(point)?;
            *synced = until;
        }
        Ok(())
    }
}

async fn turn(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, InfluxRefusal> {
    match tokio::time::timeout(WAIT_MAX, Arc::clone(turns).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) => Err(InfluxRefusal::Unavailable("the server ends".to_owned())),
        Err(_) => Err(InfluxRefusal::Unavailable("request throttled, exceeds timeout".to_owned())),
    }
}

impl Platform {
    /// Answers statements, part by part; they end when nobody receives. A refusal comes instead of an answer.
    pub async fn influx_query(
        self: &Arc<Self>,
        caller: Caller,
        statements: Vec<Statement>,
        options: QueryOptions,
    ) -> Result<mpsc::Receiver<Result<StatementChunk, InfluxRefusal>>, InfluxRefusal> {
        let limits = QueryLimits { memory_bytes_max: QUERY_MEMORY_BYTES_MAX, ..QueryLimits::default() };
        let options = QueryOptions { limits, now_nanos: now_nanos(), ..options };
        let turn = turn(&self.influx.queries).await?;
        let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let (platform, handle) = (Arc::clone(self), tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let databases = GroupDatabases::new(platform, caller, handle, sender.clone());
            for answer in influxql::run(statements, options, &databases) {
                let refused = databases.refused().map(InfluxRefusal::Forbidden);
                let is_refused = refused.is_some();
                if sender.blocking_send(refused.map_or(Ok(answer), Err)).is_err() || is_refused {
                    break;
                }
            }
        });
        Ok(receiver)
    }

    /// Writes the points of one request into the measurements of a group. What is answered `Ok` or `Partial` is on disk.
    pub async fn influx_write(&self, caller: &Caller, request: InfluxWrite) -> Result<(), InfluxRefusal> {
        let group = &request.database;
        if self.db.get(Kind::Group, group).await?.is_none() {
            return Err(InfluxRefusal::NoDatabase(group.clone()));
        }
        if !caller.may(Permission::WriteRecords, group) {
            return Err(InfluxRefusal::Forbidden(format!(
                "{:?} user is not authorized to write to database {group:?}",
                caller.user
            )));
        }
        if !["", RETENTION_POLICY].contains(&request.retention_policy.as_str()) {
            return Err(InfluxRefusal::NoRetentionPolicy(request.retention_policy));
        }
        let turn = turn(&self.influx.writes).await?;
        let (store, turns) = (self.series.clone(), self.influx.clone());
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let point = store.sync_point();
            let written = write(&store, &request)?;
            turns.sync(&store, point).map_err(refusal)?;
            Ok::<_, InfluxRefusal>(written)
        });
        match written.await.map_err(ControlError::from)?? {
            Written { rows: 0, left_out: LeftOut { count: 0, .. }, malformed: Some(reason) } => {
                Err(InfluxRefusal::Invalid(reason))
            }
            Written { left_out: LeftOut { count: 0, .. }, malformed: None, .. } => Ok(()),
            Written { left_out, malformed, .. } => {
                let mut reasons: Vec<String> = malformed.into_iter().collect();
                reasons.extend(left_out.reasons);
                Err(InfluxRefusal::Partial { reason: reasons.join("\n"), dropped: left_out.count })
            }
        }
    }
}

/// What became of a body.
struct Written {
    rows: u64,
    left_out: LeftOut,
    /// Lines that are no points.
    malformed: Option<String>,
}

/// Points that were not taken.
#[derive(Default)]
struct LeftOut {
    count: u64,
    reasons: Vec<String>,
}

impl LeftOut {
    fn add(&mut self, count: u64, reason: impl FnOnce() -> String) {
        self.count += count;
        if count > 0 && self.reasons.len() < LEFT_OUT_TOLD_MAX {
            self.reasons.push(reason());
        }
    }
}

fn write(store: &SeriesStore, request: &InfluxWrite) -> Result<Written, InfluxRefusal> {
    let group = &request.database;
    let mut limits = ParseLimits::default();
    limits.measurement_bytes_max -= group.len() + 1;
    let options = ParseOptions { precision: request.precision, now_nanos: now_nanos(), limits };
    let mut attempt = 1;
    loop {
        let points = line_protocol::parse(&request.body, &options, &|name| store.measurement(&stored(group, name)))
            .map_err(|error| InfluxRefusal::Internal(error.to_string()))?;
        match write_points(store, group, &request.body, &points) {
            Ok((rows, left_out)) => return Ok(Written { rows, left_out, malformed: points.malformed_text() }),
            // Somebody has made a tag or a field between our look and our write.
            Err(SeriesError::FieldTypeChanged { .. } | SeriesError::NameTaken { .. }) if attempt < ATTEMPTS_MAX => {
                attempt += 1;
            }
            Err(error) => return Err(refusal(error)),
        }
    }
}

/// What was written before an error is written again by the next attempt, to the same points.
fn write_points(store: &SeriesStore, group: &str, body: &[u8], points: &Points) -> Result<(u64, LeftOut), SeriesError> {
    let mut left_out = LeftOut::default();
    left_out.add(points.refused as u64, || points.refusal.clone().unwrap_or_default());
    let mut rows = 0;
    for measurement in &points.measurements {
        rows += write_measurement(store, group, body, measurement, &mut left_out)?;
    }
    Ok((rows, left_out))
}

fn write_measurement(
    store: &SeriesStore,
    group: &str,
    body: &[u8],
    points: &MeasurementPoints,
    left_out: &mut LeftOut,
) -> Result<u64, SeriesError> {
    let (name, all) = (stored(group, &points.measurement), points.batch.num_rows());
    let mut written = 0;
    for start in (0..all).step_by(WRITE_ROWS_MAX) {
        let batch = points.batch.slice(start, WRITE_ROWS_MAX.min(all - start));
        let summary = store.write(&name, &batch, &points.layout)?;
        written += summary.written;
        let told = summary.examples.len() as u64;
        for skipped in &summary.examples {
            let line = Points::line_number(body, points.line_start(start + skipped.row));
            left_out.add(1, || format!("{} (line {line})", skipped.message));
        }
        left_out.add(summary.skipped - told, || format!("and {} more points", summary.skipped - told));
    }
    Ok(written)
}

fn refusal(error: SeriesError) -> InfluxRefusal {
    match error {
        error if error.is_retryable() => InfluxRefusal::Unavailable(error.to_string()),
        SeriesError::Corrupt { .. } | SeriesError::Arrow(_) => InfluxRefusal::Internal(error.to_string()),
        error => InfluxRefusal::Invalid(error.to_string()),
    }
}

fn now_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
