//! PostgreSQL 12 and newer, by COPY in its binary form. Rows are appended, or put in the place of those with the same keys.
//!
//! Rows that stand for records are there exactly once: how far a topic is written is noted in a table beside them, in the same
//! transaction.

mod answer;
mod cells;
mod check;
mod column_type;
mod config;
mod encode;
mod fit;
mod kind;
mod last_of_keys;
mod numeric;
mod positions;
mod request;
mod session;
mod table;
mod time;
mod tls;
mod write;

pub use config::{Password, PostgresConfig, WriteMode};
pub use encode::CopyEncoder;
pub use kind::{POSTGRES, PostgresKind};
pub use tls::TlsMode;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch, ErrorClass};

use crate::SinkContext;
use column_type::Column;
use session::{ConnectOptions, Session};
use write::Owner;

/// What a call may take beyond its longest statement.
const CALL_MARGIN: Duration = Duration::from_secs(5);

/// Writes to one table.
pub struct PostgresSink {
    name: String,
    config: PostgresConfig,
    columns: Vec<Column>,
    owner: Owner,
    options: ConnectOptions,
    call_time_max: Duration,
    /// Connections that nobody uses now; at most as many as there were calls at a time.
    idle: Mutex<Vec<Session>>,
}

impl PostgresSink {
    /// For records of this encoder. Nothing is connected yet.
    pub fn new(config: &PostgresConfig, encoder: &CopyEncoder, context: &SinkContext) -> Self {
        let http = &context.http;
        Self {
            name: config.to_string(),
            columns: encoder.columns().to_vec(),
            owner: Owner {
                name: context.owner.clone(),
                incarnation: context.incarnation.clone(),
                topic: context.topic.clone(),
            },
            options: ConnectOptions { addresses: http.addresses.clone(), connect_time_max: http.connect_time_max },
            call_time_max: config.statement_time_max + CALL_MARGIN,
            config: config.clone(),
            idle: Mutex::default(),
        }
    }

    /// After this a call ends without an answer.
    pub fn with_call_time_max(self, call_time_max: Duration) -> Self {
        Self { call_time_max, ..self }
    }

    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| !session.connection.client.is_closed());
        idle.pop()
    }

    async fn call(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let session = match self.take_idle() {
            Some(session) => session,
            None => session::open(&self.config, &self.columns, &self.options).await?,
        };
        let written = write::write(&session, &self.owner, batch).await;
        // After any other error the connection may be in the middle of something, or the table have changed.
        if written.as_ref().err().is_none_or(|error| error.class.is_of_a_record()) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
        written
    }
}

#[async_trait]
impl Destination for PostgresSink {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        match tokio::time::timeout(self.call_time_max, self.call(batch)).await {
            Ok(answer) => answer,
            Err(_) => {
                let reason = format!("no answer within {} s", self.call_time_max.as_secs_f64());
                Err(CallError::new(ErrorClass::Down, reason))
            }
        }
    }
}
