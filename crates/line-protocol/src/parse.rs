//! A body, line by line.

use std::ops::Range;

use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use series::MeasurementInfo;

use crate::columns::text;
use crate::escape::unescape_name;
use crate::line::{Line, Malformed, line_end, skip_blanks};
use crate::measurement::Measurement;
use crate::points::{MalformedLine, MeasurementPoints, Points};
use crate::{Precision, exact, fast};

/// Of a malformed line so much is shown.
const LINE_BYTES_SHOWN_MAX: usize = 1_024;

/// Rows of the first measurement of a body for which there is room before they are there.
const ROWS_EXPECTED_MAX: usize = 65_536;

/// What a measurement can hold. Lines beyond it are refused one by one; how long values may be is the store's to say.
#[derive(Clone, Debug)]
pub struct ParseLimits {
    /// Bytes of a measurement's name, and of a tag's or field's.
    pub measurement_bytes_max: usize,
    pub name_bytes_max: usize,
    /// Tags and fields of one measurement, those already stored included.
    pub tags_max: usize,
    pub fields_max: usize,
    /// Measurements of one body.
    pub measurements_max: usize,
    /// Rows times columns that are gathered before they are handed over: lines of one measurement may have other columns
    /// each, and in a batch all rows have all of them.
    pub cells_max: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        let limits = series::SeriesLimits::default();
        Self {
            measurement_bytes_max: limits.name_bytes_max,
            name_bytes_max: limits.name_bytes_max,
            tags_max: limits.tags_per_measurement_max,
            fields_max: limits.fields_per_measurement_max,
            measurements_max: 10_000,
            cells_max: 4_000_000,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct ParseOptions {
    pub precision: Precision,
    /// The time of points that say none, nanoseconds since 1970; it is cut to the precision.
    pub now_nanos: i64,
    pub limits: ParseLimits,
}

/// Takes a body apart; see [`parse_in_parts`].
pub fn parse(
    body: &[u8],
    options: &ParseOptions,
    known: &dyn Fn(&str) -> Option<MeasurementInfo>,
) -> Result<Points, ArrowError> {
    let mut measurements = Vec::new();
    let mut points = parse_in_parts(body, options, known, &mut |part| {
        measurements.push(part);
        Ok::<_, ArrowError>(())
    })?;
    points.measurements = measurements;
    Ok(points)
}

/// Takes a body apart and hands the points over in batches, each of one measurement; `measurements` of the result stays
/// empty. `known` tells a measurement as it is stored, so that a field keeps its type; it is asked once per measurement. An
/// error is none of the body's.
pub fn parse_in_parts<E: From<ArrowError>>(
    body: &[u8],
    options: &ParseOptions,
    known: &dyn Fn(&str) -> Option<MeasurementInfo>,
    take: &mut dyn FnMut(MeasurementPoints) -> Result<(), E>,
) -> Result<Points, E> {
    let mut parser = Parser {
        body,
        options,
        known,
        is_utf8: std::str::from_utf8(body).is_ok(),
        default_time: options.precision.truncate(options.now_nanos),
        measurements: Vec::new(),
        by_written: HashMap::default(),
        by_name: HashMap::default(),
        last: None,
        cells: 0,
        points: Points::default(),
        lines_before: (0, 0),
    };
    let mut line = Line::default();
    let mut start = 0;
    while start < body.len() {
        let end = line_end(body, start);
        let first = skip_blanks(&body[..end], start);
        if first < end && body[first] != b'#' {
            // A newline behind a backslash does not end the line, and is no part of it when it is the last of it.
            let text_end = end - usize::from(body[end - 1] == b'\n');
            parser.push(first, text_end, &mut line);
            if parser.cells > options.limits.cells_max {
                parser.hand_over(take)?;
            }
        }
        start = end + 1;
    }
    parser.hand_over(take)?;
    Ok(parser.points)
}

struct Parser<'a> {
    body: &'a [u8],
    options: &'a ParseOptions,
    known: &'a dyn Fn(&str) -> Option<MeasurementInfo>,
    /// All of the body is; otherwise each line is looked at.
    is_utf8: bool,
    default_time: i64,
    measurements: Vec<Measurement<'a>>,
    by_written: HashMap<&'a [u8], usize, RandomState>,
    by_name: HashMap<String, usize, RandomState>,
    /// The measurement of the line before, as it was written.
    last: Option<(&'a [u8], usize)>,
    /// Of all measurements.
    cells: usize,
    points: Points,
    /// A place in the body, and how many lines end before it.
    lines_before: (usize, usize),
}

impl<'a> Parser<'a> {
    /// Takes the line from `start` to `end`.
    #[inline]
    fn push(&mut self, start: usize, end: usize, line: &mut Line<'a>) {
        let bytes = &self.body[start..end];
        let precision = self.options.precision;
        let parsed = match fast::parse(bytes, precision, line) {
            Some(()) => Ok(()),
            None => exact::parse(bytes, precision, line),
        };
        let parsed = parsed.and_then(|()| self.check_text(bytes));
        if let Err(malformed) = parsed {
            return self.tell(start, bytes, malformed);
        }
        let time = line.time.unwrap_or(self.default_time);
        let pushed = match self.measurement(line.measurement, start..end) {
            Ok(at) => {
                let measurement = &mut self.measurements[at];
                let before = measurement.cells();
                let pushed = measurement.push(line, time, start, &self.options.limits);
                self.cells += measurement.cells() - before;
                pushed
            }
            Err(reason) => Err(reason),
        };
        match pushed {
            Ok(()) => self.points.rows += 1,
            Err(reason) => {
                self.points.refused += 1;
                self.points.refusal.get_or_insert(reason);
            }
        }
    }

    fn check_text(&self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.is_utf8 {
            return Ok(());
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) => Err(Malformed::new(error.valid_up_to(), "invalid UTF-8")),
        }
    }

    fn measurement(&mut self, written: &'a [u8], line: Range<usize>) -> Result<usize, String> {
        if let Some((last, at)) = self.last
            && last == written
        {
            return Ok(at);
        }
        let at = match self.by_written.get(written) {
            Some(at) => *at,
            None => self.new_measurement(written, line)?,
        };
        self.last = Some((written, at));
        Ok(at)
    }

    fn new_measurement(&mut self, written: &'a [u8], line: Range<usize>) -> Result<usize, String> {
        let limits = &self.options.limits;
        let name = text(unescape_name(written));
        if name.len() > limits.measurement_bytes_max {
            let shown: String = name.chars().take(64).collect();
            return Err(format!(
                "the name of measurement \"{shown}\" has {} bytes, the limit is {}",
                name.len(),
                limits.measurement_bytes_max
            ));
        }
        if let Some(at) = self.by_name.get(&name).copied() {
            self.by_written.insert(written, at);
            return Ok(at);
        }
        if self.measurements.len() >= limits.measurements_max {
            return Err(format!(
                "\"{name}\" would be one more than {} measurements in one request; send them in several",
                limits.measurements_max
            ));
        }
        let known = (self.known)(&name);
        let at = self.measurements.len();
        // Most bodies are of one measurement, and their lines about as long.
        let rows_expected = match at {
            0 => ((self.body.len() - line.start) / (line.len() + 1) + 1).min(ROWS_EXPECTED_MAX),
            _ => 0,
        };
        self.measurements.push(Measurement::new(name.clone(), known, rows_expected));
        self.by_name.insert(name, at);
        self.by_written.insert(written, at);
        Ok(at)
    }

    fn tell(&mut self, start: usize, bytes: &[u8], malformed: Malformed) {
        self.points.malformed += 1;
        if self.points.malformed_told.len() >= Points::MALFORMED_TOLD_MAX {
            return;
        }
        let (place, lines) = self.lines_before;
        let lines = lines + memchr::memchr_iter(b'\n', &self.body[place..start]).count();
        self.lines_before = (start, lines);
        let at = malformed.at.min(bytes.len());
        // A quoted text may hold newlines: the place is counted from the last one before it.
        let newlines = memchr::memchr_iter(b'\n', &bytes[..at]).count();
        let line_start = match memchr::memrchr(b'\n', &bytes[..at]) {
            Some(newline) => start + newline + 1,
            None => memchr::memrchr(b'\n', &self.body[..start]).map_or(0, |newline| newline + 1),
        };
        let before = String::from_utf8_lossy(&self.body[line_start..start + at]);
        let shown = &bytes[..bytes.len().min(LINE_BYTES_SHOWN_MAX)];
        let dots = if shown.len() < bytes.len() { "..." } else { "" };
        self.points.malformed_told.push(MalformedLine {
            line: lines + newlines + 1,
            column: before.chars().count() + 1,
            text: format!("{}{dots}", String::from_utf8_lossy(shown)),
            reason: malformed.reason.into_owned(),
        });
    }

    fn hand_over<E: From<ArrowError>>(
        &mut self,
        take: &mut dyn FnMut(MeasurementPoints) -> Result<(), E>,
    ) -> Result<(), E> {
        for measurement in &mut self.measurements {
            if let Some(points) = measurement.take()? {
                take(points)?;
            }
        }
        self.cells = 0;
        Ok(())
    }
}
