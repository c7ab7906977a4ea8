//! A rich message type, with records from JSON: runs of queries over it.

use std::io::Write;
use std::sync::Arc;

use delivery::Ledger;
use flow::{BoundedOptions, FlowError, NdjsonFile, OnBadRecord, RecordFile, StreamSettings, TableInput, TopicFormats};
use prost_reflect::MessageDescriptor;
use sql::{DaggerPlan, RowtimeField, SqlError, StreamTable};

const PROTO: &str = r#"
syntax = "proto3";
package test;
import "google/protobuf/timestamp.proto";
enum Kind { NONE = 0; CAR = 1; BIKE = 2; }
message Place { double lat = 1; double lon = 2; google.protobuf.Timestamp at = 3; string name = 4; }
message Item { string name = 1; int32 count = 2; google.protobuf.Timestamp at = 3; }
message Order {
  string id = 1;
  string city = 2;
  double amount = 3;
  int64 count = 4;
  google.protobuf.Timestamp event_timestamp = 5;
  Place pickup = 6;
  repeated Item items = 7;
  map<string, string> labels = 8;
  repeated double readings = 9;
  google.protobuf.Timestamp paid = 10;
  optional int32 rating = 11;
  uint64 big = 12;
  Kind kind = 13;
}
"#;

pub fn message() -> MessageDescriptor {
    let source = schema::SourceFile { path: "test.proto".into(), text: PROTO.into() };
    schema::SchemaSet::from_sources(&[source]).unwrap().message("test.Order").unwrap()
}

fn stream(table: &str) -> StreamTable {
    StreamTable { table: table.into(), message: message(), rowtime: RowtimeField::Path("event_timestamp".into()) }
}

/// Plans over the tables `orders` and `others`, which are of the same type.
pub fn try_plan(query: &str) -> Result<DaggerPlan, SqlError> {
    sql::plan(query, &[stream("orders"), stream("others")])
}

pub fn settings(table: &str) -> Arc<StreamSettings> {
    Arc::new(StreamSettings {
        table: table.into(),
        message: message(),
        rowtime_path: Some(vec!["event_timestamp".into()]),
        delay_ms: 0,
        allowed_skew_ms: None,
        on_bad_record: OnBadRecord::DeadLetter,
        keep_late: false,
        formats: TopicFormats::default(),
    })
}

/// A record at a second of the minute 1970-01-01T00:00, with more JSON fields.
pub fn order(second: i64, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!("{{\"event_timestamp\": \"1970-01-01T00:{:02}:{:02}Z\"{comma}{fields}}}", second / 60, second % 60)
}

fn file(table: &str, records: &[String]) -> Box<dyn RecordFile> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(records.join("\n").as_bytes()).unwrap();
    Box::new(NdjsonFile::open(file.path(), message(), table, 0).unwrap())
}

/// Runs a query over records of `orders` and of `others`, one partition each.
pub fn run_both(query: &str, orders: &[String], others: &[String]) -> (String, Ledger) {
    let files = vec![("orders", file("orders", orders)), ("others", file("others", others))];
    run_files(query, files).unwrap_or_else(|error| panic!("{error}\n{query}"))
}

/// Runs a query over files, one for each table.
pub fn run_files(query: &str, files: Vec<(&str, Box<dyn RecordFile>)>) -> Result<(String, Ledger), FlowError> {
    let plan = Arc::new(try_plan(query).unwrap_or_else(|error| panic!("{error}\n{query}")));
    let inputs =
        files.into_iter().map(|(table, file)| TableInput { settings: settings(table), files: vec![file] }).collect();
    let mut output = Vec::new();
    let options = BoundedOptions { threads: 1, batch_rows: 3 };
    let (ledger, _) = flow::run_bounded(plan, inputs, options, &mut output, &mut |_| Ok(()))?;
    assert!(ledger.balances() && ledger.held == 0, "{ledger:?}\n{query}");
    Ok((String::from_utf8(output).unwrap(), ledger))
}

/// Runs a query over records of `orders`, of which none may be refused.
pub fn run(query: &str, orders: &[String]) -> String {
    let (text, ledger) = run_both(query, orders, &[]);
    assert_eq!(ledger.dead_lettered, 0, "dead letters\n{query}");
    text
}

/// Checks the result rows of a query: lines without their outer brackets and quotes around names.
pub fn check(query: &str, orders: &[String], expected: &[&str]) {
    let text = run(query, orders);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, expected, "\n{query}");
}

/// Checks that a query is refused at a place of its text (which stands in `«»`), with words in message or hint.
pub fn refused(query: &str, words: &str) {
    let at = query.find('«').unwrap_or_else(|| panic!("no place: {query}"));
    let before = &query[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let query = query.replace(['«', '»'], "");
    let error = match try_plan(&query) {
        Err(error) => error,
        Ok(plan) => panic!("planned, and not refused: {query}\n{}", plan.explain),
    };
    assert!(error.to_string().contains(words), "`{words}` is not in: {error}\n{query}");
    assert_eq!((error.line, error.column), (line, column), "{error}\n{query}");
}
