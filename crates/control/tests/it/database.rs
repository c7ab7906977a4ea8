//! What only a database that others can reach needs.

use control::{Platform, PlatformOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_database_has_one_server() {
    let first = tempfile::tempdir().unwrap();
    // Run by scripts/with_postgres.sh; SQLite is kept by the data directory's lock.
    let Some(url) = crate::test_database::url(first.path()) else { return };
    let options = |directory: &tempfile::TempDir| PlatformOptions {
        database_url: Some(url.clone()),
        ..PlatformOptions::in_directory(directory.path())
    };
    let platform = Platform::open(options(&first)).await.unwrap();
    let second = tempfile::tempdir().unwrap();
    let refused = Platform::open(options(&second)).await.err().unwrap();
    assert_eq!(refused.code, "database_in_use");
    platform.close().await.unwrap();
    Platform::open(options(&second)).await.unwrap().close().await.unwrap();
}
