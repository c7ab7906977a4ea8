use super::*;
use serde_json::json;

const SINK: &str = "sink: {kind: victoriaMetrics, url: 'http://metrics:8428'}";

fn with_spec(spec: &str) -> String {
    format!("apiVersion: millrace/v1\nkind: Firehose\nmetadata: {{name: f}}\nspec:\n  topic: bookings\n{spec}\n")
}

fn read(spec: &str) -> Result<FirehoseSpec, ControlError> {
    FirehoseSpec::parse(&with_spec(spec)).map(|(_, spec)| spec)
}

#[test]
fn every_default_is_filled_in_and_shown() {
    let spec = read(&format!("  {SINK}")).unwrap();
    let mut shown = spec.to_json();
    let sink = shown["sink"].take();
    assert_eq!((&sink["kind"], &sink["url"]), (&json!("victoriaMetrics"), &json!("http://metrics:8428")));
    let expected = json!({
        "topic": "bookings", "startFrom": "earliest", "state": "running", "sink": null,
        "delivery": {
            "linger": "100ms", "parallelism": 2, "retry": { "first": "200ms", "longest": "30s" }, "breakAfter": 10,
            "onError": {
                "badRecord": "deadLetter", "refused": "deadLetter", "down": "retry", "throttled": "retry",
                "auth": "retry", "ours": "fail",
            },
        },
    });
    assert_eq!(shown, expected);
}

#[test]
fn what_is_shown_can_be_read_back() {
    let mut spec = read(&format!(
        "  startFrom: 2013-01-31T10:00:00Z
  stopAt: 2026-12-01T00:00:00Z
  state: paused
  filter: 'status == \"CANCELLED\"'
  jsonSchema: {{type: object, required: [status]}}
  timeWindow: {{field: event_timestamp, past: 168h}}
  columns:
    - {{field: customer.id, as: customer_id}}
    - {{field: status}}
    - {{constant: null, as: nothing}}
    - {{expression: 'price * 1.1', as: gross, type: double}}
    - {{hash: email, as: email_hash, secret: hash-key}}
  {SINK}
  delivery: {{batchRecords: 500, batchBytes: 512KB, linger: 1s, parallelism: 4, recordsPerSecond: 10000, callsPerSecond: 50,
    retry: {{first: 1s, longest: 1m}}, onError: {{refused: fail, down: fail}}, breakAfter: 3}}
  deadLetters: {{topic: bookings-dead}}"
    ))
    .unwrap();
    assert_eq!((spec.delivery.batch_bytes, spec.stop_at_ms), (Some(512 << 10), Some(1_796_083_200_000)));
    assert_eq!(spec.secrets().into_iter().collect::<Vec<_>>(), ["hash-key"]);
    assert_eq!(FirehoseSpec::from_json(&spec.to_json()).unwrap(), spec);
    // What the sink takes in one call is not exceeded, whether somebody has asked for it or not.
    spec.delivery.batch_records = None;
    let limits = ::sinks::CallLimits { records_max: 100, bytes_max: 1 << 20 };
    spec.delivery.fit(limits).unwrap();
    assert_eq!((spec.delivery.batch_records, spec.delivery.batch_bytes), (Some(100), Some(512 << 10)));
    spec.delivery.batch_records = Some(101);
    let error = spec.delivery.fit(limits).unwrap_err();
    assert!(error.detail.contains("`spec.delivery.batchRecords` is 101, and the sink takes at most 100"), "{error}");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let with = |more: &str| format!("  {SINK}\n  {more}");
    for (spec, detail, hint) in [
        (with("topc: x"), "unknown key `topc` in `spec`", "did you mean `topic`?"),
        (with("delivery: {lingr: 1s}"), "unknown key `lingr`", "did you mean `linger`?"),
        (with("state: suspended"), "`spec.state` is `suspended`", "running, paused"),
        (with("startFrom: erliest"), "`spec.startFrom`", "earliest"),
        (with("stopAt: never"), "`spec.stopAt` is wrong", "2013-01-31"),
        (with("timeWindow: {field: t}"), "`spec.timeWindow` has neither", "past: 168h"),
        (with("timeWindow: {field: t, past: long}"), "`spec.timeWindow.past` is wrong", ""),
        (with("columns: []"), "`spec.columns` is empty", "leave it out"),
        (with("columns: [{as: x}]"), "`spec.columns[0]` has to have one of", "expression"),
        (with("columns: [{field: a}, {field: a, hash: b}]"), "`spec.columns[1]` has to have one of", ""),
        (with("columns: [{expression: a}]"), "`spec.columns[0]` has no `as`", "as: gross"),
        (with("columns: [{expression: a, as: b, type: bool}]"), "`spec.columns[0].type` is `bool`", "boolean, int"),
        (with("columns: [{field: a, secret: b}]"), "goes with `hash` only", ""),
        (with("delivery: {batchBytes: 4 MiB}"), "`spec.delivery.batchBytes` is `4 MiB`", "4MB"),
        (with("delivery: {parallelism: 0}"), "`spec.delivery.parallelism` is 0, it can be 1 to 64", ""),
        (with("delivery: {retry: {first: 1m, longest: 1s}}"), "`spec.delivery.retry`", ""),
        (
            with("delivery: {onError: {down: deadLetter}}"),
            "`spec.delivery.onError.down` is `deadLetter`",
            "retry, fail",
        ),
        (with("delivery: {onError: {refused: drop}}"), "`spec.delivery.onError.refused` is `drop`", "deadLetter"),
        ("  sink: {url: x}".to_owned(), "`spec.sink` has no `kind`", "the kinds are: "),
        ("  sink: {kind: victoriametric}".to_owned(), "`spec.sink.kind` is", "did you mean `victoriaMetrics`?"),
        ("  sink: {kind: victoriaMetrics}".to_owned(), "`spec.sink.url`: ", ""),
        ("  sink: {kind: victoriaMetrics, url: 'http://a', color: 1}".to_owned(), "`spec.sink.color`: ", "it has "),
    ] {
        let error = read(&spec).unwrap_err();
        assert!(error.detail.contains(detail), "{spec}\n{error}");
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{spec}\n{error}");
    }
    assert!(read("").unwrap_err().detail.contains("missing field `sink`"));
}
