//! The SQL database of the control plane: SQLite in the data directory by default, PostgreSQL by one setting. The same
//! statements and migrations run on both.

use crate::error::{ControlError, ErrorKind};
use crate::time_text::now_ms;
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, Connection, Executor, Row, Transaction};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Every migration, in order; the index is its version minus one. Committed ones never change.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_resources.sql"),
    include_str!("../migrations/0002_access.sql"),
    include_str!("../migrations/0003_authors.sql"),
    include_str!("../migrations/0004_change_origin.sql"),
    include_str!("../migrations/0005_members.sql"),
    include_str!("../migrations/0006_firehoses.sql"),
];
pub const CONNECTIONS_MAX: u32 = 4;
const ACQUIRE_TIME_MAX: Duration = Duration::from_secs(10);
const OWNER_TIME_MAX: Duration = Duration::from_secs(5);
const OWNER_INTERVAL: Duration = Duration::from_millis(50);
/// For each new connection: readers do not wait for the writer, and what was committed is on disk.
const SQLITE_SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Sqlite,
    Postgres,
}

#[derive(Clone)]
pub struct Database {
    pub pool: AnyPool,
    flavour: Flavour,
    /// Holds the lock that keeps a second server out, as long as it is open. SQLite has the data directory's lock.
    owner: Arc<Mutex<Option<AnyConnection>>>,
}

impl Database {
    /// A database file, made if it is missing.
    pub async fn open_file(path: &Path) -> Result<Self, ControlError> {
        Self::open(&format!("sqlite://{}?mode=rwc", url_path(path)), Flavour::Sqlite, &path.display().to_string()).await
    }

    /// A PostgreSQL database by its URL.
    pub async fn open_url(url: &str) -> Result<Self, ControlError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(ControlError::invalid("database_invalid", "the database's URL is not one of PostgreSQL")
                .with_hint("write postgres://USER:PASSWORD@HOST:PORT/DATABASE, or leave it out for SQLite"));
        }
        Self::open(url, Flavour::Postgres, "the PostgreSQL database").await
    }

    /// A test's own, SQLite or PostgreSQL as the tests are run.
    #[cfg(test)]
    pub async fn open_for_test(directory: &Path) -> Self {
        match crate::test_database::url(directory) {
            Some(url) => Self::open_url(&url).await.unwrap(),
            None => Self::open_file(&directory.join("a b%.db")).await.unwrap(),
        }
    }

    async fn open(url: &str, flavour: Flavour, shown: &str) -> Result<Self, ControlError> {
        sqlx::any::install_default_drivers();
        let options = AnyPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIME_MAX)
            // On a full disk SQLite ends the transaction by itself, and sqlx goes on counting it as open: every later one on
            // that connection would be refused.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }));
        let options = match flavour {
            Flavour::Postgres => options,
            Flavour::Sqlite => options.after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(SQLITE_SETTINGS).await?;
                    Ok(())
                })
            }),
        };
        let pool = options.connect(url).await.map_err(|error| {
            ControlError::unavailable("database_unavailable", format!("cannot open {shown}: {error}"))
        })?;
        let owner = match flavour {
            Flavour::Sqlite => None,
            Flavour::Postgres => Some(own(&pool).await?),
        };
        let database = Self { pool, flavour, owner: Arc::new(Mutex::new(owner)) };
        database.migrate().await?;
        Ok(database)
    }

    pub async fn close(&self) {
        self.pool.close().await;
        let owner = self.owner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(owner) = owner
            && let Err(error) = owner.close().await
        {
            tracing::warn!(%error, "the database was not left in order; it notices by itself");
        }
    }

    /// Takes the write lock at once: a transaction that reads first and then writes could be refused half-way.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, ControlError> {
        match self.flavour {
            Flavour::Sqlite => Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?),
            Flavour::Postgres => {
                let mut transaction = self.pool.begin().await?;
                sqlx::query("SELECT pg_advisory_xact_lock(7146255112)").execute(&mut *transaction).await?;
                Ok(transaction)
            }
        }
    }

    async fn migrate(&self) -> Result<(), ControlError> {
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, applied_ms BIGINT NOT NULL)")
            .execute(&self.pool)
            .await?;
        let mut transaction = self.begin().await?;
        let version: i64 = sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM schema_migrations")
            .fetch_one(&mut *transaction)
            .await?
            .try_get("version")?;
        let applied = usize::try_from(version).unwrap_or(usize::MAX);
        if applied > MIGRATIONS.len() {
            return Err(ControlError::new(
                ErrorKind::Conflict,
                "data_directory_newer",
                format!("the data directory was written by a newer Millrace (database version {version})"),
            )
            .with_hint("start that version, or use another data directory"));
        }
        for (index, migration) in MIGRATIONS.iter().enumerate().skip(applied) {
            let migration = match self.flavour {
                Flavour::Sqlite => (*migration).to_owned(),
                Flavour::Postgres => migration.replace(" BLOB ", " BYTEA "),
            };
            sqlx::raw_sql(sqlx::AssertSqlSafe(migration)).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO schema_migrations (version, applied_ms) VALUES ($1, $2)")
                .bind(i64::try_from(index + 1).unwrap_or(i64::MAX))
                .bind(now_ms())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Makes this process the one that uses the database: what it knows of the resources it keeps in memory, and their daggers
/// are to run once. The lock goes with the connection, however the process ends.
async fn own(pool: &AnyPool) -> Result<AnyConnection, ControlError> {
    let deadline = Instant::now() + OWNER_TIME_MAX;
    let mut connection = pool.acquire().await?.detach();
    loop {
        let row = sqlx::query("SELECT pg_try_advisory_lock(7146255113) AS is_owner").fetch_one(&mut connection).await?;
        if row.try_get("is_owner")? {
            return Ok(connection);
        }
        // The one before may be on its way out.
        if Instant::now() > deadline {
            return Err(ControlError::new(
                ErrorKind::Conflict,
                "database_in_use",
                "another server uses the PostgreSQL database",
            )
            .with_hint("stop that server, or give this one a database of its own with --database"));
        }
        tokio::time::sleep(OWNER_INTERVAL).await;
    }
}

/// A path as it stands in a URL.
fn url_path(path: &Path) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes.map(|byte| if keep(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
