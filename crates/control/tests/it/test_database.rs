//! The database of a test: SQLite in its directory, or with `MILLRACE_TEST_DATABASE` a database of its own on that
//! PostgreSQL server. The same directory has the same database, also when it is opened again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

/// The URL of the directory's database; `None` is SQLite.
pub fn url(directory: &Path) -> Option<String> {
    let server = std::env::var("MILLRACE_TEST_DATABASE").ok()?;
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    let name = format!("test_{:016x}", hasher.finish());
    let made = Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name}")]).output();
    let made = made.expect("psql is missing: scripts/with_postgres.sh installs it");
    let stderr = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() || stderr.contains("already exists"), "{stderr}");
    let (server, _) = server.rsplit_once('/').expect("the URL names a database");
    Some(format!("{server}/{name}"))
}
