//! Random schemas and messages, read by the codec and by prost-reflect: both must see the same. `CODEC_SEED` replays one seed,
//! `CODEC_SCHEMAS` sets how many schemas are tried.

use codec::{DecodeOptions, DecodeProgram, EncodeProgram, Limits, Projection};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{message, random_message, random_schema, reference, scrambled, slab, tree};

const RECURSION_MAX: u32 = 2;

/// Runs `check` with a random source per schema; the seed is printed when it fails.
pub fn for_schemas(default: u64, check: impl Fn(&mut ChaCha8Rng, &str, &MessageDescriptor)) {
    let from_env = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match from_env("CODEC_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_env("CODEC_SCHEMAS").unwrap_or(default),
    };
    for seed in seeds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let proto2 = random.random_bool(0.4);
        let source = random_schema::source(&mut random, proto2);
        let context = Context { seed, source: &source };
        check(&mut random, &source, &message(&source, "t.M0"));
        std::mem::forget(context);
    }
}

/// Tells how to replay when the test panics.
struct Context<'a> {
    seed: u64,
    source: &'a str,
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        eprintln!("failed with CODEC_SEED={}\n{}", self.seed, self.source);
    }
}

pub fn options() -> DecodeOptions {
    let limits = Limits { recursion_depth_max: RECURSION_MAX, ..Limits::default() };
    DecodeOptions { limits, ..DecodeOptions::default() }
}

/// How often a recursive type is unrolled: less than the limit where that would be too many columns.
fn unrolled(descriptor: &MessageDescriptor) -> usize {
    let schema =
        |recursion_depth_max| codec::arrow_schema(descriptor, &Limits { recursion_depth_max, ..options().limits });
    if schema(RECURSION_MAX) == schema(1) { 1 } else { RECURSION_MAX as usize }
}

/// Checks one decoded row against prost-reflect's reading of the record.
pub fn check_row(batch: &arrow::array::RecordBatch, row: usize, descriptor: &MessageDescriptor, record: &[u8]) {
    let read = DynamicMessage::decode(descriptor.clone(), record).expect("prost-reflect reads what was written");
    let expected = reference::normal(reference::tree(&read, unrolled(descriptor)), descriptor);
    let found = reference::normal(tree::row(batch, row), descriptor);
    if let Some(difference) = tree::difference(&expected, &found) {
        panic!("row {row}: expected, found: {difference}\nrecord {record:?}");
    }
}

fn records(random: &mut ChaCha8Rng, descriptor: &MessageDescriptor, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|_| {
            let message = random_message::message(random, descriptor, 4);
            scrambled::encode(random, &message)
        })
        .collect()
}

#[test]
fn decodes_what_prost_reflect_decodes() {
    for_schemas(400, |random, _, descriptor| {
        let program = DecodeProgram::compile(descriptor, &Projection::all(), &options()).expect("compiles");
        assert_eq!(program.schema(), &codec::arrow_schema(descriptor, &options().limits));
        let mut decoder = program.decoder();
        for _ in 0..2 {
            let records = records(random, descriptor, 12);
            let (data, spans) = slab(&records);
            let decoded = decoder.decode(&data, &spans);
            assert!(decoded.errors.is_empty(), "{:?}", decoded.errors);
            assert!(decoded.rows.is_none());
            for column in decoded.batch.columns() {
                column.to_data().validate_full().expect("a valid array");
            }
            for (row, record) in records.iter().enumerate() {
                check_row(&decoded.batch, row, descriptor, record);
            }
        }
    });
}

#[test]
fn a_projection_has_the_columns_of_the_whole() {
    for_schemas(150, |random, _, descriptor| {
        let whole = DecodeProgram::compile(descriptor, &Projection::all(), &options()).expect("compiles");
        let names: Vec<String> = descriptor.fields().map(|field| field.name().to_owned()).collect();
        let chosen: Vec<&String> = names.iter().filter(|_| random.random_bool(0.4)).collect();
        let part = DecodeProgram::compile(descriptor, &Projection::paths(&chosen), &options()).expect("compiles");
        let records = records(random, descriptor, 8);
        let (data, spans) = slab(&records);
        let (whole, part) = (whole.decoder().decode(&data, &spans), part.decoder().decode(&data, &spans));
        assert!(whole.errors.is_empty() && part.errors.is_empty(), "{:?}", whole.errors);
        assert_eq!(part.batch.num_rows(), whole.batch.num_rows());
        assert_eq!(part.batch.num_columns(), chosen.len());
        for (field, column) in part.batch.schema().fields().iter().zip(part.batch.columns()) {
            let same = whole.batch.column_by_name(field.name()).expect("a column of the whole");
            for row in 0..column.len() {
                assert_eq!(tree::value(column, row), tree::value(same, row), "column {} row {row}", field.name());
            }
        }
    });
}

#[test]
fn encodes_what_prost_reflect_decodes() {
    for_schemas(300, |random, _, descriptor| {
        // Without declared defaults an absent field stays absent.
        let options = DecodeOptions { keep_unknown: true, declared_defaults: false, ..options() };
        let program = DecodeProgram::compile(descriptor, &Projection::all(), &options).expect("compiles");
        let encoder = EncodeProgram::compile(descriptor, program.schema()).expect("compiles");
        let records = records(random, descriptor, 10);
        let (data, spans) = slab(&records);
        let decoded = program.decoder().decode(&data, &spans);
        let encoded = encoder.encode(&decoded.batch).expect("encodes");
        assert!(encoded.errors.is_empty(), "{:?}", encoded.errors);
        assert_eq!(encoded.spans.len(), records.len());
        for (record, (start, len)) in records.iter().zip(&encoded.spans) {
            let written = &encoded.data[*start as usize..(start + len) as usize];
            let before = DynamicMessage::decode(descriptor.clone(), record.as_slice()).expect("reads the record");
            let after = DynamicMessage::decode(descriptor.clone(), written).expect("reads what the codec wrote");
            let whole = |message| reference::normal(reference::tree(message, usize::MAX), descriptor);
            assert_eq!(whole(&before).to_string(), whole(&after).to_string(), "record {record:?}");
            assert_eq!(before.unknown_fields().count(), after.unknown_fields().count(), "unknown fields of {record:?}");
        }
    });
}
