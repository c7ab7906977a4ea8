//! Building the columns of scanned batches from stretches of rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampNanosecondBuilder};
use arrow::datatypes::DataType;

use crate::ScanOrder;
use crate::chunk::{Field, Values};
use crate::merge::{Picked, Piece};

const TEXT_BYTES_GUESSED: usize = 12;

pub(crate) enum ColumnBuilder {
    Time(TimestampNanosecondBuilder),
    Float(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

impl ColumnBuilder {
    pub(crate) fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Timestamp(..) => Self::Time(TimestampNanosecondBuilder::with_capacity(rows)),
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(rows)),
            DataType::Int64 => Self::Integer(Int64Builder::with_capacity(rows)),
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            _ => Self::Text(StringBuilder::with_capacity(rows, rows * TEXT_BYTES_GUESSED)),
        }
    }

    pub(crate) fn append_times<T>(&mut self, picked: &Picked<T>, order: ScanOrder) {
        let Self::Time(builder) = self else { return };
        for piece in &picked.pieces {
            let times = &picked.sources[piece.source].points.times;
            match order {
                ScanOrder::Ascending => builder.append_slice(&times[piece.first..piece.first + piece.length]),
                ScanOrder::Descending => piece.rows(order).for_each(|row| builder.append_value(times[row])),
            }
        }
    }

    pub(crate) fn append_tag(&mut self, value: Option<&str>) {
        if let Self::Text(builder) = self {
            builder.append_option(value);
        }
    }

    /// Appends a field; of a point that was written several times, the latest value there is. `None` if it is of another
    /// type than the column.
    pub(crate) fn append_field<T>(&mut self, picked: &Picked<T>, number: u32, order: ScanOrder) -> Option<()> {
        let fields: Vec<Option<&Field>> = picked.sources.iter().map(|source| source.points.field(number)).collect();
        for piece in &picked.pieces {
            if piece.older.is_empty() {
                match fields[piece.source] {
                    Some(field) => self.append_piece(field, piece, order)?,
                    None => self.append_nulls(piece.length),
                }
                continue;
            }
            let writes = std::iter::once((piece.source, piece.first)).chain(piece.older.iter().copied());
            let latest =
                writes.filter_map(|(source, row)| Some((fields[source]?, row))).find(|(field, row)| field.has(*row));
            match latest {
                Some((field, row)) => self.append_value(field, row)?,
                None => self.append_nulls(1),
            }
        }
        Some(())
    }

    /// Bytes of text so far.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Text(builder) => builder.values_slice().len(),
            _ => 0,
        }
    }

    fn append_piece(&mut self, field: &Field, piece: &Piece, order: ScanOrder) -> Option<()> {
        if field.present.is_none() && order == ScanOrder::Ascending {
            let rows = piece.first..piece.first + piece.length;
            match (&mut *self, &field.values) {
                (Self::Float(builder), Values::Float(values)) => builder.append_slice(&values[rows]),
                (Self::Integer(builder), Values::Integer(values)) => builder.append_slice(&values[rows]),
                (Self::Boolean(builder), Values::Boolean(values)) => builder.append_slice(&values[rows]),
                _ => rows.map(|row| self.append_value(field, row)).collect::<Option<()>>()?,
            }
            return Some(());
        }
        for row in piece.rows(order) {
            if field.has(row) {
                self.append_value(field, row)?;
            } else {
                self.append_nulls(1);
            }
        }
        Some(())
    }

    fn append_value(&mut self, field: &Field, row: usize) -> Option<()> {
        match (self, &field.values) {
            (Self::Float(builder), Values::Float(values)) => builder.append_value(values[row]),
            (Self::Integer(builder), Values::Integer(values)) => builder.append_value(values[row]),
            (Self::Boolean(builder), Values::Boolean(values)) => builder.append_value(values[row]),
            (Self::Text(builder), Values::Text(texts)) => {
                builder.append_value(std::str::from_utf8(texts.get(row)).ok()?);
            }
            _ => return None,
        }
        Some(())
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Time(builder) => builder.append_nulls(count),
            Self::Float(builder) => builder.append_nulls(count),
            Self::Integer(builder) => builder.append_nulls(count),
            Self::Boolean(builder) => builder.append_nulls(count),
            Self::Text(builder) => (0..count).for_each(|_| builder.append_null()),
        }
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Integer(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}
