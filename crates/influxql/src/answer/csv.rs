//! Answers as InfluxDB writes them in CSV.

use std::io::{self, Write};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};

use super::{ResultSeries, StatementChunk};
use crate::Precision;

/// Writes the chunks of one answer, which may come in several calls.
#[derive(Debug, Default)]
pub struct CsvWriter {
    epoch: Option<Precision>,
    statement: Option<usize>,
}

impl CsvWriter {
    /// Times are nanoseconds unless `epoch` says otherwise.
    pub fn new(epoch: Option<Precision>) -> Self {
        Self { epoch, statement: None }
    }

    pub fn write(&mut self, out: &mut dyn Write, chunks: &[StatementChunk]) -> io::Result<()> {
        for chunk in chunks {
            if self.statement != Some(chunk.statement_id) {
                let Some(first) = chunk.series.first() else { continue };
                if self.statement.is_some() {
                    out.write_all(b"\n")?;
                }
                self.statement = Some(chunk.statement_id);
                header(out, first)?;
            }
            for (place, series) in chunk.series.iter().enumerate() {
                if place > 0 && chunk.series[place - 1].columns != series.columns {
                    out.write_all(b"\n")?;
                    header(out, series)?;
                }
                self.rows(out, series)?;
            }
        }
        Ok(())
    }

    fn rows(&self, out: &mut dyn Write, series: &ResultSeries) -> io::Result<()> {
        let tags: Vec<String> =
            series.tags.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
        let tags = tags.join(",");
        for row in 0..series.rows() {
            let mut cells = vec![series.name.clone(), tags.clone()];
            for column in &series.values {
                cells.push(self.cell(column.as_ref(), row));
            }
            record(out, &cells)?;
        }
        Ok(())
    }

    fn cell(&self, column: &dyn Array, row: usize) -> String {
        if column.is_null(row) || column.data_type() == &DataType::Null {
            return String::new();
        }
        match column.data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                let divisor = self.epoch.map_or(1, Precision::nanos);
                (column.as_primitive::<TimestampNanosecondType>().value(row) / divisor).to_string()
            }
            DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
            DataType::Boolean => column.as_boolean().value(row).to_string(),
            DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
            _ => String::new(),
        }
    }
}

/// Writes an error that is no statement's.
pub fn write_csv_error(out: &mut dyn Write, error: &str) -> io::Result<()> {
    record(out, &["error".into()])?;
    record(out, &[error.into()])
}

fn header(out: &mut dyn Write, series: &ResultSeries) -> io::Result<()> {
    let mut cells = vec!["name".to_owned(), "tags".to_owned()];
    cells.extend(series.columns.iter().cloned());
    record(out, &cells)
}

/// Tags as in line protocol.
fn escaped(text: &str) -> String {
    text.replace(',', "\\,").replace('"', "\\\"").replace(' ', "\\ ").replace('=', "\\=")
}

fn record(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    for (place, cell) in cells.iter().enumerate() {
        if place > 0 {
            out.write_all(b",")?;
        }
        let quoted = cell == "\\." || cell.contains([',', '"', '\r', '\n']) || cell.starts_with([' ', '\t']);
        if quoted {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}
