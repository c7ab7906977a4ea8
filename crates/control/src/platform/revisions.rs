//! What became of a dagger, and the way back.

use super::{AppliedDagger, Platform};
use crate::access::Actor;
use crate::error::ControlError;
use crate::resource::{API_VERSION, Kind};
use crate::time_text::millis;
use serde_json::{Value, json};
use std::sync::Arc;

/// A dagger as one change left it.
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
        let rows = self.db.revisions(Kind::Dagger, name).await?;
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
    ) -> Result<AppliedDagger, ControlError> {
        let resource = self.dagger_resource(name).await?;
        let revisions = self.dagger_revisions(name).await?;
        let spec = revisions.into_iter().find(|revision| revision.generation == generation).and_then(|it| it.spec);
        let Some(spec) = spec else {
            return Err(ControlError::not_found(
                "revision_not_found",
                format!("the dagger `{name}` has no revision {generation} to go back to"),
            )
            .with_hint(format!("`GET /api/v1/daggers/{name}/revisions` lists them")));
        };
        let document = json!({
            "apiVersion": API_VERSION, "kind": Kind::Dagger.as_str(),
            "metadata": { "name": name, "group": resource.metadata.group, "labels": resource.metadata.labels },
            "spec": spec,
        });
        self.apply_dagger(actor, &document.to_string()).await
    }
}
