//! What is published, and what a dagger has to make of it. Nothing of Millrace is used here.

use crate::random::Random;
use std::collections::BTreeMap;

/// The message types, as they are pushed to the server.
pub const PROTO: &str = "syntax = \"proto3\"; package faults.v1; import \"google/protobuf/timestamp.proto\";
message Event { string key = 1; google.protobuf.Timestamp event_time = 2; int64 value = 3; int64 sequence = 4; }
message Total { string key = 1; int64 number = 2; int64 total = 3; google.protobuf.Timestamp window_timestamp = 4; }";

/// Windows are so long; those that hop begin twice as often.
pub const WINDOW_MS: i64 = 10_000;
/// How far behind the newest record of its partition a record may be: less than the watermark's delay of 5 s.
const DISORDER_MS: u64 = 4_000;
const KEYS_PER_PARTITION: u64 = 8;
/// Of so many records one cannot be decoded, and of so many one is left out by the query's condition.
const ONE_BROKEN_IN: u64 = 200;
const ONE_FILTERED_IN: u64 = 20;
/// The key of the records that end all windows.
pub const CLOSING_KEY: &str = "closing";

#[derive(Debug, Clone)]
pub struct Event {
    pub partition: i32,
    pub key: String,
    pub time_ms: i64,
    pub value: i64,
    pub sequence: u64,
    pub is_broken: bool,
}

/// A frame that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    FirstByte,
    SchemaId,
}

impl Event {
    pub fn of(random: &mut Random, partition: i32, now_ms: i64, sequence: u64) -> Self {
        let is_filtered = random.below(ONE_FILTERED_IN) == 0;
        let value = 1 + random.below(1_000) as i64;
        Self {
            partition,
            key: format!("key-{partition}-{}", random.below(KEYS_PER_PARTITION)),
            time_ms: now_ms - random.below(DISORDER_MS) as i64,
            value: if is_filtered { -value } else { value },
            sequence,
            is_broken: random.below(ONE_BROKEN_IN) == 0,
        }
    }

    /// What is wrong with its frame, where values are framed.
    pub fn breakage(&self) -> Option<Breakage> {
        let which = if self.sequence.is_multiple_of(2) { Breakage::FirstByte } else { Breakage::SchemaId };
        self.is_broken.then_some(which)
    }

    /// Ends all windows that were open before it.
    pub fn closing(partition: i32, now_ms: i64) -> Self {
        let time_ms = now_ms + 3_600_000;
        Self { partition, key: CLOSING_KEY.to_owned(), time_ms, value: 1, sequence: 0, is_broken: false }
    }

    pub fn encoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.is_broken {
            // A text of 127 bytes, of which there are two.
            bytes.extend([0x0a, 0x7f, b'n', b'o']);
            return bytes;
        }
        let mut time = Vec::new();
        number_field(&mut time, 1, self.time_ms.div_euclid(1_000));
        number_field(&mut time, 2, self.time_ms.rem_euclid(1_000) * 1_000_000);
        bytes_field(&mut bytes, 1, self.key.as_bytes());
        bytes_field(&mut bytes, 2, &time);
        number_field(&mut bytes, 3, self.value);
        number_field(&mut bytes, 4, self.sequence as i64);
        bytes
    }

    fn counts(&self) -> bool {
        !self.is_broken && self.value > 0 && self.key != CLOSING_KEY
    }
}

/// The end of a window in milliseconds, and a key.
pub type Place = (i64, String);

/// Number and sum.
pub type Total = (i64, i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Tumble,
    /// Each record is in two windows.
    Hop,
}

/// What the query has to give.
pub fn expected(events: &[Event], window: Window) -> BTreeMap<Place, Total> {
    let mut totals = BTreeMap::new();
    for event in events.iter().filter(|event| event.counts()) {
        let slide = match window {
            Window::Tumble => WINDOW_MS,
            Window::Hop => WINDOW_MS / 2,
        };
        let mut start = event.time_ms.div_euclid(slide) * slide;
        while start > event.time_ms - WINDOW_MS {
            let (number, total) = totals.entry((start + WINDOW_MS, event.key.clone())).or_insert((0, 0));
            *number += 1;
            *total += event.value;
            start -= slide;
        }
    }
    totals
}

pub struct Counts {
    pub per_partition: Vec<u64>,
    pub broken: u64,
    pub filtered: u64,
}

pub fn counts(events: &[Event], partitions: i32) -> Counts {
    let mut counts = Counts { per_partition: vec![0; partitions as usize], broken: 0, filtered: 0 };
    for event in events {
        counts.per_partition[event.partition as usize] += 1;
        counts.broken += u64::from(event.is_broken);
        counts.filtered += u64::from(!event.is_broken && event.value <= 0);
    }
    counts
}

/// A row of the dagger's output: `faults.v1.Total`.
pub fn decode_total(value: &[u8]) -> Option<(Place, Total)> {
    let (mut key, mut number, mut total, mut end_ms) = (String::new(), 0, 0, None);
    for field in Fields(value) {
        match field? {
            (1, Content::Bytes(text)) => key = String::from_utf8(text.to_vec()).ok()?,
            (2, Content::Number(found)) => number = found,
            (3, Content::Number(found)) => total = found,
            (4, Content::Bytes(time)) => end_ms = Some(decode_time(time)?),
            _ => return None,
        }
    }
    Some(((end_ms?, key), (number, total)))
}

fn decode_time(value: &[u8]) -> Option<i64> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(value) {
        match field? {
            (1, Content::Number(found)) => seconds = found,
            (2, Content::Number(found)) => nanos = found,
            _ => return None,
        }
    }
    Some(seconds * 1_000 + nanos / 1_000_000)
}

fn number_field(bytes: &mut Vec<u8>, field: u64, value: i64) {
    varint(bytes, field << 3);
    varint(bytes, value as u64);
}

fn bytes_field(bytes: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(bytes, field << 3 | 2);
    varint(bytes, value.len() as u64);
    bytes.extend(value);
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

enum Content<'a> {
    Number(i64),
    Bytes(&'a [u8]),
}

/// The fields of a message; `None` for what cannot be read, and nothing after it.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Content<'a>)> {
        let tag = self.varint()?;
        let first = self.varint()?;
        match tag & 7 {
            0 => Some((tag >> 3, Content::Number(first as i64))),
            2 => {
                let (content, rest) = self.0.split_at_checked(usize::try_from(first).ok()?)?;
                self.0 = rest;
                Some((tag >> 3, Content::Bytes(content)))
            }
            _ => None,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Content<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}
