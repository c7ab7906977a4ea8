//! Arrays and maps.

mod aggregate;
mod element;
mod lookup;

use datafusion::common::Result;

pub(crate) use aggregate::AGGREGATE_FUNCTIONS;
pub(crate) use element::ELEMENT_FUNCTIONS;
pub(crate) use lookup::LOOKUP_FUNCTIONS;

use datafusion::common::{ScalarValue, plan_err};

/// The text of an argument that has to be a literal, because the result's type depends on it.
fn literal_text<'a>(function: &str, parameter: &str, literal: Option<&Option<&'a ScalarValue>>) -> Result<&'a str> {
    match literal.copied().flatten().and_then(|value| value.try_as_str().flatten()) {
        Some(text) => Ok(text),
        None => {
            plan_err!("{function}: {parameter} must be a literal text, because the type of the result depends on it")
        }
    }
}
