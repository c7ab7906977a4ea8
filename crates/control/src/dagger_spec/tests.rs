use super::*;

const MINIMAL: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: bookings}
spec:
  streams:
    - schema: city.Booking
      topics: [booking-log]
    - schema: city.Supply
      topics: [supply]
  sql: SELECT 1
";

fn refused(yaml: &str) -> ControlError {
    DaggerSpec::parse(yaml).unwrap_err()
}

fn with_spec(spec: &str) -> String {
    format!("apiVersion: millrace/v1\nkind: Dagger\nmetadata: {{name: d}}\nspec:\n{spec}")
}

#[test]
fn every_default_is_filled_in_and_shown() {
    let (metadata, spec) = DaggerSpec::parse(MINIMAL).unwrap();
    assert_eq!(metadata.group, "default");
    let expected = serde_json::json!({
        "cluster": "embedded",
        "streams": [
            {"table": "data_stream", "schema": "city.Booking", "topics": ["booking-log"], "consumerGroup": "bookings",
             "timestamp": null, "watermark": {"delay": "5s", "interval": "200ms", "idle": "30s"}, "startFrom": "earliest",
             "onBadRecord": "deadLetter", "late": "drop"},
            {"table": "data_stream_1", "schema": "city.Supply", "topics": ["supply"], "consumerGroup": "bookings",
             "timestamp": null, "watermark": {"delay": "5s", "interval": "200ms", "idle": "30s"}, "startFrom": "earliest",
             "onBadRecord": "deadLetter", "late": "drop"},
        ],
        "sql": "SELECT 1",
        "sinks": [{"kind": "series", "measurement": "bookings"}],
        "parallelism": 1,
        "checkpoint": {"interval": "10s"},
        "state": "running",
    });
    assert_eq!(spec.to_json(), expected);
}

#[test]
fn what_is_shown_can_be_read_back() {
    let yaml = with_spec(
        "  streams:
    - {table: t, schema: a.B, topics: [x, y], consumerGroup: g, timestamp: at.time, watermark: {delay: 1m, interval: 1s, idle: 2h},
       startFrom: 2013-01-31T10:00:00Z, onBadRecord: fail, late: keep}
    - {schema: a.C, topics: [z], timestamp: record, startFrom: latest, onBadRecord: skip}
  sql: |
    SELECT *
  sinks:
    - {kind: series, measurement: m, retention: 30d}
    - {kind: topic, topic: out, schema: a.D, partitions: 4, key: [tag_a], headers: {source: millrace, version: 2, city: {column: c}}}
    - {kind: log}
  parallelism: 2
  checkpoint: {interval: 1s}
  state: suspended
",
    );
    let (_, spec) = DaggerSpec::parse(&yaml).unwrap();
    assert_eq!(spec.streams[0].start_from, StartFrom::Time(1_359_626_400_000));
    assert_eq!(spec.streams[1].timestamp, None);
    assert_eq!(DaggerSpec::from_json("d", &spec.to_json()).unwrap(), spec);
}

#[test]
fn unknown_keys_name_the_nearest() {
    let error = refused(&MINIMAL.replace("topics: [booking-log]", "topcs: [booking-log]"));
    assert_eq!(error.position.map(|place| (place.line, place.column)), Some((7, 7)), "{error}");
    assert!(error.detail.contains("line 7, column 7: unknown key `topcs`"), "{error}");
    assert!(error.hint.as_deref().unwrap_or_default().starts_with("did you mean `topics`?"), "{error}");
    let error = refused(&MINIMAL.replace("  sql:", "  sinks: [{kind: log, measurment: x}]\n  sql:"));
    assert!(error.hint.as_deref().unwrap_or_default().starts_with("did you mean `measurement`?"), "{error}");
    let error = refused(&MINIMAL.replace("metadata: {name: bookings}", "metadata: {name: bookings, grp: x}"));
    assert!(error.hint.as_deref().unwrap_or_default().contains("`group`"), "{error}");
}

#[test]
fn wrong_values_are_refused_with_what_to_write() {
    let stream = |keys: &str| with_spec(&format!("  sql: x\n  streams: [{{schema: a.B, topics: [t], {keys}}}]\n"));
    for (yaml, detail, hint) in [
        (stream("watermark: {delay: 5sec}"), "`spec.streams[0].watermark.delay`", None),
        (stream("onBadRecord: deadletter"), "`spec.streams[0].onBadRecord` is `deadletter`", Some("deadLetter")),
        (stream("startFrom: erliest"), "`spec.streams[0].startFrom`", Some("earliest")),
        (stream("late: never"), "`spec.streams[0].late`", Some("drop, keep")),
        (with_spec("  sql: x\n  streams: []\n"), "`spec.streams` is empty", Some("schema:")),
        (with_spec("  sql: ' '\n  streams: [{schema: a}]\n"), "`spec.sql` is empty", None),
        (with_spec("  sql: x\n  streams: [{schema: a, table: t}, {schema: a, table: T}]\n"), "used twice", None),
        (with_spec("  sql: x\n  streams: [{schema: a, topics: [t, t]}]\n"), "names `t` twice", None),
        (
            with_spec("  sql: x\n  streams: [{topics: [t]}]\n  sinks: [{kind: topic, topic: t}]\n"),
            "which this dagger reads",
            None,
        ),
        (with_spec("  sql: x\n  streams: [{topics: [t]}]\n  sinks: [{kind: serie}]\n"), "is `serie`", Some("`series`")),
        (
            with_spec("  sql: x\n  streams: [{topics: [t]}]\n  sinks: [{kind: log, topic: t}]\n"),
            "has no key `topic`",
            None,
        ),
        (
            with_spec("  sql: x\n  streams: [{topics: [t]}]\n  sinks: [{kind: topic, headers: {city: {colum: c}}}]\n"),
            "`spec.sinks[0].headers.city` is neither a text nor a column",
            Some("{column: city}"),
        ),
        (with_spec("  sql: x\n  streams: [{topics: [t]}]\n  sinks: []\n"), "would go nowhere", None),
        (with_spec("  sql: x\n  streams: [{topics: [t]}]\n  parallelism: 0\n"), "`spec.parallelism` is 0", None),
        (MINIMAL.replace("millrace/v1", "v1"), "apiVersion is `v1`", Some("millrace/v1")),
        (MINIMAL.replace("name: bookings", "name: a/b"), "is not a name", None),
        (MINIMAL.replace("kind: Dagger", "kind: Topic"), "is a Topic", None),
    ] {
        let error = refused(&yaml);
        assert!(error.detail.contains(detail), "{yaml}\n{error}");
        if let Some(hint) = hint {
            assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{yaml}\n{error}");
        }
    }
}
