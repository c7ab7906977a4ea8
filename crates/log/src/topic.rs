//! Topics as people see them: name, configuration, state.

use std::collections::BTreeMap;

use crate::error::LogError;
use crate::limits::*;

/// How a topic is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicConfig {
    pub partitions: u32,
    /// How long a record stays after it was **appended**, in milliseconds; `None` keeps it for ever.
    /// Kafka counts from the record's own timestamp, so that a replay of old events vanishes at once; this does not.
    pub retention_ms: Option<i64>,
    /// How many bytes one partition keeps; `None` has no such limit. Whole segments go, so up to one more stays.
    pub retention_bytes: Option<u64>,
    /// A partition is a row of files of about this many bytes; the oldest go first.
    pub segment_bytes: u64,
    /// Whatever the owner wants to keep with the topic (schema, owner, ...).
    pub labels: BTreeMap<String, String>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            partitions: 1,
            retention_ms: Some(7 * 24 * 3_600 * 1_000),
            retention_bytes: None,
            segment_bytes: 64 << 20,
            labels: BTreeMap::new(),
        }
    }
}

impl TopicConfig {
    pub fn with_partitions(partitions: u32) -> Self {
        Self { partitions, ..Self::default() }
    }

    pub(crate) fn check(&self, topic: &str) -> Result<(), LogError> {
        let within = |what, actual, min, max| {
            if (min..=max).contains(&actual) {
                return Ok(());
            }
            Err(LogError::InvalidConfig { topic: topic.to_owned(), what, actual, min, max })
        };
        within("partitions", u64::from(self.partitions), 1, u64::from(PARTITIONS_MAX))?;
        within("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)?;
        let retention_ms = self.retention_ms.map_or(1, |ms| u64::try_from(ms).unwrap_or(0));
        within("retention_ms", retention_ms, 1, i64::MAX as u64)?;
        within("retention_bytes", self.retention_bytes.unwrap_or(1), 1, u64::MAX)?;
        within("number of labels", self.labels.len() as u64, 0, LABELS_COUNT_MAX as u64)?;
        for (key, value) in &self.labels {
            within("bytes of a label", key.len().max(value.len()) as u64, 0, LABEL_BYTES_MAX as u64)?;
        }
        Ok(())
    }
}

/// A topic and where its partitions stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    /// Tells this topic from another of the same name that was there before or comes after it.
    pub id: Option<String>,
    pub config: TopicConfig,
    pub partitions: Vec<PartitionStatus>,
}

/// As much of a topic as tells whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicShape {
    pub id: Option<String>,
    pub partitions: u32,
}

impl TopicShape {
    pub fn of(topic: &TopicDescription) -> Self {
        Self { id: topic.id.clone(), partitions: topic.partitions.len() as u32 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStatus {
    pub partition: u32,
    /// The first offset that can still be read.
    pub start_offset: i64,
    /// The last stable offset: the offset that the next visible record will have at the least.
    pub end_offset: i64,
    pub bytes: u64,
}

/// Kafka's rule for topic names.
pub fn check_topic_name(name: &str) -> Result<(), LogError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let reason = match name {
        "" => "it is empty",
        "." | ".." => "it stands for a directory",
        _ if name.len() > TOPIC_NAME_BYTES_MAX => "it is too long",
        _ if !name.bytes().all(legal) => "it has a character that is not allowed",
        _ => return Ok(()),
    };
    Err(LogError::InvalidTopicName { name: name.chars().take(TOPIC_NAME_BYTES_MAX).collect(), reason })
}

/// The name among `known` that a person most likely meant, if any is near.
pub(crate) fn nearest_topic<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    const SIMILARITY_MIN: f64 = 0.7;
    known
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_follow_kafkas_rule() {
        for name in ["a", "driver-location-ping", "A.b_c-9", "...", &"x".repeat(249)] {
            assert!(check_topic_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "ü", "a\0", &"x".repeat(250)] {
            assert!(check_topic_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        let known = ["booking-log", "api-log", "driver-location-ping"];
        assert_eq!(nearest_topic("booking_log", known.into_iter()).as_deref(), Some("booking-log"));
        assert_eq!(nearest_topic("zzz", known.into_iter()), None);
    }
}
