//! The state of daggers on disk: checkpoints, and beside them what they belong to.

use super::Platform;
use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::{DaggerSpec, StartFrom};
use crate::error::ControlError;
use crate::state_identity::StateIdentity;
use delivery::DeadLetterFilter;
use log::{LogError, TopicLog};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const IDENTITY_FILE: &str = "identity.json";

impl Platform {
    fn state_dir(&self, dagger: &str) -> PathBuf {
        self.directory.checkpoints().join("daggers").join(dagger)
    }

    /// State that is on its way out; a crash may leave it here, where nobody reads it.
    fn dropped_dir(&self, dagger: &str) -> PathBuf {
        self.directory.checkpoints().join("dropped").join(dagger)
    }

    /// What the state of a dagger that is there belongs to.
    pub(super) async fn stored_identity(&self, dagger: &str) -> Result<Option<StateIdentity>, ControlError> {
        let directory = self.state_dir(dagger);
        tokio::task::spawn_blocking(move || read_identity(&directory)).await?
    }

    /// Before a dagger starts: state that its query and streams do not fit goes, as `apply` has said.
    pub(super) async fn fit_state(
        &self,
        name: &str,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<(), ControlError> {
        let next = StateIdentity::of(spec, planned);
        let stored = self.stored_identity(name).await?;
        if stored.as_ref() == Some(&next) {
            return Ok(());
        }
        if let Some(stored) = &stored
            && let Some(obstacle) = stored.obstacle(&next)
        {
            tracing::warn!(dagger = name, obstacle, "the dagger starts anew, without the state of the former one");
            // What is read again is judged again, so what was replayed or refused before would be there twice.
            for table in stored.tables() {
                let start = spec.streams.iter().find(|stream| stream.table == table).map(|stream| stream.start_from);
                if start != Some(StartFrom::Latest) {
                    self.forget_dead_letters(DeadLetterFilter {
                        stream: Some(table.to_owned()),
                        ..DeadLetterFilter::owner(name)
                    })
                    .await?;
                }
                self.forget_replays(name, table).await?;
            }
            // Last: if this is not reached, all of it is done again at the next start.
            self.drop_state(name).await?;
        }
        let directory = self.state_dir(name);
        tokio::task::spawn_blocking(move || write_identity(&directory, &next)).await?
    }

    /// At once or not at all, however the process ends.
    pub(super) async fn drop_state(&self, dagger: &str) -> Result<(), ControlError> {
        let (directory, dropped) = (self.state_dir(dagger), self.dropped_dir(dagger));
        tokio::task::spawn_blocking(move || {
            remove(&dropped)?;
            std::fs::create_dir_all(dropped.parent().unwrap_or(&dropped))
                .map_err(|error| unusable(&dropped, &error))?;
            match std::fs::rename(&directory, &dropped) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(&directory, &error)),
                _ => remove(&dropped),
            }
        })
        .await?
    }

    pub(super) async fn forget_dead_letters(&self, filter: DeadLetterFilter) -> Result<(), ControlError> {
        let store = self.dead_letters.clone();
        Ok(tokio::task::spawn_blocking(move || store.delete(&filter).map(drop)).await??)
    }

    pub(super) async fn forget_replays(&self, dagger: &str, table: &str) -> Result<(), ControlError> {
        match self.log.delete_topic(&super::replay::replay_topic(dagger, table)).await {
            Ok(()) | Err(LogError::UnknownTopic { .. } | LogError::InvalidTopicName { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// One that cannot be read is as good as none: the checkpoint itself says which query it is of, too.
fn read_identity(directory: &Path) -> Result<Option<StateIdentity>, ControlError> {
    match std::fs::read(directory.join(IDENTITY_FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unusable(directory, &error)),
    }
}

fn write_identity(directory: &Path, identity: &StateIdentity) -> Result<(), ControlError> {
    let beside = directory.join("identity.new");
    let bytes = serde_json::to_vec_pretty(identity).map_err(|error| ControlError::internal(error.to_string()))?;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&beside, bytes))
        .and_then(|()| std::fs::rename(&beside, directory.join(IDENTITY_FILE)))
        .map_err(|error| unusable(directory, &error))
}

fn remove(directory: &Path) -> Result<(), ControlError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unusable(directory, &error)),
        _ => Ok(()),
    }
}

fn unusable(directory: &Path, error: &std::io::Error) -> ControlError {
    ControlError::unavailable("state_unusable", format!("the state in {}: {error}", directory.display()))
}
