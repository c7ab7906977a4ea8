//! The ways in which a few records are broken.

use crate::dice::Dice;
use crate::options::BrokenRecords;
use crate::wire;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrokenKind {
    /// The last one to three bytes are missing, in the middle of the last field.
    Truncated,
    /// The text in field 1 is no UTF-8. Only a reader that uses the field has to mind.
    InvalidUtf8,
    /// Ends with an unknown field whose varint has eleven bytes.
    OverlongVarint,
    /// Ends with a field that has the number zero.
    FieldNumberZero,
    /// Has no event time.
    MissingEventTime,
    /// Claims to be from 1970-01-01T00:00:00Z.
    EventTimeZero,
    /// Claims to be from the last second of the year 9999.
    EventTimeYear9999,
}

/// Kinds that a reader of all fields must refuse.
const UNDECODABLE: [BrokenKind; 5] = [
    BrokenKind::Truncated,
    BrokenKind::InvalidUtf8,
    BrokenKind::OverlongVarint,
    BrokenKind::FieldNumberZero,
    BrokenKind::MissingEventTime,
];

const ALL: [BrokenKind; 7] = [
    BrokenKind::Truncated,
    BrokenKind::InvalidUtf8,
    BrokenKind::OverlongVarint,
    BrokenKind::FieldNumberZero,
    BrokenKind::MissingEventTime,
    BrokenKind::EventTimeZero,
    BrokenKind::EventTimeYear9999,
];

/// 9999-12-31T23:59:59Z, the greatest second that `google.protobuf.Timestamp` allows.
const YEAR_9999_MS: i64 = 253_402_300_799_000;

impl BrokenKind {
    /// The kind's name in ledgers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::OverlongVarint => "overlong_varint",
            Self::FieldNumberZero => "field_number_zero",
            Self::MissingEventTime => "missing_event_time",
            Self::EventTimeZero => "event_time_zero",
            Self::EventTimeYear9999 => "event_time_year_9999",
        }
    }

    pub(crate) fn draw(dice: &mut Dice, share: f64, which: BrokenRecords) -> Option<Self> {
        let kinds: &[Self] = match which {
            BrokenRecords::None => return None,
            BrokenRecords::Undecodable => &UNDECODABLE,
            BrokenRecords::All => &ALL,
        };
        if !dice.chance(share) {
            return None;
        }
        kinds.get(dice.below(kinds.len() as u32) as usize).copied()
    }

    /// Breaks the finished message in `message[start..]`. Kinds that concern the event time are the
    /// business of [`event_time`].
    pub(crate) fn break_bytes(self, dice: &mut Dice, message: &mut Vec<u8>, start: usize) {
        match self {
            // Every message ends with a field of at least four bytes after its tag.
            Self::Truncated => message.truncate(message.len() - 1 - dice.below(3) as usize),
            // Field 1 is a text in every message: tag, length, text.
            Self::InvalidUtf8 => message[start + 2] = 0xff,
            Self::OverlongVarint => {
                wire::varint(message, 900 << 3);
                message.extend_from_slice(&[0xff; 10]);
                message.push(0x01);
            }
            Self::FieldNumberZero => message.extend_from_slice(&[0x00, 0x01]),
            Self::MissingEventTime | Self::EventTimeZero | Self::EventTimeYear9999 => {}
        }
    }
}

/// Writes the event time that a record claims.
pub(crate) fn event_time(out: &mut Vec<u8>, field: u32, event_ms: i64, broken: Option<BrokenKind>) {
    let claimed_ms = match broken {
        Some(BrokenKind::MissingEventTime) => return,
        Some(BrokenKind::EventTimeZero) => 0,
        Some(BrokenKind::EventTimeYear9999) => YEAR_9999_MS,
        _ => event_ms,
    };
    wire::timestamp(out, field, claimed_ms);
}
