use super::*;
use serde_json::json;

async fn open(directory: &std::path::Path) -> ResourceDb {
    ResourceDb::new(Database::open_for_test(directory).await, Events::default())
}

#[tokio::test]
async fn resources_have_generations_and_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path()).await;
    let metadata = Metadata::named("bookings");
    let (first, change) = db.put(&Actor::server(), Kind::Topic, &metadata, &json!({"partitions": 1})).await.unwrap();
    assert_eq!((first.generation, change), (1, Change::Created));
    let (same, change) = db.put(&Actor::server(), Kind::Topic, &metadata, &json!({"partitions": 1})).await.unwrap();
    assert_eq!((same.generation, change), (1, Change::Unchanged));
    let (second, change) = db.put(&Actor::server(), Kind::Topic, &metadata, &json!({"partitions": 2})).await.unwrap();
    assert_eq!((second.generation, change), (2, Change::Updated));
    assert_eq!(second.created_ms, first.created_ms);
    assert!(db.get(Kind::Dagger, "bookings").await.unwrap().is_none());
    db.database.close().await;

    let db = open(dir.path()).await;
    assert_eq!(db.get(Kind::Topic, "bookings").await.unwrap(), Some(second));
    assert!(db.delete(&Actor::server(), Kind::Topic, "bookings").await.unwrap());
    assert!(!db.delete(&Actor::server(), Kind::Topic, "bookings").await.unwrap());
    assert!(db.list(Kind::Topic).await.unwrap().is_empty());
    let (again, _) = db.put(&Actor::server(), Kind::Topic, &metadata, &json!({})).await.unwrap();
    assert_eq!(again.generation, 4);
}

#[tokio::test]
async fn a_change_is_made_only_to_what_its_author_has_seen() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path()).await;
    let (metadata, server) = (Metadata::named("t"), Actor::server());
    db.put(&server, Kind::Topic, &metadata, &json!({"a": 1})).await.unwrap();
    db.put(&server, Kind::Topic, &metadata, &json!({"a": 2})).await.unwrap();
    let seen = |generation| Actor { if_generation: Some(generation), ..Actor::server() };
    let error = db.put(&seen(1), Kind::Topic, &metadata, &json!({"a": 3})).await.unwrap_err();
    assert_eq!(error.code, "generation_conflict");
    assert!(db.delete(&seen(1), Kind::Topic, "t").await.is_err());
    let dry = Actor { is_dry_run: true, ..seen(2) };
    assert_eq!(db.put(&dry, Kind::Topic, &metadata, &json!({"a": 3})).await.unwrap().1, Change::Updated);
    assert_eq!(db.get(Kind::Topic, "t").await.unwrap().unwrap().generation, 2);
    assert_eq!(db.put(&seen(2), Kind::Topic, &metadata, &json!({"a": 3})).await.unwrap().0.generation, 3);
}

#[tokio::test]
async fn after_a_full_disk_it_writes_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = Database::open_file(&dir.path().join("r.db")).await.unwrap();
    let db = ResourceDb::new(file, Events::default());
    let mut connections = Vec::new();
    for _ in 0..crate::database::CONNECTIONS_MAX {
        connections.push(db.database.pool.acquire().await.unwrap());
    }
    for connection in &mut connections {
        sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&mut **connection).await.unwrap();
    }
    drop(connections);
    let (metadata, long) = (Metadata::named("long"), json!("x".repeat(1 << 20)));
    for _ in 0..2 * crate::database::CONNECTIONS_MAX {
        // A connection that failed is replaced by one without the limit, sooner or later.
        match db.put(&Actor::server(), Kind::Topic, &metadata, &long).await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.code, "disk_full"),
        }
    }
    assert!(db.get(Kind::Topic, "long").await.unwrap().is_some());
}

#[tokio::test]
async fn the_last_schema_set_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path()).await;
    assert_eq!(db.schema_set().await.unwrap(), None);
    db.put_schema_set(&Actor::server(), b"one", &["a.B".to_owned()], b"one").await.unwrap();
    db.put_schema_set(&Actor::server(), b"two", &["a.C".to_owned()], b"one two").await.unwrap();
    assert_eq!(db.schema_set().await.unwrap().as_deref(), Some(b"one two".as_slice()));
}
