//! Answers that are kept, so that a request that comes twice is done once.

use super::Platform;
use crate::error::ControlError;
use crate::time_text::now_ms;
use sha2::{Digest, Sha256};
use sqlx::Row;

/// How long an answer is kept.
const KEPT_MS: i64 = 24 * 3_600 * 1_000;
/// One that was begun longer ago than any request takes has died with its process.
const UNDER_WAY_MS: i64 = 120_000;

/// Which request, by hashes: whose key it is, and what was asked with it.
pub struct IdempotencyKey {
    key: String,
    request: String,
}

/// What a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstAnswer {
    Known(Answer),
    /// It is the first time; whoever asked goes on and keeps the answer.
    None,
}

/// The key of one user's request. `asked` is the method and the address.
pub fn idempotency_key(user: &str, key: &str, asked: &str, body: &[u8]) -> IdempotencyKey {
    let hash = |parts: &[&[u8]]| {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    IdempotencyKey { key: hash(&[user.as_bytes(), key.as_bytes()]), request: hash(&[asked.as_bytes(), body]) }
}

impl Platform {
    /// Whether the request was made before. If not, it counts as under way from now on.
    pub async fn first_answer(&self, key: &IdempotencyKey) -> Result<FirstAnswer, ControlError> {
        let now = now_ms();
        let mut transaction = self.database.begin().await?;
        sqlx::query("DELETE FROM idempotency_keys WHERE created_ms < $1 OR (status IS NULL AND created_ms < $2)")
            .bind(now - KEPT_MS)
            .bind(now - UNDER_WAY_MS)
            .execute(&mut *transaction)
            .await?;
        let row =
            sqlx::query("SELECT request_hash, status, media_type, body FROM idempotency_keys WHERE key_hash = $1")
                .bind(&key.key)
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(row) = row else {
            sqlx::query(
                "INSERT INTO idempotency_keys (key_hash, request_hash, status, media_type, body, created_ms) \
                 VALUES ($1, $2, NULL, '', $3, $4)",
            )
            .bind(&key.key)
            .bind(&key.request)
            .bind(Vec::<u8>::new())
            .bind(now)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            return Ok(FirstAnswer::None);
        };
        if row.try_get::<String, _>("request_hash")? != key.request {
            return Err(ControlError::invalid(
                "idempotency_key_reused",
                "the `Idempotency-Key` was used for another request already",
            )
            .with_hint("take a new key for each thing that is to be done"));
        }
        match row.try_get::<Option<i64>, _>("status")? {
            Some(status) => Ok(FirstAnswer::Known(Answer {
                status: u16::try_from(status).unwrap_or(200),
                media_type: row.try_get("media_type")?,
                body: row.try_get("body")?,
            })),
            None => Err(ControlError::conflict("request_under_way", "the same request is being answered")
                .with_hint("ask again in a moment; the answer will be the first one's")),
        }
    }

    /// At the start nothing is under way: what was has died with the process that did it.
    pub(super) async fn forget_unfinished_requests(&self) -> Result<(), ControlError> {
        sqlx::query("DELETE FROM idempotency_keys WHERE status IS NULL").execute(&self.database.pool).await?;
        Ok(())
    }

    pub async fn keep_answer(&self, key: &IdempotencyKey, answer: &Answer) -> Result<(), ControlError> {
        sqlx::query("UPDATE idempotency_keys SET status = $1, media_type = $2, body = $3 WHERE key_hash = $4")
            .bind(i64::from(answer.status))
            .bind(&answer.media_type)
            .bind(&answer.body[..])
            .bind(&key.key)
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }

    /// For an answer that is not to be given again, such as a failure of ours.
    pub async fn forget_answer(&self, key: &IdempotencyKey) -> Result<(), ControlError> {
        sqlx::query("DELETE FROM idempotency_keys WHERE key_hash = $1")
            .bind(&key.key)
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }
}
