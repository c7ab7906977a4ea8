//! Dagger clusters: named places where daggers run, each with limits, each given to groups.
//!
//! Those of the engine `embedded` run inside this server. The default one shares the server's own threads; any other has
//! threads of its own, as many as it has cores, so that what runs there cannot take more of the machine.

use super::Platform;
use crate::access::{Actor, Permission};
use crate::dagger_spec::{CLUSTER_DEFAULT, DaggerSpec, DesiredState};
use crate::error::ControlError;
use crate::resource::{Kind, Metadata, parse_document};
use crate::resource_db::Change;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::runtime::{Handle, Runtime};

pub const CORES_MAX: usize = 256;
pub const DAGGERS_MAX: usize = 10_000;
const DAGGERS_DEFAULT: usize = 1_000;
/// In `groups`: every group may run daggers there.
const EVERY_GROUP: &str = "*";

/// What a cluster may use, and who may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Threads that compute; `None` shares the server's own.
    pub cores: Option<usize>,
    /// Bytes of state of all daggers together; `None` has no limit.
    pub memory: Option<u64>,
    /// Daggers that are to run at the same time.
    pub daggers_max: usize,
    pub groups: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ClusterDocument {
    #[serde(default)]
    engine: Option<String>,
    #[serde(default)]
    cores: Option<usize>,
    #[serde(default)]
    memory: Option<String>,
    #[serde(default)]
    daggers_max: Option<usize>,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

fn invalid(detail: impl Into<String>) -> ControlError {
    ControlError::invalid("dagger_cluster_invalid", detail)
}

impl ClusterDocument {
    fn complete(self) -> Result<ClusterSpec, ControlError> {
        if let Some(engine) = self.engine.filter(|engine| engine != "embedded") {
            return Err(invalid(format!("`spec.engine` is `{engine}`")).with_hint("the engines are: embedded"));
        }
        if let Some(cores) = self.cores.filter(|cores| !(1..=CORES_MAX).contains(cores)) {
            return Err(invalid(format!("`spec.cores` is {cores}, it can be 1 to {CORES_MAX}")));
        }
        let daggers_max = self.daggers_max.unwrap_or(DAGGERS_DEFAULT);
        if !(1..=DAGGERS_MAX).contains(&daggers_max) {
            return Err(invalid(format!("`spec.daggersMax` is {daggers_max}, it can be 1 to {DAGGERS_MAX}")));
        }
        let groups = self.groups.unwrap_or_else(|| vec![EVERY_GROUP.to_owned()]);
        let memory = self.memory.as_deref().map(parse_bytes).transpose()?;
        Ok(ClusterSpec { cores: self.cores, memory, daggers_max, groups })
    }
}

impl ClusterSpec {
    pub fn parse(text: &str) -> Result<(Metadata, ClusterSpec), ControlError> {
        let (metadata, document): (Metadata, ClusterDocument) = parse_document(text, Kind::DaggerCluster)?;
        Ok((metadata, document.complete()?))
    }

    fn from_json(spec: &Value) -> Result<ClusterSpec, ControlError> {
        crate::document::from_json::<ClusterDocument>(spec.clone())?.complete()
    }

    fn to_json(&self) -> Value {
        let memory = self.memory.map(format_bytes);
        json!({ "engine": "embedded", "cores": self.cores, "memory": memory, "daggersMax": self.daggers_max, "groups": self.groups })
    }

    fn takes(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known == EVERY_GROUP || known == group)
    }
}

const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// `512MiB` and its like.
fn parse_bytes(text: &str) -> Result<u64, ControlError> {
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let number = number.trim().parse::<u64>().ok().filter(|number| *number > 0);
    number.and_then(|number| number.checked_mul(bytes)).ok_or_else(|| {
        invalid(format!("`spec.memory` is `{text}`")).with_hint("write a number with KiB, MiB or GiB, such as 512MiB")
    })
}

/// In the greatest unit that divides it.
fn format_bytes(bytes: u64) -> String {
    match UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// The threads of the clusters that have their own.
#[derive(Default)]
pub(super) struct Clusters {
    runtimes: Mutex<HashMap<String, Runtime>>,
}

impl Clusters {
    /// Where the daggers of a cluster run.
    pub fn runtime(&self, cluster: &str) -> Handle {
        self.lock().get(cluster).map_or_else(Handle::current, |runtime| runtime.handle().clone())
    }

    fn start(&self, name: &str, cores: usize) -> Result<(), ControlError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name(format!("cluster {name}"))
            .enable_all()
            .build()
            .map_err(|error| {
                ControlError::unavailable("threads_missing", format!("cannot start {cores} threads: {error}"))
            })?;
        if let Some(former) = self.lock().insert(name.to_owned(), runtime) {
            former.shutdown_background();
        }
        Ok(())
    }

    fn end(&self, name: &str) {
        if let Some(runtime) = self.lock().remove(name) {
            runtime.shutdown_background();
        }
    }

    pub fn close(&self) {
        for (_, runtime) in self.lock().drain() {
            runtime.shutdown_background();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Runtime>> {
        // Held for map operations only, so a poisoned one is still whole.
        self.runtimes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Platform {
    /// At the start: the default cluster is there, and the threads of the others.
    pub(super) async fn prepare_clusters(&self, server: &Actor) -> Result<(), ControlError> {
        if self.db.get(Kind::DaggerCluster, CLUSTER_DEFAULT).await?.is_none() {
            let spec = ClusterSpec {
                cores: None,
                memory: None,
                daggers_max: DAGGERS_DEFAULT,
                groups: vec![EVERY_GROUP.to_owned()],
            };
            self.db.put(server, Kind::DaggerCluster, &Metadata::named(CLUSTER_DEFAULT), &spec.to_json()).await?;
        }
        for cluster in self.db.list(Kind::DaggerCluster).await? {
            if let Some(cores) = ClusterSpec::from_json(&cluster.spec)?.cores {
                self.clusters.start(&cluster.metadata.name, cores)?;
            }
        }
        Ok(())
    }

    /// Makes or changes a cluster. Another number of cores starts its daggers anew, from their last checkpoints.
    pub async fn apply_cluster(&self, actor: &Actor, text: &str) -> Result<(Value, Change), ControlError> {
        let (metadata, spec) = ClusterSpec::parse(text)?;
        actor.require(Permission::WritePlatform, &metadata.group)?;
        let _change = self.changes.lock().await;
        for group in spec.groups.iter().filter(|group| *group != EVERY_GROUP) {
            self.check_group_exists(group).await?;
        }
        let before = match self.db.get(Kind::DaggerCluster, &metadata.name).await? {
            Some(before) => Some(ClusterSpec::from_json(&before.spec)?),
            None => None,
        };
        if metadata.name == CLUSTER_DEFAULT && spec.cores.is_some() {
            return Err(invalid(format!("`{CLUSTER_DEFAULT}` shares the server's own threads"))
                .with_hint("make another cluster to give daggers cores of their own"));
        }
        let (resource, change) = self.db.put(actor, Kind::DaggerCluster, &metadata, &spec.to_json()).await?;
        if !actor.is_dry_run && before.as_ref().map(|before| before.cores) != Some(spec.cores) {
            let running = self.daggers_of(&metadata.name).await?;
            match spec.cores {
                Some(cores) => self.clusters.start(&metadata.name, cores)?,
                None => self.clusters.end(&metadata.name),
            }
            for (dagger, _) in running {
                self.supervisor.restart(&dagger, "the cores of its cluster changed");
            }
        }
        Ok((resource.to_json(None), change))
    }

    pub async fn delete_cluster(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        actor.require(Permission::WritePlatform, crate::resource::GROUP_DEFAULT)?;
        let _change = self.changes.lock().await;
        if self.db.get(Kind::DaggerCluster, name).await?.is_none() {
            return Err(self.not_found(Kind::DaggerCluster, name).await);
        }
        if name == CLUSTER_DEFAULT {
            return Err(ControlError::conflict("dagger_cluster_in_use", format!("`{CLUSTER_DEFAULT}` stays")));
        }
        if let Some((dagger, _)) = self.daggers_of(name).await?.first() {
            return Err(ControlError::conflict(
                "dagger_cluster_in_use",
                format!("the dagger `{dagger}` runs in the cluster `{name}`"),
            )
            .with_hint("delete it, or give it another cluster, first"));
        }
        self.db.delete(actor, Kind::DaggerCluster, name).await?;
        if !actor.is_dry_run {
            self.clusters.end(name);
        }
        Ok(())
    }

    pub async fn clusters(&self) -> Result<Vec<Value>, ControlError> {
        let daggers = self.dagger_places().await?;
        let clusters = self.db.list(Kind::DaggerCluster).await?;
        Ok(clusters
            .iter()
            .map(|cluster| {
                let here: Vec<&(String, String, DesiredState)> =
                    daggers.iter().filter(|(_, place, _)| *place == cluster.metadata.name).collect();
                let running = here.iter().filter(|(_, _, state)| *state == DesiredState::Running).count();
                let names: Vec<&str> = here.iter().map(|(name, _, _)| name.as_str()).collect();
                let bytes: usize = names.iter().map(|name| self.state_bytes(name)).sum();
                cluster.to_json(Some(json!({ "daggers": names, "running": running, "stateBytes": bytes })))
            })
            .collect())
    }

    pub async fn cluster(&self, name: &str) -> Result<Value, ControlError> {
        let clusters = self.clusters().await?;
        match clusters.into_iter().find(|cluster| cluster["metadata"]["name"] == name) {
            Some(cluster) => Ok(cluster),
            None => Err(self.not_found(Kind::DaggerCluster, name).await),
        }
    }

    /// Whether a dagger may run where its spec says, and has room there.
    pub(super) async fn check_cluster(&self, metadata: &Metadata, spec: &DaggerSpec) -> Result<(), ControlError> {
        let Some(cluster) = self.db.get(Kind::DaggerCluster, &spec.cluster).await? else {
            return Err(self.not_found(Kind::DaggerCluster, &spec.cluster).await);
        };
        let limits = ClusterSpec::from_json(&cluster.spec)?;
        if !limits.takes(&metadata.group) {
            return Err(ControlError::conflict(
                "dagger_cluster_refused",
                format!("the cluster `{}` is not given to the group `{}`", spec.cluster, metadata.group),
            )
            .with_hint(format!("it is given to: {}; `{CLUSTER_DEFAULT}` is the default", limits.groups.join(", "))));
        }
        if spec.state == DesiredState::Suspended {
            return Ok(());
        }
        let here = self.daggers_of(&spec.cluster).await?;
        let others =
            here.iter().filter(|(name, state)| *name != metadata.name && *state == DesiredState::Running).count();
        if others >= limits.daggers_max {
            return Err(ControlError::conflict(
                "dagger_cluster_full",
                format!("{others} daggers run in the cluster `{}`, which is its limit", spec.cluster),
            )
            .with_hint("stop one, or choose another cluster"));
        }
        Ok(())
    }

    fn state_bytes(&self, dagger: &str) -> usize {
        self.supervisor.observe(dagger).map_or(0, |observed| observed.state_bytes())
    }

    /// Looks at the memory of every cluster that has a limit. In one beyond it the dagger with the most state is stopped, so
    /// that the others go on; it keeps its state and can be started again when there is room.
    pub(super) async fn keep_clusters_in_memory(&self) -> Result<(), ControlError> {
        for cluster in self.db.list(Kind::DaggerCluster).await? {
            let Some(limit) = ClusterSpec::from_json(&cluster.spec)?.memory else { continue };
            let name = &cluster.metadata.name;
            let daggers = self.daggers_of(name).await?;
            let sizes: Vec<(usize, &str)> =
                daggers.iter().map(|(dagger, _)| (self.state_bytes(dagger), dagger.as_str())).collect();
            let total: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
            let Some((bytes, largest)) = sizes.into_iter().max() else { continue };
            if total as u64 > limit {
                let reason = format!(
                    "the dagger cluster `{name}` may hold {} of state and held {total} bytes, {bytes} of them of this \
                     dagger; give it less to keep (fewer keys, shorter windows), or the cluster more memory, and start it",
                    format_bytes(limit)
                );
                tracing::warn!(dagger = largest, cluster = name, total, limit, "stopped: the cluster is out of memory");
                self.supervisor.refuse(largest, &reason);
            }
        }
        Ok(())
    }

    /// The daggers of a cluster, and what they are to do.
    async fn daggers_of(&self, cluster: &str) -> Result<Vec<(String, DesiredState)>, ControlError> {
        let places = self.dagger_places().await?;
        let here = places.into_iter().filter(|(_, place, _)| place == cluster);
        Ok(here.map(|(name, _, state)| (name, state)).collect())
    }

    async fn dagger_places(&self) -> Result<Vec<(String, String, DesiredState)>, ControlError> {
        let daggers = self.db.by_name(Kind::Dagger).await?;
        // Stored specs are complete, so what is asked for can be taken out of them.
        let places = daggers.iter().map(|(name, dagger)| {
            let text = |key: &str| dagger.spec.get(key).and_then(Value::as_str);
            let is_suspended = text("state") == Some(DesiredState::Suspended.as_str());
            let state = if is_suspended { DesiredState::Suspended } else { DesiredState::Running };
            (name.clone(), text("cluster").unwrap_or(CLUSTER_DEFAULT).to_owned(), state)
        });
        Ok(places.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_and_written_in_units() {
        for (text, bytes) in [("512MiB", 512 << 20), ("3GiB", 3 << 30), ("1000", 1_000), ("1KiB", 1_024)] {
            assert_eq!(parse_bytes(text).unwrap(), bytes);
            assert_eq!(format_bytes(bytes), text);
        }
        for text in ["", "MiB", "0MiB", "-1GiB", "1TB", "99999999999999999999", "18446744073709551615GiB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
