//! Building the columns of scanned batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::DataType;

use crate::point::{Cell, take_cell};
use crate::scan::Source;

const TEXT_BYTES_GUESSED: usize = 12;

pub(crate) enum ColumnBuilder {
    Time(TimestampMicrosecondBuilder),
    Float(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Text(StringBuilder),
}

impl ColumnBuilder {
    pub(crate) fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Timestamp(..) => Self::Time(TimestampMicrosecondBuilder::with_capacity(rows)),
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(rows)),
            DataType::Int64 => Self::Integer(Int64Builder::with_capacity(rows)),
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            _ => Self::Text(StringBuilder::with_capacity(rows, rows * TEXT_BYTES_GUESSED)),
        }
    }

    pub(crate) fn append_time(&mut self, time: i64) {
        if let Self::Time(builder) = self {
            builder.append_value(time);
        }
    }

    pub(crate) fn append_tag(&mut self, value: Option<&str>) {
        if let Self::Text(builder) = self {
            builder.append_option(value);
        }
    }

    /// `false` if the cell is of another type than the column.
    fn append_cell(&mut self, cell: Cell<'_>) -> bool {
        match (self, cell) {
            (Self::Float(builder), Cell::Float(value)) => builder.append_value(value),
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(value),
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(value),
            (Self::Text(builder), Cell::Text(value)) => builder.append_value(value),
            _ => return false,
        }
        true
    }

    fn append_null(&mut self) {
        match self {
            Self::Time(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
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

/// Which output columns a field goes to.
pub(crate) struct FieldSlots {
    /// Field number and column, in ascending order of both; a field may be wanted in several columns.
    slots: Vec<(u32, usize)>,
    /// The row that each slot got its value for last, plus one.
    filled: Vec<usize>,
}

impl FieldSlots {
    pub(crate) fn new(sources: &[Source]) -> Self {
        let mut slots: Vec<(u32, usize)> = sources
            .iter()
            .enumerate()
            .filter_map(|(column, source)| match source {
                Source::Field(field) => Some((*field, column)),
                _ => None,
            })
            .collect();
        slots.sort_unstable();
        let filled = vec![0; slots.len()];
        Self { slots, filled }
    }

    /// Appends the encoded fields of a point to the columns, NULL where there is none. `None` if they are broken.
    pub(crate) fn append_fields(
        &mut self,
        mut fields: &[u8],
        builders: &mut [ColumnBuilder],
        row: usize,
    ) -> Option<()> {
        if self.slots.is_empty() {
            return Some(());
        }
        if row == 0 {
            self.filled.fill(0);
        }
        let mut next = 0;
        while !fields.is_empty() && next < self.slots.len() {
            let (field, cell) = take_cell(&mut fields)?;
            while next < self.slots.len() && self.slots[next].0 <= field {
                if self.slots[next].0 == field {
                    if !builders[self.slots[next].1].append_cell(cell) {
                        return None;
                    }
                    self.filled[next] = row + 1;
                }
                next += 1;
            }
        }
        for (filled, (_, column)) in self.filled.iter().zip(&self.slots) {
            if *filled != row + 1 {
                builders[*column].append_null();
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::point::put_cell;

    #[test]
    fn fields_find_their_columns_in_any_order_and_missing_ones_are_null() {
        let sources = [Source::Field(7), Source::Time, Source::Field(2), Source::Field(7)];
        let mut slots = FieldSlots::new(&sources);
        let mut builders: Vec<ColumnBuilder> =
            sources.iter().map(|_| ColumnBuilder::new(&DataType::Int64, 4)).collect();
        for (row, written) in [vec![2, 7], vec![], vec![1, 7, 9], vec![2]].into_iter().enumerate() {
            let mut bytes = Vec::new();
            for field in written {
                put_cell(&mut bytes, field, Cell::Integer(i64::from(field) * 10 + row as i64));
            }
            slots.append_fields(&bytes, &mut builders, row).expect("whole");
        }
        let columns: Vec<Vec<Option<i64>>> =
            builders.into_iter().map(|builder| builder.finish().as_primitive::<Int64Type>().iter().collect()).collect();
        assert_eq!(columns[0], [Some(70), None, Some(72), None]);
        assert_eq!(columns[1].len(), 0, "the time is appended elsewhere");
        assert_eq!(columns[2], [Some(20), None, None, Some(23)]);
        assert_eq!(columns[3], columns[0]);
    }

    #[test]
    fn a_cell_of_another_type_is_noticed() {
        let mut bytes = Vec::new();
        put_cell(&mut bytes, 0, Cell::Text("x"));
        let mut builders = [ColumnBuilder::new(&DataType::Int64, 1)];
        assert_eq!(FieldSlots::new(&[Source::Field(0)]).append_fields(&bytes, &mut builders, 0), None);
        let [builder] = builders;
        assert_eq!(builder.finish().len(), 0);
    }
}
