//! Records of a small message type, and what is to become of each.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::datatypes::{Int64Type, SchemaRef};
use arrow::error::ArrowError;
use codec::WireFormat;
use delivery::EncodedBatchBuilder;
use firehose::{Pipeline, RowShape, ShapedRows};
use log::{NewRecord, Slab};
use prost_reflect::MessageDescriptor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use sinks::{Encoded, RowEncoder, RowOrigin};

const PROTO: &str = r#"
syntax = "proto3";
package test;
message Event { int64 number = 1; string text = 2; }
"#;

/// What is to become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Delivered,
    /// By the filter, or a tombstone.
    Filtered,
    /// Undecodable, failed in the shape, refused by the encoder or by the sink.
    DeadLettered,
}

pub fn message() -> MessageDescriptor {
    let source = schema::SourceFile { path: "test.proto".into(), text: PROTO.into() };
    schema::SchemaSet::from_sources(&[source]).unwrap().message("test.Event").unwrap()
}

/// A record by its number, which says what is to become of it.
pub fn record(number: u64) -> NewRecord {
    let mut value = vec![1 << 3];
    let mut rest = number;
    while rest >= 0x80 {
        value.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    value.push(rest as u8);
    let text = "x".repeat((number % 40) as usize);
    value.extend([2 << 3 | 2, text.len() as u8]);
    value.extend_from_slice(text.as_bytes());
    match number % 50 {
        0 => value = vec![0xff, 0xff, number as u8],
        1 => return NewRecord { value: None, ..keyed(number) },
        _ => {}
    }
    NewRecord { value: Some(value.into()), headers: vec![("h".to_owned(), "v".into())], ..keyed(number) }
}

fn keyed(number: u64) -> NewRecord {
    let key = (!number.is_multiple_of(11)).then(|| format!("key-{}", number % 17).into());
    NewRecord { key, timestamp_ms: Some(1_700_000_000_000 + number as i64), ..NewRecord::default() }
}

pub fn fate(number: u64) -> Fate {
    match number % 50 {
        0 | 2 | 3 | 4 => Fate::DeadLettered,
        1 | 5 | 6 | 7 | 8 => Fate::Filtered,
        _ => Fate::Delivered,
    }
}

/// What the sink refuses.
pub fn is_poison(number: u64) -> bool {
    number % 50 == 4
}

/// Leaves out 5 to 8 of fifty, and fails at 2.
struct Sieve(SchemaRef);

impl RowShape for Sieve {
    fn fields_used(&self) -> Vec<String> {
        vec!["number".to_owned(), "_offset".to_owned(), "_key".to_owned()]
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn apply(&self, batch: &RecordBatch) -> Result<ShapedRows, ArrowError> {
        let numbers = column(batch, "number");
        let (mut input_rows, mut filtered, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            match numbers.value(row) % 50 {
                5..=8 => filtered.push(row),
                2 => failed.push((row, "the shape fails".to_owned())),
                _ => input_rows.push(row),
            }
        }
        let kept = UInt32Array::from_iter_values(input_rows.iter().map(|row| *row as u32));
        let rows = arrow::compute::take_record_batch(batch, &kept)?;
        Ok(ShapedRows { rows, input_rows, filtered, failed })
    }
}

/// Writes numbers as text, and has no way to write 3 of fifty.
struct Numbers {
    /// Every seventh is written twice: one record, two of the sink.
    has_copies: bool,
}

impl RowEncoder for Numbers {
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let (numbers, offsets) = (column(batch, "number"), column(batch, "_offset"));
        let origin = origin.expect("rows are records");
        let (mut records, mut rows, mut refused) = (EncodedBatchBuilder::default(), Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            assert_eq!(offsets.value(row), origin.offsets[row]);
            let number = numbers.value(row);
            if number % 50 == 3 {
                refused.push((row, "it cannot be written".to_owned()));
                continue;
            }
            for _ in 0..if self.has_copies && number % 7 == 0 { 2 } else { 1 } {
                records.push(number.to_string().as_bytes());
                rows.push(row);
            }
        }
        Ok(Encoded { records: records.finish(), rows, refused })
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a arrow::array::Int64Array {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>()
}

pub fn pipeline(has_copies: bool) -> Pipeline {
    let message = message();
    let shape = Arc::new(Sieve(Pipeline::input_schema(&message)));
    Pipeline::compile(&message, &WireFormat::Protobuf, Some(shape), Arc::new(Numbers { has_copies })).unwrap()
}

/// Some numbers of records, at random.
pub fn some(random: &mut ChaCha8Rng, count: std::ops::Range<usize>, next: &mut u64) -> Vec<u64> {
    let count = random.random_range(count);
    (0..count)
        .map(|_| {
            *next += 1;
            *next - 1
        })
        .collect()
}

#[test]
fn a_slab_goes_through_the_pipeline_and_every_record_is_somewhere_once() {
    let mut worker = pipeline(true).worker();
    for numbers in [vec![], vec![0], vec![9], (0..200).collect::<Vec<u64>>()] {
        let slab = slab(&numbers);
        let encoded = worker.run(&slab).unwrap();
        let mut found: Vec<u64> = encoded.numbers.iter().map(|number| u64::from(*number)).collect();
        found.dedup();
        let wanted = |fates: &[Fate]| numbers.iter().filter(|number| fates.contains(&fate(**number))).count();
        let poison = numbers.iter().filter(|number| is_poison(**number)).count();
        assert_eq!(found.len(), wanted(&[Fate::Delivered]) + poison);
        assert_eq!(encoded.filtered as usize, wanted(&[Fate::Filtered]));
        assert_eq!(encoded.failed.len(), wanted(&[Fate::DeadLettered]) - poison);
        let positioned = encoded.at_their_positions(&slab);
        for (index, number) in encoded.numbers.iter().enumerate() {
            let position = positioned.position(index).unwrap();
            assert_eq!(position.offset, 1_000 + i64::from(*number));
            assert_eq!(positioned.record(index), numbers[*number as usize].to_string().as_bytes());
        }
    }
}

/// Records at offsets from 1,000 on.
fn slab(numbers: &[u64]) -> Slab {
    let (mut data, mut index) = (Vec::new(), log::RecordIndex::default());
    for (place, number) in numbers.iter().enumerate() {
        let record = record(*number);
        let value = record.value.as_ref().map_or((0, log::NULL_SPAN), |value| (data.len() as u32, value.len() as u32));
        data.extend_from_slice(&record.value.unwrap_or_default());
        index.offsets.push(1_000 + place as i64);
        index.timestamps_ms.push(0);
        index.append_times_ms.push(0);
        index.keys.push((0, log::NULL_SPAN));
        index.values.push(value);
        index.headers.push((0, log::NULL_SPAN));
    }
    let next_offset = 1_000 + numbers.len() as i64;
    Slab { topic: "t".into(), partition: 0, data: data.into(), records: index, next_offset, end_offset: next_offset }
}
