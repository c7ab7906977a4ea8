//! The states that daggers went through, kept in the database.
//!
//! Whoever changes a state does not wait for the disk: the lines go through a bounded queue to one writer. A full queue
//! loses the line, with a warning; the state itself is never wrong.

use crate::database::Database;
use crate::error::ControlError;
use crate::events::{Event, Events};
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Row};
use tokio::sync::mpsc;

const LINES_QUEUED_MAX: usize = 4_096;
const LINES_TOGETHER_MAX: usize = 256;
/// Of each dagger the latest are kept.
pub const STATES_KEPT_MAX: i64 = 200;

#[derive(Debug)]
struct Line {
    dagger: String,
    at_ms: i64,
    state: &'static str,
    reason: Option<String>,
    generation: i64,
}

/// Takes lines for one dagger after the other.
#[derive(Debug, Clone)]
pub struct History {
    lines: mpsc::Sender<Line>,
    events: Events,
}

impl History {
    /// Starts the writer; it ends when the last `History` is gone.
    pub fn start(database: Database, events: Events) -> Self {
        let (sender, mut receiver) = mpsc::channel(LINES_QUEUED_MAX);
        tokio::spawn(async move {
            // What came while the last ones were written is written together: each commit waits for the disk.
            let mut lines = Vec::new();
            while receiver.recv_many(&mut lines, LINES_TOGETHER_MAX).await > 0 {
                if let Err(error) = write(&database, &lines).await {
                    tracing::warn!(lines = lines.len(), %error, "states of daggers cannot be kept");
                }
                lines.clear();
            }
        });
        Self { lines: sender, events }
    }

    pub fn note(&self, dagger: &str, state: &'static str, reason: Option<&str>, generation: i64) {
        let reason = reason.map(str::to_owned);
        self.events.tell(Event::State { dagger: dagger.to_owned(), state, reason: reason.clone() });
        let line = Line { dagger: dagger.to_owned(), at_ms: now_ms(), state, reason, generation };
        if let Err(error) = self.lines.try_send(line) {
            tracing::warn!(dagger, state, %error, "a state is not kept");
        }
    }
}

async fn write(database: &Database, lines: &[Line]) -> Result<(), ControlError> {
    let mut transaction = database.begin().await?;
    for line in lines {
        write_one(&mut transaction, line).await?;
    }
    Ok(transaction.commit().await?)
}

async fn write_one(connection: &mut AnyConnection, line: &Line) -> Result<(), ControlError> {
    sqlx::query(
        "INSERT INTO dagger_states (id, dagger, at_ms, state, reason, generation) \
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM dagger_states), $1, $2, $3, $4, $5)",
    )
    .bind(&line.dagger)
    .bind(line.at_ms)
    .bind(line.state)
    .bind(line.reason.as_deref())
    .bind(line.generation)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM dagger_states WHERE dagger = $1 AND id <= \
         (SELECT id FROM dagger_states WHERE dagger = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(&line.dagger)
    .bind(STATES_KEPT_MAX)
    .execute(connection)
    .await?;
    Ok(())
}

/// The latest first.
pub async fn states(database: &Database, dagger: &str) -> Result<Vec<Value>, ControlError> {
    let rows = sqlx::query(
        "SELECT at_ms, state, reason, generation FROM dagger_states WHERE dagger = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(dagger)
    .bind(STATES_KEPT_MAX)
    .fetch_all(&database.pool)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(json!({
                "at": millis(row.try_get("at_ms")?), "state": row.try_get::<String, _>("state")?,
                "reason": row.try_get::<Option<String>, _>("reason")?, "generation": row.try_get::<i64, _>("generation")?,
            }))
        })
        .collect()
}
