//! What a run of the city is made of, with the limits of each number.

/// Most records per second of event time that a city makes.
pub const RECORDS_PER_SECOND_MAX: f64 = 100_000.0;
/// Least records per second of event time that a city makes.
pub const RECORDS_PER_SECOND_MIN: f64 = 1.0;
/// Longest that a record which is not late takes from its event to its topic.
pub const OUT_OF_ORDER_MS_MAX: i64 = 8_000;
/// Longest that a late record takes from its event to its topic.
pub const LATE_MS_MAX: i64 = 3_600_000;
/// Largest share of late and of broken records.
pub const SHARE_MAX: f64 = 0.5;

/// Which kinds of broken records a city makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenRecords {
    /// None at all.
    None,
    /// Only records that a reader of all their fields must refuse: bytes that are no protobuf, text that is
    /// no UTF-8, no event time. The event times of all others are right, so a bounded run over a file, which
    /// has no cap on event times, is not led astray.
    Undecodable,
    /// Those, and records that decode but claim to be from 1970 or from the year 9999.
    All,
}

/// What a city is made from. A number beyond its limit is taken as the limit.
#[derive(Debug, Clone, PartialEq)]
pub struct CityOptions {
    /// Two cities with the same options are the same to the byte.
    pub seed: u64,
    /// Records per second of event time, over all topics, averaged over a day. Rush hours have up to 1.6
    /// times as many, nights a quarter. From 1 to 100,000.
    pub records_per_second: f64,
    /// The first event time, in milliseconds since 1970-01-01T00:00:00Z. The city is in full swing by then.
    pub start_ms: i64,
    /// Longest way of an ordinary record from its event to its topic, in milliseconds. From 0 to 8,000. Most
    /// take less than 300 ms; one in twenty takes anything up to this.
    pub out_of_order_ms_max: i64,
    /// Share of the records that come late. From 0 to 0.5.
    pub late_share: f64,
    /// Longest way of a late record, in milliseconds; the shortest is `out_of_order_ms_max`. Up to 3,600,000.
    pub late_ms_max: i64,
    /// Share of the records that are broken. From 0 to 0.5.
    pub broken_share: f64,
    /// Which kinds of broken records there are.
    pub broken: BrokenRecords,
}

impl Default for CityOptions {
    /// A small city on the morning of Monday, 5 January 2026, eight o'clock in Jakarta.
    fn default() -> Self {
        Self {
            seed: 1,
            records_per_second: 2_000.0,
            start_ms: 1_767_574_800_000,
            out_of_order_ms_max: 3_000,
            late_share: 0.000_5,
            late_ms_max: 180_000,
            broken_share: 0.000_1,
            broken: BrokenRecords::All,
        }
    }
}

impl CityOptions {
    /// The same options with every number within its limits. What is not a number becomes the lower limit.
    pub(crate) fn within_limits(&self) -> Self {
        let clamp = |value: f64, low: f64, high: f64| {
            if value.is_nan() { low } else { value.clamp(low, high) }
        };
        let out_of_order_ms_max = self.out_of_order_ms_max.clamp(0, OUT_OF_ORDER_MS_MAX);
        Self {
            records_per_second: clamp(self.records_per_second, RECORDS_PER_SECOND_MIN, RECORDS_PER_SECOND_MAX),
            out_of_order_ms_max,
            late_share: clamp(self.late_share, 0.0, SHARE_MAX),
            late_ms_max: self.late_ms_max.clamp(out_of_order_ms_max, LATE_MS_MAX),
            broken_share: clamp(self.broken_share, 0.0, SHARE_MAX),
            ..self.clone()
        }
    }
}
