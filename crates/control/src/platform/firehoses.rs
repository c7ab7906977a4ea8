//! Firehoses as resources: applying, listing, pausing, moving, deleting; and making them run.

use super::firehose_plan::PlannedFirehose;
use super::{Applied, Platform};
use crate::access::{Actor, Permission, Subject};
use crate::dagger_spec::{CLUSTER_DEFAULT, StartFrom};
use crate::error::ControlError;
use crate::firehose_positions::{FirehosePositions, firehoses_with_positions};
use crate::firehose_spec::{FirehoseDocument, FirehoseSpec, FirehoseState, firehose_owner};
use crate::resource::{Kind, Metadata, Resource};
use crate::sink_settings::setting_error;
use ::sinks::Guarantee;
use delivery::{BackoffOptions, CourierOptions, DeadLetterFilter};
use firehose::{
    DeadLetters, FirehoseConfig, FirehoseError, FirehoseHandle, FirehoseParts, FirehoseStatus, PartitionPosition,
    SeekTo, StartPosition, StopAt, StoredDeadLetters, TopicDeadLetters,
};
use log::TopicLog;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The stream of a firehose's dead letters: it has one.
const STREAM: &str = "records";
/// Of what is read and not delivered yet, beside what the calls at a time hold.
const HELD_BYTES_MIN: usize = 12 << 20;
/// How long a firehose that is changed or ended waits for what is on its way; with a sink that is down, in vain.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(3);

pub struct RunningFirehose {
    pub handle: FirehoseHandle,
    pub(crate) sink: SinkOfFirehose,
}

/// What somebody who looks at a firehose should know of its sink.
#[derive(Clone)]
pub(crate) struct SinkOfFirehose {
    description: Value,
    /// Asked for when it starts; the answer may come later.
    notice: Arc<Mutex<Option<String>>>,
}

impl SinkOfFirehose {
    pub fn to_json(&self, status: &FirehoseStatus) -> Value {
        let mut shown = self.description.clone();
        shown["notice"] = json!(*self.notice.lock().unwrap_or_else(PoisonError::into_inner));
        shown["problem"] = json!(status.message);
        shown["counts"] = json!(status.delivery);
        shown
    }
}

impl Platform {
    /// Checks a firehose wholly, stores it with every default filled in, and lets it run (or not, as its state says).
    /// A dry run does all of it but the last two.
    pub async fn apply_firehose(self: &Arc<Self>, actor: &Actor, text: &str) -> Result<Applied, ControlError> {
        self.ask_sink_of_firehose(actor, text).await?;
        let (metadata, document) = FirehoseDocument::parse(text)?;
        let (resource, change, warnings) = {
            let _change = self.changes.lock().await;
            let mut spec = self.complete_firehose(&metadata, document).await?;
            self.check_firehose_rights(actor, &metadata, &spec).await?;
            let planned = self.plan_firehose(&metadata, &mut spec).await?;
            let warnings = self.firehose_warnings(&metadata, &spec, &planned).await?;
            let group_before = self.db.get(Kind::Firehose, &metadata.name).await?.map(|before| before.metadata.group);
            let (resource, change) = self.db.put(actor, Kind::Firehose, &metadata, &spec.to_json()).await?;
            if actor.is_dry_run {
                return Ok(Applied { resource: resource.to_json(None), change, warnings });
            }
            let why = format!("applied by {}", actor.caller.user);
            self.firehoses.set(self, &metadata.name, spec, resource.generation, &why);
            if group_before.is_some_and(|before| before != metadata.group) {
                // With the secrets and the rights of its new group.
                self.firehoses.restart(&metadata.name, &format!("moved to the group {}", metadata.group));
            }
            (resource, change, warnings)
        };
        self.firehoses.wait(&metadata.name, |observed| observed.has_obeyed()).await;
        Ok(Applied { resource: self.shown_firehose(&resource).await, change, warnings })
    }

    /// What a server elsewhere has to say, before anybody else's change waits for this one. Only for who may deploy: the
    /// secrets go there.
    async fn ask_sink_of_firehose(&self, actor: &Actor, text: &str) -> Result<(), ControlError> {
        let (metadata, document) = FirehoseDocument::parse(text)?;
        let mut spec = self.complete_firehose(&metadata, document).await?;
        self.check_firehose_rights(actor, &metadata, &spec).await?;
        let planned = self.plan_firehose(&metadata, &mut spec).await?;
        planned.sink.check().await.map_err(|error| setting_error("spec.sink", error))
    }

    /// Reads a spec. One that does not say whether it runs leaves the firehose as it is.
    pub(super) async fn complete_firehose(
        &self,
        metadata: &Metadata,
        document: FirehoseDocument,
    ) -> Result<FirehoseSpec, ControlError> {
        let before = self.db.get(Kind::Firehose, &metadata.name).await?;
        let before = before.map(|before| FirehoseSpec::from_json(&before.spec)).transpose()?;
        document.or_state(before.map(|before| before.state)).complete()
    }

    /// To make a firehose one has to be an editor of its group, a reader of what it reads and a writer of what it writes.
    pub(super) async fn check_firehose_rights(
        &self,
        actor: &Actor,
        metadata: &Metadata,
        spec: &FirehoseSpec,
    ) -> Result<(), ControlError> {
        actor.require(Permission::WriteDaggers, &metadata.group)?;
        if let Some(before) = self.db.get(Kind::Firehose, &metadata.name).await? {
            actor.require(Permission::WriteDaggers, &before.metadata.group)?;
        }
        self.check_firehose_topics(actor, spec).await
    }

    async fn firehose_warnings(
        &self,
        metadata: &Metadata,
        spec: &FirehoseSpec,
        planned: &PlannedFirehose,
    ) -> Result<Vec<String>, ControlError> {
        let mut warnings = Vec::new();
        if let Guarantee::AtLeastOnce(why) = planned.sink.guarantee() {
            warnings.push(format!("after a crash records may be there twice: {why}"));
        }
        if let Some(before) = self.db.get(Kind::Firehose, &metadata.name).await?
            && let Ok(before) = FirehoseSpec::from_json(&before.spec)
            && before.topic != spec.topic
        {
            warnings.push(format!(
                "it reads `{}` instead of `{}`: it begins where `startFrom` says, and its ledger with 0",
                spec.topic, before.topic
            ));
        }
        Ok(warnings)
    }

    /// At the start of the process: what a deletion has left that did not come to its end is removed, and all that should run
    /// runs again.
    pub(super) async fn start_firehoses(self: &Arc<Self>) -> Result<(), ControlError> {
        let firehoses = self.db.list(Kind::Firehose).await?;
        let names: BTreeSet<&str> = firehoses.iter().map(|firehose| firehose.metadata.name.as_str()).collect();
        for name in firehoses_with_positions(&self.database).await? {
            if !names.contains(name.as_str()) {
                tracing::info!(firehose = name, "removing what its deletion has left");
                self.forget_firehose(&name).await?;
            }
        }
        for resource in &firehoses {
            let name = &resource.metadata.name;
            match FirehoseSpec::from_json(&resource.spec) {
                Ok(spec) => self.firehoses.set(self, name, spec, resource.generation, "the server started"),
                Err(error) => tracing::error!(firehose = %name, %error, "the stored firehose cannot be read"),
            }
        }
        Ok(())
    }

    /// Plans a firehose as it is stored and starts it where its last commit left it.
    pub(crate) async fn launch_firehose(
        &self,
        name: &str,
        spec: &FirehoseSpec,
    ) -> Result<RunningFirehose, ControlError> {
        let resource = self.firehose_resource(name).await?;
        let mut spec = spec.clone();
        let positions = FirehosePositions::new(self.database.clone(), name, &spec.topic);
        positions.incarnation().await?;
        let planned = self.plan_firehose(&resource.metadata, &mut spec).await?;
        let log = Arc::clone(&self.log) as Arc<dyn TopicLog>;
        let dead_letters: Arc<dyn DeadLetters> = match &spec.dead_letter_topic {
            None => Arc::new(StoredDeadLetters::new(self.dead_letters.clone())),
            Some(topic) => Arc::new(TopicDeadLetters::new(Arc::clone(&log), topic)),
        };
        let sink = describe(&spec, &planned);
        let config = FirehoseConfig {
            owner: firehose_owner(name),
            stream: STREAM.to_owned(),
            start: start_position(spec.start_from),
            stop_at: spec.stop_at_ms.map(StopAt::Time),
            is_paused: spec.state == FirehoseState::Paused,
            order: planned.sink.order(),
            courier: courier_options(&spec),
            drain_time_max: DRAIN_TIME_MAX,
            ..FirehoseConfig::new(name, &spec.topic)
        };
        let parts = FirehoseParts {
            log,
            destination: planned.opener(),
            positions: Arc::new(positions),
            dead_letters,
            pipeline: planned.pipeline,
        };
        let runtime = self.clusters.runtime(CLUSTER_DEFAULT);
        let notice = Arc::clone(&sink.notice);
        runtime.spawn(async move {
            let said = planned.sink.notice().await;
            *notice.lock().unwrap_or_else(PoisonError::into_inner) = said;
        });
        let _entered = runtime.enter();
        Ok(RunningFirehose { handle: firehose::spawn(config, parts), sink })
    }

    pub async fn firehoses(&self) -> Result<Vec<Value>, ControlError> {
        let resources = self.db.by_name(Kind::Firehose).await?;
        let mut shown = Vec::with_capacity(resources.len());
        for resource in resources.values() {
            shown.push(self.shown_firehose(resource).await);
        }
        Ok(shown)
    }

    pub async fn firehose(&self, name: &str) -> Result<Value, ControlError> {
        let resource = self.firehose_resource(name).await?;
        Ok(self.shown_firehose(&resource).await)
    }

    pub(super) async fn firehose_resource(&self, name: &str) -> Result<Resource, ControlError> {
        match self.db.get(Kind::Firehose, name).await? {
            Some(resource) => Ok(resource),
            None => Err(self.not_found(Kind::Firehose, name).await),
        }
    }

    async fn shown_firehose(&self, resource: &Resource) -> Value {
        let Some(observed) = self.firehoses.observe(&resource.metadata.name) else {
            return resource.to_json(Some(json!({ "state": "stopped" })));
        };
        let at_rest = if observed.is_live() { Vec::new() } else { self.positions_at_rest(resource).await };
        resource.to_json(Some(observed.to_json(&at_rest)))
    }

    /// As of the last commit, with the ends of the partitions.
    async fn positions_at_rest(&self, resource: &Resource) -> Vec<(PartitionPosition, i64)> {
        let Ok(spec) = FirehoseSpec::from_json(&resource.spec) else { return Vec::new() };
        let store = FirehosePositions::new(self.database.clone(), &resource.metadata.name, &spec.topic);
        let Ok(positions) = store.read().await else { return Vec::new() };
        let ends = self.log.topic(&spec.topic).await.map(|topic| topic.partitions).unwrap_or_default();
        let end = |number: u32| ends.iter().find(|it| it.partition == number).map(|it| it.end_offset);
        let with_end = |it: PartitionPosition| {
            let end = end(it.partition).unwrap_or(it.next_offset);
            (it, end)
        };
        positions.partitions.into_iter().map(with_end).collect()
    }

    pub async fn pause_firehose(self: &Arc<Self>, actor: &Actor, name: &str) -> Result<Value, ControlError> {
        let why = format!("paused by {}", actor.caller.user);
        self.change_firehose(actor, name, &why, |spec| spec.state = FirehoseState::Paused).await
    }

    /// Lets it run from where it is; one that has failed is tried again.
    pub async fn resume_firehose(self: &Arc<Self>, actor: &Actor, name: &str) -> Result<Value, ControlError> {
        let why = format!("resumed by {}", actor.caller.user);
        self.change_firehose(actor, name, &why, |spec| spec.state = FirehoseState::Running).await
    }

    /// So many calls at a time.
    pub async fn scale_firehose(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        parallelism: usize,
    ) -> Result<Value, ControlError> {
        crate::firehose_spec::check_parallelism("parallelism", parallelism)?;
        let why = format!("scaled by {}", actor.caller.user);
        self.change_firehose(actor, name, &why, |spec| spec.delivery.parallelism = parallelism).await
    }

    async fn change_firehose(
        self: &Arc<Self>,
        actor: &Actor,
        name: &str,
        why: &str,
        change: impl FnOnce(&mut FirehoseSpec),
    ) -> Result<Value, ControlError> {
        {
            let _change = self.changes.lock().await;
            let resource = self.firehose_resource(name).await?;
            actor.require(Permission::WriteDaggers, &resource.metadata.group)?;
            let mut spec = FirehoseSpec::from_json(&resource.spec)?;
            change(&mut spec);
            let (resource, _) = self.db.put(actor, Kind::Firehose, &resource.metadata, &spec.to_json()).await?;
            if actor.is_dry_run {
                return Ok(resource.to_json(None));
            }
            self.firehoses.set(self, name, spec, resource.generation, why);
        }
        self.firehoses.wait(name, |observed| observed.has_obeyed()).await;
        self.firehose(name).await
    }

    /// Lets it go on elsewhere in its topic; what was counted stays counted.
    pub async fn seek_firehose(self: &Arc<Self>, actor: &Actor, name: &str, to: SeekTo) -> Result<Value, ControlError> {
        let resource = self.firehose_resource(name).await?;
        let group = &resource.metadata.group;
        actor.require(Permission::WriteDaggers, group)?;
        actor.check_generation(&format!("the firehose `{name}`"), Some(resource.generation))?;
        let spec = FirehoseSpec::from_json(&resource.spec)?;
        self.check_seek(&spec.topic, &to).await?;
        if actor.is_dry_run {
            return self.firehose(name).await;
        }
        let asked = json!({ "to": format!("{to:?}") });
        let seeked = match self.firehoses.seek(name, to).await {
            Some(Ok(seeked)) => seeked,
            Some(Err(error)) => return Err(seek_error(&error)),
            None => return Err(ControlError::unavailable("firehose_ended", "the firehose has just ended")),
        };
        let positions: Vec<Value> = seeked
            .positions
            .iter()
            .map(|(partition, offset)| json!({ "partition": partition, "offset": offset }))
            .collect();
        let after = json!({ "seek": asked, "positions": positions, "givenUp": seeked.given_up });
        let subject = Subject { kind: Kind::Firehose.as_str(), name, group };
        self.access.record(&actor.caller, "seek", subject, None, Some(&after)).await?;
        self.firehose(name).await
    }

    async fn check_seek(&self, topic: &str, to: &SeekTo) -> Result<(), ControlError> {
        let SeekTo::Offsets(offsets) = to else { return Ok(()) };
        let partitions = self.log.topic(topic).await?.partitions;
        for (partition, offset) in offsets {
            let Some(found) = partitions.iter().find(|found| found.partition == *partition) else {
                let detail = format!("the topic `{topic}` has no partition {partition}: it has {}", partitions.len());
                return Err(ControlError::invalid("partition_not_found", detail).with_hint("they are counted from 0"));
            };
            if !(found.start_offset..=found.end_offset).contains(offset) {
                let detail = format!(
                    "partition {partition} of `{topic}` has the offsets {} to {}, not {offset}",
                    found.start_offset, found.end_offset
                );
                return Err(ControlError::invalid("offset_not_there", detail));
            }
        }
        Ok(())
    }

    /// Ends it and removes what is kept of it; what it has sent stays.
    pub async fn delete_firehose(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        let _change = self.changes.lock().await;
        let resource = self.firehose_resource(name).await?;
        actor.require(Permission::WriteDaggers, &resource.metadata.group)?;
        actor.check_generation(&format!("the firehose `{name}`"), Some(resource.generation))?;
        if actor.is_dry_run {
            return Ok(());
        }
        self.firehoses.end(name, &format!("deleted by {}", actor.caller.user)).await;
        self.db.delete(actor, Kind::Firehose, name).await?;
        self.forget_firehose(name).await
    }

    /// The positions last: if that is not reached, all of it is done again at the next start.
    async fn forget_firehose(&self, name: &str) -> Result<(), ControlError> {
        self.forget_dead_letters(DeadLetterFilter::owner(firehose_owner(name))).await?;
        FirehosePositions::new(self.database.clone(), name, "").delete().await
    }

    /// Running firehoses have the former value.
    pub(super) async fn restart_firehoses_with_secret(&self, secret: &str) -> Result<(), ControlError> {
        self.restart_firehoses(&format!("the secret `{secret}` has changed"), |spec| spec.secrets().contains(secret))
            .await
    }

    pub(super) async fn restart_firehoses(
        &self,
        why: &str,
        is_concerned: impl Fn(&FirehoseSpec) -> bool,
    ) -> Result<(), ControlError> {
        for (name, resource) in self.db.by_name(Kind::Firehose).await?.iter() {
            if FirehoseSpec::from_json(&resource.spec).is_ok_and(|spec| is_concerned(&spec)) {
                self.firehoses.restart(name, why);
            }
        }
        Ok(())
    }

    /// The states it went through, the latest first.
    pub async fn firehose_history(&self, name: &str) -> Result<Vec<Value>, ControlError> {
        self.firehose_resource(name).await?;
        crate::supervisor::states(&self.database, &firehose_owner(name)).await
    }
}

fn start_position(start: StartFrom) -> StartPosition {
    match start {
        StartFrom::Earliest => StartPosition::Earliest,
        StartFrom::Latest => StartPosition::Latest,
        StartFrom::Time(ms) => StartPosition::Timestamp(ms),
    }
}

pub(super) fn courier_options(spec: &FirehoseSpec) -> CourierOptions {
    let defaults = CourierOptions::default();
    let delivery = &spec.delivery;
    let batch_bytes_max = delivery.batch_bytes.unwrap_or(defaults.batch_bytes_max);
    CourierOptions {
        batch_records_max: delivery.batch_records.unwrap_or(defaults.batch_records_max),
        batch_bytes_max,
        linger: delivery.linger,
        lanes: delivery.parallelism,
        held_bytes_max: batch_bytes_max.saturating_mul(delivery.parallelism + 1).max(HELD_BYTES_MIN),
        backoff: BackoffOptions { first: delivery.retry_first, longest: delivery.retry_longest, ..defaults.backoff },
        policy: delivery.policy,
        records_per_second: delivery.records_per_second.and_then(per_second),
        calls_per_second: delivery.calls_per_second.and_then(per_second),
        break_after: NonZeroU32::new(delivery.break_after),
        ..defaults
    }
}

fn per_second(number: u64) -> Option<NonZeroU32> {
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

fn describe(spec: &FirehoseSpec, planned: &PlannedFirehose) -> SinkOfFirehose {
    let (guarantee, why) = match planned.sink.guarantee() {
        Guarantee::ExactlyOnce => ("exactlyOnce", None),
        Guarantee::Overwrites => ("overwrites", None),
        Guarantee::AtLeastOnce(why) => ("atLeastOnce", Some(why)),
    };
    let description = json!({
        "kind": spec.sink.name(), "description": spec.sink.kind.description().title, "guarantee": guarantee,
        "guaranteeWhy": why,
    });
    SinkOfFirehose { description, notice: Arc::default() }
}

fn seek_error(error: &FirehoseError) -> ControlError {
    match error {
        FirehoseError::Log(_) => ControlError::conflict("seek_failed", error.to_string()),
        _ => ControlError::unavailable("seek_failed", format!("it cannot be moved now: {error}"))
            .with_hint("mend what its status says, then seek again"),
    }
}
