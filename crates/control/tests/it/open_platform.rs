//! A platform in a directory of its own, with one message type and one topic.

use bytes::Bytes;
use control::access::{Actor, Caller};
use control::records::{DraftValue, RecordDraft};
use control::{Metadata, Platform, PlatformOptions, SchemaPush, SourceFile, TopicSpec};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing here takes long; this only ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub const PROTO: &str = "syntax = \"proto3\"; package t; import \"google/protobuf/timestamp.proto\";
message Event { string name = 1; int64 amount = 2; google.protobuf.Timestamp at = 3; }
message Other { string name = 1; }";

pub async fn open(directory: &Path) -> Arc<Platform> {
    let database_url = crate::test_database::url(directory);
    let options = PlatformOptions { database_url, ..PlatformOptions::in_directory(directory) };
    Platform::open(options).await.unwrap()
}

pub async fn open_with_topics(directory: &Path, topics: &[&str]) -> Arc<Platform> {
    let platform = open(directory).await;
    push(&platform, PROTO).await;
    for topic in topics {
        platform
            .create_topic(&Actor::server(), &Metadata::named(*topic), &TopicSpec::new(1, Some("t.Event".to_owned())))
            .await
            .unwrap();
    }
    platform
}

pub async fn push(platform: &Platform, proto: &str) {
    let file = SourceFile { path: "t.proto".to_owned(), text: proto.to_owned() };
    platform.push_schemas(&Actor::server(), SchemaPush::Sources(vec![file])).await.unwrap();
}

pub async fn publish(platform: &Platform, topic: &str, json: &str) {
    let value = DraftValue::Json(Bytes::copy_from_slice(json.as_bytes()));
    let produced =
        platform.produce(topic, vec![Ok(RecordDraft { value, ..RecordDraft::default() })], None).await.unwrap();
    assert_eq!(produced.acknowledged(), 1);
}

pub async fn rows(platform: &Platform, sql: &str) -> Vec<Value> {
    let Ok(result) = platform.query(&Caller::server(), sql).await else { return Vec::new() };
    let mut lines = Vec::new();
    for batch in &result.batches {
        rows::write_rows(batch, &mut lines).unwrap();
    }
    String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks again until it is so.
pub async fn until<T: std::fmt::Debug, F: Future<Output = T>>(ask: impl Fn() -> F, is_so: impl Fn(&T) -> bool) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask().await;
        if is_so(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
