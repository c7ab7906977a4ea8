//! Columns that grow by rows, not all of which have a value.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringArray};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use series::FieldType;

use crate::escape::unescape_text;
use crate::line::Value;

pub(crate) trait Cells {
    /// Rows so far.
    fn len(&self) -> usize;
    fn append_nulls(&mut self, count: usize);
    fn finish(self) -> Result<ArrayRef, ArrowError>;
}

/// Text of tags: the bytes are known to be UTF-8 once all of them are there.
impl Cells for BinaryBuilder {
    fn len(&self) -> usize {
        arrow::array::ArrayBuilder::len(self)
    }

    fn append_nulls(&mut self, count: usize) {
        BinaryBuilder::append_nulls(self, count);
    }

    fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let bytes: BinaryArray = BinaryBuilder::finish(&mut self);
        Ok(Arc::new(StringArray::try_from_binary(bytes)?))
    }
}

/// With room for so many values as long as the first one.
pub(crate) fn text_cells(rows: usize, first: &[u8]) -> BinaryBuilder {
    BinaryBuilder::with_capacity(rows, rows * first.len())
}

/// Values of a field, all of one type.
pub(crate) enum FieldCells {
    Float(Float64Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Text(BinaryBuilder),
}

impl FieldCells {
    /// With room for so many values as long as the first one.
    pub fn of(first: Value<'_>, rows: usize) -> Self {
        match first {
            Value::Float(_) => Self::Float(Float64Builder::with_capacity(rows)),
            Value::Integer(_) => Self::Integer(Int64Builder::with_capacity(rows)),
            Value::Boolean(_) => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            Value::Text(text) => Self::Text(text_cells(rows, text)),
        }
    }

    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float64,
            Self::Integer(_) => FieldType::Int64,
            Self::Boolean(_) => FieldType::Boolean,
            Self::Text(_) => FieldType::Utf8,
        }
    }

    /// Appends a value of the column's own type.
    #[inline]
    pub fn append(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Float(cells), Value::Float(value)) => cells.append_value(value),
            (Self::Integer(cells), Value::Integer(value)) => cells.append_value(value),
            (Self::Boolean(cells), Value::Boolean(value)) => cells.append_value(value),
            (Self::Text(cells), Value::Text(text)) => cells.append_value(unescape_text(text)),
            (cells, _) => cells.append_nulls(1),
        }
    }
}

impl Cells for FieldCells {
    fn len(&self) -> usize {
        match self {
            Self::Float(cells) => arrow::array::ArrayBuilder::len(cells),
            Self::Integer(cells) => arrow::array::ArrayBuilder::len(cells),
            Self::Boolean(cells) => arrow::array::ArrayBuilder::len(cells),
            Self::Text(cells) => Cells::len(cells),
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Float(cells) => cells.append_nulls(count),
            Self::Integer(cells) => cells.append_nulls(count),
            Self::Boolean(cells) => cells.append_nulls(count),
            Self::Text(cells) => Cells::append_nulls(cells, count),
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Float(mut cells) => Arc::new(cells.finish()),
            Self::Integer(mut cells) => Arc::new(cells.finish()),
            Self::Boolean(mut cells) => Arc::new(cells.finish()),
            Self::Text(cells) => return Cells::finish(cells),
        })
    }
}

pub(crate) struct Column<'a, C> {
    /// The name as it was first written.
    written: &'a [u8],
    pub name: String,
    pub cells: C,
    /// The row, counted from 1, that has this column last: to find what is there twice.
    pub row: usize,
}

/// Columns of one kind, found by their names as they are written. The next one is guessed first: lines of a measurement
/// mostly have the same columns in the same order.
pub(crate) struct Columns<'a, C> {
    pub list: Vec<Column<'a, C>>,
    by_written: HashMap<&'a [u8], usize, RandomState>,
    /// Other ways of writing a name that the current line has brought.
    line_aliases: Vec<&'a [u8]>,
}

impl<C> Default for Columns<'_, C> {
    fn default() -> Self {
        Self { list: Vec::new(), by_written: HashMap::default(), line_aliases: Vec::new() }
    }
}

impl<'a, C: Cells> Columns<'a, C> {
    #[inline]
    pub fn find(&self, written: &[u8], guess: usize) -> Option<usize> {
        match self.list.get(guess) {
            Some(column) if column.written == written => Some(guess),
            _ => self.by_written.get(written).copied(),
        }
    }

    pub fn begin_line(&mut self) {
        self.line_aliases.clear();
    }

    /// Another way of writing a column's name finds it from now on.
    pub fn alias(&mut self, written: &'a [u8], at: usize) {
        self.by_written.insert(written, at);
        self.line_aliases.push(written);
    }

    pub fn push(&mut self, written: &'a [u8], name: String, cells: C) -> usize {
        let at = self.list.len();
        self.list.push(Column { written, name, cells, row: 0 });
        self.by_written.insert(written, at);
        at
    }

    /// Takes away the columns after the first `count`, and what else the current line has brought: it was refused.
    pub fn truncate(&mut self, count: usize) -> Vec<String> {
        for written in self.line_aliases.drain(..) {
            self.by_written.remove(written);
        }
        let removed: Vec<Column<'a, C>> = self.list.drain(count..).collect();
        for column in &removed {
            self.by_written.remove(column.written);
        }
        removed.into_iter().map(|column| column.name).collect()
    }

    /// The arrays with their names, each `rows` long.
    pub fn finish(self, rows: usize) -> impl Iterator<Item = Result<(String, ArrayRef), ArrowError>> {
        self.list.into_iter().map(move |mut column| {
            fill(&mut column.cells, rows);
            Ok((column.name, column.cells.finish()?))
        })
    }
}

/// Nulls for the rows that have no value.
#[inline]
pub(crate) fn fill(cells: &mut impl Cells, rows: usize) {
    let missing = rows - cells.len();
    if missing > 0 {
        cells.append_nulls(missing);
    }
}

/// UTF-8 was checked before.
pub(crate) fn text(bytes: Cow<'_, [u8]>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
