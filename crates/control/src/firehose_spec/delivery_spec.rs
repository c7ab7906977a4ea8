//! `delivery:` of a firehose: batches, limits, retries, and what becomes of each class of errors.

use super::document::duration;
use super::{invalid, not_a_word};
use crate::duration::format_duration;
use crate::error::ControlError;
use delivery::{BackoffOptions, CourierOptions, OutageRoute, Policy, RecordRoute};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::time::Duration;

const RECORDS_MAX: u64 = 1_000_000;
const BYTES_MAX: u64 = 256 << 20;
const LINGER_MAX: Duration = Duration::from_secs(3_600);
const PARALLELISM_MAX: u64 = 64;
const PER_SECOND_MAX: u64 = 100_000_000;
const BREAK_AFTER_DEFAULT: u32 = 10;
const RETRY_MIN: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, PartialEq)]
pub struct DeliverySpec {
    /// `None` until the sink has said what it takes in one call.
    pub batch_records: Option<usize>,
    pub batch_bytes: Option<usize>,
    pub linger: Duration,
    /// Calls at a time.
    pub parallelism: usize,
    pub records_per_second: Option<u64>,
    pub calls_per_second: Option<u64>,
    pub retry_first: Duration,
    pub retry_longest: Duration,
    pub policy: Policy,
    /// Failed calls in a row, after which one call at a time is tried.
    pub break_after: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct DeliveryDocument {
    #[serde(default)]
    batch_records: Option<u64>,
    #[serde(default)]
    batch_bytes: Option<Bytes>,
    #[serde(default)]
    linger: Option<String>,
    #[serde(default)]
    parallelism: Option<u64>,
    #[serde(default)]
    records_per_second: Option<u64>,
    #[serde(default)]
    calls_per_second: Option<u64>,
    #[serde(default)]
    retry: RetryDocument,
    #[serde(default)]
    on_error: OnErrorDocument,
    #[serde(default)]
    break_after: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Number(u64),
    Text(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetryDocument {
    #[serde(default)]
    first: Option<String>,
    #[serde(default)]
    longest: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct OnErrorDocument {
    #[serde(default)]
    bad_record: Option<String>,
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    down: Option<String>,
    #[serde(default)]
    throttled: Option<String>,
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    ours: Option<String>,
}

const RECORD_ROUTES: &[(&str, RecordRoute)] =
    &[("deadLetter", RecordRoute::DeadLetter), ("retry", RecordRoute::Retry), ("fail", RecordRoute::Fail)];
const OUTAGE_ROUTES: &[(&str, OutageRoute)] = &[("retry", OutageRoute::Retry), ("fail", OutageRoute::Fail)];

impl DeliveryDocument {
    pub(super) fn complete(self) -> Result<DeliverySpec, ControlError> {
        let defaults = CourierOptions::default();
        let at = |key: &str| format!("spec.delivery.{key}");
        let batch_records = within(&at("batchRecords"), self.batch_records, 1..=RECORDS_MAX)?;
        let batch_bytes = self.batch_bytes.map(|bytes| bytes.read(&at("batchBytes"))).transpose()?;
        let batch_bytes = within(&at("batchBytes"), batch_bytes, 1..=BYTES_MAX)?;
        let linger = duration(&at("linger"), self.linger)?.unwrap_or(defaults.linger);
        if linger > LINGER_MAX {
            return Err(invalid(&at("linger"), format!("is longer than {}", format_duration(LINGER_MAX))));
        }
        let backoff = BackoffOptions::default();
        let retry_first = duration(&at("retry.first"), self.retry.first)?.unwrap_or(backoff.first);
        let retry_longest =
            duration(&at("retry.longest"), self.retry.longest)?.unwrap_or(backoff.longest.max(retry_first));
        if retry_first < RETRY_MIN || retry_longest < retry_first {
            return Err(invalid(&at("retry"), "has to have 1ms <= first <= longest"));
        }
        let policy = self.on_error.complete()?;
        let parallelism = within(&at("parallelism"), self.parallelism, 1..=PARALLELISM_MAX)?;
        let break_after = within(&at("breakAfter"), self.break_after, 1..=1_000_000)?;
        Ok(DeliverySpec {
            batch_records: batch_records.map(to_usize),
            batch_bytes: batch_bytes.map(to_usize),
            linger,
            parallelism: parallelism.map_or(defaults.lanes, to_usize),
            records_per_second: within(&at("recordsPerSecond"), self.records_per_second, 1..=PER_SECOND_MAX)?,
            calls_per_second: within(&at("callsPerSecond"), self.calls_per_second, 1..=PER_SECOND_MAX)?,
            retry_first,
            retry_longest,
            policy,
            break_after: break_after.and_then(|number| u32::try_from(number).ok()).unwrap_or(BREAK_AFTER_DEFAULT),
        })
    }
}

impl OnErrorDocument {
    fn complete(self) -> Result<Policy, ControlError> {
        let policy = Policy::default();
        let record = |key: &str, written, default| route(key, written, RECORD_ROUTES, default);
        let outage = |key: &str, written, default| route(key, written, OUTAGE_ROUTES, default);
        Ok(Policy {
            bad_record: record("badRecord", self.bad_record, policy.bad_record)?,
            refused: record("refused", self.refused, policy.refused)?,
            down: outage("down", self.down, policy.down)?,
            throttled: outage("throttled", self.throttled, policy.throttled)?,
            auth: outage("auth", self.auth, policy.auth)?,
            ours: outage("ours", self.ours, policy.ours)?,
        })
    }
}

/// Calls at a time.
pub fn check_parallelism(path: &str, parallelism: usize) -> Result<(), ControlError> {
    within(path, Some(parallelism as u64), 1..=PARALLELISM_MAX).map(drop)
}

fn route<T: Copy>(key: &str, written: Option<String>, known: &[(&str, T)], default: T) -> Result<T, ControlError> {
    let Some(word) = written else { return Ok(default) };
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, route)| *route);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        not_a_word(&format!("spec.delivery.onError.{key}"), &word, &names)
    })
}

fn word_of<T: PartialEq>(value: T, known: &[(&'static str, T)]) -> &'static str {
    known.iter().find(|(_, candidate)| *candidate == value).map_or("", |(name, _)| name)
}

fn within(path: &str, written: Option<u64>, range: RangeInclusive<u64>) -> Result<Option<u64>, ControlError> {
    match written {
        Some(number) if !range.contains(&number) => {
            Err(invalid(path, format!("is {number}, it can be {} to {}", range.start(), range.end())))
        }
        written => Ok(written),
    }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Of 1,024 each.
const UNITS: [(&str, u64); 4] = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10), ("B", 1)];

impl Bytes {
    fn read(self, path: &str) -> Result<u64, ControlError> {
        let text = match self {
            Bytes::Number(number) => return Ok(number),
            Bytes::Text(text) => text,
        };
        let read = || {
            let text = text.trim();
            let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            text.strip_suffix(unit)?.trim_end().parse::<u64>().ok()?.checked_mul(*factor)
        };
        read().ok_or_else(|| {
            invalid(path, format!("is `{text}`, which is no size")).with_hint("write for example 512KB or 4MB")
        })
    }
}

fn bytes_text(bytes: usize) -> String {
    let bytes = bytes as u64;
    let (unit, factor) = UNITS.iter().find(|(_, factor)| bytes.is_multiple_of(*factor)).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

impl DeliverySpec {
    /// Takes what the sink takes where nothing was said, and refuses what it does not take.
    pub fn fit(&mut self, limits: sinks::CallLimits) -> Result<(), ControlError> {
        let defaults = CourierOptions::default();
        let fit = |key: &str, asked: &mut Option<usize>, default: usize, max: usize| match *asked {
            Some(number) if number > max => {
                let detail = format!("is {number}, and the sink takes at most {max} in one call");
                Err(invalid(&format!("spec.delivery.{key}"), detail).with_hint("write less, or leave it out"))
            }
            Some(_) => Ok(()),
            None => {
                *asked = Some(default.min(max));
                Ok(())
            }
        };
        fit("batchRecords", &mut self.batch_records, defaults.batch_records_max, limits.records_max)?;
        fit("batchBytes", &mut self.batch_bytes, defaults.batch_bytes_max, limits.bytes_max)
    }

    pub(super) fn to_json(&self) -> Value {
        let Policy { bad_record, refused, down, throttled, auth, ours } = self.policy;
        let mut delivery = json!({
            "linger": format_duration(self.linger),
            "parallelism": self.parallelism,
            "retry": { "first": format_duration(self.retry_first), "longest": format_duration(self.retry_longest) },
            "onError": {
                "badRecord": word_of(bad_record, RECORD_ROUTES), "refused": word_of(refused, RECORD_ROUTES),
                "down": word_of(down, OUTAGE_ROUTES), "throttled": word_of(throttled, OUTAGE_ROUTES),
                "auth": word_of(auth, OUTAGE_ROUTES), "ours": word_of(ours, OUTAGE_ROUTES),
            },
            "breakAfter": self.break_after,
        });
        if let Some(records) = self.batch_records {
            delivery["batchRecords"] = json!(records);
        }
        if let Some(bytes) = self.batch_bytes {
            delivery["batchBytes"] = json!(bytes_text(bytes));
        }
        for (key, limit) in [("recordsPerSecond", self.records_per_second), ("callsPerSecond", self.calls_per_second)] {
            if let Some(limit) = limit {
                delivery[key] = json!(limit);
            }
        }
        delivery
    }
}
