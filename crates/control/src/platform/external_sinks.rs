//! Sinks that are servers of somebody else's: with whose secret, and what the server says before anything is deployed.

use super::Platform;
use super::launch::PlannedSink;
use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::{DaggerSpec, ExternalSinkSpec, SinkSpec};
use crate::error::ControlError;
use crate::resource::{Kind, Metadata};
use crate::sinks::external::{ExternalSinkConfig, Query, check_field_types};
use ::sinks::HttpOptions;

impl Platform {
    /// Checks a sink against the query and makes it ready, without asking its server.
    pub(super) async fn plan_external_sink(
        &self,
        of: &Metadata,
        index: usize,
        spec: &ExternalSinkSpec,
        planned: &PlannedDagger,
        topics: usize,
    ) -> Result<ExternalSinkConfig, ControlError> {
        let secret = match &spec.secret {
            Some(name) => Some(self.secret_value(name, &of.group).await?),
            None => None,
        };
        let query = Query { schema: &planned.plan.schema, key_columns: planned.plan.key_columns.as_deref(), topics };
        ExternalSinkConfig::new(spec, &place(index), &query, secret, HttpOptions::reaching(self.sink_addresses.clone()))
    }

    /// Asks the servers of a dagger's sinks what they would refuse. Only for who may deploy it: the secret goes there.
    pub(super) async fn check_external_sinks(
        &self,
        of: &Metadata,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<(), ControlError> {
        if !spec.sinks.iter().any(|sink| matches!(sink, SinkSpec::External(_))) {
            return Ok(());
        }
        for (index, sink) in self.plan_sinks(of, spec, planned).await?.iter().enumerate() {
            if let PlannedSink::External(config) = sink {
                check_field_types(config, &place(index)).await?;
            }
        }
        Ok(())
    }

    /// Running daggers have the former value.
    pub(super) async fn restart_sinks_with(&self, secret: &str) -> Result<(), ControlError> {
        for resource in self.db.list(Kind::Dagger).await? {
            let name = &resource.metadata.name;
            let Ok(spec) = DaggerSpec::from_json(name, &resource.spec) else { continue };
            let uses = |sink: &SinkSpec| matches!(sink, SinkSpec::External(external) if external.secret.as_deref() == Some(secret));
            if spec.sinks.iter().any(uses) {
                self.supervisor.restart(name, &format!("the secret `{secret}` has changed"));
            }
        }
        Ok(())
    }
}

fn place(index: usize) -> String {
    format!("spec.sinks[{index}]")
}
