//! Which argument types a parameter takes, and what they become.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::type_coercion::binary::type_union_resolution;

use super::Definition;

/// What an argument must be; what is given is coerced to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any number type, as DOUBLE.
    Number,
    /// Any integer type or DECIMAL without fraction, as BIGINT.
    Integer,
    /// The key of a cell, as UInt64.
    Key,
    /// Any string type, as Utf8.
    Text,
    /// Bytes or text, as Binary.
    Bytes,
    /// Any timestamp or date, in milliseconds since 1970 UTC.
    Time,
    /// Any array of numbers, as array of DOUBLE.
    Numbers,
    /// Any array of timestamps, as array of milliseconds since 1970 UTC.
    Times,
    /// Any array, its elements as they are.
    List,
    /// A map, or an array of rows of key and value.
    Map,
    /// A truth value.
    Boolean,
    /// Any type that all `Common` arguments of the call can become; that one.
    Common,
    /// Taken as it is.
    Any,
}

impl Kind {
    fn wanted(self) -> &'static str {
        match self {
            Kind::Number => "a number",
            Kind::Integer | Kind::Key => "a whole number",
            Kind::Text => "text",
            Kind::Bytes => "bytes or text",
            Kind::Time => "a timestamp",
            Kind::Numbers => "an array of numbers",
            Kind::Times => "an array of timestamps",
            Kind::List => "an array",
            Kind::Map => "a map or an array of ROW(key, value)",
            Kind::Boolean => "a condition",
            Kind::Common | Kind::Any => "any type",
        }
    }

    fn coerced(self, given: &DataType) -> Option<DataType> {
        use DataType::*;
        if let Dictionary(_, values) = given {
            return self.coerced(values);
        }
        match self {
            Kind::Number => (given.is_numeric() || *given == Null).then_some(Float64),
            Kind::Integer => match given {
                Null => Some(Int64),
                Decimal32(_, 0) | Decimal64(_, 0) | Decimal128(_, 0) | Decimal256(_, 0) => Some(Int64),
                other => other.is_integer().then_some(Int64),
            },
            Kind::Key => (given.is_integer() || *given == Null).then_some(UInt64),
            Kind::Text => matches!(given, Utf8 | LargeUtf8 | Utf8View | Null).then_some(Utf8),
            Kind::Bytes => matches!(
                given,
                Binary | LargeBinary | BinaryView | FixedSizeBinary(_) | Utf8 | LargeUtf8 | Utf8View | Null
            )
            .then_some(Binary),
            Kind::Time => match given {
                Timestamp(_, zone) => Some(Timestamp(TimeUnit::Millisecond, zone.clone())),
                Date32 | Date64 | Null => Some(Timestamp(TimeUnit::Millisecond, None)),
                _ => None,
            },
            Kind::Numbers => list_of(given, Kind::Number),
            Kind::Times => list_of(given, Kind::Time),
            Kind::List => match given {
                Null => Some(DataType::new_list(Null, true)),
                _ => list_element(given).map(|element| List(Arc::clone(element))),
            },
            Kind::Map => match given {
                Map(_, _) | Null => Some(given.clone()),
                _ => {
                    let element = list_element(given)?;
                    let pair = matches!(element.data_type(), Struct(fields) if fields.len() == 2);
                    pair.then(|| List(Arc::clone(element)))
                }
            },
            Kind::Boolean => matches!(given, Boolean | Null).then_some(Boolean),
            Kind::Common | Kind::Any => Some(given.clone()),
        }
    }
}

/// The element of any array type.
pub(crate) fn list_element(list: &DataType) -> Option<&FieldRef> {
    match list {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Some(element),
        _ => None,
    }
}

fn list_of(given: &DataType, element: Kind) -> Option<DataType> {
    let inner = match given {
        DataType::Null => &DataType::Null,
        _ => list_element(given)?.data_type(),
    };
    element.coerced(inner).map(|inner| DataType::new_list(inner, true))
}

pub(crate) fn coerce(definition: &Definition, given: &[DataType]) -> Result<Vec<DataType>> {
    let most = definition.parameters.len();
    let least = most - definition.optional;
    let (name, signature) = (definition.doc.name, definition.doc.signature);
    if given.len() < least || given.len() > most {
        let count = given.len();
        return plan_err!("{name} takes {signature}, but {count} arguments are given");
    }
    let mut coerced = Vec::with_capacity(given.len());
    for (index, (found, (parameter, kind))) in given.iter().zip(definition.parameters).enumerate() {
        match kind.coerced(found) {
            Some(data_type) => coerced.push(data_type),
            None => {
                let (position, wanted) = (index + 1, kind.wanted());
                return plan_err!(
                    "{name}: argument {position} ({parameter}) must be {wanted}, but is {found}; it takes {signature}"
                );
            }
        }
    }
    unify(definition, &mut coerced)?;
    Ok(coerced)
}

/// Brings the [`Kind::Common`] arguments to one type.
fn unify(definition: &Definition, coerced: &mut [DataType]) -> Result<()> {
    let is_common = |index: usize| definition.parameters[index].1 == Kind::Common;
    let common: Vec<DataType> =
        (0..coerced.len()).filter(|&index| is_common(index)).map(|index| coerced[index].clone()).collect();
    if common.is_empty() {
        return Ok(());
    }
    let Some(unified) = type_union_resolution(&common) else {
        let name = definition.doc.name;
        let found: Vec<String> = common.iter().map(DataType::to_string).collect();
        return plan_err!("{name}: {} have no common type; CAST one of them", found.join(" and "));
    };
    for (index, data_type) in coerced.iter_mut().enumerate() {
        if is_common(index) {
            *data_type = unified.clone();
        }
    }
    Ok(())
}
