//! What a dagger has written to its measurement, and what it goes on writing.

use super::{Follow, Platform};
use crate::dagger_spec::{DaggerSpec, SinkSpec};
use crate::error::ControlError;
use crate::measurement_name::stored;
use crate::resource::Kind;
use bytes::Bytes;
use series::{ScanOrder, ScanRequest, SeriesError, SeriesStore, TimeRange};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a follower looks for new points; between a window's end and its row on the screen this is the rest.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);
const CHUNKS_QUEUED_MAX: usize = 16;
pub const RESULT_ROWS_MAX: usize = 1_000_000;

impl Platform {
    /// Chunks of JSON lines: the points of the last `last`, counted back from the newest one (so that a replay of the
    /// past shows as much as a live dagger), oldest first; then, if asked, every point as it is written.
    pub async fn results(
        &self,
        name: &str,
        last: Duration,
        follow: Follow,
    ) -> Result<mpsc::Receiver<Result<Bytes, ControlError>>, ControlError> {
        let measurement = self.measurement_of(name).await?;
        let store = self.series.clone();
        let (sender, receiver) = mpsc::channel(CHUNKS_QUEUED_MAX);
        tokio::task::spawn(async move {
            if let Err(error) = send_results(store, measurement, last, follow, &sender).await {
                // Nobody listening is no reason to tell anybody.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(receiver)
    }

    /// As it is named in the series store.
    async fn measurement_of(&self, name: &str) -> Result<String, ControlError> {
        let Some(resource) = self.db.get(Kind::Dagger, name).await? else {
            return Err(self.not_found(Kind::Dagger, name).await);
        };
        let spec = DaggerSpec::from_json(name, &resource.spec)?;
        let topic = spec.sinks.iter().find_map(|sink| match sink {
            SinkSpec::Topic { topic, .. } => Some(topic.clone()),
            _ => None,
        });
        let measurement = spec.sinks.into_iter().find_map(|sink| match sink {
            SinkSpec::Series { measurement, .. } => Some(stored(&resource.metadata.group, &measurement)),
            _ => None,
        });
        measurement.ok_or_else(|| {
            let hint = match topic {
                Some(topic) => format!("read its topic: `millrace topic tail {topic}`"),
                None => "add the sink `series` to it".to_owned(),
            };
            ControlError::conflict("no_measurement", format!("the dagger `{name}` writes no measurement"))
                .with_hint(hint)
        })
    }
}

type Chunks = mpsc::Sender<Result<Bytes, ControlError>>;

async fn send_results(
    store: SeriesStore,
    measurement: String,
    last: Duration,
    follow: Follow,
    sender: &Chunks,
) -> Result<(), ControlError> {
    // Before the look back: what is written meanwhile may be shown twice, but is never missed.
    let (blocking_store, name, chunks) = (store.clone(), measurement.clone(), sender.clone());
    let mut sequence = tokio::task::spawn_blocking(move || look_back(&blocking_store, &name, last, &chunks)).await??;
    while follow == Follow::Yes && !sender.is_closed() {
        let (blocking_store, name, chunks) = (store.clone(), measurement.clone(), sender.clone());
        sequence =
            tokio::task::spawn_blocking(move || send_changes(&blocking_store, &name, sequence, &chunks)).await??;
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
    Ok(())
}

/// A measurement that was never written is empty, not missing: the dagger is there.
fn sequence_of(store: &SeriesStore, measurement: &str) -> Result<u64, ControlError> {
    match store.sequence(measurement) {
        Ok(sequence) => Ok(sequence),
        Err(SeriesError::UnknownMeasurement { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn look_back(store: &SeriesStore, measurement: &str, last: Duration, chunks: &Chunks) -> Result<u64, ControlError> {
    let sequence = sequence_of(store, measurement)?;
    if store.measurement(measurement).is_none() {
        return Ok(sequence);
    }
    let newest = ScanRequest {
        projection: Some(vec!["time".to_owned()]),
        limit: Some(1),
        order: ScanOrder::Descending,
        ..ScanRequest::default()
    };
    let Some(newest) = store.scan(measurement, &newest)?.next().transpose()? else { return Ok(sequence) };
    let Some(newest_nanos) = first_nanos(&newest) else { return Ok(sequence) };
    let last_nanos = i64::try_from(last.as_nanos()).unwrap_or(i64::MAX);
    let request = ScanRequest {
        range: TimeRange::since(newest_nanos.saturating_sub(last_nanos)),
        limit: Some(RESULT_ROWS_MAX),
        ..ScanRequest::default()
    };
    for batch in store.scan(measurement, &request)? {
        if !send_batch(&batch?, chunks)? {
            break;
        }
    }
    Ok(sequence)
}

fn send_changes(store: &SeriesStore, measurement: &str, sequence: u64, chunks: &Chunks) -> Result<u64, ControlError> {
    if sequence_of(store, measurement)? <= sequence {
        return Ok(sequence);
    }
    let changes = store.scan_since(measurement, sequence, &ScanRequest::default())?;
    for batch in changes.scan {
        if !send_batch(&batch?, chunks)? {
            break;
        }
    }
    Ok(changes.next_sequence)
}

fn first_nanos(batch: &arrow::record_batch::RecordBatch) -> Option<i64> {
    use arrow::array::AsArray;
    let times = batch.column_by_name("time")?.as_primitive_opt::<arrow::datatypes::TimestampNanosecondType>()?;
    times.iter().next().flatten()
}

/// `false` when nobody listens any more.
fn send_batch(batch: &arrow::record_batch::RecordBatch, chunks: &Chunks) -> Result<bool, ControlError> {
    if batch.num_rows() == 0 {
        return Ok(!chunks.is_closed());
    }
    let mut lines = Vec::new();
    rows::write_rows(batch, &mut lines).map_err(|error| ControlError::internal(error.to_string()))?;
    Ok(chunks.blocking_send(Ok(Bytes::from(lines))).is_ok())
}
