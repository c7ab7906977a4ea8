//! The states that daggers and firehoses went through, kept in the database.
//!
//! Whoever changes a state does not wait for the disk: the lines go through a bounded queue to one writer. A full queue
//! loses the line, with a warning; the state itself is never wrong.

use crate::database::Database;
use crate::error::ControlError;
use crate::events::{Event, Events};
use crate::firehose_spec::firehose_owner;
use crate::resource::Kind;
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Row};
use tokio::sync::mpsc;

const LINES_QUEUED_MAX: usize = 4_096;
const LINES_TOGETHER_MAX: usize = 256;
/// Of each the latest are kept.
pub const STATES_KEPT_MAX: i64 = 200;

#[derive(Debug)]
struct Line {
    /// The name of a dagger, or [`firehose_owner`].
    owner: String,
    at_ms: i64,
    state: &'static str,
    reason: Option<String>,
    generation: i64,
}

/// Takes lines of all of them.
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
        self.note_of(Kind::Dagger, dagger, dagger.to_owned(), (state, generation), reason);
    }

    pub fn note_firehose(&self, firehose: &str, state: &'static str, reason: Option<&str>, generation: i64) {
        self.note_of(Kind::Firehose, firehose, firehose_owner(firehose), (state, generation), reason);
    }

    fn note_of(
        &self,
        kind: Kind,
        name: &str,
        owner: String,
        (state, generation): (&'static str, i64),
        reason: Option<&str>,
    ) {
        let reason = reason.map(str::to_owned);
        self.events.tell(Event::State { kind, name: name.to_owned(), state, reason: reason.clone() });
        let line = Line { owner, at_ms: now_ms(), state, reason, generation };
        if let Err(error) = self.lines.try_send(line) {
            tracing::warn!(kind = kind.word(), name, state, %error, "a state is not kept");
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
    .bind(&line.owner)
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
    .bind(&line.owner)
    .bind(STATES_KEPT_MAX)
    .execute(connection)
    .await?;
    Ok(())
}

/// The latest first.
pub async fn states(database: &Database, owner: &str) -> Result<Vec<Value>, ControlError> {
    let rows = sqlx::query(
        "SELECT at_ms, state, reason, generation FROM dagger_states WHERE dagger = $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(owner)
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
