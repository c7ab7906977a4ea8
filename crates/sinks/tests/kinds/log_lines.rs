//! The log as a kind.

use crate::rows::{batch, origin, plan, refusal};
use serde_json::json;

#[tokio::test]
async fn rows_are_json() {
    assert_eq!(refusal(json!({ "kind": "log", "linesPerSecond": 0 }), None).key.as_deref(), Some("linesPerSecond"));
    let sink = plan(json!({ "kind": "log", "linesPerSecond": 1 }), None).unwrap();
    let records = sink.encoder().encode(&batch(&[1, 2]), Some(origin(&[0, 1], &[None, None]))).unwrap().records;
    assert_eq!(records.record(1), br#"{"city":"Jakarta","n":2,"at":"2023-11-14T22:13:20.002Z"}"#);
    assert_eq!(sink.notice().await, None);
    assert_eq!(sink.destination().unwrap().deliver(&records).await.unwrap().errors, []);
    assert!(sink.notice().await.unwrap().starts_with("1 rows were not printed"));
}
