//! What an operator may set on the store, and the limits that keep one measurement from harming the others.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the present as nanoseconds since 1970-01-01 UTC. Handed in, so that retention can be tested.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How a [`crate::SeriesStore`] is opened.
#[derive(Clone)]
pub struct SeriesOptions {
    /// How long a point is kept, counted from the later of its own time and the time it was written.
    pub retention: Duration,
    /// Memory for blocks read from disk.
    pub cache_bytes: u64,
    pub clock: Clock,
    pub limits: SeriesLimits,
}

impl Default for SeriesOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(7 * 24 * 3600),
            cache_bytes: 32 * 1024 * 1024,
            clock: Arc::new(wall_clock_nanos),
            limits: SeriesLimits::default(),
        }
    }
}

fn wall_clock_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Limits of the store. What goes beyond one is refused and said, never cut off.
#[derive(Clone, Debug)]
pub struct SeriesLimits {
    pub measurements_max: usize,
    /// Bytes of a measurement's, tag's or field's name.
    pub name_bytes_max: usize,
    pub tags_per_measurement_max: usize,
    pub fields_per_measurement_max: usize,
    pub tag_value_bytes_max: usize,
    /// Bytes of all tag values of one point.
    pub tags_bytes_max: usize,
    /// Bytes of one text field.
    pub field_text_bytes_max: usize,
    /// Distinct tag sets of one measurement. Tags whose name starts with `_` are not counted:
    /// they tell points apart, they do not name a series.
    pub series_per_measurement_max: u64,
    /// Tag sets kept in memory, over all measurements.
    pub series_cached_max: usize,
    /// Bytes in memory of points that are sealed together, into blocks of an eighth of it.
    pub sealed_together_bytes: usize,
}

impl Default for SeriesLimits {
    fn default() -> Self {
        Self {
            measurements_max: 100_000,
            name_bytes_max: 255,
            tags_per_measurement_max: 64,
            fields_per_measurement_max: 1_024,
            tag_value_bytes_max: 1_024,
            tags_bytes_max: 8 * 1_024,
            field_text_bytes_max: 64 * 1_024,
            series_per_measurement_max: 1_000_000,
            series_cached_max: 200_000,
            sealed_together_bytes: 32 * 1024 * 1024,
        }
    }
}
