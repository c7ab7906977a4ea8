//! Gives rows to the courier, and lets a checkpoint wait until the server has them.
//!
//! After `kill -9` the dagger goes on from its last checkpoint and writes what came after it once more: the same points.

use super::dead_letters::UndeliveredRows;
use super::{BatchOrigin, ExternalSinkConfig, RowsCourier};
use crate::error::ControlError;
use crate::sinks::SinkCounters;
use ::sinks::{Encoded, RowEncoder, RowOrigin};
use async_trait::async_trait;
use delivery::{
    Courier, CourierFailure, DeadLetterStore, Destination, ErrorClass, KeepUndelivered, Parcel, Undelivered,
};
use flow::{OutputBatch, Sink, SinkError};
use std::sync::Arc;
use std::time::Duration;

/// A wait that is longer is told, and the dagger looks whether it is to end.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The same while something is known to be wrong.
const WAIT_MAX_IN_TROUBLE: Duration = Duration::from_secs(1);
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

pub struct ExternalSink {
    kind: &'static str,
    config: ExternalSinkConfig,
    destination: Arc<dyn Destination>,
    keeper: Arc<UndeliveredRows>,
    counters: Arc<SinkCounters>,
    /// Started on the dagger's runtime.
    courier: Option<RowsCourier>,
    left: Option<Left>,
}

/// A batch that the courier does not have yet.
struct Left {
    parcel: Parcel<BatchOrigin>,
    /// The rows that cannot be encoded, as JSON, with the reasons.
    refused: Option<RefusedRows>,
}

struct RefusedRows {
    origin: BatchOrigin,
    rows: Vec<Vec<u8>>,
    reasons: Vec<String>,
}

impl ExternalSink {
    pub fn new(
        config: ExternalSinkConfig,
        dagger: &str,
        index: usize,
        store: DeadLetterStore,
        counters: Arc<SinkCounters>,
    ) -> Result<Self, ControlError> {
        let (kind, destination) = (config.kind, config.destination()?);
        let keeper = Arc::new(UndeliveredRows {
            store,
            dagger: dagger.to_owned(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
            kind,
            measurement: config.subject.clone(),
            form: config.form(),
            destination: destination.name().to_owned(),
            counters: Arc::clone(&counters),
        });
        Ok(Self { kind, config, destination, keeper, counters, courier: None, left: None })
    }

    async fn start(&mut self) {
        if self.courier.is_none() {
            let keeper = Arc::clone(&self.keeper) as Arc<dyn KeepUndelivered<BatchOrigin>>;
            let courier = Courier::start(Arc::clone(&self.destination), keeper, self.config.courier_options());
            self.counters.watch(courier.watch());
            self.courier = Some(courier);
            if let Some(notice) = self.config.notice().await {
                self.counters.set_notice(notice);
            }
        }
    }

    /// Waits for the courier, not for ever.
    async fn within_limit<T>(
        &self,
        courier: &RowsCourier,
        work: impl Future<Output = Result<T, CourierFailure>>,
    ) -> Result<T, SinkError> {
        let mut work = std::pin::pin!(work);
        let mut waited = Duration::ZERO;
        loop {
            match tokio::time::timeout(LOOK_INTERVAL, &mut work).await {
                Ok(done) => return done.map_err(|failure| SinkError::new(failure.to_string(), false)),
                Err(_) => waited += LOOK_INTERVAL,
            }
            let problem = courier.problem();
            let limit = if problem.is_some() { WAIT_MAX_IN_TROUBLE } else { WAIT_MAX };
            if waited >= limit {
                let message = problem.map(|problem| problem.message).unwrap_or_else(|| {
                    format!(
                        "{} takes long: {} rows are on their way",
                        self.destination.name(),
                        courier.counts().in_flight
                    )
                });
                return Err(SinkError::new(message, true));
            }
        }
    }

    async fn encode(&self, rows: &OutputBatch) -> Result<Left, SinkError> {
        let (encoder, rows) = (Arc::clone(&self.config.encoder), rows.clone());
        tokio::task::spawn_blocking(move || left(encoder.as_ref(), rows))
            .await
            .map_err(|error| SinkError::new(error.to_string(), false))?
            .map_err(|error| SinkError::new(error, false))
    }

    async fn keep_refused(&self, refused: &RefusedRows) -> Result<(), SinkError> {
        let undelivered: Vec<Undelivered<'_, BatchOrigin>> = refused
            .rows
            .iter()
            .zip(&refused.reasons)
            .enumerate()
            .map(|(index, (record, reason))| Undelivered {
                origin: &refused.origin,
                index,
                record,
                class: ErrorClass::BadRecord,
                reason,
            })
            .collect();
        self.keeper.keep(&undelivered).await.map_err(|error| SinkError::new(error.message, error.may_pass))
    }
}

#[async_trait]
impl Sink for ExternalSink {
    fn name(&self) -> &str {
        self.kind
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        if rows.batch.num_rows() == 0 {
            return Ok(());
        }
        self.start().await;
        let mut left = match self.left.take() {
            Some(left) => left,
            None => self.encode(rows).await?,
        };
        let given = self.give(&mut left).await;
        if given.is_err() {
            self.left = Some(left);
        }
        given
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        match &self.courier {
            Some(courier) => self.within_limit(courier, courier.flush()).await,
            None => Ok(()),
        }
    }
}

impl ExternalSink {
    async fn give(&self, left: &mut Left) -> Result<(), SinkError> {
        if let Some(refused) = &left.refused {
            self.keep_refused(refused).await?;
            left.refused = None;
        }
        let Some(courier) = &self.courier else { return Err(SinkError::new("it was not started", false)) };
        self.within_limit(courier, courier.push(left.parcel.clone())).await.map(drop)
    }
}

fn left(encoder: &dyn RowEncoder, rows: OutputBatch) -> Result<Left, String> {
    let row_names = rows.origin.as_ref().map(flow::RowOrigin::row_names).unwrap_or_default();
    let origin = rows.origin.as_ref().map(|origin| RowOrigin {
        topic: &origin.topic,
        partition: origin.partition,
        offsets: &origin.offsets,
        row_names: &row_names,
    });
    let Encoded { records, rows: written, refused } =
        encoder.encode(&rows.batch, origin).map_err(|error| error.to_string())?;
    let refused = match refused.is_empty() {
        true => None,
        false => Some(refused_rows(&rows, refused)?),
    };
    let origin = BatchOrigin { window_end_ms: rows.window_end_ms, records: rows.origin, rows: written };
    Ok(Left { parcel: Parcel { records, keys: None, origin: Arc::new(origin) }, refused })
}

fn refused_rows(rows: &OutputBatch, refused: Vec<(usize, String)>) -> Result<RefusedRows, String> {
    let writer = rows::RowWriter::new(&rows.batch.schema());
    let bound = writer.bind(&rows.batch).map_err(|error| error.to_string())?;
    let json = |row: usize| {
        let mut line = Vec::new();
        bound.write_row(row, &mut line);
        line
    };
    let (numbers, reasons): (Vec<usize>, Vec<String>) = refused.into_iter().unzip();
    let json = numbers.iter().map(|row| json(*row)).collect();
    let origin = BatchOrigin { window_end_ms: rows.window_end_ms, records: rows.origin.clone(), rows: numbers };
    Ok(RefusedRows { origin, rows: json, reasons })
}
