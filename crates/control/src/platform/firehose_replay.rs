//! Replaying dead letters of firehoses: each record goes the whole way once more, from its bytes to the sink. It stays in the
//! cell of the ledger that it is in; the replay is counted at the dead letter.

use super::Platform;
use super::firehose_plan::PlannedFirehose;
use super::firehoses::courier_options;
use crate::error::ControlError;
use crate::firehose_spec::FirehoseSpec;
use async_trait::async_trait;
use bytes::Bytes;
use delivery::{
    Courier, CourierOptions, DeadLetter, DeliveryError, KeepError, KeepUndelivered, Parcel, Policy, RecordRoute,
    Undelivered,
};
use log::{NULL_SPAN, RecordIndex, Slab};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long replaying waits for the sink.
const TIME_MAX: Duration = Duration::from_secs(30);
const LETTERS_AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 16 << 20;

impl Platform {
    /// Returns how many the sink, or the filter, has taken now; the others stay.
    pub(super) async fn send_letters_again(
        &self,
        firehose: &str,
        letters: Vec<DeadLetter>,
    ) -> Result<usize, ControlError> {
        let resource = self.firehose_resource(firehose).await?;
        let mut spec = FirehoseSpec::from_json(&resource.spec)?;
        let planned = self.plan_firehose(&resource.metadata, &mut spec).await?;
        if let Some(other) = letters.iter().find(|letter| letter.key.topic != spec.topic) {
            let detail = format!(
                "the firehose `{firehose}` reads `{}` now, and the record is of `{}`",
                spec.topic, other.key.topic
            );
            return Err(ControlError::conflict("firehose_reads_another_topic", detail)
                .with_hint("let it read that topic again, or delete the dead letters"));
        }
        let refused = self.send_again(&planned, &spec, &letters).await?;
        let first = refused.values().next().cloned();
        let store = self.dead_letters.clone();
        let replayed = tokio::task::spawn_blocking(move || {
            let sent = letters.iter().enumerate().filter(|(number, _)| !refused.contains_key(number));
            let point = store.sync_point();
            let mut count = 0;
            for (_, letter) in sent {
                store.mark_replayed(&letter.key)?;
                count += 1;
            }
            store.sync(point)?;
            Ok::<_, DeliveryError>(count)
        })
        .await??;
        match first {
            Some(reason) if replayed == 0 => {
                Err(ControlError::conflict("dead_letter_still_refused", format!("it is refused again: {reason}"))
                    .with_hint("mend what the reason says first, or edit the record"))
            }
            _ => Ok(replayed),
        }
    }

    /// The letters that are refused again, by their number, and why.
    async fn send_again(
        &self,
        planned: &PlannedFirehose,
        spec: &FirehoseSpec,
        letters: &[DeadLetter],
    ) -> Result<BTreeMap<usize, String>, ControlError> {
        let refusals = Arc::new(Refusals::default());
        for (number, _) in letters.iter().enumerate().filter(|(_, letter)| letter.value.is_none()) {
            refusals.note(Some(number), "the record was too long to be kept; it is only in its topic");
        }
        let keeper = Arc::clone(&refusals) as Arc<dyn KeepUndelivered<Vec<usize>>>;
        let destination = planned.sink.destination().map_err(ControlError::internal)?;
        // What is refused is to be told, whatever the firehose does with it.
        let to_letters =
            Policy { bad_record: RecordRoute::DeadLetter, refused: RecordRoute::DeadLetter, ..spec.delivery.policy };
        let options = CourierOptions { policy: to_letters, lanes: 1, ..courier_options(spec) };
        let courier = Courier::start(destination, keeper, options);
        let unavailable = |detail: String| {
            ControlError::unavailable("sink_unavailable", detail)
                .with_hint("nothing is lost; replay again when the sink is back")
        };
        let give = async {
            let mut worker = planned.pipeline.worker();
            let mut first = 0;
            while first < letters.len() {
                let part = letters.get(first..first + together(&letters[first..])).unwrap_or_default();
                for (of_partition, slab) in slabs(part) {
                    let encoded = worker.run(&slab).map_err(|error| ControlError::internal(error.to_string()))?;
                    let number = |record: usize| of_partition.get(record).map(|letter| first + letter);
                    for failed in encoded.failed {
                        refusals.note(number(failed.record), &failed.reason);
                    }
                    if encoded.records.is_empty() {
                        continue;
                    }
                    let origin = encoded.numbers.iter().filter_map(|record| number(*record as usize)).collect();
                    // Without positions: a sink that keeps them would take the records for known.
                    let parcel = Parcel { records: encoded.records, keys: None, origin: Arc::new(origin) };
                    courier.push(parcel).await.map_err(|failure| unavailable(failure.to_string()))?;
                }
                first += part.len().max(1);
            }
            courier.flush().await.map_err(|failure| unavailable(failure.to_string()))
        };
        match tokio::time::timeout(TIME_MAX, give).await {
            Ok(given) => given?,
            Err(_) => {
                let problem = courier.problem().map(|problem| problem.message);
                return Err(unavailable(problem.unwrap_or_else(|| "the sink takes too long".to_owned())));
            }
        }
        Ok(std::mem::take(&mut *refusals.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// How many of the first letters go together: as many as a slab can have, and one at least.
fn together(letters: &[DeadLetter]) -> usize {
    let bytes = |letter: &DeadLetter| {
        letter.value.as_ref().map_or(0, Vec::len) + letter.record_key.as_ref().map_or(0, Vec::len)
    };
    let mut sum = 0;
    let fits = |letter: &&DeadLetter| {
        sum += bytes(letter);
        sum <= BYTES_AT_ONCE
    };
    letters.iter().take(LETTERS_AT_ONCE).take_while(fits).count().max(1)
}

/// The letters' records as they would be read, a slab for each partition, with the number of each record's letter.
fn slabs(letters: &[DeadLetter]) -> Vec<(Vec<usize>, Slab)> {
    let mut by_partition: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (number, letter) in letters.iter().enumerate() {
        by_partition.entry(letter.key.partition).or_default().push(number);
    }
    let slab = |(partition, numbers): (u32, Vec<usize>)| {
        let of_partition: Vec<&DeadLetter> = numbers.iter().filter_map(|number| letters.get(*number)).collect();
        let slab = slab_of(partition, &of_partition);
        (numbers, slab)
    };
    by_partition.into_iter().map(slab).collect()
}

fn slab_of(partition: u32, letters: &[&DeadLetter]) -> Slab {
    let (mut data, mut records) = (Vec::new(), RecordIndex::default());
    let span = |data: &mut Vec<u8>, bytes: Option<&[u8]>| match bytes {
        None => (0, NULL_SPAN),
        Some(bytes) => {
            let start = data.len() as u32;
            data.extend_from_slice(bytes);
            (start, bytes.len() as u32)
        }
    };
    for letter in letters {
        records.offsets.push(letter.key.offset);
        records.timestamps_ms.push(letter.timestamp_ms);
        records.append_times_ms.push(letter.timestamp_ms);
        records.keys.push(span(&mut data, letter.record_key.as_deref()));
        records.values.push(span(&mut data, letter.value.as_deref()));
        let mut headers = Vec::new();
        let own = letter.headers.iter().filter(|(name, _)| name != firehose::ERROR_CLASS_HEADER);
        let own: Vec<(&str, &[u8])> = own.map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        log::encode_headers(&mut headers, own.into_iter());
        records.headers.push(span(&mut data, Some(&headers)));
    }
    let topic = letters.first().map(|letter| letter.key.topic.as_str()).unwrap_or_default();
    let next = letters.last().map_or(0, |letter| letter.key.offset.saturating_add(1));
    Slab { topic: topic.into(), partition, data: Bytes::from(data), records, next_offset: next, end_offset: next }
}

/// What is refused once more, by the number of its letter, and why.
#[derive(Default)]
struct Refusals(Mutex<BTreeMap<usize, String>>);

impl Refusals {
    fn note(&self, letter: Option<usize>, reason: &str) {
        if let Some(letter) = letter {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(letter, reason.to_owned());
        }
    }
}

#[async_trait]
impl KeepUndelivered<Vec<usize>> for Refusals {
    async fn keep(&self, records: &[Undelivered<'_, Vec<usize>>]) -> Result<(), KeepError> {
        records.iter().for_each(|record| self.note(record.origin.get(record.index).copied(), record.reason));
        Ok(())
    }
}
