//! The audit log: who did what, in order. Nothing is ever changed in it.

use super::Caller;
use super::store::AccessDb;
use crate::error::ControlError;
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

pub const AUDIT_PAGE_MAX: i64 = 1_000;

/// One change, as the audit log tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub id: i64,
    pub at_ms: i64,
    pub actor: String,
    pub via: String,
    /// `create`, `update`, `delete`, `login` and their like.
    pub action: String,
    pub kind: String,
    pub name: String,
    pub group: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What a change was about. Without a group it is the platform's, and only its admins see it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub group: &'a str,
}

/// Which entries are asked for; empty fields leave nothing out.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only of these groups; `None` is all, and what is of no group.
    pub groups: Option<Vec<String>>,
    pub kind: Option<String>,
    pub name: Option<String>,
    pub actor: Option<String>,
    /// Only entries with a smaller id.
    pub before: Option<i64>,
}

impl AccessDb {
    /// Writes one line for what has no transaction of its own.
    pub async fn record(
        &self,
        caller: &Caller,
        action: &str,
        subject: Subject<'_>,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), ControlError> {
        let mut transaction = self.database.begin().await?;
        write(&mut transaction, caller, action, subject, before, after).await?;
        Ok(transaction.commit().await?)
    }

    /// The latest first.
    pub async fn audit(&self, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditEntry>, ControlError> {
        const FIXED: usize = 5;
        let groups = filter.groups.as_deref();
        let places: Vec<String> =
            (1..=groups.map_or(0, <[String]>::len)).map(|at| format!("${}", FIXED + at)).collect();
        let of_groups = match groups {
            None => String::new(),
            Some([]) => return Ok(Vec::new()),
            Some(_) => format!("AND group_name IN ({})", places.join(", ")),
        };
        let sql = format!(
            "SELECT id, at_ms, actor, via, action, kind, name, group_name, spec_before, spec_after FROM audit \
             WHERE id < $1 AND ($2 = '' OR kind = $2) AND ($3 = '' OR name = $3) AND ($4 = '' OR actor = $4) {of_groups} \
             ORDER BY id DESC LIMIT $5"
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(filter.kind.as_deref().unwrap_or_default())
            .bind(filter.name.as_deref().unwrap_or_default())
            .bind(filter.actor.as_deref().unwrap_or_default())
            .bind(limit.clamp(1, AUDIT_PAGE_MAX));
        for group in groups.into_iter().flatten() {
            query = query.bind(group);
        }
        query.fetch_all(&self.database.pool).await?.iter().map(read_audit).collect()
    }
}

/// Writes one line in the transaction of the change itself, so that there is never one without the other.
pub(crate) async fn write(
    connection: &mut AnyConnection,
    caller: &Caller,
    action: &str,
    subject: Subject<'_>,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<(), ControlError> {
    sqlx::query(
        "INSERT INTO audit (id, at_ms, actor, via, action, kind, name, group_name, spec_before, spec_after) \
         VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM audit), $1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(now_ms())
    .bind(&caller.user)
    .bind(caller.via.as_text())
    .bind(action)
    .bind(subject.kind)
    .bind(subject.name)
    .bind(subject.group)
    .bind(before.map(Value::to_string))
    .bind(after.map(Value::to_string))
    .execute(connection)
    .await?;
    Ok(())
}

impl AuditEntry {
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "at": millis(self.at_ms), "actor": self.actor, "via": self.via, "action": self.action,
            "kind": self.kind, "name": self.name, "group": self.group, "before": self.before, "after": self.after,
        })
    }
}

fn read_audit(row: &AnyRow) -> Result<AuditEntry, ControlError> {
    let spec = |column: &str| -> Result<Option<Value>, ControlError> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at_ms: row.try_get("at_ms")?,
        actor: row.try_get("actor")?,
        via: row.try_get("via")?,
        action: row.try_get("action")?,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        group: row.try_get("group_name")?,
        before: spec("spec_before")?,
        after: spec("spec_after")?,
    })
}
