use crate::open_platform::{open, open_with_topics};
use control::access::{Actor, Caller};
use control::{Change, ErrorKind, Metadata, Platform, PlatformOptions, TopicSpec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).await;
    let second = Platform::open(PlatformOptions::in_directory(directory.path().to_path_buf())).await;
    assert_eq!(second.err().map(|error| error.code), Some("data_directory_in_use"));
    first.close().await.unwrap();
    drop(first);
    open(directory.path()).await.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_applied_and_protected() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open_with_topics(directory.path(), &["events"]).await;
    let metadata = Metadata::named("events");
    let spec = TopicSpec::new(1, Some("t.Event".to_owned()));
    assert_eq!(platform.apply_topic(&Actor::server(), &metadata, &spec).await.unwrap().1, Change::Unchanged);
    let described = TopicSpec { description: Some("all events".to_owned()), ..spec.clone() };
    assert_eq!(platform.apply_topic(&Actor::server(), &metadata, &described).await.unwrap().1, Change::Updated);
    let wider = TopicSpec { partitions: 2, ..spec };
    assert_eq!(
        platform.apply_topic(&Actor::server(), &metadata, &wider).await.err().map(|error| error.code),
        Some("topic_unchangeable")
    );

    let dagger = "apiVersion: millrace/v1\nkind: Dagger\nmetadata: {name: d}\nspec:\n  streams: [{topics: [events]}]\n  \
                  sql: SELECT name, rowtime FROM data_stream\n";
    platform.apply_dagger(&Actor::server(), dagger).await.unwrap();
    let error = platform.delete_topic(&Actor::server(), "events").await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Conflict, "topic_in_use"));
    platform.delete_dagger(&Actor::server(), "d").await.unwrap();
    platform.delete_topic(&Actor::server(), "events").await.unwrap();
    assert_eq!(platform.topic("events").await.err().map(|error| error.code), Some("topic_not_found"));
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_only_read() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    assert!(platform.query(&Caller::server(), "SELECT 1 AS one").await.is_ok());
    assert!(platform.query(&Caller::server(), "SHOW TABLES").await.is_ok());
    for sql in [
        "COPY (SELECT 1) TO 'x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'x.csv'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION 'x.csv'",
        "INSERT INTO t VALUES (1)",
        "SET datafusion.execution.batch_size = 1",
        "SELECT 1; SELECT 2",
        "",
    ] {
        let error = platform.query(&Caller::server(), sql).await.err().unwrap_or_else(|| panic!("{sql} was allowed"));
        assert_eq!(error.kind, ErrorKind::Invalid, "{sql}: {error}");
    }
    let error = platform.query(&Caller::server(), "SELECT 1,\n  two").await.err().unwrap();
    assert!(error.detail.starts_with("line 2, column 3: "), "{error}");
    platform.close().await.unwrap();
}
