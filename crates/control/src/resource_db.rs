//! Resources and their revisions in the SQL database.
//!
//! It stores what it is given: whether a spec is right was decided before.

#[cfg(test)]
mod tests;

use crate::access::{Actor, Subject, audit};
use crate::database::Database;
use crate::error::ControlError;
use crate::events::{Event, Events};
use crate::resource::{Kind, Metadata, Resource};
use crate::resource_lists::{ResourceList, ResourceLists};
use crate::time_text::now_ms;
use serde_json::Value;
use sqlx::AnyConnection;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::sync::Arc;

pub const RESOURCES_PER_KIND_MAX: i64 = 100_000;
pub const REVISIONS_SHOWN_MAX: i64 = 1_000;

const COLUMNS: &str = "SELECT kind, name, group_name, labels, spec, generation, created_ms, updated_ms, created_by, \
                       updated_by, updated_from FROM resources";

#[derive(Clone)]
pub struct ResourceDb {
    database: Database,
    events: Events,
    lists: Arc<ResourceLists>,
}

/// What [`ResourceDb::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Unchanged,
}

/// A resource as one change left it; without a spec it was deleted.
pub struct RevisionRow {
    pub generation: i64,
    pub changed_ms: i64,
    pub changed_by: String,
    pub changed_from: String,
    pub spec: Option<Value>,
}

impl Change {
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Created => "created",
            Change::Updated => "updated",
            Change::Unchanged => "unchanged",
        }
    }
}

impl ResourceDb {
    pub fn new(database: Database, events: Events) -> Self {
        Self { database, events, lists: Arc::default() }
    }

    fn tell(&self, kind: Kind, name: &str, action: &'static str, generation: i64) {
        self.events.tell(Event::Change { kind, name: name.to_owned(), action, generation });
    }

    pub async fn get(&self, kind: Kind, name: &str) -> Result<Option<Resource>, ControlError> {
        Ok(self.by_name(kind).await?.get(name).map(|resource| resource.as_ref().clone()))
    }

    /// All resources of a kind, by name.
    pub async fn list(&self, kind: Kind) -> Result<Vec<Resource>, ControlError> {
        Ok(self.by_name(kind).await?.values().map(|resource| resource.as_ref().clone()).collect())
    }

    /// The same without a copy of each, for long lists.
    pub async fn by_name(&self, kind: Kind) -> Result<ResourceList, ControlError> {
        if let Some(list) = self.lists.get(kind) {
            return Ok(list);
        }
        let _turn = self.lists.turn.lock().await;
        if let Some(list) = self.lists.get(kind) {
            return Ok(list);
        }
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE kind = $1 ORDER BY name LIMIT $2")))
            .bind(kind.as_str())
            .bind(RESOURCES_PER_KIND_MAX)
            .fetch_all(&self.database.pool)
            .await?;
        let resources = rows.iter().map(|row| {
            let resource = read_resource(row)?;
            Ok((resource.metadata.name.clone(), Arc::new(resource)))
        });
        let list: ResourceList = Arc::new(resources.collect::<Result<_, ControlError>>()?);
        self.lists.put(kind, Arc::clone(&list));
        Ok(list)
    }

    /// Makes or replaces a resource, with its revision and its line in the audit log, in one transaction. The same
    /// content changes nothing. A dry run says what would become of it.
    pub async fn put(
        &self,
        actor: &Actor,
        kind: Kind,
        metadata: &Metadata,
        spec: &Value,
    ) -> Result<(Resource, Change), ControlError> {
        let _turn = self.lists.turn.lock().await;
        let mut transaction = self.database.begin().await?;
        let before = fetch(&mut transaction, kind, &metadata.name).await?;
        let what = format!("the {} `{}`", kind.word(), metadata.name);
        actor.check_generation(&what, before.as_ref().map(|before| before.generation))?;
        let now = now_ms();
        if let Some(before) = &before
            && before.spec == *spec
            && before.metadata == *metadata
        {
            return Ok((before.clone(), Change::Unchanged));
        }
        if before.is_none() {
            check_room(&mut transaction, kind).await?;
        }
        let last = last_generation(&mut transaction, kind, &metadata.name).await?;
        let author = &actor.caller.user;
        let resource = Resource {
            kind,
            metadata: metadata.clone(),
            spec: spec.clone(),
            generation: last + 1,
            created_ms: before.as_ref().map_or(now, |before| before.created_ms),
            updated_ms: now,
            created_by: before.as_ref().map_or_else(|| author.clone(), |before| before.created_by.clone()),
            updated_by: author.clone(),
            updated_from: actor.origin.as_str().to_owned(),
        };
        let change = if before.is_some() { Change::Updated } else { Change::Created };
        if actor.is_dry_run {
            return Ok((resource, change));
        }
        sqlx::query(
            "INSERT INTO resources (kind, name, group_name, labels, spec, generation, created_ms, updated_ms, created_by, \
             updated_by, updated_from) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (kind, name) DO UPDATE SET group_name = $3, labels = $4, spec = $5, generation = $6, \
             updated_ms = $8, updated_by = $10, updated_from = $11",
        )
        .bind(kind.as_str())
        .bind(&metadata.name)
        .bind(&metadata.group)
        .bind(json_text(&metadata.labels)?)
        .bind(json_text(spec)?)
        .bind(resource.generation)
        .bind(resource.created_ms)
        .bind(resource.updated_ms)
        .bind(&resource.created_by)
        .bind(&resource.updated_by)
        .bind(&resource.updated_from)
        .execute(&mut *transaction)
        .await?;
        let spec_before = before.as_ref().map(|before| &before.spec);
        let revision = Revision { kind, name: &metadata.name, generation: resource.generation, actor };
        revision.write(&mut transaction, spec_before, Some(spec)).await?;
        let subject = Subject { kind: kind.as_str(), name: &metadata.name, group: &metadata.group };
        let action = if before.is_some() { "update" } else { "create" };
        audit::write(&mut transaction, &actor.caller, action, subject, spec_before, Some(spec)).await?;
        let list = self.lists.take(kind);
        transaction.commit().await?;
        if let Some(mut list) = list {
            Arc::make_mut(&mut list).insert(metadata.name.clone(), Arc::new(resource.clone()));
            self.lists.put(kind, list);
        }
        self.tell(kind, &metadata.name, change.as_str(), resource.generation);
        Ok((resource, change))
    }

    /// `false` when there was none. A dry run only says so.
    pub async fn delete(&self, actor: &Actor, kind: Kind, name: &str) -> Result<bool, ControlError> {
        let _turn = self.lists.turn.lock().await;
        let mut transaction = self.database.begin().await?;
        let Some(before) = fetch(&mut transaction, kind, name).await? else {
            return Ok(false);
        };
        actor.check_generation(&format!("the {} `{name}`", kind.word()), Some(before.generation))?;
        if actor.is_dry_run {
            return Ok(true);
        }
        sqlx::query("DELETE FROM resources WHERE kind = $1 AND name = $2")
            .bind(kind.as_str())
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        let revision = Revision { kind, name, generation: before.generation + 1, actor };
        revision.write(&mut transaction, Some(&before.spec), None).await?;
        let subject = Subject { kind: kind.as_str(), name, group: &before.metadata.group };
        audit::write(&mut transaction, &actor.caller, "delete", subject, Some(&before.spec), None).await?;
        let list = self.lists.take(kind);
        transaction.commit().await?;
        if let Some(mut list) = list {
            Arc::make_mut(&mut list).remove(name);
            self.lists.put(kind, list);
        }
        self.tell(kind, name, "deleted", before.generation + 1);
        Ok(true)
    }

    /// Whether the latest change of a resource was its deletion. One that was never there was not deleted either.
    pub async fn was_deleted(&self, kind: Kind, name: &str) -> Result<bool, ControlError> {
        let row = sqlx::query(
            "SELECT spec_after FROM revisions WHERE kind = $1 AND name = $2 ORDER BY generation DESC LIMIT 1",
        )
        .bind(kind.as_str())
        .bind(name)
        .fetch_optional(&self.database.pool)
        .await?;
        row.map_or(Ok(false), |row| Ok(row.try_get::<Option<String>, _>("spec_after")?.is_none()))
    }

    /// What became of a resource, the latest change first.
    pub async fn revisions(&self, kind: Kind, name: &str) -> Result<Vec<RevisionRow>, ControlError> {
        let rows = sqlx::query(
            "SELECT generation, spec_after, changed_ms, changed_by, changed_from FROM revisions WHERE kind = $1 AND name = $2 \
             ORDER BY generation DESC LIMIT $3",
        )
        .bind(kind.as_str())
        .bind(name)
        .bind(REVISIONS_SHOWN_MAX)
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let spec: Option<String> = row.try_get("spec_after")?;
                let spec = spec.map(|spec| serde_json::from_str(&spec)).transpose();
                Ok(RevisionRow {
                    generation: row.try_get("generation")?,
                    changed_ms: row.try_get("changed_ms")?,
                    changed_by: row.try_get("changed_by")?,
                    changed_from: row.try_get("changed_from")?,
                    spec: spec.map_err(|_| ControlError::internal("a stored revision cannot be read"))?,
                })
            })
            .collect()
    }

    /// Keeps what a push brought, and the schema set that it led to.
    pub async fn put_schema_set(
        &self,
        actor: &Actor,
        pushed: &[u8],
        message_types: &[String],
        whole_set: &[u8],
    ) -> Result<(), ControlError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "INSERT INTO schema_pushes (id, descriptor_set, message_types, pushed_ms) \
             VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM schema_pushes), $1, $2, $3)",
        )
        .bind(pushed)
        .bind(json_text(&message_types)?)
        .bind(now_ms())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO schema_set (id, descriptor_set) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET descriptor_set = $1",
        )
        .bind(whole_set)
        .execute(&mut *transaction)
        .await?;
        let subject =
            Subject { kind: Kind::Schema.as_str(), name: message_types.first().map_or("", String::as_str), group: "" };
        audit::write(&mut transaction, &actor.caller, "push", subject, None, Some(&serde_json::json!(message_types)))
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The set that the last push led to.
    pub async fn schema_set(&self) -> Result<Option<Vec<u8>>, ControlError> {
        let row = sqlx::query("SELECT descriptor_set FROM schema_set WHERE id = 1")
            .fetch_optional(&self.database.pool)
            .await?;
        row.map(|row| Ok(row.try_get("descriptor_set")?)).transpose()
    }
}

async fn fetch(connection: &mut AnyConnection, kind: Kind, name: &str) -> Result<Option<Resource>, ControlError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE kind = $1 AND name = $2")))
        .bind(kind.as_str())
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.map(|row| read_resource(&row)).transpose()
}

async fn check_room(connection: &mut AnyConnection, kind: Kind) -> Result<(), ControlError> {
    let count: i64 = sqlx::query("SELECT COUNT(*) AS count FROM resources WHERE kind = $1")
        .bind(kind.as_str())
        .fetch_one(connection)
        .await?
        .try_get("count")?;
    if count < RESOURCES_PER_KIND_MAX {
        return Ok(());
    }
    Err(ControlError::too_large(
        "too_many_resources",
        format!("there are {count} {}s, which is the limit", kind.word()),
    ))
}

/// Generations go on after a deletion, so that a revision is never written twice.
async fn last_generation(connection: &mut AnyConnection, kind: Kind, name: &str) -> Result<i64, ControlError> {
    let row = sqlx::query("SELECT COALESCE(MAX(generation), 0) AS last FROM revisions WHERE kind = $1 AND name = $2")
        .bind(kind.as_str())
        .bind(name)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get("last")?)
}

/// Which revision is written, and by whom.
struct Revision<'a> {
    kind: Kind,
    name: &'a str,
    generation: i64,
    actor: &'a Actor,
}

impl Revision<'_> {
    async fn write(
        &self,
        connection: &mut AnyConnection,
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), ControlError> {
        sqlx::query(
            "INSERT INTO revisions (kind, name, generation, spec_before, spec_after, changed_ms, changed_by, changed_from) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(self.kind.as_str())
        .bind(self.name)
        .bind(self.generation)
        .bind(before.map(json_text).transpose()?)
        .bind(after.map(json_text).transpose()?)
        .bind(now_ms())
        .bind(&self.actor.caller.user)
        .bind(self.actor.origin.as_str())
        .execute(connection)
        .await?;
        Ok(())
    }
}

fn json_text(value: &impl serde::Serialize) -> Result<String, ControlError> {
    serde_json::to_string(value).map_err(|error| ControlError::internal(format!("cannot write JSON: {error}")))
}

fn read_resource(row: &AnyRow) -> Result<Resource, ControlError> {
    let unreadable =
        |what: &str| ControlError::internal(format!("the resource database holds a row with a broken {what}"));
    let kind: String = row.try_get("kind")?;
    let labels: String = row.try_get("labels")?;
    let spec: String = row.try_get("spec")?;
    Ok(Resource {
        kind: Kind::parse(&kind).ok_or_else(|| unreadable("kind"))?,
        metadata: Metadata {
            name: row.try_get("name")?,
            group: row.try_get("group_name")?,
            labels: serde_json::from_str(&labels).map_err(|_| unreadable("labels"))?,
        },
        spec: serde_json::from_str(&spec).map_err(|_| unreadable("spec"))?,
        generation: row.try_get("generation")?,
        created_ms: row.try_get("created_ms")?,
        updated_ms: row.try_get("updated_ms")?,
        created_by: row.try_get("created_by")?,
        updated_by: row.try_get("updated_by")?,
        updated_from: row.try_get("updated_from")?,
    })
}
