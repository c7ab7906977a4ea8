//! Whose measurements are whose: a measurement belongs to a group, and goes with its dagger.

use super::Platform;
use super::daggers::{measurements, stored_measurements};
use crate::dagger_spec::DaggerSpec;
use crate::error::ControlError;
use crate::measurement_name::{split, stored};
use crate::resource::{GROUP_DEFAULT, Kind, Metadata};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Write};

/// A dagger's way to another group, written down before it begins: what it has written goes with it after the change of the
/// dagger itself, and the server may end in between.
#[derive(Serialize, Deserialize)]
struct Move {
    dagger: String,
    from: String,
    to: String,
}

impl Platform {
    /// Measurements from before groups had their own become those of the group whose dagger writes them, and without one
    /// those of the default group. Whatever is broken off goes on at the next start.
    pub(super) async fn adopt_measurements(&self) -> Result<(), ControlError> {
        let groups = self.db.by_name(Kind::Group).await?;
        let has_group = |name: &str| split(name).is_some_and(|(group, _)| groups.contains_key(group));
        let old: Vec<String> =
            self.series.measurements().into_iter().map(|known| known.name).filter(|name| !has_group(name)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let daggers = self.db.by_name(Kind::Dagger).await?;
        let mut owners: HashMap<&str, &str> = HashMap::new();
        for dagger in daggers.values() {
            for measurement in stored_measurements(dagger) {
                owners.entry(measurement).or_insert(&dagger.metadata.group);
            }
        }
        for name in &old {
            let to = stored(owners.get(name.as_str()).copied().unwrap_or(GROUP_DEFAULT), name);
            if self.series.measurement(&to).is_some() {
                tracing::warn!(measurement = name, %to, "a measurement keeps its old name: the new one is taken");
                continue;
            }
            if let Err(error) = self.series.rename_measurement(name, &to) {
                tracing::warn!(measurement = name, %to, %error, "a measurement keeps its old name");
                continue;
            }
            tracing::info!(measurement = name, %to, "a measurement belongs to its group now");
        }
        Ok(())
    }

    /// To be called before a dagger's group changes, and [`Self::end_move`] when its measurements have followed it.
    pub(super) fn begin_move(&self, dagger: &Metadata, from: &str) -> Result<(), ControlError> {
        let begun = Move { dagger: dagger.name.clone(), from: from.to_owned(), to: dagger.group.clone() };
        let (path, text) = (self.directory.unfinished_move(), json!(begun).to_string());
        let beside = path.with_extension("new");
        let written = File::create(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, &path))
            .and_then(|()| File::open(self.directory.root())?.sync_all());
        written.map_err(|error| {
            let detail = format!("it cannot be written down that the dagger goes to another group: {error}");
            ControlError::unavailable("data_directory_unusable", detail)
        })
    }

    pub(super) fn end_move(&self) {
        match std::fs::remove_file(self.directory.unfinished_move()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, "a move of a dagger to another group is looked at again at the next start");
            }
            _ => {}
        }
    }

    /// Finishes a move that the end of the server broke off. Nothing may be writing.
    pub(super) async fn finish_move(&self) -> Result<(), ControlError> {
        let text = match std::fs::read_to_string(self.directory.unfinished_move()) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "an unfinished move of a dagger to another group cannot be read");
                return Ok(());
            }
        };
        match serde_json::from_str::<Move>(&text) {
            Ok(Move { dagger, from, to }) => match self.db.get(Kind::Dagger, &dagger).await? {
                // Else it was broken off before the dagger itself had changed.
                Some(found) if found.metadata.group == to => {
                    let spec = DaggerSpec::from_json(&dagger, &found.spec)?;
                    for warning in self.move_measurements(&found.metadata, &from, &spec).await? {
                        tracing::warn!(%dagger, %from, %to, "{warning}");
                    }
                    tracing::info!(%dagger, %from, %to, "a dagger's move to another group was finished");
                }
                _ => {}
            },
            Err(error) => tracing::warn!(%error, "an unfinished move of a dagger to another group cannot be read"),
        }
        self.end_move();
        Ok(())
    }

    /// What a dagger has written goes with it to another group, unless another dagger of the old group writes it too or
    /// the new group has one of this name. Nothing may be writing. Returns what somebody should know.
    pub(super) async fn move_measurements(
        &self,
        dagger: &Metadata,
        from: &str,
        spec: &DaggerSpec,
    ) -> Result<Vec<String>, ControlError> {
        let daggers = self.db.by_name(Kind::Dagger).await?;
        let stays = |measurement: &str| {
            let others = daggers.values().filter(|other| other.metadata.name != dagger.name);
            let mut others = others.filter(|other| other.metadata.group == from);
            others.any(|other| stored_measurements(other).any(|theirs| theirs == measurement))
        };
        let mut warnings = Vec::new();
        for measurement in measurements(spec) {
            let (old, new) = (stored(from, measurement), stored(&dagger.group, measurement));
            if self.series.measurement(&old).is_none() {
                continue;
            }
            if stays(measurement) || self.series.measurement(&new).is_some() {
                warnings.push(format!("what was written to `{measurement}` so far stays in the group `{from}`"));
                continue;
            }
            self.series.rename_measurement(&old, &new)?;
        }
        Ok(warnings)
    }

    /// The measurements of a group, by their own names.
    pub(super) fn measurements_of(&self, group: &str) -> Vec<String> {
        let prefix = stored(group, "");
        let all = self.series.measurements().into_iter();
        all.filter_map(|known| known.name.strip_prefix(&prefix).map(str::to_owned)).collect()
    }
}
