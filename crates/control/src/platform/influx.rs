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
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::error::SendTimeoutError;
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
const ANSWERS_QUEUED_MAX: usize = 1;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Of those, one person's.
const QUERIES_OF_ONE_MAX: usize = 4;
/// So long a part of an answer waits for somebody who reads it, then the query ends.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// Rows that are written in one step.
const WRITE_ROWS_MAX: usize = 16_384;
/// A body is taken apart anew when a field got another type meanwhile.
const ATTEMPTS_MAX: usize = 3;
/// Points left out that are told in detail.
const LEFT_OUT_TOLD_MAX: usize = 100;

/// Somebody who may write to a database, before the body of their request is looked at.
pub struct InfluxWriter {
    store: SeriesStore,
    turns: Turns,
    group: String,
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
    /// By user.
    queries_of_one: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    written: Arc<AtomicU64>,
    /// Writes up to this number are on disk.
    synced: Arc<Mutex<u64>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            writes: Arc::new(Semaphore::new(WRITES_AT_ONCE_MAX)),
            queries: Arc::new(Semaphore::new(QUERIES_AT_ONCE_MAX)),
            queries_of_one: Arc::default(),
            written: Arc::default(),
            synced: Arc::default(),
        }
    }
}

impl Turns {
    /// A turn of a user's, and of everybody's.
    async fn query(&self, user: &str) -> Result<[OwnedSemaphorePermit; 2], InfluxRefusal> {
        let own = {
            let mut users = self.queries_of_one.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(QUERIES_OF_ONE_MAX));
            Arc::clone(users.entry(user.to_owned()).or_insert_with(new))
        };
        Ok([turn(&own).await?, turn(&self.queries).await?])
    }

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
        let turns = self.influx.query(&caller.user).await?;
        let (sender, receiver) = mpsc::channel(ANSWERS_QUEUED_MAX);
        let (platform, handle) = (Arc::clone(self), tokio::runtime::Handle::current());
        let last = sender.clone();
        let worker = tokio::task::spawn_blocking(move || {
            let _turns = turns;
            let databases = GroupDatabases::new(platform, caller, handle.clone(), sender.clone());
            for answer in influxql::run(statements, options, &databases) {
                let refused = databases.refused().map(InfluxRefusal::Forbidden);
                let is_refused = refused.is_some();
                match handle.block_on(sender.send_timeout(refused.map_or(Ok(answer), Err), UNREAD_MAX)) {
                    Ok(()) if !is_refused => {}
                    Ok(()) | Err(SendTimeoutError::Closed(_)) => break,
                    Err(SendTimeoutError::Timeout(_)) => {
                        let text = format!("query interrupted: nobody read its answer for {} s", UNREAD_MAX.as_secs());
                        return Err(InfluxRefusal::Unavailable(text));
                    }
                }
            }
            Ok(())
        });
        // An answer that ends in the middle must not look whole.
        tokio::spawn(async move {
            let ended = worker.await.map_err(ControlError::from).map_err(InfluxRefusal::from);
            if let Err(refusal) = ended.flatten() {
                let _ = last.send(Err(refusal)).await;
            }
        });
        Ok(receiver)
    }

    /// Finds out whether points may be written into the measurements of a group; an empty retention policy is the database's
    /// own.
    pub async fn influx_writer(
        &self,
        caller: &Caller,
        group: &str,
        retention_policy: &str,
    ) -> Result<InfluxWriter, InfluxRefusal> {
        if self.db.get(Kind::Group, group).await?.is_none() {
            return Err(InfluxRefusal::NoDatabase(group.to_owned()));
        }
        if !caller.may(Permission::WriteRecords, group) {
            return Err(InfluxRefusal::Forbidden(format!(
                "{:?} user is not authorized to write to database {group:?}",
                caller.user
            )));
        }
        if !["", RETENTION_POLICY].contains(&retention_policy) {
            return Err(InfluxRefusal::NoRetentionPolicy(retention_policy.to_owned()));
        }
        Ok(InfluxWriter { store: self.series.clone(), turns: self.influx.clone(), group: group.to_owned() })
    }
}

impl InfluxWriter {
    /// Writes the points of one body of line protocol. What is answered `Ok` or `Partial` is on disk. `unpack` is called when
    /// it is this request's turn, so that not many bodies are held unpacked.
    pub async fn write<E: From<InfluxRefusal> + Send + 'static>(
        self,
        precision: Precision,
        unpack: impl FnOnce() -> Result<Bytes, E> + Send + 'static,
    ) -> Result<(), E> {
        let Self { store, turns, group } = self;
        let turn = turn(&turns.writes).await?;
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let point = store.sync_point();
            let written = write(&store, &group, precision, &unpack()?)?;
            turns.sync(&store, point).map_err(refusal)?;
            Ok::<_, E>(written)
        });
        let written = written.await.map_err(ControlError::from).map_err(InfluxRefusal::from)??;
        Ok(written.told()?)
    }
}

/// What became of a body.
struct Written {
    rows: u64,
    left_out: LeftOut,
    /// Lines that are no points.
    malformed: Option<String>,
}

impl Written {
    fn told(self) -> Result<(), InfluxRefusal> {
        match self {
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

fn write(store: &SeriesStore, group: &str, precision: Precision, body: &[u8]) -> Result<Written, InfluxRefusal> {
    let mut limits = ParseLimits::default();
    limits.measurement_bytes_max -= group.len() + 1;
    let options = ParseOptions { precision, now_nanos: now_nanos(), limits };
    let mut attempt = 1;
    loop {
        match write_points(store, group, body, &options, attempt) {
            Ok(written) => return Ok(written),
            Err(error) if is_overtaken(&error) && attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(refusal(error)),
        }
    }
}

/// Somebody has made a tag or a field between our look and our write.
fn is_overtaken(error: &SeriesError) -> bool {
    matches!(error, SeriesError::FieldTypeChanged { .. } | SeriesError::NameTaken { .. })
}

/// Whether the request ends with this error; else the points are left out, and the others are written.
fn is_fatal(error: &SeriesError, attempt: usize) -> bool {
    error.is_retryable()
        || matches!(error, SeriesError::Corrupt { .. } | SeriesError::Arrow(_))
        || is_overtaken(error) && attempt < ATTEMPTS_MAX
}

/// What was written before an error is written again by the next attempt, to the same points.
fn write_points(
    store: &SeriesStore,
    group: &str,
    body: &[u8],
    options: &ParseOptions,
    attempt: usize,
) -> Result<Written, SeriesError> {
    let (mut rows, mut skipped) = (0, LeftOut::default());
    let known = |name: &str| store.measurement(&stored(group, name));
    let points = line_protocol::parse_in_parts(body, options, &known, &mut |part| {
        rows += write_measurement(store, group, body, &part, attempt, &mut skipped)?;
        Ok::<_, SeriesError>(())
    })?;
    let mut left_out = LeftOut::default();
    left_out.add(points.refused as u64, || points.refusal.clone().unwrap_or_default());
    left_out.count += skipped.count;
    left_out.reasons.append(&mut skipped.reasons);
    Ok(Written { rows, left_out, malformed: points.malformed_text() })
}

fn write_measurement(
    store: &SeriesStore,
    group: &str,
    body: &[u8],
    points: &MeasurementPoints,
    attempt: usize,
    left_out: &mut LeftOut,
) -> Result<u64, SeriesError> {
    let (name, all) = (stored(group, &points.measurement), points.batch.num_rows());
    let mut written = 0;
    for start in (0..all).step_by(WRITE_ROWS_MAX) {
        let batch = points.batch.slice(start, WRITE_ROWS_MAX.min(all - start));
        let summary = match store.write(&name, &batch, &points.layout) {
            Ok(summary) => summary,
            Err(error) if is_fatal(&error, attempt) => return Err(error),
            Err(error) => {
                left_out.add(batch.num_rows() as u64, || error.to_string());
                continue;
            }
        };
        written += summary.written;
        let told = summary.examples.len() as u64;
        for skipped in &summary.examples {
            // Looks through the body: only for what is told.
            let line = || Points::line_number(body, points.line_start(start + skipped.row));
            left_out.add(1, || format!("{} (line {})", skipped.message, line()));
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
