//! What the encoder writes is what VictoriaMetrics keeps.

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::record_batch::RecordBatch;
use delivery::{Destination, EncodedBatchBuilder};
use serde_json::json;
use sinks::line_protocol::Dialect;
use sinks::victoria_metrics::{VictoriaMetricsConfig, VictoriaMetricsSink};
use sinks::{Credential, LineEncoder, PointLayout, RowEncoder};
use std::sync::Arc;
use std::time::Duration;

use crate::servers::{endpoint, exported, http, unique, victoria_metrics};

fn config() -> VictoriaMetricsConfig {
    VictoriaMetricsConfig { endpoint: endpoint(&victoria_metrics()), credential: Credential::None }
}

#[tokio::test]
async fn points_become_samples_and_twice_is_once() {
    let measurement = unique("m");
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("tag", Arc::new(StringArray::from(vec![Some("a b,c=\"d\""), None])) as ArrayRef, true),
        ("f", Arc::new(Float64Array::from(vec![Some(1.5), None])), true),
        ("i", Arc::new(Int64Array::from(vec![Some(-3), Some(4)])), true),
        ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false)])), true),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_123, 1_700_000_000_124])), true),
    ])
    .unwrap();
    let fields = vec![(1, "f".to_owned()), (2, "i".to_owned()), (3, "b".to_owned())];
    let layout = PointLayout { time: 4, tags: vec![(0, "city".to_owned())], fields };
    let encoder = LineEncoder::new(&measurement, layout, &batch.schema(), Dialect::Numbers, None).unwrap();
    let encoded = encoder.encode(&batch, None).unwrap();
    let sink = VictoriaMetricsSink::new(&config(), encoder.precision(), &http()).unwrap();
    for _ in 0..2 {
        assert_eq!(sink.deliver(&encoded.records).await.unwrap().errors, []);
    }
    let mut series = exported(&format!("{{__name__=~\"{measurement}_.*\"}}")).await;
    series.sort_by_key(|series| series["metric"].to_string());
    let found: Vec<_> = series
        .iter()
        .map(|series| (series["metric"].clone(), series["values"].clone(), series["timestamps"].clone()))
        .collect();
    let metric = |field: &str, city: Option<&str>| {
        let name = format!("{measurement}_{field}");
        city.map_or_else(|| json!({"__name__": name}), |city| json!({"__name__": name, "city": city}))
    };
    let (first, second) = (json!([1_700_000_000_123i64]), json!([1_700_000_000_124i64]));
    let city = Some("a b,c=\"d\"");
    let mut expected = vec![
        (metric("f", city), json!([1.5]), first.clone()),
        (metric("i", city), json!([-3]), first.clone()),
        (metric("b", city), json!([1]), first),
        (metric("i", None), json!([4]), second.clone()),
        (metric("b", None), json!([0]), second),
    ];
    expected.sort_by_key(|(metric, ..)| metric.to_string());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_server_says_what_it_does_with_points() {
    let settings = config().server_settings(&http()).await;
    assert_eq!(settings.deduplicates, Some(true));
    assert_eq!(settings.retention, Some(Duration::from_secs(100 * 365 * 86_400)));
    // What nobody has set.
    assert_eq!((settings.labels_max, settings.label_value_bytes_max), (Some(40), Some(4_096)));
}

#[test]
fn texts_are_refused_before_there_are_rows() {
    let batch = RecordBatch::try_from_iter([
        ("name", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
        ("time", Arc::new(TimestampMillisecondArray::from(vec![1]))),
    ])
    .unwrap();
    let layout = PointLayout { time: 1, tags: Vec::new(), fields: vec![(0, "name".to_owned())] };
    let error = LineEncoder::new("m", layout, &batch.schema(), Dialect::Numbers, None).unwrap_err();
    assert!(error.detail.contains("only numbers can be kept") && error.hint.contains("tag_name"), "{error}");
}

/// The server answers 204 to all of these and keeps the first only.
#[tokio::test]
async fn what_the_server_would_drop_without_a_word_is_refused() {
    let measurement = unique("m");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    // What is younger than a second is not exported.
    let now = now - 60_000;
    let long = "x".repeat(4_097);
    let many: String = (0..41).map(|tag| format!(",t{tag}=x")).collect();
    let lines = [
        format!("{measurement},kind=kept v=1i {now}\n"),
        format!("{measurement},kind=past v=1i -1\n"),
        format!("{measurement},kind=future v=1i {}\n", now + 3 * 86_400_000),
        format!("{measurement},kind={long} v=1i {now}\n"),
        format!("{measurement},{}=x v=1i {now}\n", &long[..257]),
        format!("{measurement}{many} v=1i {now}\n"),
        format!("{measurement},kind=old v=1i {}\n", now - 101 * 365 * 86_400_000),
    ];
    let mut batch = EncodedBatchBuilder::default();
    lines.iter().for_each(|line| batch.push(line.as_bytes()));
    let batch = batch.finish();
    let sink = VictoriaMetricsSink::new(&config(), sinks::Precision::Milliseconds, &http()).unwrap();
    let client = reqwest::Client::new();
    let written = client.post(format!("{}/write?precision=ms", victoria_metrics())).body(batch.bytes());
    assert_eq!(written.send().await.unwrap().status(), 204);
    let series = format!("{measurement}_v");
    let is_kept = |series: &serde_json::Value| series["metric"]["kind"] == "kept";
    let (kept, others) = exported(&series).await.into_iter().partition::<Vec<_>, _>(is_kept);
    assert_eq!((kept.len(), others.len()), (1, 0), "{others:?}");
    let answer = sink.deliver(&batch).await.unwrap();
    let reasons: Vec<(usize, &str)> = answer.errors.iter().map(|error| (error.index, error.reason.as_str())).collect();
    assert_eq!(reasons.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    for ((_, reason), words) in reasons.iter().zip([
        "before 1970",
        "further ahead than the 2 days",
        "4097 bytes, and the server takes 4096",
        "257 bytes, and the server takes 256",
        "41 tags, and the server takes 40",
        "before 1970",
    ]) {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(sink.deliver(&batch.part(1..2)).await.unwrap().errors.len(), 1);
}
