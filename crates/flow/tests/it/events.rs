//! Random records of a small message type, and runs over them.

use std::io::Cursor;
use std::sync::Arc;

use delivery::Ledger;
use flow::{BoundedOptions, DelimitedFile, OnBadRecord, RecordFile, StreamSettings, TableInput, TopicFormats};
use prost_reflect::MessageDescriptor;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sql::{DaggerPlan, RowtimeField, StreamTable};

const PROTO: &str = r#"
syntax = "proto3";
package test;
import "google/protobuf/timestamp.proto";
enum Kind { KIND_NONE = 0; APPLE = 1; PEAR = 2; }
message Item { string name = 1; int32 count = 2; }
message Event {
  string key = 1;
  Kind kind = 2;
  int64 amount = 3;
  double weight = 4;
  google.protobuf.Timestamp event_timestamp = 5;
  repeated Item items = 6;
}
"#;

#[derive(Clone, Debug)]
pub struct Event {
    pub key: String,
    pub kind: u8,
    pub amount: i64,
    pub weight: f64,
    pub time_ms: i64,
    pub items: Vec<(String, i32)>,
}

pub fn message() -> MessageDescriptor {
    let source = schema::SourceFile { path: "test.proto".into(), text: PROTO.into() };
    schema::SchemaSet::from_sources(&[source]).unwrap().message("test.Event").unwrap()
}

/// Events of one partition: times grow, out of order by up to `disorder_ms`, with gaps in which sessions end.
pub fn events(seed: u64, count: usize, disorder_ms: i64) -> Vec<Event> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = 1_700_000_000_000_i64;
    (0..count)
        .map(|_| {
            clock += if random.random_range(0..100) == 0 { 60_000 } else { random.random_range(0..400) };
            Event {
                key: format!("k{}", random.random_range(0..7)),
                kind: random.random_range(0..3),
                amount: random.random_range(-50..50),
                weight: f64::from(random.random_range(0..1_000_000)) / 7.0,
                time_ms: clock - random.random_range(0..=disorder_ms),
                items: (0..random.random_range(0..3)).map(|n| (format!("i{n}"), random.random_range(0..5))).collect(),
            }
        })
        .collect()
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(field: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(value.len() as u64, out);
    out.extend(value);
}

pub fn encode(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(1, event.key.as_bytes(), &mut out);
    out.extend([2 << 3, event.kind]);
    out.push(3 << 3);
    varint(event.amount as u64, &mut out);
    out.push(4 << 3 | 1);
    out.extend(event.weight.to_le_bytes());
    let mut time = Vec::new();
    time.push(1 << 3);
    varint(event.time_ms.div_euclid(1_000) as u64, &mut time);
    time.push(2 << 3);
    varint((event.time_ms.rem_euclid(1_000) * 1_000_000) as u64, &mut time);
    bytes(5, &time, &mut out);
    for (name, count) in &event.items {
        let mut item = Vec::new();
        bytes(1, name.as_bytes(), &mut item);
        item.push(2 << 3);
        varint(*count as u64, &mut item);
        bytes(6, &item, &mut out);
    }
    out
}

pub fn delimited(records: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    for record in records {
        varint(record.len() as u64, &mut file);
        file.extend(record);
    }
    file
}

pub fn settings(table: &str, delay_ms: i64) -> Arc<StreamSettings> {
    Arc::new(StreamSettings {
        table: table.into(),
        message: message(),
        rowtime_path: Some(vec!["event_timestamp".into()]),
        delay_ms,
        allowed_skew_ms: None,
        on_bad_record: OnBadRecord::DeadLetter,
        keep_late: false,
        formats: TopicFormats::default(),
    })
}

pub fn plan(query: &str, tables: &[&str]) -> Arc<DaggerPlan> {
    let streams: Vec<StreamTable> = tables
        .iter()
        .map(|table| StreamTable {
            table: table.to_string(),
            message: message(),
            rowtime: RowtimeField::Path("event_timestamp".into()),
        })
        .collect();
    Arc::new(sql::plan(query, &streams).unwrap_or_else(|error| panic!("{error}\n{query}")))
}

/// Runs a query over tables, each with its partitions; gives the output's text and the ledger.
pub fn run_tables(
    query: &str,
    tables: &[(&str, &[Vec<Event>])],
    delay_ms: i64,
    batch_rows: usize,
    threads: usize,
) -> (String, Ledger) {
    let names: Vec<&str> = tables.iter().map(|(name, _)| *name).collect();
    let plan = plan(query, &names);
    let inputs = tables
        .iter()
        .map(|(table, partitions)| TableInput {
            settings: settings(table, delay_ms),
            files: partitions
                .iter()
                .enumerate()
                .map(|(number, events)| {
                    let data = delimited(events.iter().map(encode));
                    let file = DelimitedFile::new(
                        format!("{table} {number}"),
                        Box::new(Cursor::new(data)),
                        table,
                        number as u32,
                    );
                    Box::new(file) as Box<dyn RecordFile>
                })
                .collect(),
        })
        .collect();
    let mut output = Vec::new();
    let (ledger, rows) =
        flow::run_bounded(plan, inputs, BoundedOptions { threads, batch_rows }, &mut output, &mut |_| Ok(())).unwrap();
    let text = String::from_utf8(output).unwrap();
    assert_eq!(text.lines().count() as u64, rows);
    assert!(ledger.balances() && ledger.held == 0, "{ledger:?}");
    (text, ledger)
}

pub fn run(
    query: &str,
    partitions: &[Vec<Event>],
    delay_ms: i64,
    batch_rows: usize,
    threads: usize,
) -> (String, Ledger) {
    run_tables(query, &[("t", partitions)], delay_ms, batch_rows, threads)
}
