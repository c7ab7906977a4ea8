//! Trying whether a cluster can be connected to, before or after it is applied.

use crate::access::{Actor, Permission};
use crate::error::{ControlError, ErrorKind};
use crate::kafka_cluster_spec::{EMBEDDED, KafkaClusterSpec, KafkaSpec, invalid};
use crate::platform::Platform;
use crate::resource::Kind;
use kafka::{Outcome, StepOutcome};
use serde_json::{Value, json};

/// Each takes threads for as long as it lasts.
pub(in crate::platform) const TRIALS_AT_ONCE_MAX: usize = 4;

impl Platform {
    /// Tries a cluster that was applied.
    pub async fn test_kafka_cluster(&self, actor: &Actor, name: &str) -> Result<Value, ControlError> {
        let Some(cluster) = self.db.get(Kind::KafkaCluster, name).await? else {
            return Err(self.not_found(Kind::KafkaCluster, name).await);
        };
        actor.require(Permission::WritePlatform, &cluster.metadata.group)?;
        match KafkaClusterSpec::from_json(&cluster.spec)? {
            KafkaClusterSpec::Embedded => Err(nothing_to_try()),
            KafkaClusterSpec::Kafka(spec) => self.try_kafka(name, &cluster.metadata.group, &spec).await,
        }
    }

    /// Tries what a document says. Whoever may not apply it may not have this server connect to what it names, either.
    pub async fn test_kafka_cluster_document(&self, actor: &Actor, text: &str) -> Result<Value, ControlError> {
        let (metadata, spec) = KafkaClusterSpec::parse(text)?;
        actor.require(Permission::WritePlatform, &metadata.group)?;
        match spec {
            KafkaClusterSpec::Embedded => Err(nothing_to_try()),
            KafkaClusterSpec::Kafka(spec) => self.try_kafka(&metadata.name, &metadata.group, &spec).await,
        }
    }

    async fn try_kafka(&self, name: &str, group: &str, spec: &KafkaSpec) -> Result<Value, ControlError> {
        let Ok(_turn) = self.kafka_clusters.trials.try_acquire() else {
            let detail = format!("{TRIALS_AT_ONCE_MAX} connections are being tested just now");
            return Err(ControlError::new(ErrorKind::Throttled, "too_many_tests", detail)
                .with_hint("try again in some seconds"));
        };
        let config = self.kafka_config(name, group, spec).await?;
        let steps = tokio::task::spawn_blocking(move || kafka::test_connection(&config)).await?;
        let steps = steps.map_err(|error| invalid(format!("`spec`: {error}")))?;
        let ok = steps.iter().all(|step| step.outcome == Outcome::Passed);
        Ok(json!({ "ok": ok, "steps": steps.iter().map(shown).collect::<Vec<_>>() }))
    }
}

fn shown(step: &StepOutcome) -> Value {
    json!({
        "step": step.step.as_str(), "outcome": step.outcome.as_str(), "ms": step.took.as_millis() as u64,
        "detail": step.detail, "hint": step.hint,
    })
}

fn nothing_to_try() -> ControlError {
    let detail = format!("the Kafka cluster `{EMBEDDED}` is part of this server; there is no connection to test");
    ControlError::conflict("cluster_builtin", detail)
}
