//! Answers as InfluxDB writes them in MessagePack (<https://github.com/msgpack/msgpack/blob/master/spec.md>), byte for byte:
//! times are its extension 5, eight bytes of seconds and four of nanoseconds, or numbers of the wanted unit.

use std::io::{self, Write};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};

use super::{ResultSeries, StatementChunk};
use crate::Precision;

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const TIME_EXTENSION: u8 = 5;
const TIME_BYTES: u8 = 12;

/// Writes the parts of an answer as one map, as InfluxDB answers a request that is not chunked, or each chunk of one that is.
pub fn write_message_pack(out: &mut dyn Write, chunks: &[StatementChunk], epoch: Option<Precision>) -> io::Result<()> {
    write_message_pack_head(out, chunks.len())?;
    for chunk in chunks {
        write_message_pack_part(out, chunk, epoch)?;
    }
    Ok(())
}

/// What stands before so many parts.
pub fn write_message_pack_head(out: &mut dyn Write, parts: usize) -> io::Result<()> {
    map(out, 1)?;
    text(out, "results")?;
    array(out, parts)
}

/// Writes an error that is no statement's.
pub fn write_message_pack_error(out: &mut dyn Write, error: &str) -> io::Result<()> {
    map(out, 1)?;
    text(out, "error")?;
    text(out, error)
}

/// Writes one part.
pub fn write_message_pack_part(
    out: &mut dyn Write,
    chunk: &StatementChunk,
    epoch: Option<Precision>,
) -> io::Result<()> {
    if let Some(error) = &chunk.error {
        return write_message_pack_error(out, error);
    }
    map(out, 2 + usize::from(!chunk.messages.is_empty()) + usize::from(chunk.partial))?;
    text(out, "statement_id")?;
    integer(out, i64::try_from(chunk.statement_id).unwrap_or(i64::MAX))?;
    if !chunk.messages.is_empty() {
        text(out, "messages")?;
        array(out, chunk.messages.len())?;
        for (level, message) in &chunk.messages {
            map(out, 2)?;
            for part in ["level", level, "text", message] {
                text(out, part)?;
            }
        }
    }
    text(out, "series")?;
    array(out, chunk.series.len())?;
    for series in &chunk.series {
        write_series(out, series, epoch)?;
    }
    partial(out, chunk.partial)
}

fn write_series(out: &mut dyn Write, series: &ResultSeries, epoch: Option<Precision>) -> io::Result<()> {
    let (has_name, has_tags) = (!series.name.is_empty(), !series.tags.is_empty());
    map(out, 2 + usize::from(has_name) + usize::from(has_tags) + usize::from(series.partial))?;
    if has_name {
        text(out, "name")?;
        text(out, &series.name)?;
    }
    if has_tags {
        text(out, "tags")?;
        map(out, series.tags.len())?;
        for (name, value) in &series.tags {
            text(out, name)?;
            text(out, value)?;
        }
    }
    text(out, "columns")?;
    array(out, series.columns.len())?;
    for column in series.columns.iter() {
        text(out, column)?;
    }
    text(out, "values")?;
    array(out, series.rows())?;
    for row in 0..series.rows() {
        array(out, series.values.len())?;
        for column in &series.values {
            cell(out, column.as_ref(), row, epoch)?;
        }
    }
    partial(out, series.partial)
}

fn partial(out: &mut dyn Write, is_partial: bool) -> io::Result<()> {
    match is_partial {
        true => text(out, "partial").and_then(|()| boolean(out, true)),
        false => Ok(()),
    }
}

fn cell(out: &mut dyn Write, column: &dyn Array, row: usize, epoch: Option<Precision>) -> io::Result<()> {
    if column.is_null(row) {
        return out.write_all(&[0xc0]);
    }
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = column.as_primitive::<TimestampNanosecondType>().value(row);
            match epoch {
                Some(unit) => integer(out, nanos / unit.nanos()),
                None => time(out, nanos),
            }
        }
        DataType::Float64 => {
            out.write_all(&[0xcb])?;
            out.write_all(&column.as_primitive::<Float64Type>().value(row).to_be_bytes())
        }
        DataType::Int64 => integer(out, column.as_primitive::<Int64Type>().value(row)),
        DataType::Boolean => boolean(out, column.as_boolean().value(row)),
        DataType::Utf8 => text(out, column.as_string::<i32>().value(row)),
        _ => out.write_all(&[0xc0]),
    }
}

fn time(out: &mut dyn Write, nanos: i64) -> io::Result<()> {
    out.write_all(&[0xc7, TIME_BYTES, TIME_EXTENSION])?;
    out.write_all(&nanos.div_euclid(NANOS_PER_SECOND).to_be_bytes())?;
    // Less than a second fits.
    out.write_all(&(nanos.rem_euclid(NANOS_PER_SECOND) as i32).to_be_bytes())
}

fn boolean(out: &mut dyn Write, value: bool) -> io::Result<()> {
    out.write_all(&[if value { 0xc3 } else { 0xc2 }])
}

/// In the fewest bytes that have a sign.
fn integer(out: &mut dyn Write, value: i64) -> io::Result<()> {
    if let Ok(small) = i8::try_from(value) {
        return match small {
            -32..=127 => out.write_all(&small.to_be_bytes()),
            _ => out.write_all(&[0xd0, small.to_be_bytes()[0]]),
        };
    }
    if let Ok(small) = i16::try_from(value) {
        out.write_all(&[0xd1])?;
        return out.write_all(&small.to_be_bytes());
    }
    if let Ok(small) = i32::try_from(value) {
        out.write_all(&[0xd2])?;
        return out.write_all(&small.to_be_bytes());
    }
    out.write_all(&[0xd3])?;
    out.write_all(&value.to_be_bytes())
}

fn text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    match text.len() {
        length @ 0..=31 => out.write_all(&[0xa0 | length as u8])?,
        length @ 32..=0xff => out.write_all(&[0xd9, length as u8])?,
        length => sized(out, length, 0xda)?,
    }
    out.write_all(text.as_bytes())
}

fn map(out: &mut dyn Write, length: usize) -> io::Result<()> {
    match length {
        0..=15 => out.write_all(&[0x80 | length as u8]),
        _ => sized(out, length, 0xde),
    }
}

fn array(out: &mut dyn Write, length: usize) -> io::Result<()> {
    match length {
        0..=15 => out.write_all(&[0x90 | length as u8]),
        _ => sized(out, length, 0xdc),
    }
}

/// A length of two bytes behind `kind`, or of four behind the kind that follows it.
fn sized(out: &mut dyn Write, length: usize, kind: u8) -> io::Result<()> {
    if let Ok(length) = u16::try_from(length) {
        out.write_all(&[kind])?;
        return out.write_all(&length.to_be_bytes());
    }
    let length = u32::try_from(length).map_err(|_| io::Error::other("more than MessagePack can hold"))?;
    out.write_all(&[kind + 1])?;
    out.write_all(&length.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the encoder of InfluxDB (tinylib/msgp) writes them.
    #[test]
    fn each_kind_has_its_bytes() {
        let written = |write: &dyn Fn(&mut Vec<u8>) -> io::Result<()>| {
            let mut out = Vec::new();
            write(&mut out).unwrap();
            out
        };
        for (value, bytes) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0xd1, 0, 0x80]),
            (-1, &[0xff]),
            (-32, &[0xe0]),
            (-33, &[0xd0, 0xdf]),
            (-129, &[0xd1, 0xff, 0x7f]),
            (32_768, &[0xd2, 0, 0, 0x80, 0]),
            (-32_769, &[0xd2, 0xff, 0xff, 0x7f, 0xff]),
            (1 << 31, &[0xd3, 0, 0, 0, 0, 0x80, 0, 0, 0]),
            (i64::MIN, &[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(written(&|out| integer(out, value)), bytes, "{value}");
        }
        assert_eq!(
            written(&|out| time(out, -1)),
            [0xc7, 12, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3b, 0x9a, 0xc9, 0xff]
        );
        for (length, head) in
            [(31, &[0xbf][..]), (32, &[0xd9, 32]), (256, &[0xda, 1, 0]), (65_536, &[0xdb, 0, 1, 0, 0])]
        {
            let out = written(&|out| text(out, &"x".repeat(length)));
            assert_eq!((&out[..head.len()], out.len()), (head, head.len() + length));
        }
        assert_eq!(written(&|out| array(out, 16)), [0xdc, 0, 16]);
        assert_eq!(written(&|out| array(out, 65_536)), [0xdd, 0, 1, 0, 0]);
        assert_eq!(written(&|out| map(out, 16)), [0xde, 0, 16]);
    }
}
