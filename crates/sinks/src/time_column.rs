//! The column that has the time of a row.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::point_layout::plain;
use crate::{SettingError, Settings, SinkInput};

/// A column with timestamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeColumn {
    column: usize,
    name: String,
}

/// Microseconds of each row since 1970.
pub(crate) struct Times {
    micros: Int64Array,
}

impl TimeColumn {
    /// The one that a setting names, or else that of the input.
    pub fn read(settings: &Settings, key: &str, input: &SinkInput<'_>) -> Result<Option<Self>, SettingError> {
        let Some(name) = settings.text(key) else {
            return Ok(input.time_column.and_then(|column| Self::at(input.schema, column)));
        };
        let hint = "name a column with timestamps";
        let (column, field) = input
            .schema
            .column_with_name(name)
            .ok_or_else(|| SettingError::at(key, format!("there is no column `{name}`"), hint))?;
        Self::at(input.schema, column).map(Some).ok_or_else(|| {
            let detail = format!("the column `{name}` has the type {}, which is no time", field.data_type());
            SettingError::at(key, detail, hint)
        })
    }

    fn at(schema: &Schema, column: usize) -> Option<Self> {
        let field = schema.fields().get(column)?;
        let is_time = matches!(plain(field.data_type()), DataType::Timestamp(..));
        is_time.then(|| Self { column, name: field.name().clone() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn bind(&self, batch: &RecordBatch) -> Result<Times, ArrowError> {
        times_of(batch.column(self.column))
    }
}

/// Of a column with timestamps or dates.
pub(crate) fn times_of(column: &ArrayRef) -> Result<Times, ArrowError> {
    let micros = cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let micros = cast(&micros, &DataType::Int64)?;
    Ok(Times { micros: micros.as_primitive::<Int64Type>().clone() })
}

impl Times {
    pub fn micros(&self, row: usize) -> Option<i64> {
        self.micros.is_valid(row).then(|| self.micros.value(row))
    }

    /// As RFC 3339 has it, which knows the years 0 to 9999.
    pub fn text(&self, row: usize) -> Result<Option<String>, String> {
        let Some(micros) = self.micros(row) else { return Ok(None) };
        let mut text = Vec::with_capacity(27);
        rows::write_timestamp_micros(micros, &mut text);
        match String::from_utf8(text).ok().filter(|text| text.as_bytes().get(4) == Some(&b'-')) {
            Some(text) => Ok(Some(text)),
            None => Err(format!(
                "the time of the record, {micros} microseconds after 1970, is not within the years 0 to 9999"
            )),
        }
    }
}
