//! What a request's lines have become.

use std::fmt;

use arrow::array::RecordBatch;
use series::PointLayout;

/// The points of one measurement.
#[derive(Debug)]
pub struct MeasurementPoints {
    pub measurement: String,
    /// Time (nanoseconds), tags (text), fields; in the order of the lines.
    pub batch: RecordBatch,
    pub layout: PointLayout,
    /// Where each row's line begins, bytes into the body.
    pub(crate) starts: Vec<usize>,
}

impl MeasurementPoints {
    /// Where in the body the line of a row begins; for [`crate::Points::line_number`].
    pub fn line_start(&self, row: usize) -> usize {
        self.starts.get(row).copied().unwrap_or(0)
    }
}

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedLine {
    /// Both counted from 1; the column in characters.
    pub line: usize,
    pub column: usize,
    /// The line itself; of a long one the beginning.
    pub text: String,
    /// In InfluxDB's words.
    pub reason: String,
}

impl fmt::Display for MalformedLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, text, reason } = self;
        write!(formatter, "unable to parse '{text}': {reason} (line {line}, column {column})")
    }
}

/// A body taken apart.
#[derive(Debug, Default)]
pub struct Points {
    /// In the order in which the measurements come first. Empty when they were handed over in parts.
    pub measurements: Vec<MeasurementPoints>,
    /// Lines that became a row.
    pub rows: usize,
    /// Lines that are no points; the first of them are told.
    pub malformed: usize,
    pub malformed_told: Vec<MalformedLine>,
    /// Points that their measurement does not take, and why the first one was not, in InfluxDB's words.
    pub refused: usize,
    pub refusal: Option<String>,
}

impl Points {
    /// Told in detail; the others are counted.
    pub const MALFORMED_TOLD_MAX: usize = 100;

    /// All about the malformed lines, one a line; `None` if there is none.
    pub fn malformed_text(&self) -> Option<String> {
        if self.malformed == 0 {
            return None;
        }
        let mut lines: Vec<String> = self.malformed_told.iter().map(MalformedLine::to_string).collect();
        if self.malformed > lines.len() {
            lines.push(format!("and {} more lines", self.malformed - lines.len()));
        }
        Some(lines.join("\n"))
    }

    /// The number of the line that begins at `start` of the body, counted from 1.
    pub fn line_number(body: &[u8], start: usize) -> usize {
        1 + memchr::memchr_iter(b'\n', &body[..start.min(body.len())]).count()
    }
}
