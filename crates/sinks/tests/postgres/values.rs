//! What the sink of PostgreSQL writes is what PostgreSQL 15 and 18 hold.

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::*;
use arrow::record_batch::RecordBatch;
use delivery::{Answer, CallError, Destination, EncodedBatch, ErrorClass, Position};
use serde_json::{Value, json};
use sinks::{Guarantee, Order, PlannedSink};
use std::sync::Arc;

use crate::servers::{Place, VERSIONS, context, plan};

/// Columns of one schema, as a sink has them.
pub struct Writer {
    pub planned: Box<dyn PlannedSink>,
    pub destination: Arc<dyn Destination>,
}

impl Writer {
    pub fn new(settings: &Value, batch: &RecordBatch) -> Self {
        let planned = plan(settings, &batch.schema(), &context()).unwrap();
        let destination = planned.destination().unwrap();
        Self { planned, destination }
    }

    pub fn encode(&self, batch: &RecordBatch) -> EncodedBatch {
        let encoded = self.planned.encoder().encode(batch, None).unwrap();
        assert_eq!(encoded.refused, []);
        encoded.records
    }

    pub async fn write(&self, batch: &RecordBatch) -> Result<Answer, CallError> {
        self.destination.deliver(&self.encode(batch)).await
    }

    /// As records of partition 0 from this offset on.
    pub async fn write_at(&self, batch: &RecordBatch, offset: i64) -> Result<Answer, CallError> {
        let records = self.encode(batch);
        let positions = (0..records.len() as i64).map(|index| Position { partition: 0, offset: offset + index });
        let records = records.at(positions.collect());
        self.destination.deliver(&records).await
    }
}

pub fn refused(answer: &Answer) -> Vec<usize> {
    assert!(answer.errors.iter().all(|error| error.class == ErrorClass::Refused), "{answer:?}");
    answer.errors.iter().map(|error| error.index).collect()
}

pub fn ids(ids: impl IntoIterator<Item = i64>) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter([("id", ids)]).unwrap()
}

pub fn words(rows: &[(i64, &str)]) -> RecordBatch {
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef),
        ("word", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
    ])
    .unwrap()
}

fn all_types() -> RecordBatch {
    let object = StructArray::from(vec![
        (Arc::new(Field::new("a", DataType::Int64, true)), Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        (Arc::new(Field::new("b", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["x\"\\", "日"]))),
    ]);
    let objects = Field::new("item", object.data_type().clone(), true);
    let objects = ListArray::new(Arc::new(objects), OffsetBuffer::from_lengths([2, 0]), Arc::new(object.clone()), None);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(5);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let texts: DictionaryArray<Int32Type> = vec![Some("red"), None].into_iter().collect();
    let decimals = Decimal128Array::from(vec![Some(-1_234_567_890_123_456_789_012_345), None]);
    RecordBatch::try_from_iter_with_nullable([
        ("b", Arc::new(BooleanArray::from(vec![Some(true), None])) as ArrayRef, true),
        ("i8", Arc::new(Int8Array::from(vec![-128, 127])), true),
        ("u16", Arc::new(UInt16Array::from(vec![0, u16::MAX])), true),
        ("i32", Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX])), true),
        ("u32", Arc::new(UInt32Array::from(vec![0, u32::MAX])), true),
        ("i64", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])), true),
        ("u64", Arc::new(UInt64Array::from(vec![10_000, u64::MAX])), true),
        ("f32", Arc::new(Float32Array::from(vec![1.5, f32::INFINITY])), true),
        ("f64", Arc::new(Float64Array::from(vec![0.1, f64::NAN])), true),
        ("d", Arc::new(decimals.with_precision_and_scale(30, 7).unwrap()), true),
        ("text", Arc::new(StringArray::from(vec!["é\n\t\\", ""])), true),
        ("word", Arc::new(texts), true),
        ("bytes", Arc::new(BinaryArray::from_vec(vec![b"\0\xff", b""])), true),
        ("day", Arc::new(Date32Array::from(vec![-719_162, 20_000])), true),
        ("at", Arc::new(TimestampMillisecondArray::from(vec![1_767_225_600_123, -1]).with_timezone("UTC")), true),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![1_999, 0])), true),
        ("noon", Arc::new(Time64MicrosecondArray::from(vec![43_200_000_000, 1])), true),
        ("span", Arc::new(DurationMillisecondArray::from(vec![90_061_001, -1])), true),
        ("object", Arc::new(object), true),
        ("objects", Arc::new(objects), true),
        ("map", Arc::new(map.finish()), true),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(7), None]), Some(vec![])])),
            true,
        ),
    ])
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_all_types_come_back() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        let batch = all_types();
        let writer = Writer::new(&place.settings(json!({ "createTable": true })), &batch);
        writer.planned.check().await.unwrap();
        assert_eq!(writer.write(&batch).await.unwrap(), Answer::delivered());
        place.run("SET TimeZone = 'UTC'; SET IntervalStyle = 'iso_8601'").await;
        // As text: JSON readers round, and JSON has no NaN.
        let columns: Vec<String> =
            batch.schema().fields().iter().map(|field| format!("{0}::text AS {0}", field.name())).collect();
        let rows = place.rows(&format!("SELECT {} FROM t ORDER BY i32", columns.join(", "))).await;
        let expected = [
            json!({
                "b": "true", "i8": "-128", "u16": "0", "i32": "-2147483648", "u32": "0", "i64": "-9223372036854775808",
                "u64": "10000", "f32": "1.5", "f64": "0.1", "d": "-123456789012345678.9012345", "text": "é\n\t\\",
                "word": "red", "bytes": "\\x00ff", "day": "0001-01-01", "at": "2026-01-01 00:00:00.123+00",
                "nanos": "1970-01-01 00:00:00.000001+00", "noon": "12:00:00", "span": "PT25H1M1.001S",
                "object": "{\"a\": 1, \"b\": \"x\\\"\\\\\"}",
                "objects": "[{\"a\": 1, \"b\": \"x\\\"\\\\\"}, {\"a\": 2, \"b\": \"日\"}]",
                "map": "{\"k\": 5}", "list": "{7,NULL}",
            }),
            json!({
                "b": null, "i8": "127", "u16": "65535", "i32": "2147483647", "u32": "4294967295",
                "i64": "9223372036854775807", "u64": "18446744073709551615", "f32": "Infinity", "f64": "NaN", "d": null,
                "text": "", "word": null, "bytes": "\\x", "day": "2024-10-04", "at": "1969-12-31 23:59:59.999+00",
                "nanos": "1970-01-01 00:00:00+00", "noon": "00:00:00.000001", "span": "PT-0.001S",
                "object": "{\"a\": 2, \"b\": \"日\"}", "objects": "[]", "map": null, "list": "{}",
            }),
        ];
        assert_eq!(rows, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_created_and_gets_what_the_rows_have() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        let settings = place.settings(json!({ "createTable": true }));
        let small = RecordBatch::try_from_iter([("id", Arc::new(Int32Array::from(vec![1])) as ArrayRef)]).unwrap();
        Writer::new(&settings, &small).write(&small).await.unwrap();
        // Wider, and with one more.
        let wide = words(&[(1 << 40, "x")]);
        Writer::new(&settings, &wide).write(&wide).await.unwrap();
        // What has been written for the small one goes on.
        Writer::new(&settings, &small).write(&small).await.unwrap();
        assert_eq!(
            place.rows("SELECT * FROM t ORDER BY id, word").await,
            [
                json!({ "id": 1, "word": null }),
                json!({ "id": 1, "word": null }),
                json!({ "id": 1u64 << 40, "word": "x" })
            ]
        );
        // A number that would lose digits, and a text where numbers are.
        for (column, detail) in [
            (Arc::new(Float64Array::from(vec![0.5])) as ArrayRef, "the column `id` of the table is bigint"),
            (Arc::new(BooleanArray::from(vec![true])), "they do not go together"),
        ] {
            let batch = RecordBatch::try_from_iter([("id", column)]).unwrap();
            let writer = Writer::new(&settings, &batch);
            let error = writer.planned.check().await.unwrap_err();
            assert!(error.detail.contains(detail), "{error:?}");
            let error = writer.write(&batch).await.unwrap_err();
            assert!(error.class == ErrorClass::Down && error.reason.contains(detail), "{error:?}");
        }
        assert_eq!(place.numbers("SELECT count(*) FROM t").await, [3]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_refused_is_said_before_with_what_to_do() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        let batch = words(&[(1, "a")]);
        let settings = place.settings(json!({ "mode": "upsert", "uniqueKeys": ["id"] }));
        let writer = Writer::new(&settings, &batch);
        let run_hint = async |detail: &str| {
            let error = writer.planned.check().await.unwrap_err();
            assert!(error.detail.contains(detail), "{error:?}");
            let call = writer.write(&batch).await.unwrap_err();
            assert!(call.class == ErrorClass::Down && call.reason.contains(detail), "{call:?}");
            let statement = error.hint.split("run ").nth(1).unwrap().split(';').next().unwrap().to_owned();
            place.run(&statement).await;
            statement
        };
        let statement = run_hint("there is no table").await;
        assert!(statement.ends_with("(\"id\" bigint, \"word\" text, PRIMARY KEY (\"id\"))"), "{statement}");
        writer.planned.check().await.unwrap();
        place.run("ALTER TABLE t DROP COLUMN word").await;
        run_hint("the table has no column `word`").await;
        place.run("ALTER TABLE t DROP CONSTRAINT t_pkey").await;
        run_hint("the table has no unique index over (\"id\")").await;
        place.run("ALTER TABLE t ADD COLUMN extra int NOT NULL").await;
        run_hint("the column `extra` of the table takes no NULL").await;
        writer.planned.check().await.unwrap();
        assert_eq!(writer.write(&batch).await.unwrap(), Answer::delivered());
        assert_eq!(writer.planned.guarantee(), Guarantee::ExactlyOnce);
        assert_eq!(writer.planned.order(), Order::Partition);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_of_other_types_take_what_they_can_hold() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        place
            .run(
                "CREATE TYPE color AS ENUM ('red', 'blue'); CREATE DOMAIN short AS varchar(3);
                 CREATE TABLE t (id int, uid uuid, at timestamp, name short, color color, doc json, price numeric(12, 2), code char(2))",
            )
            .await;
        let row = |id: i64, uid: &str, name: &str, color: &str| {
            let code = if id == 8 { "xyz" } else { "xy" };
            let price = Decimal128Array::from(vec![1_250]).with_precision_and_scale(10, 2).unwrap();
            RecordBatch::try_from_iter([
                ("id", Arc::new(Int64Array::from(vec![id])) as ArrayRef),
                ("uid", Arc::new(StringArray::from(vec![uid]))),
                ("at", Arc::new(TimestampMillisecondArray::from(vec![0]).with_timezone("UTC"))),
                ("name", Arc::new(StringArray::from(vec![name]))),
                ("color", Arc::new(StringArray::from(vec![color]))),
                ("doc", Arc::new(StringArray::from(vec!["{\"a\":1}"]))),
                ("price", Arc::new(price)),
                ("code", Arc::new(StringArray::from(vec![code]))),
            ])
            .unwrap()
        };
        const UID: &str = "6e3b8a0e-0000-4000-8000-000000000000";
        let good = row(7, UID, "abc", "blue");
        let writer = Writer::new(&place.settings(json!({})), &good);
        writer.planned.check().await.unwrap();
        assert_eq!(writer.write(&good).await.unwrap(), Answer::delivered());
        for (bad, reason) in [
            (row(1 << 40, UID, "abc", "red"), "integer out of range (22003)"),
            (row(8, UID, "abc", "red"), "value too long for type character(2) (22001)"),
            (row(7, "no", "abc", "red"), "invalid input syntax for type uuid: \"no\" (22P02)"),
            (row(7, UID, "abcd", "red"), "value too long for type character varying(3) (22001)"),
            (row(7, UID, "abc", "green"), "color: \"green\" (22P02)"),
        ] {
            let error = writer.write(&bad).await.unwrap_err();
            assert!(error.class == ErrorClass::Refused && error.reason.ends_with(reason), "{error:?}");
        }
        let rows = place.rows("SELECT * FROM t").await;
        let expected = json!({
            "id": 7, "uid": UID, "at": "1970-01-01T00:00:00", "name": "abc", "color": "blue", "doc": {"a": 1}, "price": 12.5,
            "code": "xy",
        });
        assert_eq!(rows, [expected]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_refused_are_named_and_the_others_are_there() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        place.run("CREATE TABLE t (id bigint PRIMARY KEY CHECK (id <> 13), word varchar(3))").await;
        let rows: Vec<(i64, &str)> =
            (0..2_000).map(|row| if row == 1_500 { (1_500, "long") } else { (row, "ok") }).collect();
        let writer = Writer::new(&place.settings(json!({})), &words(&[]));
        assert_eq!(refused(&writer.write(&words(&rows)).await.unwrap()), [13, 1_500]);
        assert_eq!(place.numbers("SELECT count(*) FROM t").await, [1_998]);
        // One that is there, one that comes twice in the batch, the first and the last.
        let batch = words(&[(13, "a"), (3_000, "a"), (7, "a"), (3_000, "b"), (3_001, "a"), (3_002, "long")]);
        let answer = writer.write(&batch).await.unwrap();
        assert_eq!(refused(&answer), [0, 2, 3, 5]);
        assert!(answer.errors[1].reason.contains("Key (id)=(7) already exists"), "{answer:?}");
        assert!(answer.errors[3].reason.contains("value too long for type character varying(3)"), "{answer:?}");
        assert_eq!(place.numbers("SELECT id FROM t WHERE id >= 3000 ORDER BY id").await, [3_000, 3_001]);
        // A constraint that is looked at afterwards names no record.
        place.run("CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent VALUES (5000)").await;
        place.run("DELETE FROM t; ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES parent").await;
        let error = writer.write(&words(&[(5_000, "a"), (5_001, "a")])).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Refused);
        assert!(error.reason.contains("Key (id)=(5001) is not present in table \"parent\""), "{error:?}");
        assert_eq!(writer.write(&words(&[(5_000, "a")])).await.unwrap(), Answer::delivered());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_a_key_wins_and_rows_are_deleted() {
    for version in VERSIONS {
        let place = Place::new(version).await;
        let batch = |rows: &[(i64, &str, Option<bool>)]| {
            let gone = BooleanArray::from_iter(rows.iter().map(|row| row.2));
            RecordBatch::try_from_iter_with_nullable([
                ("id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef, true),
                ("city", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))), true),
                ("n", Arc::new(Int64Array::from_iter_values(0..rows.len() as i64)), true),
                ("gone", Arc::new(gone), true),
            ])
            .unwrap()
        };
        let more = json!({
            "mode": "upsert", "uniqueKeys": ["city", "id"], "createTable": true, "deleteColumn": "gone",
        });
        let first =
            batch(&[(1, "a", None), (1, "b", Some(false)), (1, "a", None), (2, "a", None), (3, "a", Some(true))]);
        let writer = Writer::new(&place.settings(more), &first);
        for _ in 0..2 {
            assert_eq!(writer.write(&first).await.unwrap(), Answer::delivered());
        }
        let all = "SELECT * FROM t ORDER BY id, city";
        let row = |id: i64, city: &str, n: i64| json!({ "id": id, "city": city, "n": n });
        assert_eq!(place.rows(all).await, [row(1, "a", 2), row(1, "b", 1), row(2, "a", 3)]);
        // Deleted, deleted and there again, there and deleted.
        let second =
            batch(&[(1, "a", Some(true)), (2, "a", Some(true)), (2, "a", None), (9, "a", None), (9, "a", Some(true))]);
        assert_eq!(writer.write(&second).await.unwrap(), Answer::delivered());
        assert_eq!(place.rows(all).await, [row(1, "b", 1), row(2, "a", 2)]);
    }
}

#[test]
fn settings_that_do_not_fit_are_said() {
    let base = json!({ "host": "h", "database": "d", "user": "u", "table": "t" });
    let batch = words(&[]);
    for (more, key, detail) in [
        (json!({ "host": null }), "host", "needs `host`, or a `url`"),
        (json!({ "url": "postgres://u@h/d" }), "url", "host"),
        (json!({ "sslMode": "prefer" }), "sslMode", "is not one of"),
        (json!({ "caCertificates": "x" }), "caCertificates", "no certificate in PEM"),
        (json!({ "mode": "upsert" }), "uniqueKeys", "needs `uniqueKeys`"),
        (json!({ "mode": "upsert", "uniqueKeys": ["nothing"] }), "uniqueKeys", "no such column"),
        (json!({ "uniqueKeys": ["id"] }), "uniqueKeys", "`append` has no"),
        (
            json!({ "mode": "upsert", "uniqueKeys": ["id"], "deleteColumn": "word" }),
            "deleteColumn",
            "no boolean column",
        ),
        (json!({ "table": "t".repeat(64) }), "table", "at most 63 bytes"),
        (json!({ "secret": "nothing" }), "secret", "there is no secret"),
        (json!({ "statementTimeout": "5m" }), "statementTimeout", "not between"),
    ] {
        let mut settings = base.clone();
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = plan(&settings, &batch.schema(), &context()).err().unwrap();
        let is_key = error.key.as_deref() == Some(key) || more.get("url").is_some();
        assert!(is_key && error.detail.contains(detail), "{more}: {error:?}");
    }
    for (url, detail) in [
        ("postgres://u:geheim@h/d", "has a password in it"),
        ("http://u@h/d", "does not begin with"),
        ("postgres://h/d", "has no user"),
        ("postgres://u@h", "has no database"),
        ("postgres://u@h/d?sslmode=require", "has a query"),
    ] {
        let error = plan(&json!({ "url": url, "table": "t" }), &batch.schema(), &context()).err().unwrap();
        assert!(error.detail.contains(detail) && !error.to_string().contains("geheim"), "{url}: {error:?}");
    }
    let url = "postgresql://u%20x@[::1]:6000/d%2Fb";
    let planned = plan(&json!({ "url": url, "table": "t" }), &batch.schema(), &context()).unwrap();
    assert_eq!(planned.destination().unwrap().name(), "PostgreSQL `d/b`, table `public.t`, at ::1:6000");
}
