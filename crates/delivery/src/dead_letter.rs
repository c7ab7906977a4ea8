//! A record that could not be decoded, evaluated or delivered, with where it came from and why.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where the record came from and whose dead letter it is. The same key is the same dead letter: putting it again, after
/// a restart, adds nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeadLetterKey {
    /// Name of the dagger or firehose.
    pub owner: String,
    pub stream: String,
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterKind {
    /// The framing of the record is broken.
    Undecodable,
    /// A value in a field that is used is not valid (UTF-8, range).
    ValueError,
    NoEventTime,
    /// The event time is further in the future than the stream allows.
    FutureEventTime,
    ExpressionFailed,
    /// Late for every window, and kept on request.
    Late,
    /// A sink refused it for good.
    Undeliverable,
}

impl DeadLetterKind {
    pub const ALL: [Self; 7] = [
        Self::Undecodable,
        Self::ValueError,
        Self::NoEventTime,
        Self::FutureEventTime,
        Self::ExpressionFailed,
        Self::Late,
        Self::Undeliverable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::ValueError => "value_error",
            Self::NoEventTime => "no_event_time",
            Self::FutureEventTime => "future_event_time",
            Self::ExpressionFailed => "expression_failed",
            Self::Late => "late",
            Self::Undeliverable => "undeliverable",
        }
    }
}

impl fmt::Display for DeadLetterKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for DeadLetterKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            format!("`{text}` is not a kind of dead letter; the kinds are {}", known.join(", "))
        })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterState {
    #[default]
    Kept,
    Replayed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub key: DeadLetterKey,
    pub kind: DeadLetterKind,
    pub error: String,
    /// Where in the value the error was found.
    pub error_byte_offset: Option<u32>,
    /// The record's timestamp in its topic, milliseconds since 1970.
    pub timestamp_ms: i64,
    pub event_time_ms: Option<i64>,
    pub record_key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    /// When it was put first, milliseconds since 1970.
    pub first_seen_ms: i64,
    pub replays: u32,
    pub state: DeadLetterState,
}

/// Which dead letters; what is not set matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    pub owner: Option<String>,
    pub stream: Option<String>,
    pub topic: Option<String>,
    pub kind: Option<DeadLetterKind>,
    pub state: Option<DeadLetterState>,
    /// First seen at or after, milliseconds since 1970.
    pub first_seen_from_ms: Option<i64>,
    /// First seen before, milliseconds since 1970.
    pub first_seen_until_ms: Option<i64>,
}

impl DeadLetterFilter {
    pub fn owner(owner: impl Into<String>) -> Self {
        Self { owner: Some(owner.into()), ..Self::default() }
    }

    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        is(&self.owner, &letter.key.owner)
            && is(&self.stream, &letter.key.stream)
            && is(&self.topic, &letter.key.topic)
            && self.kind.is_none_or(|kind| kind == letter.kind)
            && self.state.is_none_or(|state| state == letter.state)
            && self.first_seen_from_ms.is_none_or(|from| letter.first_seen_ms >= from)
            && self.first_seen_until_ms.is_none_or(|until| letter.first_seen_ms < until)
    }
}

/// How much one dagger keeps, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterUsage {
    pub owner: String,
    pub kind: DeadLetterKind,
    pub kept: u64,
    pub replayed: u64,
    /// Bytes of both.
    pub bytes: u64,
}
