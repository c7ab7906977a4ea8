//! One row as wire bytes. Fields come by number, as parsers expect them.

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::TimeUnit;

use super::bind::{BoundField, BoundMessage, BoundSource, BoundValue, Ints, Stamps, enum_number};
use crate::error::EncodeErrorKind;
use crate::json;
use crate::shape::Scalar;
use crate::wire;

/// What is wrong with a row; the path has the innermost field first.
pub(crate) struct Fault {
    pub kind: EncodeErrorKind,
    pub path: Vec<String>,
}

type Write = Result<(), Box<Fault>>;

fn fault(kind: EncodeErrorKind) -> Box<Fault> {
    Box::new(Fault { kind, path: Vec::new() })
}

pub(crate) fn message(message: &BoundMessage<'_>, row: usize, out: &mut Vec<u8>) -> Write {
    // Only the names of oneofs that are already set; most messages have none.
    let mut oneofs: Vec<&str> = Vec::new();
    for field in &message.fields {
        let before = out.len();
        let at_field = |mut fault: Box<Fault>| {
            fault.path.push(field.plan.name.clone());
            fault
        };
        put_field(field, row, out).map_err(at_field)?;
        let written = out.len() > before;
        if field.plan.required && !written {
            return Err(at_field(fault(EncodeErrorKind::RequiredMissing)));
        }
        if let Some(oneof) = field.plan.oneof.as_deref().filter(|_| written) {
            if oneofs.contains(&oneof) {
                return Err(at_field(fault(EncodeErrorKind::OneofConflict)));
            }
            oneofs.push(oneof);
        }
    }
    if let Some(unknown) = message.unknown.as_ref().filter(|unknown| unknown.is_valid(row)) {
        let bytes = unknown.value(row);
        check_fields(bytes)?;
        out.extend_from_slice(bytes);
    }
    Ok(())
}

fn put_field(field: &BoundField<'_>, row: usize, out: &mut Vec<u8>) -> Write {
    let number = field.plan.number;
    match &field.source {
        BoundSource::Single { value, implicit } => {
            if is_null(value, row) || (*implicit && is_default(value, row)) {
                return Ok(());
            }
            wire::put_tag(out, number, field.wire_type);
            put_value(value, row, number, out)
        }
        BoundSource::List { offsets, nulls, item, packed } => {
            let (start, end) = range(offsets, nulls, row);
            if start == end {
                return Ok(());
            }
            if (start..end).any(|index| is_null(item, index)) {
                return Err(fault(EncodeErrorKind::NullItem));
            }
            if *packed {
                wire::put_tag(out, number, wire::LEN);
                return wire::put_content(out, |out| {
                    (start..end).try_for_each(|index| put_value(item, index, number, out))
                });
            }
            (start..end).try_for_each(|index| {
                wire::put_tag(out, number, field.wire_type);
                put_value(item, index, number, out)
            })
        }
        BoundSource::Map { offsets, nulls, key, value, wire_types } => {
            let (start, end) = range(offsets, nulls, row);
            (start..end).try_for_each(|index| {
                if is_null(key, index) || is_null(value, index) {
                    return Err(fault(EncodeErrorKind::NullItem));
                }
                wire::put_tag(out, number, wire::LEN);
                wire::put_content(out, |out| {
                    wire::put_tag(out, 1, wire_types.0);
                    put_value(key, index, 1, out)?;
                    wire::put_tag(out, 2, wire_types.1);
                    put_value(value, index, 2, out)
                })
            })
        }
        BoundSource::Dotted(inner) => {
            if !is_there(inner, row) {
                return Ok(());
            }
            wire::put_tag(out, number, wire::LEN);
            wire::put_content(out, |out| message(inner, row, out))
        }
    }
}

fn range(offsets: &[i32], nulls: &Option<NullBuffer>, row: usize) -> (usize, usize) {
    if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        return (0, 0);
    }
    (offsets[row] as usize, offsets[row + 1] as usize)
}

/// Whether a message of dotted columns has one that is not NULL.
fn is_there(message: &BoundMessage<'_>, row: usize) -> bool {
    message.fields.iter().any(|field| match &field.source {
        BoundSource::Single { value, .. } => !is_null(value, row),
        BoundSource::List { nulls, .. } | BoundSource::Map { nulls, .. } => {
            nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
        }
        BoundSource::Dotted(inner) => is_there(inner, row),
    })
}

fn is_null(value: &BoundValue<'_>, row: usize) -> bool {
    match value {
        BoundValue::Int { column: Ints::Int64(column), .. } => column.is_null(row),
        BoundValue::Int { column: Ints::Uint64(column), .. } => column.is_null(row),
        BoundValue::Int { column: Ints::Decimal(column), .. } => column.is_null(row),
        BoundValue::Double(column) => column.is_null(row),
        BoundValue::Float(column) => column.is_null(row),
        BoundValue::Bool(column) => column.is_null(row),
        BoundValue::Text(column) | BoundValue::EnumText { column, .. } | BoundValue::Json { column, .. } => {
            column.is_null(row)
        }
        BoundValue::Bytes(column) | BoundValue::Raw { column, .. } => column.is_null(row),
        BoundValue::EnumKeys { column, .. } => column.is_null(row),
        BoundValue::Timestamp(stamps) => {
            let Stamps { whole, seconds, nanos } = stamps;
            whole.as_ref().is_none_or(|(column, _)| column.is_null(row))
                && seconds.as_ref().is_none_or(|column| column.is_null(row))
                && nanos.as_ref().is_none_or(|column| column.is_null(row))
        }
        BoundValue::Wrapper(inner, _) => is_null(inner, row),
        BoundValue::Message { nulls, .. } => nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
        BoundValue::Nothing => true,
    }
}

/// Whether a value is the default of its type, which a field without presence does not write. Minus zero is written.
fn is_default(value: &BoundValue<'_>, row: usize) -> bool {
    match value {
        BoundValue::Int { column, .. } => int(column, row) == 0,
        BoundValue::Double(column) => column.value(row).to_bits() == 0,
        BoundValue::Float(column) => column.value(row).to_bits() == 0,
        BoundValue::Bool(column) => !column.value(row),
        BoundValue::Text(column) => column.value(row).is_empty(),
        BoundValue::Bytes(column) => column.value(row).is_empty(),
        BoundValue::EnumText { column, numbers } => enum_number(numbers, column.value(row)) == Some(0),
        BoundValue::EnumKeys { column, numbers } => matches!(numbers.get(column.value(row) as usize), Some(Ok(0))),
        _ => false,
    }
}

fn int(column: &Ints, row: usize) -> i128 {
    match column {
        Ints::Int64(column) => column.value(row).into(),
        Ints::Uint64(column) => column.value(row).into(),
        Ints::Decimal(column) => column.value(row),
    }
}

/// Writes a value that is not null, without its tag. `number` closes a group.
fn put_value(value: &BoundValue<'_>, row: usize, number: u32, out: &mut Vec<u8>) -> Write {
    match value {
        BoundValue::Int { column, scalar } => return put_int(int(column, row), *scalar, out),
        BoundValue::Double(column) => out.extend_from_slice(&column.value(row).to_le_bytes()),
        BoundValue::Float(column) => out.extend_from_slice(&column.value(row).to_le_bytes()),
        BoundValue::Bool(column) => out.push(u8::from(column.value(row))),
        BoundValue::Text(column) => put_bytes(column.value(row).as_bytes(), out),
        BoundValue::Bytes(column) => put_bytes(column.value(row), out),
        BoundValue::EnumText { column, numbers } => {
            let name = column.value(row);
            let number = enum_number(numbers, name);
            put_enum(number.ok_or_else(|| fault(EncodeErrorKind::UnknownEnumValue(name.to_owned())))?, out);
        }
        BoundValue::EnumKeys { column, numbers } => match numbers.get(column.value(row) as usize) {
            Some(Ok(number)) => put_enum(*number, out),
            Some(Err(name)) => return Err(fault(EncodeErrorKind::UnknownEnumValue(name.clone()))),
            None => return Err(fault(EncodeErrorKind::UnknownEnumValue(column.value(row).to_string()))),
        },
        BoundValue::Timestamp(stamps) => return put_stamp(stamps, row, out),
        BoundValue::Wrapper(inner, wire_type) => {
            return wire::put_content(out, |out| {
                if is_default(inner, row) {
                    return Ok(());
                }
                wire::put_tag(out, 1, *wire_type);
                put_value(inner, row, 1, out)
            });
        }
        BoundValue::Json { column, kind } => {
            return wire::put_content(out, |out| json::encode(*kind, column.value(row), out))
                .map_err(|error| fault(EncodeErrorKind::Json(error)));
        }
        BoundValue::Raw { column, group } => {
            let bytes = column.value(row);
            check_fields(bytes)?;
            if *group {
                out.extend_from_slice(bytes);
                wire::put_tag(out, number, wire::GROUP_END);
            } else {
                put_bytes(bytes, out);
            }
        }
        BoundValue::Message { message: inner, group: true, .. } => {
            message(inner, row, out)?;
            wire::put_tag(out, number, wire::GROUP_END);
        }
        BoundValue::Message { message: inner, .. } => return wire::put_content(out, |out| message(inner, row, out)),
        BoundValue::Nothing => {}
    }
    Ok(())
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    wire::put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_enum(number: i32, out: &mut Vec<u8>) {
    wire::put_varint(out, i64::from(number) as u64);
}

fn put_int(value: i128, scalar: Scalar, out: &mut Vec<u8>) -> Write {
    let out_of_range = || fault(EncodeErrorKind::OutOfRange(value.to_string()));
    match scalar {
        Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => {
            let value = i32::try_from(value).map_err(|_| out_of_range())?;
            match scalar {
                Scalar::Sint32 => wire::put_varint(out, u64::from(((value << 1) ^ (value >> 31)) as u32)),
                Scalar::Sfixed32 => out.extend_from_slice(&value.to_le_bytes()),
                _ => wire::put_varint(out, i64::from(value) as u64),
            }
        }
        Scalar::Uint32 | Scalar::Fixed32 => {
            let value = u32::try_from(value).map_err(|_| out_of_range())?;
            match scalar {
                Scalar::Fixed32 => out.extend_from_slice(&value.to_le_bytes()),
                _ => wire::put_varint(out, u64::from(value)),
            }
        }
        Scalar::Uint64 | Scalar::Fixed64 => {
            let value = u64::try_from(value).map_err(|_| out_of_range())?;
            match scalar {
                Scalar::Fixed64 => out.extend_from_slice(&value.to_le_bytes()),
                _ => wire::put_varint(out, value),
            }
        }
        _ => {
            let value = i64::try_from(value).map_err(|_| out_of_range())?;
            match scalar {
                Scalar::Sint64 => wire::put_varint(out, ((value << 1) ^ (value >> 63)) as u64),
                Scalar::Sfixed64 => out.extend_from_slice(&value.to_le_bytes()),
                _ => wire::put_varint(out, value as u64),
            }
        }
    }
    Ok(())
}

fn put_stamp(stamps: &Stamps, row: usize, out: &mut Vec<u8>) -> Write {
    let (mut seconds, mut nanos) = (0, 0);
    if let Some((column, unit)) = stamps.whole.as_ref().filter(|(column, _)| column.is_valid(row)) {
        let per_second: i64 = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let value = column.value(row);
        seconds = value.div_euclid(per_second);
        nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
    }
    if let Some(column) = stamps.seconds.as_ref().filter(|column| column.is_valid(row)) {
        seconds = column.value(row);
    }
    if let Some(column) = stamps.nanos.as_ref().filter(|column| column.is_valid(row)) {
        nanos = column.value(row).into();
    }
    wire::put_content(out, |out| {
        if seconds != 0 {
            wire::put_tag(out, 1, wire::VARINT);
            wire::put_varint(out, seconds as u64);
        }
        if nanos != 0 {
            wire::put_tag(out, 2, wire::VARINT);
            wire::put_varint(out, nanos as u64);
        }
        Ok(())
    })
}

/// Bytes that are copied into a record must be whole fields, or they would spoil it.
fn check_fields(bytes: &[u8]) -> Write {
    let mut at = 0;
    while at < bytes.len() {
        let next = wire::tag(bytes, at, bytes.len())
            .and_then(|(number, wire_type, next)| wire::skip(bytes, next, bytes.len(), number, wire_type, u32::MAX));
        match next {
            Ok(next) => at = next,
            Err(broken) => {
                return Err(fault(EncodeErrorKind::Message(format!("{} at byte {}", broken.kind, broken.at))));
            }
        }
    }
    Ok(())
}
