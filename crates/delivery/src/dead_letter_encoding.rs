//! Dead letters as they lie on disk.
//!
//! Key: owner, stream and topic, each with its zero bytes escaped and a terminator, then partition and offset, in an
//! order-preserving form. Value: state and kind in the first two bytes, the rest of the scalars as JSON, then the bytes
//! of the record as they are.

use serde::{Deserialize, Serialize};

use crate::{DeadLetter, DeadLetterKey, DeadLetterKind, DeadLetterLimits, DeadLetterState, DeliveryError};

const SIGN: u64 = 1 << 63;

/// Ends a name: below every escaped byte, so that keys are in the order of names.
const END: [u8; 2] = [0, 0];
const ESCAPED_ZERO: [u8; 2] = [0, 1];

fn put_name(buffer: &mut Vec<u8>, name: &str) {
    for byte in name.bytes() {
        match byte {
            0 => buffer.extend_from_slice(&ESCAPED_ZERO),
            other => buffer.push(other),
        }
    }
    buffer.extend_from_slice(&END);
}

fn take_name(bytes: &mut &[u8]) -> Option<String> {
    let mut name = Vec::new();
    loop {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        if *byte != 0 {
            name.push(*byte);
            continue;
        }
        let (next, rest) = bytes.split_first()?;
        *bytes = rest;
        match next {
            0 => return String::from_utf8(name).ok(),
            1 => name.push(0),
            _ => return None,
        }
    }
}

pub(crate) fn owner_prefix(owner: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(owner.len() + 2);
    put_name(&mut prefix, owner);
    prefix
}

pub(crate) fn encode_key(key: &DeadLetterKey) -> Vec<u8> {
    let mut buffer = owner_prefix(&key.owner);
    put_name(&mut buffer, &key.stream);
    put_name(&mut buffer, &key.topic);
    buffer.extend_from_slice(&key.partition.to_be_bytes());
    buffer.extend_from_slice(&(key.offset as u64 ^ SIGN).to_be_bytes());
    buffer
}

pub(crate) fn decode_key(bytes: &[u8]) -> Result<DeadLetterKey, DeliveryError> {
    read_key(bytes).ok_or_else(|| DeliveryError::Corrupt { reason: "its key cannot be read".into() })
}

fn read_key(mut bytes: &[u8]) -> Option<DeadLetterKey> {
    let owner = take_name(&mut bytes)?;
    let stream = take_name(&mut bytes)?;
    let topic = take_name(&mut bytes)?;
    let (partition, offset) = bytes.split_first_chunk::<4>()?;
    let offset = u64::from_be_bytes(offset.try_into().ok()?);
    Some(DeadLetterKey {
        owner,
        stream,
        topic,
        partition: u32::from_be_bytes(*partition),
        offset: (offset ^ SIGN) as i64,
    })
}

/// A cursor is the key in hexadecimal: it can be put into a URL.
pub(crate) fn cursor_of(key: &DeadLetterKey) -> String {
    encode_key(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn key_of_cursor(cursor: &str) -> Result<Vec<u8>, DeliveryError> {
    let invalid = || DeliveryError::InvalidCursor { cursor: cursor.chars().take(64).collect() };
    let digits = cursor.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return Err(invalid());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> =
        digits.chunks_exact(2).map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8)).collect();
    let bytes = bytes.ok_or_else(invalid)?;
    read_key(&bytes).ok_or_else(invalid)?;
    Ok(bytes)
}

/// What is stored as JSON; the record's bytes follow it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error_byte_offset: Option<u32>,
    timestamp_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_time_ms: Option<i64>,
    first_seen_ms: i64,
    replays: u32,
    /// Lengths of the bytes that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_bytes: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_bytes: Option<usize>,
    /// Name, and length of the value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, usize)>,
}

impl Stored {
    /// The bytes of a letter, and whether the record's own bytes had to be left out.
    pub(crate) fn encode(letter: &DeadLetter, limits: &DeadLetterLimits) -> (Vec<u8>, bool) {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers_bytes: usize = letter.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let record_bytes = length(&letter.record_key) + length(&letter.value) + headers_bytes;
        let without_record = record_bytes > limits.record_bytes_max;
        let mut error = letter.error.clone();
        if without_record {
            error.push_str(&format!(
                " (not kept: key, value and headers are {record_bytes} bytes long, the limit is {})",
                limits.record_bytes_max
            ));
        }
        if error.len() > limits.error_bytes_max {
            error.truncate(error.floor_char_boundary(limits.error_bytes_max));
        }
        let kept = !without_record;
        let stored = Self {
            error,
            error_byte_offset: letter.error_byte_offset,
            timestamp_ms: letter.timestamp_ms,
            event_time_ms: letter.event_time_ms,
            first_seen_ms: letter.first_seen_ms,
            replays: letter.replays,
            key_bytes: letter.record_key.as_ref().filter(|_| kept).map(Vec::len),
            value_bytes: letter.value.as_ref().filter(|_| kept).map(Vec::len),
            headers: letter.headers.iter().filter(|_| kept).map(|(name, value)| (name.clone(), value.len())).collect(),
        };
        // A struct of numbers and text always is JSON.
        let json = serde_json::to_vec(&stored).unwrap_or_default();
        let mut buffer = vec![state_code(letter.state), kind_code(letter.kind)];
        buffer.extend_from_slice(&(json.len() as u32).to_le_bytes());
        buffer.extend_from_slice(&json);
        if kept {
            buffer.extend_from_slice(letter.record_key.as_deref().unwrap_or_default());
            buffer.extend_from_slice(letter.value.as_deref().unwrap_or_default());
            for (_, value) in &letter.headers {
                buffer.extend_from_slice(value);
            }
        }
        (buffer, without_record)
    }

    pub(crate) fn kind_and_state(bytes: &[u8]) -> Result<(DeadLetterKind, DeadLetterState), DeliveryError> {
        let corrupt = || DeliveryError::Corrupt { reason: "its kind and state cannot be read".into() };
        let [state, kind, ..] = bytes else { return Err(corrupt()) };
        kind_of_code(*kind).zip(state_of_code(*state)).ok_or_else(corrupt)
    }

    pub(crate) fn decode(key: DeadLetterKey, bytes: &[u8]) -> Result<DeadLetter, DeliveryError> {
        let (kind, state) = Self::kind_and_state(bytes)?;
        let corrupt = |reason: &str| DeliveryError::Corrupt { reason: reason.to_owned() };
        let (length, rest) = bytes[2..].split_first_chunk::<4>().ok_or_else(|| corrupt("it is too short"))?;
        let (json, mut record) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| corrupt("it is too short"))?;
        let stored: Self = serde_json::from_slice(json).map_err(|error| corrupt(&error.to_string()))?;
        let mut take = |length: usize| {
            let (taken, rest) = record.split_at_checked(length).ok_or_else(|| corrupt("its record is too short"))?;
            record = rest;
            Ok::<_, DeliveryError>(taken.to_vec())
        };
        Ok(DeadLetter {
            key,
            kind,
            error: stored.error,
            error_byte_offset: stored.error_byte_offset,
            timestamp_ms: stored.timestamp_ms,
            event_time_ms: stored.event_time_ms,
            record_key: stored.key_bytes.map(&mut take).transpose()?,
            value: stored.value_bytes.map(&mut take).transpose()?,
            headers: stored
                .headers
                .into_iter()
                .map(|(name, length)| Ok((name, take(length)?)))
                .collect::<Result<_, DeliveryError>>()?,
            first_seen_ms: stored.first_seen_ms,
            replays: stored.replays,
            state,
        })
    }
}

/// Codes on disk never change their meaning.
const KIND_CODES: [(DeadLetterKind, u8); 7] = [
    (DeadLetterKind::Undecodable, 1),
    (DeadLetterKind::ValueError, 2),
    (DeadLetterKind::NoEventTime, 3),
    (DeadLetterKind::FutureEventTime, 4),
    (DeadLetterKind::ExpressionFailed, 5),
    (DeadLetterKind::Late, 6),
    (DeadLetterKind::Undeliverable, 7),
];

fn kind_code(kind: DeadLetterKind) -> u8 {
    KIND_CODES.iter().find(|(known, _)| *known == kind).map_or(0, |(_, code)| *code)
}

fn kind_of_code(code: u8) -> Option<DeadLetterKind> {
    KIND_CODES.iter().find(|(_, known)| *known == code).map(|(kind, _)| *kind)
}

fn state_code(state: DeadLetterState) -> u8 {
    match state {
        DeadLetterState::Kept => 0,
        DeadLetterState::Replayed => 1,
    }
}

fn state_of_code(code: u8) -> Option<DeadLetterState> {
    match code {
        0 => Some(DeadLetterState::Kept),
        1 => Some(DeadLetterState::Replayed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(owner: &str, stream: &str, partition: u32, offset: i64) -> DeadLetterKey {
        DeadLetterKey { owner: owner.into(), stream: stream.into(), topic: "t".into(), partition, offset }
    }

    #[test]
    fn keys_are_in_order_and_read_back_whatever_is_in_names() {
        let keys = [
            key("", "", 0, 0),
            key("\0", "", 0, 0),
            key("\0\0", "", 0, 0),
            key("a", "", 0, i64::MIN),
            key("a", "", 0, -1),
            key("a", "", 0, 5),
            key("a", "", 300, 1),
            key("a", "\0b", 0, 0),
            key("a", "b", 0, 0),
            key("a\0", "", 0, 0),
            key("ab", "", 0, 0),
            key("ü", "", u32::MAX, i64::MAX),
        ];
        let encoded: Vec<Vec<u8>> = keys.iter().map(encode_key).collect();
        assert!(encoded.is_sorted());
        for (key, bytes) in keys.iter().zip(&encoded) {
            assert_eq!(&decode_key(bytes).expect("reads back"), key);
            assert_eq!(&key_of_cursor(&cursor_of(key)).expect("reads back"), bytes);
            assert!(decode_key(&bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn broken_cursors_are_refused() {
        for cursor in ["", "0", "zz", "00ü0", "6162", "ff"] {
            assert!(matches!(key_of_cursor(cursor), Err(DeliveryError::InvalidCursor { .. })), "{cursor}");
        }
    }

    #[test]
    fn every_kind_has_a_code() {
        for kind in DeadLetterKind::ALL {
            assert_eq!(kind_of_code(kind_code(kind)), Some(kind));
            assert_eq!(kind.as_str().parse::<DeadLetterKind>(), Ok(kind));
        }
    }
}
