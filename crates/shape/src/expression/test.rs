//! One scalar column against constants. `None`: not for columns of this type.

use std::cmp::Ordering;
use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::*;
use cel::Value;
use cel::common::ast::operators;

use super::cells::{TIME_SECONDS_MAX, TIME_SECONDS_MIN};

#[derive(Debug)]
pub(super) enum Test {
    /// Of a boolean column.
    IsTrue,
    IsNull,
    IsNotNull,
    Compare(Order, Literal),
    OneOf(Vec<Literal>),
    OneOfTexts(HashSet<String>),
    OneOfIntegers(HashSet<i64>),
    Text(TextTest),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    pub fn of(operator: &str) -> Option<Self> {
        Some(match operator {
            operators::EQUALS => Order::Equal,
            operators::NOT_EQUALS => Order::NotEqual,
            operators::LESS => Order::Less,
            operators::LESS_EQUALS => Order::LessOrEqual,
            operators::GREATER => Order::Greater,
            operators::GREATER_EQUALS => Order::GreaterOrEqual,
            _ => return None,
        })
    }

    /// With the sides exchanged.
    pub fn turned(self) -> Self {
        match self {
            Order::Less => Order::Greater,
            Order::LessOrEqual => Order::GreaterOrEqual,
            Order::Greater => Order::Less,
            Order::GreaterOrEqual => Order::LessOrEqual,
            same => same,
        }
    }

    fn is_equality(self) -> bool {
        matches!(self, Order::Equal | Order::NotEqual)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    /// Nanoseconds since the epoch.
    Time(i128),
}

impl Literal {
    pub fn of(value: Value) -> Option<Self> {
        Some(match value {
            Value::Bool(value) => Literal::Bool(value),
            Value::Int(value) => Literal::Int(value),
            Value::UInt(value) => Literal::Uint(value),
            Value::Float(value) if !value.is_nan() => Literal::Double(value),
            Value::String(value) => Literal::Text(value.to_string()),
            Value::Timestamp(time) => {
                Literal::Time(i128::from(time.timestamp()) * 1_000_000_000 + i128::from(time.timestamp_subsec_nanos()))
            }
            _ => return None,
        })
    }
}

#[derive(Debug)]
pub(super) enum TextTest {
    Starts(String),
    Ends(String),
    Contains(Box<memchr::memmem::Finder<'static>>),
    Matches(regex::Regex),
}

impl TextTest {
    pub fn contains(text: &str) -> Self {
        TextTest::Contains(Box::new(memchr::memmem::Finder::new(text).into_owned()))
    }

    fn holds(&self, text: &str) -> bool {
        match self {
            TextTest::Starts(part) => text.starts_with(part.as_str()),
            TextTest::Ends(part) => text.ends_with(part.as_str()),
            TextTest::Contains(part) => part.find(text.as_bytes()).is_some(),
            TextTest::Matches(pattern) => pattern.is_match(text),
        }
    }
}

impl Test {
    pub fn one_of(literals: Vec<Literal>) -> Self {
        let texts = literals.iter().map(|literal| match literal {
            Literal::Text(text) => Some(text.clone()),
            _ => None,
        });
        if let Some(texts) = texts.collect() {
            return Test::OneOfTexts(texts);
        }
        let integers = literals.iter().map(|literal| match literal {
            Literal::Int(value) => Some(*value),
            _ => None,
        });
        match integers.collect() {
            Some(integers) => Test::OneOfIntegers(integers),
            None => Test::OneOf(literals),
        }
    }

    pub fn evaluate(&self, array: &ArrayRef) -> Option<BooleanArray> {
        match self {
            Test::IsTrue => Some(array.as_boolean_opt()?.clone()),
            Test::IsNull => presence(array, false),
            Test::IsNotNull => presence(array, true),
            Test::Compare(order, Literal::Text(text)) => texts(array, Some(*order), |value| value.cmp(text.as_str())),
            Test::Compare(order, literal) => compare(array, *order, literal),
            Test::OneOf(literals) => {
                let mut found: Option<BooleanArray> = None;
                for literal in literals {
                    let one = Test::Compare(Order::Equal, literal.clone()).evaluate(array)?;
                    found = Some(match found {
                        Some(found) => arrow::compute::or_kleene(&found, &one).ok()?,
                        None => one,
                    });
                }
                found
            }
            Test::OneOfTexts(set) => {
                let found = |value: &str| if set.contains(value) { Ordering::Equal } else { Ordering::Less };
                texts(array, Some(Order::Equal), found)
            }
            Test::OneOfIntegers(set) => match array.data_type() {
                DataType::Int64 => Some(integers(array.as_primitive::<Int64Type>(), set)),
                DataType::Int32 => Some(integers(array.as_primitive::<Int32Type>(), set)),
                _ => {
                    let literals = set.iter().map(|value| Literal::Int(*value)).collect();
                    Test::OneOf(literals).evaluate(array)
                }
            },
            Test::Text(test) => {
                let found = |value: &str| if test.holds(value) { Ordering::Equal } else { Ordering::Less };
                texts(array, None, found)
            }
        }
    }
}

/// A time or number that CEL cannot hold is nothing that it can compare with null either.
fn presence(array: &ArrayRef, is_set: bool) -> Option<BooleanArray> {
    let unheld = match array.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            unheld_times(array.as_primitive::<TimestampMillisecondType>(), 1_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            unheld_times(array.as_primitive::<TimestampMicrosecondType>(), 1_000_000)
        }
        DataType::Decimal128(20, 0) => unheld_numbers(array.as_primitive()),
        DataType::Boolean | DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64 => None,
        DataType::Utf8 | DataType::Utf8View | DataType::BinaryView => None,
        DataType::Dictionary(..) if array.as_any_dictionary().values().null_count() == 0 => None,
        _ => return None,
    };
    let valid = match array.nulls() {
        Some(nulls) => nulls.inner().clone(),
        None => BooleanBuffer::new_set(array.len()),
    };
    let values = if is_set { valid } else { !&valid };
    Some(BooleanArray::new(values, unheld))
}

fn compare(array: &ArrayRef, order: Order, literal: &Literal) -> Option<BooleanArray> {
    match array.data_type() {
        DataType::Int32 => integer(array.as_primitive::<Int32Type>(), order, literal),
        DataType::Int64 => integer(array.as_primitive::<Int64Type>(), order, literal),
        DataType::Decimal128(20, 0) => unsigned(array.as_primitive(), order, literal),
        DataType::Float32 => double(array.as_primitive::<Float32Type>(), order, literal),
        DataType::Float64 => double(array.as_primitive::<Float64Type>(), order, literal),
        DataType::Boolean => {
            let Literal::Bool(literal) = literal else { return None };
            let values = array.as_boolean().values();
            Some(ordered(array.nulls(), None, array.len(), order, |row| values.value(row).cmp(literal)))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let Literal::Time(literal) = literal else { return None };
            let times = array.as_primitive::<TimestampMillisecondType>();
            let values = times.values();
            let unheld = unheld_times(times, 1_000);
            Some(ordered(array.nulls(), unheld, array.len(), order, |row| {
                (i128::from(values[row]) * 1_000_000).cmp(literal)
            }))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let Literal::Time(literal) = literal else { return None };
            let times = array.as_primitive::<TimestampMicrosecondType>();
            let values = times.values();
            let unheld = unheld_times(times, 1_000_000);
            Some(ordered(array.nulls(), unheld, array.len(), order, |row| {
                (i128::from(values[row]) * 1_000).cmp(literal)
            }))
        }
        _ => None,
    }
}

fn integer<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, order: Order, literal: &Literal) -> Option<BooleanArray>
where
    T::Native: Into<i64>,
{
    let values = array.values();
    let value = |row: usize| -> i64 { values[row].into() };
    let (nulls, rows) = (array.nulls(), array.len());
    Some(match literal {
        Literal::Int(literal) => ordered(nulls, None, rows, order, |row| value(row).cmp(literal)),
        Literal::Uint(literal) => {
            let literal = i128::from(*literal);
            ordered(nulls, None, rows, order, |row| i128::from(value(row)).cmp(&literal))
        }
        // The literal is no NaN, and an integer neither, so that there is always an order.
        Literal::Double(literal) => {
            ordered(nulls, None, rows, order, |row| (value(row) as f64).partial_cmp(literal).unwrap_or(Ordering::Less))
        }
        _ => return None,
    })
}

fn unsigned(array: &PrimitiveArray<Decimal128Type>, order: Order, literal: &Literal) -> Option<BooleanArray> {
    let values = array.values();
    let (nulls, rows, unheld) = (array.nulls(), array.len(), unheld_numbers(array));
    Some(match literal {
        Literal::Int(literal) => {
            let literal = i128::from(*literal);
            ordered(nulls, unheld, rows, order, |row| values[row].cmp(&literal))
        }
        Literal::Uint(literal) => {
            let literal = i128::from(*literal);
            ordered(nulls, unheld, rows, order, |row| values[row].cmp(&literal))
        }
        Literal::Double(literal) => ordered(nulls, unheld, rows, order, |row| {
            (values[row] as f64).partial_cmp(literal).unwrap_or(Ordering::Less)
        }),
        _ => return None,
    })
}

fn double<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, order: Order, literal: &Literal) -> Option<BooleanArray>
where
    T::Native: Into<f64>,
{
    let literal = match literal {
        Literal::Int(literal) => *literal as f64,
        Literal::Uint(literal) => *literal as f64,
        Literal::Double(literal) => *literal,
        _ => return None,
    };
    let values = array.values();
    let value = |row: usize| -> f64 { values[row].into() };
    let is_nan = |row: usize| value(row).is_nan();
    // NaN equals nothing, and has no order.
    let unheld = (!order.is_equality() && (0..array.len()).any(is_nan))
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(array.len(), |row| !is_nan(row))));
    Some(ordered(array.nulls(), unheld, array.len(), order, |row| {
        // Where there is no order, equality is false.
        value(row).partial_cmp(&literal).unwrap_or(Ordering::Less)
    }))
}

/// `order` for a comparison, `None` for a function of texts, which fails for NULL.
fn texts(array: &ArrayRef, order: Option<Order>, test: impl Fn(&str) -> Ordering) -> Option<BooleanArray> {
    let (nulls, rows) = (array.nulls(), array.len());
    let found = |row_order: &dyn Fn(usize) -> Ordering| match order {
        Some(order) => ordered(nulls, None, rows, order, row_order),
        None => {
            let values = BooleanBuffer::collect_bool(rows, |row| row_order(row) == Ordering::Equal);
            BooleanArray::new(values, nulls.cloned())
        }
    };
    Some(match array.data_type() {
        DataType::Utf8View => {
            let values = array.as_string_view();
            found(&|row| test(values.value(row)))
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            found(&|row| test(values.value(row)))
        }
        DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let names = dictionary.values().as_string::<i32>();
            if names.null_count() > 0 {
                return None;
            }
            let of_names: Vec<Ordering> = (0..names.len()).map(|name| test(names.value(name))).collect();
            let keys = dictionary.keys().values();
            // The key of a NULL can be anything.
            let of_row = |row: usize| usize::try_from(keys[row]).ok().and_then(|key| of_names.get(key)).copied();
            found(&|row| of_row(row).unwrap_or(Ordering::Less))
        }
        _ => return None,
    })
}

fn integers<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, set: &HashSet<i64>) -> BooleanArray
where
    T::Native: Into<i64>,
{
    let values = array.values();
    ordered(array.nulls(), None, array.len(), Order::Equal, |row| {
        let value: i64 = values[row].into();
        if set.contains(&value) { Ordering::Equal } else { Ordering::Less }
    })
}

/// NULL is equal to no constant, and has no order. `unheld`: valid where CEL can hold the value.
fn ordered(
    nulls: Option<&NullBuffer>,
    unheld: Option<NullBuffer>,
    rows: usize,
    order: Order,
    of_row: impl Fn(usize) -> Ordering,
) -> BooleanArray {
    let values = match order {
        Order::Equal => BooleanBuffer::collect_bool(rows, |row| of_row(row) == Ordering::Equal),
        Order::NotEqual => BooleanBuffer::collect_bool(rows, |row| of_row(row) != Ordering::Equal),
        Order::Less => BooleanBuffer::collect_bool(rows, |row| of_row(row) == Ordering::Less),
        Order::LessOrEqual => BooleanBuffer::collect_bool(rows, |row| of_row(row) != Ordering::Greater),
        Order::Greater => BooleanBuffer::collect_bool(rows, |row| of_row(row) == Ordering::Greater),
        Order::GreaterOrEqual => BooleanBuffer::collect_bool(rows, |row| of_row(row) != Ordering::Less),
    };
    let (values, unknown) = match (nulls, order) {
        (None, _) => (values, None),
        (Some(nulls), Order::Equal) => (&values & nulls.inner(), None),
        (Some(nulls), Order::NotEqual) => (&values | &!nulls.inner(), None),
        (Some(nulls), _) => (values, Some(nulls)),
    };
    BooleanArray::new(values, NullBuffer::union(unknown, unheld.as_ref()))
}

fn unheld_times<T: ArrowPrimitiveType<Native = i64>>(array: &PrimitiveArray<T>, per_second: i64) -> Option<NullBuffer> {
    let times = TIME_SECONDS_MIN * per_second..(TIME_SECONDS_MAX + 1) * per_second;
    held(array, |value| times.contains(&value))
}

fn unheld_numbers(array: &PrimitiveArray<Decimal128Type>) -> Option<NullBuffer> {
    held(array, |value| u64::try_from(value).is_ok())
}

/// `None` when CEL can hold all of them; NULL is held.
fn held<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, is_held: impl Fn(T::Native) -> bool) -> Option<NullBuffer> {
    let values = array.values();
    if values.iter().all(|value| is_held(*value)) {
        return None;
    }
    let rows = array.len();
    Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| array.is_null(row) || is_held(values[row]))))
}
