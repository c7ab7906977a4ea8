//! Answers as InfluxDB writes them in JSON: its keys, their order, its numbers.

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use chrono_tz::Tz;

use super::{ResultSeries, StatementChunk};
use crate::Precision;
use crate::text::format_time_in;

/// How JSON is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonOptions {
    /// `None` writes times as RFC 3339, in the zone of the statement's `tz()` or UTC.
    pub epoch: Option<Precision>,
    /// With line breaks and four spaces of indentation.
    pub pretty: bool,
}

/// Writes the parts of an answer as one JSON object and a line break, as InfluxDB answers a request that is not chunked,
/// or each chunk of one that is.
pub fn write_json(out: &mut dyn Write, chunks: &[StatementChunk], options: JsonOptions) -> io::Result<()> {
    let mut writer = JsonWriter::new(options);
    for chunk in chunks {
        writer.write(out, chunk)?;
    }
    writer.finish(out)
}

/// Writes one JSON object part by part.
#[derive(Debug, Default)]
pub struct JsonWriter {
    options: JsonOptions,
    is_begun: bool,
}

impl JsonWriter {
    pub fn new(options: JsonOptions) -> Self {
        Self { options, is_begun: false }
    }

    pub fn write(&mut self, out: &mut dyn Write, chunk: &StatementChunk) -> io::Result<()> {
        let mut json = Json { out, pretty: self.options.pretty, depth: 2, first: !self.is_begun };
        if !self.is_begun {
            json.depth = 0;
            json.open('{')?;
            json.key("results")?;
            json.open('[')?;
            self.is_begun = true;
        }
        json.element()?;
        write_chunk(&mut json, chunk, self.options)
    }

    pub fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        let mut json = Json { out, pretty: self.options.pretty, depth: 2, first: false };
        if self.is_begun {
            json.close(']')?;
            json.close('}')?;
        } else {
            json.out.write_all(b"{}")?;
        }
        json.out.write_all(b"\n")
    }
}

/// Writes an error that is no statement's: `{"error":"..."}` and a line break.
pub fn write_json_error(out: &mut dyn Write, error: &str, pretty: bool) -> io::Result<()> {
    let mut json = Json { out, pretty, depth: 0, first: true };
    json.open('{')?;
    json.key("error")?;
    json.text(error)?;
    json.close('}')?;
    json.out.write_all(b"\n")
}

fn write_chunk(json: &mut Json<'_>, chunk: &StatementChunk, options: JsonOptions) -> io::Result<()> {
    json.open('{')?;
    json.key("statement_id")?;
    write!(json.out, "{}", chunk.statement_id)?;
    if !chunk.series.is_empty() {
        json.key("series")?;
        json.open('[')?;
        for series in &chunk.series {
            json.element()?;
            write_series(json, series, options)?;
        }
        json.close(']')?;
    }
    if !chunk.messages.is_empty() {
        json.key("messages")?;
        json.open('[')?;
        for (level, text) in &chunk.messages {
            json.element()?;
            json.open('{')?;
            json.key("level")?;
            json.text(level)?;
            json.key("text")?;
            json.text(text)?;
            json.close('}')?;
        }
        json.close(']')?;
    }
    if chunk.partial {
        json.key("partial")?;
        json.out.write_all(b"true")?;
    }
    if let Some(error) = &chunk.error {
        json.key("error")?;
        json.text(error)?;
    }
    json.close('}')
}

fn write_series(json: &mut Json<'_>, series: &ResultSeries, options: JsonOptions) -> io::Result<()> {
    json.open('{')?;
    if !series.name.is_empty() {
        json.key("name")?;
        json.text(&series.name)?;
    }
    if !series.tags.is_empty() {
        json.key("tags")?;
        json.open('{')?;
        for (name, value) in &series.tags {
            json.key(name)?;
            json.text(value)?;
        }
        json.close('}')?;
    }
    if !series.columns.is_empty() {
        json.key("columns")?;
        json.open('[')?;
        for column in series.columns.iter() {
            json.element()?;
            json.text(column)?;
        }
        json.close(']')?;
    }
    if series.rows() > 0 {
        json.key("values")?;
        json.open('[')?;
        let cells: Vec<Cells<'_>> = series.values.iter().map(|column| Cells::of(column, options.epoch)).collect();
        for row in 0..series.rows() {
            json.element()?;
            json.open('[')?;
            for column in &cells {
                json.element()?;
                column.write(json, row)?;
            }
            json.close(']')?;
        }
        json.close(']')?;
    }
    if series.partial {
        json.key("partial")?;
        json.out.write_all(b"true")?;
    }
    json.close('}')
}

/// A column, read cell by cell.
enum Cells<'a> {
    Times(&'a arrow::array::TimestampNanosecondArray, Option<Precision>, Tz),
    Floats(&'a arrow::array::Float64Array),
    Integers(&'a arrow::array::Int64Array),
    Booleans(&'a arrow::array::BooleanArray),
    Texts(&'a arrow::array::StringArray),
    Nothing,
}

impl<'a> Cells<'a> {
    fn of(column: &'a ArrayRef, epoch: Option<Precision>) -> Self {
        match column.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                let zone = zone.as_ref().and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
                Self::Times(column.as_primitive::<TimestampNanosecondType>(), epoch, zone)
            }
            DataType::Float64 => Self::Floats(column.as_primitive::<Float64Type>()),
            DataType::Int64 => Self::Integers(column.as_primitive::<Int64Type>()),
            DataType::Boolean => Self::Booleans(column.as_boolean()),
            DataType::Utf8 => Self::Texts(column.as_string()),
            _ => Self::Nothing,
        }
    }

    fn write(&self, json: &mut Json<'_>, row: usize) -> io::Result<()> {
        match self {
            Self::Times(times, Some(epoch), _) if times.is_valid(row) => {
                write!(json.out, "{}", times.value(row) / epoch.nanos())
            }
            Self::Times(times, None, zone) if times.is_valid(row) => {
                write!(json.out, "\"{}\"", format_time_in(times.value(row), *zone))
            }
            Self::Floats(values) if values.is_valid(row) => json.float(values.value(row)),
            Self::Integers(values) if values.is_valid(row) => write!(json.out, "{}", values.value(row)),
            Self::Booleans(values) if values.is_valid(row) => write!(json.out, "{}", values.value(row)),
            Self::Texts(values) if values.is_valid(row) => json.text(values.value(row)),
            _ => json.out.write_all(b"null"),
        }
    }
}

/// Writes JSON as Go does.
struct Json<'a> {
    out: &'a mut dyn Write,
    pretty: bool,
    depth: usize,
    /// Nothing has been written in the innermost object or array.
    first: bool,
}

impl Json<'_> {
    fn line(&mut self) -> io::Result<()> {
        if self.pretty {
            write!(self.out, "\n{:1$}", "", self.depth * 4)?;
        }
        Ok(())
    }

    fn open(&mut self, bracket: char) -> io::Result<()> {
        write!(self.out, "{bracket}")?;
        self.depth += 1;
        self.first = true;
        Ok(())
    }

    fn close(&mut self, bracket: char) -> io::Result<()> {
        self.depth -= 1;
        if !self.first {
            self.line()?;
        }
        self.first = false;
        write!(self.out, "{bracket}")
    }

    fn element(&mut self) -> io::Result<()> {
        if !self.first {
            self.out.write_all(b",")?;
        }
        self.first = false;
        self.line()
    }

    fn key(&mut self, key: &str) -> io::Result<()> {
        self.element()?;
        self.text(key)?;
        self.out.write_all(if self.pretty { b": " } else { b":" })
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(b"\"")?;
        let mut start = 0;
        for (place, character) in text.char_indices() {
            let escaped = match character {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => format!("\\u{:04x}", character as u32),
                _ => continue,
            };
            self.out.write_all(&text.as_bytes()[start..place])?;
            self.out.write_all(escaped.as_bytes())?;
            start = place + character.len_utf8();
        }
        self.out.write_all(&text.as_bytes()[start..])?;
        self.out.write_all(b"\"")
    }

    fn float(&mut self, value: f64) -> io::Result<()> {
        let size = value.abs();
        if !value.is_finite() {
            self.out.write_all(b"null")
        } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            // Go writes the sign of every exponent, and two digits of those that are positive.
            let text = match text.split_once('e') {
                Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
                _ => text,
            };
            self.out.write_all(text.as_bytes())
        } else {
            write!(self.out, "{value}")
        }
    }
}
