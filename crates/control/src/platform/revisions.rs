//! What became of a dagger or firehose, and the way back.

use super::{Applied, Platform};
use crate::access::Actor;
use crate::error::ControlError;
use crate::resource::{API_VERSION, Kind};
use crate::time_text::millis;
use serde_json::{Value, json};
use std::sync::Arc;

/// A dagger or firehose as one change left it.
pub struct Revision {
    pub generation: i64,
    pub changed_ms: i64,
    pub changed_by: String,
    /// Through what it came, as [`crate::access::ChangeOrigin`] says it.
    pub changed_from: String,
    /// `None` when the change was its deletion.
    pub spec: Option<Value>,
}

impl Revision {
    pub fn to_json(&self) -> Value {
        json!({
            "generation": self.generation, "at": millis(self.changed_ms), "by": self.changed_by, "from": self.changed_from,
            "spec": self.spec,
        })
    }
}

impl Platform {
    /// The latest first.
    pub async fn dagger_revisions(&self, name: &str) -> Result<Vec<Revision>, ControlError> {
        self.dagger_resource(name).await?;
        self.revisions_of(Kind::Dagger, name).await
    }

    /// The latest first.
    pub async fn firehose_revisions(&self, name: &str) -> Result<Vec<Revision>, ControlError> {
        self.firehose_resource(name).await?;
        self.revisions_of(Kind::Firehose, name).await
    }

    async fn revisions_of(&self, kind: Kind, name: &str) -> Result<Vec<Revision>, ControlError> {
        let rows = self.db.revisions(kind, name).await?;
        let revisions = rows.into_iter().map(|row| Revision {
            generation: row.generation,
            changed_ms: row.changed_ms,
            changed_by: row.changed_by,
            changed_from: row.changed_from,
            spec: row.spec,
        });
        Ok(revisions.collect())
    }

    /// The states it went through, the latest first.
    pub async fn dagger_history(&self, name: &str) -> Result<Vec<Value>, ControlError> {
        self.dagger_resource(name).await?;
        crate::supervisor::states(&self.database, name).await
    }

    /// Applies a former revision anew: it becomes the latest, and nothing of the history goes.
    pub async fn roll_back_dagger(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        generation: i64,
    ) -> Result<Applied, ControlError> {
        let document = self.revision_document(Kind::Dagger, name, generation).await?;
        self.apply_dagger(actor, &document.to_string()).await
    }

    /// The same of a firehose; its positions stay.
    pub async fn roll_back_firehose(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        generation: i64,
    ) -> Result<Applied, ControlError> {
        let document = self.revision_document(Kind::Firehose, name, generation).await?;
        self.apply_firehose(actor, &document.to_string()).await
    }

    /// A former revision as a document, in the group that the resource is in now.
    async fn revision_document(&self, kind: Kind, name: &str, generation: i64) -> Result<Value, ControlError> {
        let Some(resource) = self.db.get(kind, name).await? else { return Err(self.not_found(kind, name).await) };
        let revisions = self.revisions_of(kind, name).await?;
        let spec = revisions.into_iter().find(|revision| revision.generation == generation).and_then(|it| it.spec);
        let Some(spec) = spec else {
            return Err(ControlError::not_found(
                "revision_not_found",
                format!("the {} `{name}` has no revision {generation} to go back to", kind.word()),
            )
            .with_hint(format!("`GET /api/v1/{}s/{name}/revisions` lists them", kind.word())));
        };
        Ok(json!({
            "apiVersion": API_VERSION, "kind": kind.as_str(),
            "metadata": { "name": name, "group": resource.metadata.group, "labels": resource.metadata.labels },
            "spec": spec,
        }))
    }
}
