//! The arguments of one call over a batch, read by row; a literal answers for every row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, Float64Array, Int64Array, ListArray, PrimitiveArray, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ColumnarValue;

/// One call of a function over a batch.
pub(crate) struct Call<'a> {
    /// The documented name, for errors.
    pub function: &'static str,
    pub returns: &'a DataType,
    /// Rows of the result; 1 when every argument is a literal.
    pub rows: usize,
    arguments: &'a [ColumnarValue],
}

/// A column or a literal of a known type.
pub(crate) struct Argument<A> {
    pub array: A,
    pub literal: bool,
}

/// An array whose values are read by position.
pub(crate) trait Values: Array {
    type Item<'a>
    where
        Self: 'a;
    fn at(&self, position: usize) -> Self::Item<'_>;
}

impl<T: ArrowPrimitiveType> Values for PrimitiveArray<T> {
    type Item<'a> = T::Native;
    fn at(&self, position: usize) -> T::Native {
        self.value(position)
    }
}

impl Values for StringArray {
    type Item<'a> = &'a str;
    fn at(&self, position: usize) -> &str {
        self.value(position)
    }
}

impl Values for BinaryArray {
    type Item<'a> = &'a [u8];
    fn at(&self, position: usize) -> &[u8] {
        self.value(position)
    }
}

impl Values for ListArray {
    type Item<'a> = ArrayRef;
    fn at(&self, position: usize) -> ArrayRef {
        self.value(position)
    }
}

impl<A: Array> Argument<A> {
    /// Where the value of a row lies in `array`.
    #[inline]
    pub fn position(&self, row: usize) -> usize {
        if self.literal { 0 } else { row }
    }
}

impl<A: Values> Argument<A> {
    #[inline]
    pub fn get(&self, row: usize) -> Option<A::Item<'_>> {
        let position = self.position(row);
        if self.array.is_null(position) { None } else { Some(self.array.at(position)) }
    }
}

impl<'a> Call<'a> {
    pub fn new(function: &'static str, returns: &'a DataType, rows: usize, arguments: &'a [ColumnarValue]) -> Self {
        Self { function, returns, rows, arguments }
    }

    /// How many arguments were given.
    pub fn given(&self) -> usize {
        self.arguments.len()
    }

    pub fn any(&self, index: usize) -> Result<Argument<ArrayRef>> {
        match self.arguments.get(index) {
            Some(ColumnarValue::Array(array)) => Ok(Argument { array: Arc::clone(array), literal: false }),
            Some(ColumnarValue::Scalar(value)) => Ok(Argument { array: value.to_array()?, literal: true }),
            None => exec_err!("{}: argument {} is missing", self.function, index + 1),
        }
    }

    fn typed<A: Array + Clone + 'static>(&self, index: usize) -> Result<Argument<A>> {
        let any = self.any(index)?;
        match any.array.as_any().downcast_ref::<A>() {
            Some(array) => Ok(Argument { array: array.clone(), literal: any.literal }),
            None => exec_err!(
                "{}: argument {} came as {} and was not coerced when the query was planned",
                self.function,
                index + 1,
                any.array.data_type()
            ),
        }
    }

    pub fn numbers(&self, index: usize) -> Result<Argument<Float64Array>> {
        self.typed(index)
    }

    pub fn integers(&self, index: usize) -> Result<Argument<Int64Array>> {
        self.typed(index)
    }

    pub fn keys(&self, index: usize) -> Result<Argument<UInt64Array>> {
        self.typed(index)
    }

    pub fn texts(&self, index: usize) -> Result<Argument<StringArray>> {
        self.typed(index)
    }

    pub fn bytes(&self, index: usize) -> Result<Argument<BinaryArray>> {
        self.typed(index)
    }

    pub fn times(&self, index: usize) -> Result<Argument<TimestampMillisecondArray>> {
        // A time zone in the type changes nothing about the instants.
        self.typed(index)
    }

    pub fn lists(&self, index: usize) -> Result<Argument<ListArray>> {
        self.typed(index)
    }

    /// An error of a value: which function and argument, what was found, what is allowed.
    pub fn refuse(&self, argument: &str, found: impl std::fmt::Display, allowed: &str) -> DataFusionError {
        refusal(self.function, argument, found, allowed)
    }
}

/// See [`Call::refuse`].
pub(crate) fn refusal(function: &str, argument: &str, found: impl std::fmt::Display, allowed: &str) -> DataFusionError {
    /// Characters of the value that the message shows.
    const SHOWN_CHARS_MAX: usize = 80;
    let mut shown: String = found.to_string();
    if let Some((cut, _)) = shown.char_indices().nth(SHOWN_CHARS_MAX) {
        shown.truncate(cut);
        shown.push_str("...");
    }
    DataFusionError::Execution(format!("{function}: {argument} is {shown}, but must be {allowed}"))
}

/// Something made from a text (a pattern, a zone, a path), made again only when the text changes from one
/// row to the next. For a literal that is once a batch.
pub(crate) struct LastCompiled<T> {
    last: Option<(String, T)>,
}

impl<T> LastCompiled<T> {
    pub fn new() -> Self {
        Self { last: None }
    }

    pub fn get(&mut self, text: &str, compile: impl FnOnce(&str) -> Result<T>) -> Result<&T> {
        let stale = self.last.as_ref().is_none_or(|(known, _)| known != text);
        if stale {
            self.last = Some((text.to_owned(), compile(text)?));
        }
        match &self.last {
            Some((_, value)) => Ok(value),
            None => exec_err!("nothing was compiled from '{text}'"),
        }
    }
}
