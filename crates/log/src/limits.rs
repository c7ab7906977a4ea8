//! Every limit of the log, with its unit.

/// Longest record: key, value and headers together.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Longest key.
pub const KEY_BYTES_MAX: usize = 1 << 20;
/// All headers of one record, encoded.
pub const HEADERS_BYTES_MAX: usize = 1 << 20;
/// Headers of one record.
pub const HEADERS_COUNT_MAX: usize = 1_000;
/// One batch on disk without its header. A record of the greatest size fits with room for its framing.
pub const BATCH_BYTES_MAX: usize = 32 << 20;
/// Records of one batch.
pub const BATCH_RECORDS_MAX: usize = 1 << 20;
/// What one poll may ask for; greater wishes are cut to this.
pub const POLL_BYTES_MAX: usize = 64 << 20;
/// Topics of one embedded log.
pub const TOPICS_MAX: usize = 10_000;
/// Partitions of one topic.
pub const PARTITIONS_MAX: u32 = 1_024;
/// Partitions of one embedded log, all topics together.
pub const PARTITIONS_TOTAL_MAX: usize = 50_000;
/// Length of a topic's name (Kafka's limit).
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
/// Smallest and greatest segment that a topic may ask for.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Labels of one topic, and the bytes of one label's key or value.
pub const LABELS_COUNT_MAX: usize = 64;
pub const LABEL_BYTES_MAX: usize = 4 << 10;
/// Records that wait in memory to be written, over all partitions of one embedded log.
pub const PRODUCE_QUEUE_BYTES_MAX: usize = 64 << 20;

const _: () = {
    assert!(KEY_BYTES_MAX <= RECORD_BYTES_MAX && HEADERS_BYTES_MAX <= RECORD_BYTES_MAX);
    // One record of the greatest size, with its entry, always fits into a batch.
    assert!(RECORD_BYTES_MAX * 2 <= BATCH_BYTES_MAX);
    assert!(BATCH_BYTES_MAX < u32::MAX as usize);
    // A batch read for one poll has spans of 32 bits.
    assert!(POLL_BYTES_MAX + BATCH_BYTES_MAX < u32::MAX as usize);
    assert!(PRODUCE_QUEUE_BYTES_MAX >= BATCH_BYTES_MAX);
};
