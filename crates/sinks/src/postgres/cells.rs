//! One array, downcast once, and how each of its values is written in PostgreSQL's binary form.
//!
//! The forms are those of the `..._recv` functions in PostgreSQL's `src/backend/utils/adt`.

use arrow::array::*;
use arrow::datatypes::*;

use super::column_type::ColumnType;
use super::numeric;
use super::time;

/// Why PostgreSQL cannot hold a value.
pub(super) type Refusal = String;

/// PostgreSQL allocates no longer value.
const VALUE_BYTES_MAX: usize = (1 << 30) - 1;

pub(super) enum Cells<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Int8(&'a Int8Array),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    UInt8(&'a UInt8Array),
    UInt16(&'a UInt16Array),
    UInt32(&'a UInt32Array),
    UInt64(&'a UInt64Array),
    Float16(&'a Float16Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Decimal32(&'a Decimal32Array),
    Decimal64(&'a Decimal64Array),
    Decimal128(&'a Decimal128Array),
    Decimal256(&'a Decimal256Array),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    LargeBytes(&'a LargeBinaryArray),
    BytesView(&'a BinaryViewArray),
    FixedBytes(&'a FixedSizeBinaryArray),
    Date32(&'a Date32Array),
    Date64(&'a Date64Array),
    /// Values, and how many of them are a second.
    Timestamp(&'a [i64], &'a dyn Array, i64),
    Time32(&'a [i32], &'a dyn Array, i64),
    Time64(&'a [i64], &'a dyn Array, i64),
    Duration(&'a [i64], &'a dyn Array, i64),
    YearMonth(&'a IntervalYearMonthArray),
    DayTime(&'a IntervalDayTimeArray),
    MonthDayNano(&'a IntervalMonthDayNanoArray),
    Dictionary {
        array: &'a dyn Array,
        keys: Vec<usize>,
        values: Box<Cells<'a>>,
    },
    List {
        array: &'a ListArray,
        elements: Elements<'a>,
    },
    LargeList {
        array: &'a LargeListArray,
        elements: Elements<'a>,
    },
    FixedList {
        array: &'a FixedSizeListArray,
        elements: Elements<'a>,
    },
}

pub(super) struct Elements<'a> {
    cells: Box<Cells<'a>>,
    oid: u32,
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

impl<'a> Cells<'a> {
    /// `None` for what is written otherwise: objects, and lists of other than scalars.
    pub fn of(array: &'a dyn Array) -> Option<Self> {
        use TimeUnit::*;
        Some(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int8 => Self::Int8(array.as_primitive()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::UInt8 => Self::UInt8(array.as_primitive()),
            DataType::UInt16 => Self::UInt16(array.as_primitive()),
            DataType::UInt32 => Self::UInt32(array.as_primitive()),
            DataType::UInt64 => Self::UInt64(array.as_primitive()),
            DataType::Float16 => Self::Float16(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal32(..) => Self::Decimal32(array.as_primitive()),
            DataType::Decimal64(..) => Self::Decimal64(array.as_primitive()),
            DataType::Decimal128(..) => Self::Decimal128(array.as_primitive()),
            DataType::Decimal256(..) => Self::Decimal256(array.as_primitive()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string()),
            DataType::Utf8View => Self::TextView(array.as_string_view()),
            DataType::Binary => Self::Bytes(array.as_binary()),
            DataType::LargeBinary => Self::LargeBytes(array.as_binary()),
            DataType::BinaryView => Self::BytesView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Self::FixedBytes(array.as_fixed_size_binary()),
            DataType::Date32 => Self::Date32(array.as_primitive()),
            DataType::Date64 => Self::Date64(array.as_primitive()),
            DataType::Timestamp(unit, _) => {
                let values: &[i64] = match unit {
                    Second => array.as_primitive::<TimestampSecondType>().values(),
                    Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                    Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                    Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
                };
                Self::Timestamp(values, array, per_second(*unit))
            }
            DataType::Time32(Second) => Self::Time32(array.as_primitive::<Time32SecondType>().values(), array, 1),
            DataType::Time32(_) => Self::Time32(array.as_primitive::<Time32MillisecondType>().values(), array, 1_000),
            DataType::Time64(Microsecond) => {
                Self::Time64(array.as_primitive::<Time64MicrosecondType>().values(), array, 1_000_000)
            }
            DataType::Time64(_) => {
                Self::Time64(array.as_primitive::<Time64NanosecondType>().values(), array, 1_000_000_000)
            }
            DataType::Duration(unit) => {
                let values: &[i64] = match unit {
                    Second => array.as_primitive::<DurationSecondType>().values(),
                    Millisecond => array.as_primitive::<DurationMillisecondType>().values(),
                    Microsecond => array.as_primitive::<DurationMicrosecondType>().values(),
                    Nanosecond => array.as_primitive::<DurationNanosecondType>().values(),
                };
                Self::Duration(values, array, per_second(*unit))
            }
            DataType::Interval(IntervalUnit::YearMonth) => Self::YearMonth(array.as_primitive()),
            DataType::Interval(IntervalUnit::DayTime) => Self::DayTime(array.as_primitive()),
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::MonthDayNano(array.as_primitive()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let keys = match dictionary.values().is_empty() {
                    true => vec![0; dictionary.len()],
                    false => dictionary.normalized_keys(),
                };
                Self::Dictionary { array, keys, values: Box::new(Self::of(dictionary.values().as_ref())?) }
            }
            DataType::List(_) => {
                let array = array.as_list::<i32>();
                Self::List { array, elements: Elements::of(array.values().as_ref())? }
            }
            DataType::LargeList(_) => {
                let array = array.as_list::<i64>();
                Self::LargeList { array, elements: Elements::of(array.values().as_ref())? }
            }
            DataType::FixedSizeList(..) => {
                let array = array.as_fixed_size_list();
                Self::FixedList { array, elements: Elements::of(array.values().as_ref())? }
            }
            _ => return None,
        })
    }

    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(array) => array.is_null(row),
            Self::Int8(array) => array.is_null(row),
            Self::Int16(array) => array.is_null(row),
            Self::Int32(array) => array.is_null(row),
            Self::Int64(array) => array.is_null(row),
            Self::UInt8(array) => array.is_null(row),
            Self::UInt16(array) => array.is_null(row),
            Self::UInt32(array) => array.is_null(row),
            Self::UInt64(array) => array.is_null(row),
            Self::Float16(array) => array.is_null(row),
            Self::Float32(array) => array.is_null(row),
            Self::Float64(array) => array.is_null(row),
            Self::Decimal32(array) => array.is_null(row),
            Self::Decimal64(array) => array.is_null(row),
            Self::Decimal128(array) => array.is_null(row),
            Self::Decimal256(array) => array.is_null(row),
            Self::Text(array) => array.is_null(row),
            Self::LargeText(array) => array.is_null(row),
            Self::TextView(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
            Self::LargeBytes(array) => array.is_null(row),
            Self::BytesView(array) => array.is_null(row),
            Self::FixedBytes(array) => array.is_null(row),
            Self::Date32(array) => array.is_null(row),
            Self::Date64(array) => array.is_null(row),
            Self::Timestamp(_, array, _)
            | Self::Time32(_, array, _)
            | Self::Time64(_, array, _)
            | Self::Duration(_, array, _) => array.is_null(row),
            Self::YearMonth(array) => array.is_null(row),
            Self::DayTime(array) => array.is_null(row),
            Self::MonthDayNano(array) => array.is_null(row),
            Self::Dictionary { array, keys, values } => array.is_null(row) || values.is_null(keys[row]),
            Self::List { array, .. } => array.is_null(row),
            Self::LargeList { array, .. } => array.is_null(row),
            Self::FixedList { array, .. } => array.is_null(row),
        }
    }

    /// Appends a value with its length before it.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            return Ok(());
        }
        match self {
            Self::Null => {}
            Self::Boolean(array) => fixed(out, [u8::from(array.value(row))]),
            Self::Int8(array) => fixed(out, i16::from(array.value(row)).to_be_bytes()),
            Self::Int16(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::UInt8(array) => fixed(out, i16::from(array.value(row)).to_be_bytes()),
            Self::Int32(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::UInt16(array) => fixed(out, i32::from(array.value(row)).to_be_bytes()),
            Self::Int64(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::UInt32(array) => fixed(out, i64::from(array.value(row)).to_be_bytes()),
            Self::UInt64(array) => numeric::write(array.value(row).into(), 0, out),
            Self::Float16(array) => fixed(out, array.value(row).to_f32().to_be_bytes()),
            Self::Float32(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::Float64(array) => fixed(out, array.value(row).to_be_bytes()),
            Self::Decimal32(array) => numeric::write(array.value(row).into(), array.scale(), out),
            Self::Decimal64(array) => numeric::write(array.value(row).into(), array.scale(), out),
            Self::Decimal128(array) => numeric::write(array.value(row), array.scale(), out),
            Self::Decimal256(array) => match array.value(row).to_i128() {
                Some(value) => numeric::write(value, array.scale(), out),
                None => return Err("a number of more than 38 digits is not written".to_owned()),
            },
            Self::Text(array) => text(array.value(row), out)?,
            Self::LargeText(array) => text(array.value(row), out)?,
            Self::TextView(array) => text(array.value(row), out)?,
            Self::Bytes(array) => bytes(array.value(row), out)?,
            Self::LargeBytes(array) => bytes(array.value(row), out)?,
            Self::BytesView(array) => bytes(array.value(row), out)?,
            Self::FixedBytes(array) => bytes(array.value(row), out)?,
            Self::Date32(array) => fixed(out, time::date(array.value(row).into())?.to_be_bytes()),
            Self::Date64(array) => {
                fixed(out, time::date(array.value(row).div_euclid(86_400_000))?.to_be_bytes());
            }
            Self::Timestamp(values, _, per_second) => {
                fixed(out, time::timestamp(values[row], *per_second)?.to_be_bytes());
            }
            Self::Time32(values, _, per_second) => {
                fixed(out, time::time_of_day(values[row].into(), *per_second)?.to_be_bytes());
            }
            Self::Time64(values, _, per_second) => {
                fixed(out, time::time_of_day(values[row], *per_second)?.to_be_bytes());
            }
            Self::Duration(values, _, per_second) => {
                interval(0, 0, time::micros(values[row], *per_second)?, out);
            }
            Self::YearMonth(array) => interval(array.value(row), 0, 0, out),
            Self::DayTime(array) => {
                let value = array.value(row);
                interval(0, value.days, i64::from(value.milliseconds) * 1_000, out);
            }
            Self::MonthDayNano(array) => {
                let value = array.value(row);
                interval(value.months, value.days, value.nanoseconds.div_euclid(1_000), out);
            }
            Self::Dictionary { keys, values, .. } => return values.write(keys[row], out),
            Self::List { array, elements } => {
                let offsets = array.value_offsets();
                return elements.write(offsets[row] as usize, offsets[row + 1] as usize, out);
            }
            Self::LargeList { array, elements } => {
                let offsets = array.value_offsets();
                return elements.write(offsets[row] as usize, offsets[row + 1] as usize, out);
            }
            Self::FixedList { array, elements } => {
                let start = array.value_offset(row) as usize;
                return elements.write(start, start + array.value_length() as usize, out);
            }
        }
        Ok(())
    }
}

impl<'a> Elements<'a> {
    fn of(array: &'a dyn Array) -> Option<Self> {
        let oid = match ColumnType::of(array.data_type())? {
            ColumnType::Jsonb | ColumnType::Array(_) => return None,
            scalar => scalar.oid(),
        };
        Some(Self { cells: Box::new(Cells::of(array)?), oid })
    }

    /// An array of one dimension, counted from 1.
    fn write(&self, start: usize, end: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let length = i32::try_from(end - start).map_err(|_| "a list is too long".to_owned())?;
        let at = out.len();
        let has_null = (start..end).any(|index| self.cells.is_null(index));
        let dimensions = i32::from(length > 0);
        for number in [0, dimensions, i32::from(has_null)] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.oid.to_be_bytes());
        if length > 0 {
            for number in [length, 1] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            for index in start..end {
                self.cells.write(index, out)?;
            }
        }
        end_value(at, out)
    }
}

/// Fills in the length before a value that began with an empty one at `at`.
pub(super) fn end_value(at: usize, out: &mut [u8]) -> Result<(), Refusal> {
    let length = out.len() - at - 4;
    let prefix = i32::try_from(length).ok().filter(|_| length <= VALUE_BYTES_MAX).ok_or_else(too_long)?;
    out[at..at + 4].copy_from_slice(&prefix.to_be_bytes());
    Ok(())
}

fn too_long() -> Refusal {
    "a value of 1 GiB or more does not go into PostgreSQL".to_owned()
}

fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

fn bytes(value: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(too_long());
    }
    out.extend_from_slice(&(value.len() as i32).to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

fn text(value: &str, out: &mut Vec<u8>) -> Result<(), Refusal> {
    if memchr::memchr(0, value.as_bytes()).is_some() {
        return Err("a text with a NUL byte does not go into PostgreSQL".to_owned());
    }
    bytes(value.as_bytes(), out)
}

fn interval(months: i32, days: i32, micros: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&16i32.to_be_bytes());
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(&days.to_be_bytes());
    out.extend_from_slice(&months.to_be_bytes());
}
