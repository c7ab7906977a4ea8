//! Whose measurements are whose: a measurement belongs to a group, and goes with its dagger.

use super::Platform;
use super::daggers::{measurements, stored_measurements};
use crate::dagger_spec::DaggerSpec;
use crate::error::ControlError;
use crate::measurement_name::{split, stored};
use crate::resource::{GROUP_DEFAULT, Kind, Metadata};
use std::collections::HashMap;

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
