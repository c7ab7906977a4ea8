//! Daggers as resources: applying, listing, starting, stopping, deleting.

use super::Platform;
use crate::access::{Actor, Caller, Permission};
use crate::dagger_plan::{self, FutureCheck, PlannedDagger};
use crate::dagger_spec::{DaggerDocument, DaggerSpec, DesiredState, SinkSpec};
use crate::error::ControlError;
use crate::measurement_name;
use crate::resource::{Kind, Metadata, Resource};
use crate::resource_db::Change;
use crate::supervisor::{Desired, Phase};
use crate::topic_spec::TopicSpec;
use delivery::DeadLetterFilter;
use flow::AcceptedLoss;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard};

/// What `apply` did with a dagger.
pub struct Applied {
    pub resource: Value,
    pub change: Change,
    /// What the one who applied it should know, such as state that goes.
    pub warnings: Vec<String>,
}

impl Platform {
    /// Checks a dagger wholly, stores it with every default filled in, and lets it run (or not, as its state says).
    /// A dry run does all of it but the last two, and looks at a sample of the records.
    pub async fn apply_dagger(self: &Arc<Self>, actor: &Actor, text: &str) -> Result<Applied, ControlError> {
        let mut applied = self.check_and_apply(actor, text).await?;
        if actor.is_dry_run {
            // Only now that others need not wait for it.
            applied.warnings.extend(self.tag_warning(text).await);
        }
        Ok(applied)
    }

    async fn check_and_apply(self: &Arc<Self>, actor: &Actor, text: &str) -> Result<Applied, ControlError> {
        self.ask_sinks_of(actor, text).await?;
        let (metadata, document) = DaggerDocument::parse(text)?;
        let (resource, change, warnings) = {
            let _change = self.changes.lock().await;
            let mut spec = self.complete(&metadata, document).await?;
            let planned = self.check_dagger(&metadata, &mut spec).await?;
            self.check_rights(actor, &metadata, &spec).await?;
            let mut warnings = self.warnings(&metadata, &spec, &planned).await?;
            if !actor.is_dry_run {
                self.check_seen(actor, &metadata.name).await?;
                self.prepare_sink_topics(&actor.unconditional(), &metadata, &spec, &planned).await?;
            }
            let group_before = self.db.get(Kind::Dagger, &metadata.name).await?.map(|before| before.metadata.group);
            let moved_from = group_before.filter(|before| *before != metadata.group && !actor.is_dry_run);
            if let Some(before) = &moved_from {
                self.begin_move(&metadata, before)?;
            }
            let put = self.db.put(actor, Kind::Dagger, &metadata, &spec.to_json()).await;
            if put.is_err() && moved_from.is_some() {
                self.end_move();
            }
            let (resource, change) = put?;
            if actor.is_dry_run {
                return Ok(Applied { resource: resource.to_json(None), change, warnings });
            }
            if let Some(before) = moved_from {
                // Nothing writes to its measurements while they change their names.
                self.supervisor.end(&metadata.name, &format!("moved to the group {}", metadata.group)).await;
                warnings.extend(self.move_measurements(&metadata, &before, &spec).await?);
                self.end_move();
            }
            self.supervise(&resource, spec.state, &format!("applied by {}", actor.caller.user));
            (resource, change, warnings)
        };
        self.supervisor.wait(&metadata.name, |phase| phase != Phase::Deploying).await;
        Ok(Applied { resource: self.shown(&resource), change, warnings })
    }

    /// What servers elsewhere have to say, before anybody else's change waits for this one.
    async fn ask_sinks_of(&self, actor: &Actor, text: &str) -> Result<(), ControlError> {
        let (metadata, document) = DaggerDocument::parse(text)?;
        let mut spec = self.complete(&metadata, document).await?;
        if !spec.sinks.iter().any(|sink| matches!(sink, SinkSpec::External(_) | SinkSpec::Kind(_))) {
            return Ok(());
        }
        let planned = self.check_dagger(&metadata, &mut spec).await?;
        self.check_rights(actor, &metadata, &spec).await?;
        self.check_external_sinks(&metadata, &spec, &planned).await
    }

    /// Reads a spec. One that does not say whether it runs leaves the dagger as it is.
    pub(super) async fn complete(
        &self,
        metadata: &Metadata,
        document: DaggerDocument,
    ) -> Result<DaggerSpec, ControlError> {
        let before = self.db.get(Kind::Dagger, &metadata.name).await?;
        let before = before.map(|before| DaggerSpec::from_json(&metadata.name, &before.spec)).transpose()?;
        document.or_state(before.map(|before| before.state)).complete(&metadata.name)
    }

    /// Before anything is made on the way to the change.
    async fn check_seen(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        let before = self.db.get(Kind::Dagger, name).await?;
        actor.check_generation(&format!("the dagger `{name}`"), before.map(|before| before.generation))
    }

    /// To make a dagger one has to be an editor of its group, a reader of what it reads and a writer of what it writes.
    async fn check_rights(&self, actor: &Actor, metadata: &Metadata, spec: &DaggerSpec) -> Result<(), ControlError> {
        actor.require(Permission::WriteDaggers, &metadata.group)?;
        if let Some(before) = self.db.get(Kind::Dagger, &metadata.name).await? {
            actor.require(Permission::WriteDaggers, &before.metadata.group)?;
        }
        self.check_readable(&actor.caller, spec).await?;
        for sink in &spec.sinks {
            let SinkSpec::Topic { topic, .. } = sink else { continue };
            match self.db.get(Kind::Topic, topic).await? {
                Some(topic) => actor.require(Permission::WriteRecords, &topic.metadata.group)?,
                None => actor.require(Permission::WriteTopics, &metadata.group)?,
            }
        }
        Ok(())
    }

    /// Whether the caller may read the records of every topic that the dagger reads.
    pub(super) async fn check_readable(&self, caller: &Caller, spec: &DaggerSpec) -> Result<(), ControlError> {
        for topic in spec.streams.iter().flat_map(|stream| &stream.topics) {
            if let Some(resource) = self.db.get(Kind::Topic, topic).await? {
                caller.require(Permission::ReadRecords, &resource.metadata.group).map_err(|error| ControlError {
                    detail: format!("the topic `{topic}`: {}", error.detail),
                    ..error
                })?;
            }
        }
        Ok(())
    }

    /// Everything that can be wrong with a dagger before it runs; makes nothing.
    pub(super) async fn check_dagger(
        &self,
        metadata: &Metadata,
        spec: &mut DaggerSpec,
    ) -> Result<PlannedDagger, ControlError> {
        self.check_group(metadata).await?;
        self.check_cluster(metadata, spec).await?;
        let name = &metadata.name;
        for (index, stream) in spec.streams.iter_mut().enumerate() {
            if stream.topics.is_empty() {
                return Err(ControlError::invalid(
                    "dagger_invalid",
                    format!("`spec.streams[{index}].topics` is empty"),
                )
                .with_hint("name at least one topic: `topics: [booking-log]`"));
            }
            for topic in &stream.topics {
                let Some(resource) = self.db.get(Kind::Topic, topic).await? else {
                    return Err(self.not_found(Kind::Topic, topic).await);
                };
                let of_topic = TopicSpec::from_json(&resource.spec)?.schema;
                if stream.schema.is_none() {
                    stream.schema = of_topic;
                }
            }
        }
        let planned = dagger_plan::plan(spec, &self.schema_set(), FutureCheck::AppendTime)?;
        for measurement in measurements(spec) {
            measurement_name::check(&metadata.group, measurement)?;
        }
        self.plan_sinks(metadata, spec, &planned).await?;
        self.check_generated_types(name, spec, &planned).await?;
        Ok(planned)
    }

    pub(super) async fn warnings(
        &self,
        metadata: &Metadata,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<Vec<String>, ControlError> {
        let mut warnings = self.state_verdict(&metadata.name, spec, planned).await?.warnings();
        let daggers = self.db.by_name(Kind::Dagger).await?;
        let others = daggers.iter().filter(|(name, _)| **name != metadata.name);
        for (name, other) in others.filter(|(_, other)| other.metadata.group == metadata.group) {
            for measurement in measurements(spec) {
                if stored_measurements(other).any(|theirs| theirs == measurement) {
                    warnings.push(format!("the dagger `{name}` writes the measurement `{measurement}` too"));
                }
            }
        }
        Ok(warnings)
    }

    /// At the start of the process: all that should run, run again.
    pub(super) async fn supervise_all(self: &Arc<Self>) -> Result<(), ControlError> {
        for resource in self.db.list(Kind::Dagger).await? {
            match DaggerSpec::from_json(&resource.metadata.name, &resource.spec) {
                Ok(spec) => self.supervise(&resource, spec.state, "the server started"),
                Err(error) => {
                    tracing::error!(dagger = %resource.metadata.name, %error, "the stored dagger cannot be read")
                }
            }
        }
        Ok(())
    }

    fn supervise(self: &Arc<Self>, resource: &Resource, state: DesiredState, why: &str) {
        let desired = match state {
            DesiredState::Running => Desired::Running { generation: resource.generation },
            DesiredState::Suspended => Desired::Suspended,
        };
        self.supervisor.set(self, &resource.metadata.name, desired, why);
    }

    pub async fn daggers(&self) -> Result<Vec<Value>, ControlError> {
        Ok(self.db.by_name(Kind::Dagger).await?.values().map(|resource| self.shown(resource)).collect())
    }

    pub async fn dagger(&self, name: &str) -> Result<Value, ControlError> {
        Ok(self.shown(&self.dagger_resource(name).await?))
    }

    pub(super) async fn dagger_resource(&self, name: &str) -> Result<Resource, ControlError> {
        match self.db.get(Kind::Dagger, name).await? {
            Some(resource) => Ok(resource),
            None => Err(self.not_found(Kind::Dagger, name).await),
        }
    }

    fn shown(&self, resource: &Resource) -> Value {
        let status = self.supervisor.observe(&resource.metadata.name).map(|observed| observed.to_json());
        resource.to_json(Some(status.unwrap_or_else(|| json!({ "state": "stopped" }))))
    }

    /// Suspends it; answers when it has stopped with a checkpoint.
    pub async fn stop_dagger(self: &Arc<Self>, actor: &Actor, name: &str) -> Result<Value, ControlError> {
        self.set_state(actor, name, DesiredState::Suspended).await?;
        if actor.is_dry_run {
            return self.dagger(name).await;
        }
        self.supervisor.wait(name, |phase| phase == Phase::Suspended).await;
        self.dagger(name).await
    }

    /// Lets it run from where it stopped; one that has failed is tried again.
    pub async fn start_dagger(self: &Arc<Self>, actor: &Actor, name: &str) -> Result<Value, ControlError> {
        self.start_dagger_accepting(actor, name, None).await
    }

    /// The same with a decision about records that are gone before it has read them; without one it does not start then.
    pub async fn start_dagger_accepting(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        accepted_loss: Option<AcceptedLoss>,
    ) -> Result<Value, ControlError> {
        if let (Some(loss), false) = (accepted_loss, actor.is_dry_run) {
            let group = self.dagger_resource(name).await?.metadata.group;
            actor.require(Permission::WriteDaggers, &group)?;
            self.accepted_losses().insert(name.to_owned(), loss);
        }
        self.set_state(actor, name, DesiredState::Running).await?;
        if actor.is_dry_run {
            return self.dagger(name).await;
        }
        if self
            .supervisor
            .observe(name)
            .is_some_and(|observed| matches!(observed.phase(), Phase::Failed | Phase::Failing))
        {
            self.supervisor.restart(name, &started_by(actor));
        }
        self.supervisor.wait(name, |phase| !matches!(phase, Phase::Deploying | Phase::Suspended)).await;
        self.dagger(name).await
    }

    fn accepted_losses(&self) -> MutexGuard<'_, HashMap<String, AcceptedLoss>> {
        self.accepted_losses.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What was decided for the next start; it holds for that one only.
    pub(super) fn take_accepted_loss(&self, name: &str) -> Option<AcceptedLoss> {
        self.accepted_losses().remove(name)
    }

    async fn set_state(self: &Arc<Self>, actor: &Actor, name: &str, state: DesiredState) -> Result<(), ControlError> {
        let _change = self.changes.lock().await;
        let resource = self.dagger_resource(name).await?;
        actor.require(Permission::WriteDaggers, &resource.metadata.group)?;
        let mut spec = DaggerSpec::from_json(name, &resource.spec)?;
        spec.state = state;
        let (resource, _) = self.db.put(actor, Kind::Dagger, &resource.metadata, &spec.to_json()).await?;
        if !actor.is_dry_run {
            let why = match state {
                DesiredState::Running => started_by(actor),
                DesiredState::Suspended => format!("stopped by {}", actor.caller.user),
            };
            self.supervise(&resource, state, &why);
        }
        Ok(())
    }

    /// Ends it and removes its state and its dead letters; what it has written stays.
    pub async fn delete_dagger(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        let _change = self.changes.lock().await;
        let resource = self.dagger_resource(name).await?;
        actor.require(Permission::WriteDaggers, &resource.metadata.group)?;
        actor.check_generation(&format!("the dagger `{name}`"), Some(resource.generation))?;
        if actor.is_dry_run {
            return Ok(());
        }
        self.supervisor.end(name, &format!("deleted by {}", actor.caller.user)).await;
        self.db.delete(actor, Kind::Dagger, name).await?;
        self.forget_dead_letters(DeadLetterFilter::owner(name)).await?;
        self.drop_state(name).await?;
        let spec = DaggerSpec::from_json(name, &resource.spec)?;
        for stream in &spec.streams {
            self.forget_replays(name, &stream.table).await?;
        }
        Ok(())
    }
}

fn started_by(actor: &Actor) -> String {
    format!("started by {}", actor.caller.user)
}

pub(super) fn measurements(spec: &DaggerSpec) -> impl Iterator<Item = &str> {
    spec.sinks.iter().filter_map(|sink| match sink {
        SinkSpec::Series { measurement, .. } => Some(measurement.as_str()),
        _ => None,
    })
}

/// The same of a stored dagger, whose spec is complete, without reading all of it.
pub(super) fn stored_measurements(dagger: &Resource) -> impl Iterator<Item = &str> {
    let sinks = dagger.spec.get("sinks").and_then(Value::as_array).into_iter().flatten();
    let own = sinks.filter(|sink| sink.get("kind").and_then(Value::as_str) == Some("series"));
    own.filter_map(|sink| sink.get("measurement").and_then(Value::as_str))
}
