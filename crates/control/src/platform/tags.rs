//! Tags with too many values: before a dagger is deployed, and while it runs.

use super::Platform;
use super::preview::{ReadAtMost, run_over};
use crate::cardinality::{TagColumns, TagCounter};
use crate::dagger_plan::PlannedDagger;
use crate::dagger_spec::{DaggerSpec, SinkSpec};
use crate::sinks::RecordMarks;
use crate::sinks::series::{SeriesConfig, SeriesOrigin};
use series::SeriesStore;
use std::time::Duration;

/// What is read for a warning only: less than for a preview, because nobody waits for its rows.
const SAMPLE_RECORDS_MAX: i64 = 100_000;
const SAMPLE_RECORDS_PER_PARTITION_MAX: i64 = 5_000;
const SAMPLE_BYTES_PER_PARTITION_MAX: usize = 4 * 1024 * 1024;
const SAMPLE_TIME_MAX: Duration = Duration::from_secs(5);
/// From this part of the limit on, in percent, somebody should know.
const NOTICED_PERCENT: u64 = 80;

impl Platform {
    /// How a result's tags are to be counted, if it goes to a measurement.
    pub(super) fn tag_counter(&self, spec: &DaggerSpec, planned: &PlannedDagger) -> Option<TagCounter> {
        let measurement = spec.sinks.iter().find_map(|sink| match sink {
            SinkSpec::Series { measurement, .. } => Some(measurement),
            _ => None,
        })?;
        let schema = &planned.plan.schema;
        let marks = RecordMarks::of(spec, &planned.plan);
        let config = SeriesConfig::new(measurement, schema, planned.plan.key_columns.as_deref(), marks).ok()?;
        let column = |index: usize| schema.fields().get(index).map(|field| field.name().clone());
        let tags = config.layout.tags.iter().filter(|(_, tag)| !tag.starts_with('_'));
        TagCounter::new(TagColumns {
            measurement: measurement.clone(),
            window: match config.origin {
                SeriesOrigin::Window => column(config.layout.time),
                SeriesOrigin::Record(_) => None,
            },
            tags: tags.filter_map(|(index, tag)| Some((column(*index)?, tag.clone()))).collect(),
            series_max: series_max(),
        })
    }

    /// What a sample of the records that are there says of the tags of a dagger that is right. A sample that cannot be had
    /// warns of nothing: the dagger is judged by other means.
    pub(super) async fn tag_warning(&self, text: &str) -> Option<String> {
        let (metadata, mut spec) = DaggerSpec::parse(text).ok()?;
        let planned = self.check_dagger(&metadata, &mut spec).await.ok()?;
        let counter = self.tag_counter(&spec, &planned)?;
        let sampled = async {
            let mut partitions = 0;
            for topic in spec.streams.iter().flat_map(|stream| &stream.topics) {
                partitions += log::TopicLog::topic(self.log.as_ref(), topic).await.ok()?.partitions.len();
            }
            let share = SAMPLE_RECORDS_MAX / i64::try_from(partitions.max(1)).ok()?;
            let at_most = ReadAtMost {
                records: share.clamp(1, SAMPLE_RECORDS_PER_PARTITION_MAX),
                bytes: SAMPLE_BYTES_PER_PARTITION_MAX,
            };
            let inputs = self.read_inputs(&spec, &planned, at_most).await.ok()?;
            run_over(&planned, spec.parallelism, inputs, Some(counter), Vec::new()).await.ok()
        };
        match tokio::time::timeout(SAMPLE_TIME_MAX, sampled).await {
            Ok(preview) => preview?.tags?.warning,
            Err(_) => None,
        }
    }
}

pub(super) fn series_max() -> u64 {
    series::SeriesLimits::default().series_per_measurement_max
}

/// The series of a measurement that a running dagger writes.
#[derive(Clone)]
pub struct SeriesCount {
    store: SeriesStore,
    measurement: String,
}

impl SeriesCount {
    pub(super) fn of(store: &SeriesStore, config: &SeriesConfig) -> Self {
        Self { store: store.clone(), measurement: config.measurement.clone() }
    }

    pub(super) fn series(&self) -> u64 {
        self.store.measurement(&self.measurement).map_or(0, |known| known.series)
    }

    pub(super) fn notice(&self) -> Option<String> {
        notice(&self.measurement, self.series(), series_max())
    }
}

fn notice(measurement: &str, series: u64, max: u64) -> Option<String> {
    if series.saturating_mul(100) < max.saturating_mul(NOTICED_PERCENT) {
        return None;
    }
    let so_far = match series >= max {
        true => "points of further series are refused",
        false => "at the limit, points of further series are refused",
    };
    Some(format!(
        "the measurement `{measurement}` has {series} series of at most {max}: {so_far}. A tag has too many values; take it \
         out of GROUP BY, or group its values"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_that_is_nearly_full_is_told() {
        assert_eq!(notice("m", 799, 1_000), None);
        assert!(notice("m", 800, 1_000).unwrap().contains("has 800 series of at most 1000: at the limit, points"));
        assert!(notice("m", 1_000, 1_000).unwrap().contains("1000: points of further series are refused"));
    }
}
