//! Topics in every encoding: published, read by daggers, looked at, replayed, and written by sinks.

use crate::open_platform::{open, push, rows, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use control::access::{Actor, Caller};
use control::records::{DraftKey, DraftValue, RecordDraft};
use control::{Follow, Metadata, Platform, Shows, TailFilter, TailFrom, TailLine, TailRequest, TopicSpec};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

const PROTO: &str = "syntax = \"proto3\"; package t;
message Key { string city = 1; int32 zone = 2; }
message Event { string name = 1; int64 amount = 2; }
message Place { string city = 1; int32 zone = 2; }
message Total { Place place = 1; int64 total = 2; }";

const GUID: &str = "89791762-2336-4186-9674-299b90a802e2";

/// Every encoding, and the bytes that `{name: "x", amount: 5}` is in it. `t.Event` is message 1 of its file.
fn encodings() -> [(&'static str, Value, &'static [u8]); 4] {
    [
        ("bare", json!("protobuf"), b"\x0a\x01x\x10\x05"),
        ("framed", json!({"type": "confluent", "schemaIds": [7]}), b"\0\0\0\0\x07\x02\x02\x0a\x01x\x10\x05"),
        ("named", json!({"type": "confluentHeader", "schemaGuid": GUID}), b"\x0a\x01x\x10\x05"),
        ("text", json!("json"), br#"{"name":"x","amount":"5"}"#),
    ]
}

async fn open_with(directory: &Path, topics: &[(&str, Value)]) -> Arc<Platform> {
    let platform = open(directory).await;
    push(&platform, PROTO).await;
    for (name, spec) in topics {
        let spec = TopicSpec::from_json(spec).unwrap();
        platform.create_topic(&Actor::server(), &Metadata::named(*name), &spec).await.unwrap();
    }
    platform
}

async fn produce(platform: &Platform, topic: &str, value: DraftValue, key: DraftKey) {
    let draft = RecordDraft { value, key, ..RecordDraft::default() };
    let produced = platform.produce(topic, vec![Ok(draft)], None).await.unwrap();
    assert_eq!(produced.acknowledged(), 1, "{topic}: {:?}", produced.outcomes);
}

fn json_value(value: Value) -> DraftValue {
    DraftValue::JsonValue(value)
}

/// The records of a topic from its beginning, as they are shown.
async fn shown(platform: &Platform, topic: &str, filter: TailFilter) -> Vec<Value> {
    let shows = Shows { progress: false, raw: true };
    let from = TailFrom::Earliest;
    let request = TailRequest { from, partition: None, limit: None, follow: Follow::No, filter, scan: None, shows };
    let mut lines = platform.tail(topic, request).await.unwrap();
    let mut records = Vec::new();
    while let Some(line) = lines.recv().await {
        if let TailLine::Record(record) = line.unwrap() {
            records.push(record.json);
        }
    }
    records
}

/// Puts bytes into a topic that are not checked: its encoding is said afterwards.
async fn produce_unchecked(platform: &Platform, topic: &str, values: &[Option<&'static [u8]>], then: &Value) {
    let plain = TopicSpec::new(1, None);
    platform.create_topic(&Actor::server(), &Metadata::named(topic), &plain).await.unwrap();
    for value in values {
        let value = value.map_or(DraftValue::Tombstone, |value| DraftValue::Bytes(Bytes::from_static(value)));
        produce(platform, topic, value, DraftKey::None).await;
    }
    let spec = TopicSpec::from_json(then).unwrap();
    platform.apply_topic(&Actor::server(), &Metadata::named(topic), &spec).await.unwrap();
}

async fn ledger(platform: &Platform, dagger: &str) -> Value {
    platform.dagger(dagger).await.unwrap()["status"]["ledger"].clone()
}

const COPY: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: copy}
spec:
  streams: [{topics: [TOPICS], timestamp: record}]
  sql: SELECT name, amount, rowtime FROM data_stream WHERE amount > 0
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_every_encoding_feed_one_stream() {
    let directory = tempfile::tempdir().unwrap();
    let specs = encodings().map(|(topic, encoding, _)| (topic, json!({"schema": "t.Event", "encoding": encoding})));
    let platform = open_with(directory.path(), &specs).await;
    platform.apply_dagger(&Actor::server(), &COPY.replace("TOPICS", "bare, framed, named, text")).await.unwrap();
    for (topic, _, on_the_wire) in encodings() {
        for amount in [5, 6] {
            produce(&platform, topic, json_value(json!({"name": "x", "amount": amount})), DraftKey::None).await;
        }
        let record = &shown(&platform, topic, TailFilter::default()).await[0];
        assert_eq!(record["value"], json!({"name": "x", "amount": 5}), "{topic}");
        assert_eq!(record["valueBase64"], STANDARD.encode(on_the_wire), "{topic}");
        // As it is on the wire it is taken, too.
        produce(&platform, topic, DraftValue::Bytes(Bytes::from_static(on_the_wire)), DraftKey::None).await;
        let condition = TailFilter { condition: Some("amount = 5".into()), text: None };
        assert_eq!(shown(&platform, topic, condition).await.len(), 2, "{topic}");
        let text = TailFilter { condition: None, text: Some("\"AMOUNT\":6".into()) };
        assert_eq!(shown(&platform, topic, text).await.len(), 1, "{topic}");
    }
    let sql = "SELECT _topic, sum(amount) AS total FROM copy GROUP BY _topic ORDER BY _topic";
    let totals =
        until(|| rows(&platform, sql), |rows| rows.iter().all(|row| row["total"] == 16) && rows.len() == 4).await;
    assert_eq!(totals[1], json!({"_topic": "framed", "total": 16}));
    let cells = until(|| ledger(&platform, "copy"), |ledger| ledger["delivered"] == 12).await;
    assert_eq!((&cells["consumed"], &cells["dead_lettered"]), (&json!(12), &json!(0)));
    let text = COPY.replace("TOPICS", "bare, framed, named, text");
    let preview = platform.preview_dagger(&Caller::server(), &text).await.unwrap();
    assert_eq!(preview.ledger["delivered"], 12, "{:?}", preview.warnings);
    platform.close().await.unwrap();
}

/// Records of the frame as it should be, without it, cut off, of another schema, of another message, and none.
const FRAMES: [Option<&[u8]>; 6] = [
    Some(b"\0\0\0\0\x07\x02\x02\x0a\x01x\x10\x05"),
    Some(b"\x0a\x01x\x10\x05"),
    Some(b"\0\0"),
    Some(b"\0\0\0\0\x09\x02\x02\x0a\x01x\x10\x05"),
    Some(b"\0\0\0\0\x07\x02\x02\x0a\x09x"),
    None,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_framed_otherwise_is_a_dead_letter_that_can_be_replayed() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with(directory.path(), &[]).await;
    let strict = json!({"schema": "t.Event", "encoding": {"type": "confluent", "schemaIds": [7]}});
    produce_unchecked(&platform, "events", &FRAMES, &strict).await;
    platform.apply_dagger(&Actor::server(), &COPY.replace("TOPICS", "events")).await.unwrap();
    let cells = until(|| ledger(&platform, "copy"), |ledger| ledger["consumed"] == 6).await;
    assert_eq!((&cells["delivered"], &cells["dead_lettered"], &cells["filtered"]), (&json!(1), &json!(4), &json!(1)));

    let listed = platform.dead_letters(&Caller::server(), &Default::default(), None, 10).await.unwrap().items;
    let problems: Vec<(u64, &str, Option<u64>)> = listed
        .iter()
        .map(|letter| {
            (letter["offset"].as_u64().unwrap(), letter["error"].as_str().unwrap(), letter["errorByte"].as_u64())
        })
        .collect();
    let of = |offset: u64| problems.iter().find(|(at, ..)| *at == offset).unwrap();
    assert!(of(1).1.contains("begins with 0x0a: it looks like bare protobuf"), "{problems:?}");
    assert!(of(2).1.contains("it has 2 bytes") && of(3).1.contains("schema id is 9"), "{problems:?}");
    // Where the record breaks, counted from its beginning: frame of seven bytes, tag, length.
    assert_eq!((of(1).2, of(3).2, of(4).2), (Some(0), Some(1), Some(8)), "{problems:?}");
    let letter = platform.dead_letter(&Caller::server(), "copy/data_stream/events/0/4").await.unwrap();
    assert_eq!(letter["valueBase64"], STANDARD.encode(FRAMES[4].unwrap()));
    assert!(letter["decoded"].as_str().unwrap().contains("at byte 8 of 10"), "{letter}");

    // What looks at the topic says the same.
    let records = shown(&platform, "events", TailFilter::default()).await;
    assert_eq!((&records[4]["errorByte"], &records[1]["errorByte"]), (&json!(8), &json!(0)));
    assert!(records[1]["error"].as_str().unwrap().contains("it looks like bare protobuf"), "{}", records[1]);

    // The encoding accepts the other schema now. The dagger reads by it, the replayed records too.
    let mended = json!({"schema": "t.Event", "encoding": {"type": "confluent", "schemaIds": [7, 9]}});
    let spec = TopicSpec::from_json(&mended).unwrap();
    platform.apply_topic(&Actor::server(), &Metadata::named("events"), &spec).await.unwrap();
    platform.replay_dead_letters(&Caller::server(), None, &Default::default()).await.unwrap();
    let cells = until(|| ledger(&platform, "copy"), |ledger| ledger["consumed"] == 10).await;
    assert_eq!((&cells["delivered"], &cells["dead_lettered"], &cells["filtered"]), (&json!(2), &json!(7), &json!(1)));
    // One that fails again is still decoded as what it is.
    let again = platform.dead_letter(&Caller::server(), "copy/data_stream/_replay.copy.data_stream/0/3").await.unwrap();
    assert!(again["decoded"].as_str().unwrap().contains("at byte 8 of 10"), "{again}");
    assert_eq!(again["headers"], json!({"millrace-origin-topic": "events"}));
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_that_is_none_is_a_dead_letter_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with(directory.path(), &[]).await;
    let values: [Option<&[u8]>; 3] = [Some(b"{\"name\": \"x\", \"amount\": 5}"), Some(b"{\n\"name\": x}"), None];
    produce_unchecked(&platform, "events", &values, &json!({"schema": "t.Event", "encoding": "json"})).await;
    platform.apply_dagger(&Actor::server(), &COPY.replace("TOPICS", "events")).await.unwrap();
    let cells = until(|| ledger(&platform, "copy"), |ledger| ledger["consumed"] == 3).await;
    assert_eq!((&cells["delivered"], &cells["dead_lettered"], &cells["filtered"]), (&json!(1), &json!(1), &json!(1)));
    let letter = platform.dead_letter(&Caller::server(), "copy/data_stream/events/0/1").await.unwrap();
    assert!(letter["error"].as_str().unwrap().contains("at line 2, column 9"), "{letter}");
    assert_eq!(letter["errorByte"], 10);
    assert!(letter["decoded"].as_str().unwrap().starts_with("{\n\"name\": x}\n! "), "{letter}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoding_that_is_corrected_is_read_by_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with(directory.path(), &[]).await;
    produce_unchecked(&platform, "events", &FRAMES[..1], &json!({"schema": "t.Event"})).await;
    platform.apply_dagger(&Actor::server(), &COPY.replace("TOPICS", "events")).await.unwrap();
    until(|| ledger(&platform, "copy"), |ledger| ledger["dead_lettered"] == 1).await;
    let listed = platform.dead_letters(&Caller::server(), &Default::default(), None, 10).await.unwrap().items;
    assert!(listed[0]["error"].as_str().unwrap().contains("it looks like Confluent's frame"), "{listed:?}");
    let spec = TopicSpec::from_json(&json!({"schema": "t.Event", "encoding": "confluent"})).unwrap();
    platform.apply_topic(&Actor::server(), &Metadata::named("events"), &spec).await.unwrap();
    produce(&platform, "events", DraftValue::Bytes(Bytes::from_static(FRAMES[0].unwrap())), DraftKey::None).await;
    until(|| ledger(&platform, "copy"), |ledger| ledger["delivered"] == 1).await;
    // To write, it has to know which schema.
    let draft = RecordDraft { value: json_value(json!({"name": "x"})), ..RecordDraft::default() };
    let produced = platform.produce("events", vec![Ok(draft)], None).await.unwrap();
    assert!(format!("{:?}", produced.outcomes).contains("set `writeSchemaId`"), "{:?}", produced.outcomes);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_messages_too() {
    let directory = tempfile::tempdir().unwrap();
    let spec = json!({
        "schema": "t.Event", "keySchema": "t.Key",
        "encoding": {"type": "confluent", "schemaIds": [7]}, "keyEncoding": {"type": "confluent", "schemaIds": [3]},
    });
    let platform = open_with(directory.path(), &[("events", spec)]).await;
    let key = DraftKey::JsonValue(json!({"city": "jkt", "zone": 4}));
    produce(&platform, "events", json_value(json!({"name": "x"})), key).await;
    let record = &shown(&platform, "events", TailFilter::default()).await[0];
    assert_eq!(record["key"], json!({"city": "jkt", "zone": 4}));
    assert_eq!(record["keyBase64"], STANDARD.encode(b"\0\0\0\0\x03\0\x0a\x03jkt\x10\x04"));
    let wrong = RecordDraft { key: DraftKey::Bytes(Bytes::from_static(b"jkt")), ..RecordDraft::default() };
    let produced = platform.produce("events", vec![Ok(wrong)], None).await.unwrap();
    assert!(format!("{:?}", produced.outcomes).contains("`confluent`, so a record begins with 0x00"));
    platform.close().await.unwrap();
}

const TOTALS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: totals}
spec:
  streams: [{topics: [events], timestamp: record, watermark: {delay: 0s, idle: 1h}}]
  sinks: [SINK]
  sql: |
    SELECT name AS `place.city`, CAST(amount % 10 AS INT) AS `place.zone`, name AS city, CAST(amount % 10 AS INT) AS zone,
           sum(amount) AS total
    FROM data_stream GROUP BY name, amount % 10, TUMBLE(rowtime, INTERVAL '1' MINUTE)
";
const SINK: &str = "{kind: topic, topic: out, schema: t.Total, key: [city, zone], \
                    headers: {source: millrace, city: {column: city}}}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_writes_records_as_its_topic_has_them() {
    let directory = tempfile::tempdir().unwrap();
    let keys = json!({"schema": "t.Event"});
    let framed = json!({
        "schema": "t.Total", "keySchema": "t.Key",
        "encoding": {"type": "confluent", "schemaIds": [7]},
        "keyEncoding": {"type": "confluentHeader", "schemaGuid": GUID},
    });
    let platform = open_with(directory.path(), &[("events", keys), ("out", framed)]).await;
    platform.apply_dagger(&Actor::server(), &TOTALS.replace("SINK", SINK)).await.unwrap();
    // 2023-11-14T22:13:20Z and the minute after it.
    for (at, amount) in [(1_700_000_000_000, 14), (1_700_000_060_000, 1)] {
        let value = json_value(json!({"name": "jkt", "amount": amount}));
        let draft = RecordDraft { value, timestamp_ms: Some(at), ..RecordDraft::default() };
        assert_eq!(platform.produce("events", vec![Ok(draft)], None).await.unwrap().acknowledged(), 1);
    }
    let written = until(|| shown(&platform, "out", TailFilter::default()), |records| !records.is_empty()).await;
    let record = &written[0];
    assert_eq!(record["value"], json!({"place": {"city": "jkt", "zone": 4}, "total": 14}), "{record}");
    // `t.Total` is message 3 of its file.
    let value = b"\0\0\0\0\x07\x02\x06\x0a\x07\x0a\x03jkt\x10\x04\x10\x0e";
    assert_eq!(record["valueBase64"], STANDARD.encode(value));
    assert_eq!(record["key"], json!({"city": "jkt", "zone": 4}));
    assert_eq!(record["keyBase64"], STANDARD.encode(b"\x0a\x03jkt\x10\x04"));
    let names: Vec<&String> = record["headers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["__key_schema_id", "source", "city"]);
    assert_eq!((&record["headers"]["source"], &record["headers"]["city"]), (&json!("millrace"), &json!("jkt")));
    // The window ends at 22:14:00; a row of it is a millisecond before that.
    assert_eq!(record["timestamp"], "2023-11-14T22:13:59.999Z");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_windows_have_the_time_of_their_record() {
    let directory = tempfile::tempdir().unwrap();
    let events = |schema: &str| json!({"schema": schema});
    let platform = open_with(directory.path(), &[("events", events("t.Event")), ("out", events("t.Event"))]).await;
    let copy = COPY
        .replace("TOPICS", "events")
        .replace("name, amount, rowtime", "name, amount")
        .replace("  sql:", "  sinks: [{kind: topic, topic: out, schema: t.Event, key: [name, amount]}]\n  sql:");
    platform.apply_dagger(&Actor::server(), &copy).await.unwrap();
    let value = json_value(json!({"name": "x", "amount": 5}));
    let draft = RecordDraft { value, timestamp_ms: Some(1_700_000_000_123), ..RecordDraft::default() };
    platform.produce("events", vec![Ok(draft)], None).await.unwrap();
    let written = until(|| shown(&platform, "out", TailFilter::default()), |records| !records.is_empty()).await;
    assert_eq!((&written[0]["timestamp"], &written[0]["key"]), (&json!("2023-11-14T22:13:20.123Z"), &json!("x|5")));
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_sink_cannot_write_is_refused_before_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let events = json!({"schema": "t.Event"});
    let keyed = json!({"schema": "t.Total", "keySchema": "t.Key"});
    let unnamed = json!({"schema": "t.Total", "encoding": "confluent"});
    let platform = open_with(directory.path(), &[("events", events), ("out", keyed), ("unnamed", unnamed)]).await;
    for (sink, problem) in [
        (SINK.replace("[city, zone]", "[city, zone, total]"), "`t.Key` has no field `total`"),
        (SINK.replace("[city, zone]", "[cty]"), "has the key `cty`, which is no column"),
        (SINK.replace("{column: city}", "{column: cty}"), "has the header `cty`, which is no column"),
        (SINK.replace("[city, zone]", "[city]").replace("city: {column: city}", "c: x"), "has no field `zone`"),
        (SINK.replace("topic: out", "topic: unnamed"), "set `writeSchemaId`"),
    ] {
        let applied = platform.apply_dagger(&Actor::server(), &TOTALS.replace("SINK", &sink)).await;
        let error = applied.err().unwrap_or_else(|| panic!("{sink} was taken")).to_string();
        assert!(error.contains(problem), "{sink}: {error}");
    }
    let text = TOTALS.replace("SINK", SINK).replace("CAST(amount % 10 AS INT) AS zone", "name AS zone");
    let error = platform.apply_dagger(&Actor::server(), &text).await.err().unwrap().to_string();
    assert!(error.contains("`zone`") && error.contains("keySchema"), "{error}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_names_types_that_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with(directory.path(), &[]).await;
    let spec = TopicSpec::from_json(&json!({"schema": "t.Event", "keySchema": "t.Kee"})).unwrap();
    let error = platform.create_topic(&Actor::server(), &Metadata::named("x"), &spec).await.err().unwrap();
    assert!(error.to_string().contains("t.Kee"), "{error}");
    platform.close().await.unwrap();
}
