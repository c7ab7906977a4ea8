use crate::open_platform::{open, open_with_topics, publish, push, rows, until};
use bytes::Bytes;
use control::access::{Actor, Caller};
use control::records::{DraftValue, RecordDraft};
use control::{Change, Metadata, Platform, SchemaPush, SourceFile, TopicSpec};
use serde_json::{Value, json};

/// One row per record.
const COPY: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: copy}
spec:
  streams: [{topics: [events], timestamp: record, onBadRecord: fail}]
  sql: SELECT name, amount, rowtime FROM data_stream WHERE amount > 0
";

fn state(dagger: &Value) -> &str {
    dagger["status"]["state"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_should_run_runs_again_after_a_restart_and_what_should_not_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let applied = platform.apply_dagger(&Actor::server(), COPY).await.unwrap();
    assert_eq!((applied.change, state(&applied.resource)), (Change::Created, "running"), "{}", applied.resource);
    assert_eq!(applied.resource["spec"]["streams"][0]["schema"], "t.Event");
    let again = platform.apply_dagger(&Actor::server(), COPY).await.unwrap();
    assert_eq!(again.change, Change::Unchanged);
    platform.apply_dagger(&Actor::server(), &COPY.replace("name: copy", "name: asleep")).await.unwrap();
    assert_eq!(state(&platform.stop_dagger(&Actor::server(), "asleep").await.unwrap()), "suspended");
    publish(&platform, "events", "{\"name\": \"a\", \"amount\": 1}").await;
    until(|| rows(&platform, "SELECT name FROM copy"), |rows| rows.len() == 1).await;
    platform.close().await.unwrap();
    drop(platform);

    let platform = open(directory.path()).await;
    publish(&platform, "events", "{\"name\": \"b\", \"amount\": 2}").await;
    until(|| rows(&platform, "SELECT name FROM copy"), |rows| rows.len() == 2).await;
    // Rows come before their numbers: one record a row, so the first was not read again.
    let copy =
        until(|| async { platform.dagger("copy").await.unwrap() }, |copy| copy["status"]["ledger"]["delivered"] == 2)
            .await;
    assert_eq!(copy["status"]["ledger"]["consumed"], 2);
    assert_eq!(state(&platform.dagger("asleep").await.unwrap()), "suspended");
    assert!(rows(&platform, "SELECT name FROM asleep").await.is_empty());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_query_of_rows_begins_where_the_former_one_stops_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    platform.apply_dagger(&Actor::server(), COPY).await.unwrap();
    publish(&platform, "events", "{\"name\": \"a\", \"amount\": 1}").await;
    until(|| rows(&platform, "SELECT name FROM copy"), |rows| rows.len() == 1).await;
    // Only a setting: nothing to say.
    let applied = platform
        .apply_dagger(&Actor::server(), &COPY.replace("timestamp: record", "timestamp: record, late: keep"))
        .await
        .unwrap();
    assert_eq!((applied.change, applied.warnings.len()), (Change::Updated, 0));
    let applied = platform
        .apply_dagger(&Actor::server(), &COPY.replace("name, amount", "name, amount * 10 AS amount"))
        .await
        .unwrap();
    assert!(applied.warnings[0].contains("are not read again"), "{:?}", applied.warnings);
    publish(&platform, "events", "{\"name\": \"b\", \"amount\": 2}").await;
    let found = until(|| rows(&platform, "SELECT name, amount FROM copy ORDER BY name"), |rows| rows.len() == 2).await;
    assert_eq!(found, [json!({"name": "a", "amount": 1}), json!({"name": "b", "amount": 20})]);
    let ledger = || async { platform.dagger("copy").await.unwrap()["status"]["ledger"].clone() };
    until(ledger, |ledger| ledger["consumed"] == 2 && ledger["delivered"] == 2).await;
    // Another event time: the state is of another stream.
    let applied =
        platform.apply_dagger(&Actor::server(), &COPY.replace("timestamp: record", "timestamp: at")).await.unwrap();
    assert!(applied.warnings[0].contains("state of the former one is dropped"), "{:?}", applied.warnings);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_on_a_bad_record_stays_down_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &[]).await;
    platform
        .create_topic(&Actor::server(), &control::Metadata::named("events"), &control::TopicSpec::new(1, None))
        .await
        .unwrap();
    platform
        .apply_dagger(&Actor::server(), &COPY.replace("topics: [events]", "topics: [events], schema: t.Event"))
        .await
        .unwrap();
    let broken = control::records::RecordDraft {
        value: control::records::DraftValue::Protobuf(bytes::Bytes::from_static(b"\x0a\x09a")),
        ..Default::default()
    };
    platform.produce("events", vec![Ok(broken)], None).await.unwrap();
    let failed = until(|| async { platform.dagger("copy").await.unwrap() }, |dagger| state(dagger) == "failed").await;
    let error = failed["status"]["lastError"].as_str().unwrap_or_default();
    assert!(error.contains("events") && error.contains("offset 0"), "{error}");
    // Started without anything having changed, it fails again; with the mended setting it goes on.
    platform.start_dagger(&Actor::server(), "copy").await.unwrap();
    until(
        || async { platform.dagger("copy").await.unwrap()["status"]["failures"].as_u64() },
        |failures| *failures >= Some(2),
    )
    .await;
    let mended = COPY.replace("topics: [events]", "topics: [events], schema: t.Event").replace("fail", "skip");
    platform.apply_dagger(&Actor::server(), &mended).await.unwrap();
    until(
        || async { platform.dagger("copy").await.unwrap()["status"]["ledger"]["dead_lettered"].clone() },
        |dead| *dead == 1,
    )
    .await;
    assert!(platform.dead_letters(&Caller::server(), &Default::default(), None, 10).await.unwrap().items.is_empty());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_several_topics_are_points_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events", "more"]).await;
    platform
        .apply_dagger(
            &Actor::server(),
            &COPY.replace("[events]", "[events, more]").replace("timestamp: record", "timestamp: at"),
        )
        .await
        .unwrap();
    for topic in ["events", "more"] {
        publish(&platform, topic, "{\"name\": \"a\", \"amount\": 1, \"at\": \"2026-01-05T01:00:00Z\"}").await;
    }
    until(
        || rows(&platform, "SELECT _topic FROM copy ORDER BY _topic"),
        |rows| *rows == [json!({"_topic": "events"}), json!({"_topic": "more"})],
    )
    .await;
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_no_longer_fits_is_the_daggers_failure_at_its_restart() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    platform.apply_dagger(&Actor::server(), COPY).await.unwrap();
    push(
        &platform,
        "syntax = \"proto3\"; package t; message Event { string name = 1; } message Other { string name = 1; }",
    )
    .await;
    // The running one goes on until it is started anew.
    assert_eq!(state(&platform.dagger("copy").await.unwrap()), "running");
    platform.stop_dagger(&Actor::server(), "copy").await.unwrap();
    let failed = platform.start_dagger(&Actor::server(), "copy").await.unwrap();
    assert_eq!(state(&failed), "failed", "{failed}");
    assert!(failed["status"]["lastError"].as_str().unwrap_or_default().contains("amount"), "{failed}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_type_is_made_from_one_form_of_columns() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let writing = |name: &str, topic: &str| {
        COPY.replace("name: copy", &format!("name: {name}"))
            .replace("  sql:", &format!("  sinks: [{{kind: topic, topic: {topic}}}]\n  sql:"))
    };
    platform.apply_dagger(&Actor::server(), &writing("one", "out-put")).await.unwrap();
    platform.apply_dagger(&Actor::server(), &writing("two", "out-put")).await.unwrap();
    // The names of both types would be the same.
    let error = platform
        .apply_dagger(&Actor::server(), &writing("three", "out_put").replace("amount, rowtime", "rowtime"))
        .await
        .err()
        .unwrap();
    assert!(error.code == "topic_sink_refused" && error.detail.contains("`one`"), "{error}");
    platform.close().await.unwrap();
}

/// One record that the first type cannot read among those that it can.
const COUNTS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: counts}
spec:
  streams: [{topics: [raw], schema: t.Raw, timestamp: at, watermark: {delay: 1s, idle: 2s}}]
  sql: |
    SELECT sum(amount) AS amount, count(name) AS names, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM data_stream GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)
";

fn raw(name: &str, amount: &str) -> String {
    format!("syntax = \"proto3\"; package t; message Raw {{ {name} name = 1; {amount} amount = 2; int64 at = 3; }}")
}

async fn publish_raw(platform: &Platform) {
    // 2026-01-05T01:00:00Z: {name: "a", amount: 1}, and {name: "\\xff", amount: 2}
    for value in [
        b"\x0a\x01a\x10\x01\x18\x80\x8d\xac\xdd\xb8\x33".as_slice(),
        b"\x0a\x01\xff\x10\x02\x18\x80\x8d\xac\xdd\xb8\x33",
    ] {
        let value = DraftValue::Protobuf(Bytes::from_static(value));
        platform.produce("raw", vec![Ok(RecordDraft { value, ..Default::default() })], None).await.unwrap();
    }
}

/// A mended type is read by, whether or not the state of the windows fits it, and nothing is there twice.
async fn replayed_after(mended: &str) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &[]).await;
    let proto = |text: String| SourceFile { path: "raw.proto".to_owned(), text };
    platform.push_schemas(&Actor::server(), SchemaPush::Sources(vec![proto(raw("string", "int64"))])).await.unwrap();
    platform.create_topic(&Actor::server(), &Metadata::named("raw"), &TopicSpec::new(1, None)).await.unwrap();
    platform.apply_dagger(&Actor::server(), &COUNTS.replace("idle: 2s", "idle: 1h")).await.unwrap();
    publish_raw(&platform).await;
    until(
        || async { platform.dagger("counts").await.unwrap()["status"]["ledger"].clone() },
        |ledger| ledger["dead_lettered"] == 1 && ledger["held"] == 1,
    )
    .await;
    platform.push_schemas(&Actor::server(), SchemaPush::Sources(vec![proto(mended.to_owned())])).await.unwrap();
    platform.apply_dagger(&Actor::server(), COUNTS).await.unwrap();
    platform.replay_dead_letters(&Caller::server(), None, &Default::default()).await.unwrap();
    let rows = until(|| rows(&platform, "SELECT amount, names FROM counts"), |rows| !rows.is_empty()).await;
    until(|| async { platform.dagger("counts").await.unwrap()["status"]["ledger"]["held"].clone() }, |held| *held == 0)
        .await;
    platform.close().await.unwrap();
    rows[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_reads_by_the_mended_type_and_counts_once() {
    assert_eq!(replayed_after(&raw("bytes", "int64")).await, json!({"amount": 3, "names": 2}));
    assert_eq!(replayed_after(&raw("bytes", "uint64")).await, json!({"amount": 3, "names": 2}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_drops_what_was_refused_and_reads_it_again() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &[]).await;
    platform.create_topic(&Actor::server(), &Metadata::named("events"), &TopicSpec::new(1, None)).await.unwrap();
    let counts =
        COUNTS.replace("[raw], schema: t.Raw", "[events], schema: t.Event").replace("at, water", "record, water");
    platform.apply_dagger(&Actor::server(), &counts).await.unwrap();
    let value = DraftValue::Protobuf(Bytes::from_static(b"\x0a\x01\xff\x10\x01"));
    platform.produce("events", vec![Ok(RecordDraft { value, ..Default::default() })], None).await.unwrap();
    let letters =
        || async { platform.dead_letters(&Caller::server(), &Default::default(), None, 10).await.unwrap().items };
    until(letters, |letters| letters.len() == 1).await;
    // What the new query does not look at cannot be broken.
    platform.apply_dagger(&Actor::server(), &counts.replace("count(name)", "count(*)")).await.unwrap();
    let held = || async { platform.dagger("counts").await.unwrap()["status"]["ledger"].clone() };
    until(held, |ledger| ledger["consumed"] == 1 && ledger["dead_lettered"] == 0).await;
    assert!(letters().await.is_empty());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_refused_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let refused = async |yaml: String| match platform.apply_dagger(&Actor::server(), &yaml).await {
        Ok(applied) => panic!("{}", applied.resource),
        Err(error) => error.to_string(),
    };
    let sink = |sink: &str| COPY.replace("  sql:", &format!("  sinks: [{sink}]\n  sql:"));
    for (yaml, text) in [
        (COPY.replace("name: copy", "name: copy, group: nobody"), "there is no group `nobody`"),
        (COPY.replace("timestamp: record", "timestamp: ta"), "did you mean `at`?"),
        (COPY.replace("timestamp: record", "timestamp: name"), "neither a google.protobuf.Timestamp"),
        (COPY.replace("[events]", "[]"), "is empty"),
        (COPY.replace(", rowtime", ""), "window_timestamp"),
        (sink("{kind: topic, topic: out, schema: t.Other}"), "has no field `amount`"),
        (sink("{kind: topic, topic: out, key: [nam]}"), "did you mean `name`?"),
        (sink("{kind: topic, topic: out, schema: t.Missing}"), "no message type `t.Missing`"),
    ] {
        let error = refused(yaml.clone()).await;
        assert!(error.contains(text), "{yaml}\n{error}");
    }
    assert!(platform.daggers().await.unwrap().is_empty());
    assert_eq!(platform.topics().await.unwrap().len(), 1);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_a_query_says_what_went_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let windowed = "apiVersion: millrace/v1\nkind: Dagger\nmetadata: {name: sums}\nspec:\n  \
                    streams: [{topics: [events], timestamp: at, watermark: {delay: 0s}}]\n  \
                    sql: SELECT name AS tag_name, SUM(amount) AS total, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp FROM data_stream \
                    WHERE amount > 1 GROUP BY name, TUMBLE(rowtime, INTERVAL '1' MINUTE)\n";
    platform.apply_dagger(&Actor::server(), windowed).await.unwrap();
    platform.apply_dagger(&Actor::server(), COPY).await.unwrap();
    // Two names in the first minute, one record that the filter takes away, and one that closes the window.
    for (name, amount, minute) in [("a", 2, 0), ("a", 3, 0), ("b", 4, 0), ("b", 1, 0), ("c", 5, 1)] {
        let record = format!("{{\"name\": \"{name}\", \"amount\": {amount}, \"at\": \"2024-01-01T00:0{minute}:30Z\"}}");
        publish(&platform, "events", &record).await;
    }
    let steps = |dagger: &Value| -> Vec<(String, u64, u64)> {
        let operators = dagger["status"]["operators"].as_array().into_iter().flatten();
        let number = |operator: &Value, name: &str| operator[name].as_u64().unwrap_or_default();
        operators
            .map(|one| {
                (one["id"].as_str().unwrap_or_default().to_owned(), number(one, "recordsIn"), number(one, "rowsOut"))
            })
            .collect()
    };
    let expected = [("source:0", 5, 5), ("branch:0", 5, 4), ("window:0", 4, 2), ("output", 2, 2), ("sink:0", 2, 2)];
    let expected = expected.map(|(id, rows_in, rows_out)| (id.to_owned(), rows_in, rows_out));
    let sums = until(
        || async { platform.dagger("sums").await.unwrap() },
        |sums| steps(sums).as_slice() == expected.as_slice(),
    )
    .await;
    let operators = &sums["status"]["operators"];
    assert_eq!(operators[1]["describes"], "WHERE amount > 1");
    assert_eq!(operators[2]["inputs"], json!(["branch:0"]));
    assert_eq!(operators[2]["describes"], "sum(amount) per name in windows of 1m");
    assert_eq!((&operators[3]["inputs"], &operators[4]["inputs"]), (&json!(["window:0"]), &json!(["output"])));
    // The window of the second minute holds one name.
    until(
        || async { platform.dagger("sums").await.unwrap()["status"]["operators"][2].clone() },
        |window| window["groups"] == 1 && window["stateBytes"].as_u64() > Some(0),
    )
    .await;

    let copied = |dagger: &Value| steps(dagger).iter().map(|(id, _, rows)| (id.clone(), *rows)).collect::<Vec<_>>();
    let expected = [("source:0", 5), ("branch:0", 5), ("sink:0", 5)].map(|(id, rows)| (id.to_owned(), rows));
    let copy = until(
        || async { platform.dagger("copy").await.unwrap() },
        |copy| copied(copy).as_slice() == expected.as_slice(),
    )
    .await;
    assert_eq!(copy["status"]["operators"][2]["inputs"], json!(["branch:0"]));
    platform.close().await.unwrap();
}
