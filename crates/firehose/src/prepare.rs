//! From a slab to what the courier is given: the pipeline off the async threads, and dead letters kept before the slab
//! counts as read.

use std::hash::BuildHasher;
use std::sync::Arc;

use delivery::{DeadLetter, EncodedBatchBuilder, ErrorClass, Ledger, Parcel, RecordRoute};
use log::{RecordIndex, Slab};
use sinks::Order;

use crate::letter_box::LetterBox;
use crate::partition::SampledTimes;
use crate::{EncodedRecords, FailedRecord, FirehoseError, PipelineWorker};

/// A slab with fewer records is worked through where the run is: another thread would take longer to wake up.
const RECORDS_AT_ONCE_MAX: usize = 32;
const TIMES_SAMPLED: usize = 16;
/// Of a record, besides its own bytes: where it lies in the slab, and what the courier knows of it.
const INDEX_BYTES: usize = 48 + 32;

/// Where the records of a parcel come from.
#[derive(Debug)]
pub(crate) struct SlabOrigin {
    pub slab: Arc<Slab>,
    /// The record of each encoded one.
    pub numbers: Arc<[u32]>,
}

/// A slab that is ready for the courier.
pub(crate) struct Prepared {
    pub next_offset: i64,
    /// Of the slab and of what was made of it.
    pub bytes: usize,
    /// Without what the courier gets.
    pub ledger: Ledger,
    pub parcel: Option<PreparedParcel>,
    /// The record that comes next ends the run.
    pub bad: Option<FirehoseError>,
}

pub(crate) struct PreparedParcel {
    pub parcel: Parcel<SlabOrigin>,
    pub numbers: Arc<[u32]>,
    /// Records of the topic.
    pub records: u64,
    pub times: SampledTimes,
}

/// How slabs are prepared.
#[derive(Clone)]
pub(crate) struct Preparation {
    pub letters: Arc<LetterBox>,
    pub bad_record: RecordRoute,
    pub order: Order,
    pub lanes: usize,
}

/// What a worker has made of a slab.
struct Worked {
    worker: PipelineWorker,
    slab: Arc<Slab>,
    prepared: Prepared,
    failed: Vec<FailedRecord>,
}

impl Preparation {
    pub async fn prepare(
        self,
        worker: PipelineWorker,
        slab: Slab,
    ) -> Result<(PipelineWorker, Prepared), FirehoseError> {
        let worked = match slab.len() <= RECORDS_AT_ONCE_MAX {
            true => self.work(worker, slab)?,
            false => {
                let preparation = self.clone();
                let work = tokio::task::spawn_blocking(move || preparation.work(worker, slab));
                work.await.map_err(|_| FirehoseError::Task)??
            }
        };
        if !worked.failed.is_empty() {
            let letter = |failed: &FailedRecord| self.letters.letter(&worked.slab, failed, ErrorClass::BadRecord);
            let letters: Vec<DeadLetter> = worked.failed.iter().map(letter).collect();
            self.letters.keep(&letters).await?;
        }
        Ok((worked.worker, worked.prepared))
    }

    fn work(&self, mut worker: PipelineWorker, slab: Slab) -> Result<Worked, FirehoseError> {
        let mut encoded = run(&mut worker, &slab)?;
        let first_bad = encoded.failed.iter().min_by_key(|failed| failed.record).cloned();
        let (slab, bad) = match first_bad {
            // What cannot be read does not become readable by waiting, so `retry` is as `fail` here.
            Some(bad) if self.bad_record != RecordRoute::DeadLetter => {
                let error = FirehoseError::BadRecord {
                    topic: slab.topic.to_string(),
                    partition: slab.partition,
                    offset: slab.offset(bad.record),
                    reason: bad.reason,
                };
                let before = first_records(&slab, bad.record);
                encoded = run(&mut worker, &before)?;
                (before, Some(error))
            }
            _ => (slab, None),
        };
        let slab = Arc::new(slab);
        let records = distinct(&encoded.numbers);
        let failed = std::mem::take(&mut encoded.failed);
        let ledger = Ledger {
            consumed: slab.len() as u64,
            filtered: encoded.filtered,
            dead_lettered: failed.len() as u64,
            ..Ledger::default()
        };
        if !(Ledger { held: records, ..ledger }).balances() {
            let reason = format!(
                "of {} records {records} were encoded, {} filtered and {} failed",
                ledger.consumed, ledger.filtered, ledger.dead_lettered
            );
            return Err(pipeline_error(&slab, reason));
        }
        let bytes = slab.data.len() + slab.len() * INDEX_BYTES + encoded.records.size();
        let parcel = (!encoded.records.is_empty()).then(|| self.parcel(&slab, encoded, records));
        let prepared = Prepared { next_offset: slab.next_offset, bytes, ledger, parcel, bad };
        Ok(Worked { worker, slab, prepared, failed })
    }

    fn parcel(&self, slab: &Arc<Slab>, encoded: EncodedRecords, records: u64) -> PreparedParcel {
        let positioned = encoded.at_their_positions(slab);
        let numbers: Arc<[u32]> = encoded.numbers.into();
        let keys: Arc<[u64]> = match self.order {
            Order::All => std::iter::repeat_n(0, numbers.len()).collect(),
            Order::Partition => std::iter::repeat_n(u64::from(slab.partition), numbers.len()).collect(),
            Order::Key => keys(slab, &numbers, self.lanes),
        };
        let times = sampled_times(slab, &numbers);
        let origin = Arc::new(SlabOrigin { slab: Arc::clone(slab), numbers: Arc::clone(&numbers) });
        PreparedParcel { parcel: Parcel { records: positioned, keys: Some(keys), origin }, numbers, records, times }
    }
}

fn run(worker: &mut PipelineWorker, slab: &Slab) -> Result<EncodedRecords, FirehoseError> {
    if slab.is_empty() {
        let records = EncodedBatchBuilder::default().finish();
        return Ok(EncodedRecords { records, numbers: Vec::new(), filtered: 0, failed: Vec::new() });
    }
    worker.run(slab).map_err(|error| pipeline_error(slab, error.to_string()))
}

fn pipeline_error(slab: &Slab, reason: String) -> FirehoseError {
    let offset = slab.records.offsets.first().copied().unwrap_or(slab.next_offset);
    FirehoseError::Pipeline { topic: slab.topic.to_string(), partition: slab.partition, offset, reason }
}

/// A number for each record's key. Records without one have no order: each has a number of its own, and those of a slab go
/// through the same lane.
fn keys(slab: &Slab, numbers: &[u32], lanes: usize) -> Arc<[u64]> {
    let hash = foldhash::quality::FixedState::with_seed(0);
    let lanes = lanes.max(1) as u64;
    let lane = numbers.first().map_or(0, |number| hash.hash_one(slab.offset(*number as usize))) % lanes;
    let key_of = |number: &u32| match slab.key(*number as usize) {
        Some(key) => hash.hash_one(key),
        None => (slab.offset(*number as usize) as u64).wrapping_mul(lanes).wrapping_add(lane),
    };
    numbers.iter().map(key_of).collect()
}

fn sampled_times(slab: &Slab, numbers: &[u32]) -> SampledTimes {
    let step = numbers.len().div_ceil(TIMES_SAMPLED).max(1);
    let timestamps_ms = numbers.iter().step_by(step).map(|number| slab.timestamp_ms(*number as usize)).collect();
    SampledTimes { timestamps_ms, weight: step as u64 }
}

/// Numbers of the same record are neighbours, or not.
fn distinct(numbers: &[u32]) -> u64 {
    if numbers.is_sorted_by(|one, next| one < next) {
        return numbers.len() as u64;
    }
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() as u64
}

/// The slab as if it ended before a record.
fn first_records(slab: &Slab, records: usize) -> Slab {
    let all = &slab.records;
    let next_offset = all.offsets.get(records).copied().unwrap_or(slab.next_offset);
    let index = RecordIndex {
        offsets: all.offsets[..records].to_vec(),
        timestamps_ms: all.timestamps_ms[..records].to_vec(),
        append_times_ms: all.append_times_ms[..records].to_vec(),
        keys: all.keys[..records].to_vec(),
        values: all.values[..records].to_vec(),
        headers: all.headers[..records].to_vec(),
    };
    Slab { records: index, next_offset, ..slab.clone() }
}

/// The slab without what lies at the limit or behind it.
pub(crate) fn before(slab: Slab, limit: Option<i64>) -> Slab {
    let Some(limit) = limit.filter(|limit| slab.next_offset > *limit) else { return slab };
    let records = slab.records.offsets.partition_point(|offset| *offset < limit);
    Slab { next_offset: limit, ..first_records(&slab, records) }
}
