//! The state of daggers on disk: checkpoints, and beside them what they belong to.

use super::Platform;
use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::{DaggerSpec, StartFrom};
use crate::error::ControlError;
use crate::resource::Kind;
use crate::state_identity::{StateFate, StateIdentity, StateVerdict, StoredState};
use delivery::DeadLetterFilter;
use log::{LogError, TopicLog};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
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

    /// What applying a dagger does to the state that is there. What is told before is what then happens: the start of a
    /// dagger asks the same.
    pub(super) async fn state_verdict(
        &self,
        name: &str,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<StateVerdict, ControlError> {
        Ok(self.stored_state(name).await?.verdict(&StateIdentity::of(spec, planned), planned))
    }

    async fn stored_state(&self, dagger: &str) -> Result<StoredState, ControlError> {
        let directory = self.state_dir(dagger);
        tokio::task::spawn_blocking(move || read_state(&directory)).await?
    }

    /// Before a dagger starts: state that its query and streams do not fit goes, as `apply` has said.
    pub(super) async fn fit_state(
        &self,
        name: &str,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<(), ControlError> {
        let next = StateIdentity::of(spec, planned);
        let stored = self.stored_state(name).await?;
        let verdict = stored.verdict(&next, planned);
        if verdict.fate == StateFate::Lost {
            let reason = verdict.reason.as_deref().unwrap_or_default();
            tracing::warn!(dagger = name, reason, "the dagger starts anew, without the state of the former one");
            // What is read again is judged again, so what was replayed or refused before would be there twice.
            let mut tables = stored.tables();
            if tables.is_empty() {
                tables.extend(spec.streams.iter().map(|stream| stream.table.as_str()));
            }
            for table in tables {
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

    /// At the start: what a deletion has left that did not come to its end, so that a new dagger of the same name does not go
    /// on from it.
    pub(super) async fn remove_leftovers(&self) -> Result<(), ControlError> {
        let daggers = self.db.list(Kind::Dagger).await?;
        let daggers: BTreeSet<&str> = daggers.iter().map(|dagger| dagger.metadata.name.as_str()).collect();
        let root = self.directory.checkpoints().join("daggers");
        for dagger in tokio::task::spawn_blocking(move || names_in(&root)).await?? {
            if !daggers.contains(dagger.as_str()) {
                tracing::info!(dagger, "removing the state that its deletion has left");
                self.forget_dead_letters(DeadLetterFilter::owner(&dagger)).await?;
                self.drop_state(&dagger).await?;
            }
        }
        for topic in self.log.embedded().topics().await? {
            if super::replay::dagger_of(&topic.name).is_some_and(|dagger| !daggers.contains(dagger)) {
                self.log.delete_topic(&topic.name).await?;
            }
        }
        Ok(())
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

fn read_state(directory: &Path) -> Result<StoredState, ControlError> {
    if !has_entries(&directory.join("epochs")).map_err(|error| unusable(directory, &error))? {
        return Ok(StoredState::None);
    }
    match std::fs::read(directory.join(IDENTITY_FILE)) {
        Ok(bytes) => Ok(StoredState::read(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(StoredState::Unreadable),
        Err(error) => Err(unusable(directory, &error)),
    }
}

fn has_entries(directory: &Path) -> std::io::Result<bool> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is in a directory; nothing if it is not there.
fn names_in(directory: &Path) -> Result<Vec<String>, ControlError> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| unusable(directory, &error))?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<Result<_, _>>().map_err(|error| unusable(directory, &error))
}

/// Nothing is written where it stands already.
fn write_identity(directory: &Path, identity: &StateIdentity) -> Result<(), ControlError> {
    let beside = directory.join("identity.new");
    let bytes = identity.to_bytes().map_err(|error| ControlError::internal(error.to_string()))?;
    if std::fs::read(directory.join(IDENTITY_FILE)).is_ok_and(|known| known == bytes) {
        return Ok(());
    }
    let write = || {
        std::fs::create_dir_all(directory)?;
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(&bytes)?;
        // A checkpoint that is newer than this would be taken for one of the former query.
        file.sync_all()?;
        std::fs::rename(&beside, directory.join(IDENTITY_FILE))?;
        std::fs::File::open(directory)?.sync_all()
    };
    write().map_err(|error| unusable(directory, &error))
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

#[cfg(test)]
mod tests {
    use super::super::replay::replay_topic;
    use super::*;
    use crate::access::Actor;
    use crate::platform::PlatformOptions;
    use crate::resource::Metadata;
    use crate::topic_spec::TopicSpec;
    use log::TopicConfig;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_deletion_that_was_broken_off_comes_to_its_end_at_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Platform::open(PlatformOptions::in_directory(directory.path()));
        let (platform, server) = (open().await.unwrap(), Actor::server());
        platform.create_topic(&server, &Metadata::named("deleted"), &TopicSpec::new(1, None)).await.unwrap();
        // As far as a deletion gets before it is killed: the row is gone, what it stands for is not.
        platform.db.delete(&server, Kind::Topic, "deleted").await.unwrap();
        std::fs::create_dir_all(platform.state_dir("gone")).unwrap();
        platform.log.create_topic(&replay_topic("gone", "t"), TopicConfig::with_partitions(1)).await.unwrap();
        // That nobody has deleted: it is older than its database.
        platform.log.create_topic("found", TopicConfig::with_partitions(1)).await.unwrap();
        platform.close().await.unwrap();
        drop(platform);

        let platform = open().await.unwrap();
        let topics: Vec<String> = platform.log.topics().await.unwrap().into_iter().map(|topic| topic.name).collect();
        assert_eq!(topics, ["found"]);
        assert_eq!(platform.topics().await.unwrap().len(), 1);
        assert!(!platform.state_dir("gone").exists());
        // A new one of the name begins with nothing.
        let made = platform.create_topic(&server, &Metadata::named("deleted"), &TopicSpec::new(1, None)).await.unwrap();
        assert_eq!((made.resource.generation, made.records()), (3, 0));
        platform.close().await.unwrap();
    }
}
