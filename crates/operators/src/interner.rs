//! Texts of group keys as small numbers.
//!
//! Enum columns arrive dictionary-encoded, and two batches may number the same text differently. The interner gives a text
//! one number for the life of an operator, so that tables hash a `u32` and make the text again only for results.

use std::sync::{Arc, RwLock};

use arrow::array::{Array, ArrayRef, AsArray, StringArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type};
use hashbrown::HashMap;

use crate::OperatorError;

/// At most this many distinct texts per key column.
pub const TEXTS_MAX: usize = 1_000_000;

#[derive(Default)]
struct Texts {
    numbers: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    texts: Vec<Box<str>>,
}

/// Numbers for texts, shared by the lanes of an operator; a lane asks once per dictionary entry of a batch, not per row.
#[derive(Clone, Default)]
pub struct TextInterner {
    texts: Arc<RwLock<Texts>>,
}

impl TextInterner {
    /// Numbers of a `Dictionary(Int32, Utf8)` column.
    pub fn encode(&self, column: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let dictionary = column.as_dictionary_opt::<Int32Type>().ok_or_else(|| {
            OperatorError::State(format!("expected a dictionary column, found {}", column.data_type()))
        })?;
        let values = cast(dictionary.values(), &DataType::Utf8)?;
        let values = values.as_string::<i32>();
        let numbers = self.numbers(values)?;
        let keys = dictionary.keys();
        let encoded: Vec<u32> = if keys.null_count() == 0 {
            keys.values().iter().map(|key| numbers[*key as usize]).collect()
        } else {
            keys.iter().map(|key| key.map_or(0, |key| numbers[key as usize])).collect()
        };
        Ok(Arc::new(UInt32Array::new(encoded.into(), keys.nulls().cloned())))
    }

    /// Numbers of a text column, one lookup per row; for state that is read back.
    pub fn encode_texts(&self, texts: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let texts = cast(texts, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        let numbers = self.numbers(texts)?;
        Ok(Arc::new(UInt32Array::new(numbers.into(), texts.nulls().cloned())))
    }

    /// The texts of numbers that this interner gave.
    pub fn decode(&self, numbers: &ArrayRef) -> Result<ArrayRef, OperatorError> {
        let numbers = numbers
            .as_primitive_opt::<arrow::datatypes::UInt32Type>()
            .ok_or_else(|| OperatorError::State("expected interned numbers".into()))?;
        let texts = self.texts.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let decoded: StringArray =
            numbers.iter().map(|number| number.map(|number| texts.texts[number as usize].as_ref())).collect();
        Ok(Arc::new(decoded))
    }

    fn numbers(&self, values: &StringArray) -> Result<Vec<u32>, OperatorError> {
        let mut numbers = Vec::with_capacity(values.len());
        {
            let texts = self.texts.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            for value in values.iter() {
                match value.map_or(Some(&0), |value| texts.numbers.get(value)) {
                    Some(number) => numbers.push(*number),
                    None => break,
                }
            }
        }
        if numbers.len() == values.len() {
            return Ok(numbers);
        }
        let mut texts = self.texts.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        for value in values.iter().skip(numbers.len()) {
            let value = value.unwrap_or("");
            let number = match texts.numbers.get(value) {
                Some(number) => *number,
                None => {
                    if texts.texts.len() >= TEXTS_MAX {
                        return Err(OperatorError::TooManyTexts { limit: TEXTS_MAX });
                    }
                    let number = texts.texts.len() as u32;
                    texts.numbers.insert(value.into(), number);
                    texts.texts.push(value.into());
                    number
                }
            };
            numbers.push(number);
        }
        Ok(numbers)
    }
}
