//! One array, downcast once, and how each of its values is written.

use crate::time;
use arrow::array::*;
use arrow::datatypes::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(crate) enum Column<'a> {
    Null,
    Bool(&'a BooleanArray),
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
    Utf8(&'a StringArray),
    LargeUtf8(&'a LargeStringArray),
    Utf8View(&'a StringViewArray),
    Binary(&'a BinaryArray),
    LargeBinary(&'a LargeBinaryArray),
    BinaryView(&'a BinaryViewArray),
    FixedBinary(&'a FixedSizeBinaryArray),
    Date32(&'a Date32Array),
    Date64(&'a Date64Array),
    TimestampSecond(&'a TimestampSecondArray),
    TimestampMilli(&'a TimestampMillisecondArray),
    TimestampMicro(&'a TimestampMicrosecondArray),
    TimestampNano(&'a TimestampNanosecondArray),
    Time32Second(&'a Time32SecondArray),
    Time32Milli(&'a Time32MillisecondArray),
    Time64Micro(&'a Time64MicrosecondArray),
    Time64Nano(&'a Time64NanosecondArray),
    DurationSecond(&'a DurationSecondArray),
    DurationMilli(&'a DurationMillisecondArray),
    DurationMicro(&'a DurationMicrosecondArray),
    DurationNano(&'a DurationNanosecondArray),
    IntervalYearMonth(&'a IntervalYearMonthArray),
    IntervalDayTime(&'a IntervalDayTimeArray),
    IntervalMonthDayNano(&'a IntervalMonthDayNanoArray),
    Dictionary { array: &'a dyn AnyDictionaryArray, keys: Vec<usize>, values: Box<Column<'a>> },
    Struct { array: &'a StructArray, keys: Vec<Vec<u8>>, columns: Vec<Column<'a>> },
    List { array: &'a ListArray, values: Box<Column<'a>> },
    LargeList { array: &'a LargeListArray, values: Box<Column<'a>> },
    FixedList { array: &'a FixedSizeListArray, values: Box<Column<'a>> },
    Map { array: &'a MapArray, keys: Box<Column<'a>>, values: Box<Column<'a>> },
}

impl<'a> Column<'a> {
    /// `Err` holds the type that has no JSON form.
    pub(crate) fn new(array: &'a dyn Array) -> Result<Self, DataType> {
        use TimeUnit::*;
        Ok(match array.data_type() {
            DataType::Null => Column::Null,
            DataType::Boolean => Column::Bool(array.as_boolean()),
            DataType::Int8 => Column::Int8(array.as_primitive()),
            DataType::Int16 => Column::Int16(array.as_primitive()),
            DataType::Int32 => Column::Int32(array.as_primitive()),
            DataType::Int64 => Column::Int64(array.as_primitive()),
            DataType::UInt8 => Column::UInt8(array.as_primitive()),
            DataType::UInt16 => Column::UInt16(array.as_primitive()),
            DataType::UInt32 => Column::UInt32(array.as_primitive()),
            DataType::UInt64 => Column::UInt64(array.as_primitive()),
            DataType::Float16 => Column::Float16(array.as_primitive()),
            DataType::Float32 => Column::Float32(array.as_primitive()),
            DataType::Float64 => Column::Float64(array.as_primitive()),
            DataType::Decimal32(..) => Column::Decimal32(array.as_primitive()),
            DataType::Decimal64(..) => Column::Decimal64(array.as_primitive()),
            DataType::Decimal128(..) => Column::Decimal128(array.as_primitive()),
            DataType::Decimal256(..) => Column::Decimal256(array.as_primitive()),
            DataType::Utf8 => Column::Utf8(array.as_string()),
            DataType::LargeUtf8 => Column::LargeUtf8(array.as_string()),
            DataType::Utf8View => Column::Utf8View(array.as_string_view()),
            DataType::Binary => Column::Binary(array.as_binary()),
            DataType::LargeBinary => Column::LargeBinary(array.as_binary()),
            DataType::BinaryView => Column::BinaryView(array.as_binary_view()),
            DataType::FixedSizeBinary(_) => Column::FixedBinary(array.as_fixed_size_binary()),
            DataType::Date32 => Column::Date32(array.as_primitive()),
            DataType::Date64 => Column::Date64(array.as_primitive()),
            DataType::Timestamp(Second, _) => Column::TimestampSecond(array.as_primitive()),
            DataType::Timestamp(Millisecond, _) => Column::TimestampMilli(array.as_primitive()),
            DataType::Timestamp(Microsecond, _) => Column::TimestampMicro(array.as_primitive()),
            DataType::Timestamp(Nanosecond, _) => Column::TimestampNano(array.as_primitive()),
            DataType::Time32(Second) => Column::Time32Second(array.as_primitive()),
            DataType::Time32(_) => Column::Time32Milli(array.as_primitive()),
            DataType::Time64(Microsecond) => Column::Time64Micro(array.as_primitive()),
            DataType::Time64(_) => Column::Time64Nano(array.as_primitive()),
            DataType::Duration(Second) => Column::DurationSecond(array.as_primitive()),
            DataType::Duration(Millisecond) => Column::DurationMilli(array.as_primitive()),
            DataType::Duration(Microsecond) => Column::DurationMicro(array.as_primitive()),
            DataType::Duration(Nanosecond) => Column::DurationNano(array.as_primitive()),
            DataType::Interval(IntervalUnit::YearMonth) => Column::IntervalYearMonth(array.as_primitive()),
            DataType::Interval(IntervalUnit::DayTime) => Column::IntervalDayTime(array.as_primitive()),
            DataType::Interval(IntervalUnit::MonthDayNano) => Column::IntervalMonthDayNano(array.as_primitive()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                let keys = if dictionary.values().is_empty() {
                    vec![0; dictionary.len()]
                } else {
                    dictionary.normalized_keys()
                };
                Column::Dictionary {
                    array: dictionary,
                    keys,
                    values: Box::new(Column::new(dictionary.values().as_ref())?),
                }
            }
            DataType::Struct(fields) => {
                let array = array.as_struct();
                let columns =
                    array.columns().iter().map(|child| Column::new(child.as_ref())).collect::<Result<_, _>>()?;
                Column::Struct { array, keys: object_keys(fields), columns }
            }
            DataType::List(_) => {
                let array = array.as_list::<i32>();
                Column::List { array, values: Box::new(Column::new(array.values().as_ref())?) }
            }
            DataType::LargeList(_) => {
                let array = array.as_list::<i64>();
                Column::LargeList { array, values: Box::new(Column::new(array.values().as_ref())?) }
            }
            DataType::FixedSizeList(..) => {
                let array = array.as_fixed_size_list();
                Column::FixedList { array, values: Box::new(Column::new(array.values().as_ref())?) }
            }
            DataType::Map(..) => {
                let array = array.as_map();
                Column::Map {
                    array,
                    keys: Box::new(Column::new(array.keys().as_ref())?),
                    values: Box::new(Column::new(array.values().as_ref())?),
                }
            }
            other => return Err(other.clone()),
        })
    }

    fn array(&self) -> Option<&dyn Array> {
        Some(match self {
            Column::Null => return None,
            Column::Bool(a) => *a,
            Column::Int8(a) => *a,
            Column::Int16(a) => *a,
            Column::Int32(a) => *a,
            Column::Int64(a) => *a,
            Column::UInt8(a) => *a,
            Column::UInt16(a) => *a,
            Column::UInt32(a) => *a,
            Column::UInt64(a) => *a,
            Column::Float16(a) => *a,
            Column::Float32(a) => *a,
            Column::Float64(a) => *a,
            Column::Decimal32(a) => *a,
            Column::Decimal64(a) => *a,
            Column::Decimal128(a) => *a,
            Column::Decimal256(a) => *a,
            Column::Utf8(a) => *a,
            Column::LargeUtf8(a) => *a,
            Column::Utf8View(a) => *a,
            Column::Binary(a) => *a,
            Column::LargeBinary(a) => *a,
            Column::BinaryView(a) => *a,
            Column::FixedBinary(a) => *a,
            Column::Date32(a) => *a,
            Column::Date64(a) => *a,
            Column::TimestampSecond(a) => *a,
            Column::TimestampMilli(a) => *a,
            Column::TimestampMicro(a) => *a,
            Column::TimestampNano(a) => *a,
            Column::Time32Second(a) => *a,
            Column::Time32Milli(a) => *a,
            Column::Time64Micro(a) => *a,
            Column::Time64Nano(a) => *a,
            Column::DurationSecond(a) => *a,
            Column::DurationMilli(a) => *a,
            Column::DurationMicro(a) => *a,
            Column::DurationNano(a) => *a,
            Column::IntervalYearMonth(a) => *a,
            Column::IntervalDayTime(a) => *a,
            Column::IntervalMonthDayNano(a) => *a,
            Column::Dictionary { array, .. } => *array,
            Column::Struct { array, .. } => *array,
            Column::List { array, .. } => *array,
            Column::LargeList { array, .. } => *array,
            Column::FixedList { array, .. } => *array,
            Column::Map { array, .. } => *array,
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self.array() {
            None => true,
            Some(array) => array.is_null(row),
        }
    }

    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match self {
            Column::Null => out.extend_from_slice(b"null"),
            Column::Bool(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Column::Int8(a) => integer(a.value(row).into(), out),
            Column::Int16(a) => integer(a.value(row).into(), out),
            Column::Int32(a) => integer(a.value(row).into(), out),
            Column::Int64(a) => integer(a.value(row), out),
            Column::UInt8(a) => unsigned(a.value(row).into(), out),
            Column::UInt16(a) => unsigned(a.value(row).into(), out),
            Column::UInt32(a) => unsigned(a.value(row).into(), out),
            Column::UInt64(a) => unsigned(a.value(row), out),
            Column::Float16(a) => float32(a.value(row).to_f32(), out),
            Column::Float32(a) => float32(a.value(row), out),
            Column::Float64(a) => float64(a.value(row), out),
            Column::Decimal32(a) => decimal(&a.value_as_string(row), out),
            Column::Decimal64(a) => decimal(&a.value_as_string(row), out),
            Column::Decimal128(a) => match a.scale() {
                0 => integer128(a.value(row), out),
                _ => decimal(&a.value_as_string(row), out),
            },
            Column::Decimal256(a) => decimal(&a.value_as_string(row), out),
            Column::Utf8(a) => write_string(a.value(row), out),
            Column::LargeUtf8(a) => write_string(a.value(row), out),
            Column::Utf8View(a) => write_string(a.value(row), out),
            Column::Binary(a) => bytes(a.value(row), out),
            Column::LargeBinary(a) => bytes(a.value(row), out),
            Column::BinaryView(a) => bytes(a.value(row), out),
            Column::FixedBinary(a) => bytes(a.value(row), out),
            Column::Dictionary { keys, values, .. } => values.write(keys[row], out),
            Column::Struct { keys, columns, .. } => write_object(keys, columns, row, out),
            Column::List { array, values } => {
                let offsets = array.value_offsets();
                list(values, offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            Column::LargeList { array, values } => {
                let offsets = array.value_offsets();
                list(values, offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            Column::FixedList { array, values } => {
                let start = array.value_offset(row) as usize;
                list(values, start..start + array.value_length() as usize, out);
            }
            Column::Map { array, keys, values } => {
                let offsets = array.value_offsets();
                map(keys, values, offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            other => other.write_time(row, out),
        }
    }

    /// Everything that is a point or a span of time; all of it is a JSON string.
    fn write_time(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'"');
        match self {
            Column::Date32(a) => time::write_date_days(a.value(row).into(), out),
            Column::Date64(a) => time::write_date_days(a.value(row).div_euclid(86_400_000), out),
            Column::TimestampSecond(a) => time::write_timestamp(a.value(row), 1, out),
            Column::TimestampMilli(a) => time::write_timestamp(a.value(row), 1_000, out),
            Column::TimestampMicro(a) => time::write_timestamp(a.value(row), 1_000_000, out),
            Column::TimestampNano(a) => time::write_timestamp(a.value(row), 1_000_000_000, out),
            Column::Time32Second(a) => time::write_time_of_day(a.value(row).into(), 1, out),
            Column::Time32Milli(a) => time::write_time_of_day(a.value(row).into(), 1_000, out),
            Column::Time64Micro(a) => time::write_time_of_day(a.value(row), 1_000_000, out),
            Column::Time64Nano(a) => time::write_time_of_day(a.value(row), 1_000_000_000, out),
            Column::DurationSecond(a) => time::write_duration(a.value(row), 1, out),
            Column::DurationMilli(a) => time::write_duration(a.value(row), 1_000, out),
            Column::DurationMicro(a) => time::write_duration(a.value(row), 1_000_000, out),
            Column::DurationNano(a) => time::write_duration(a.value(row), 1_000_000_000, out),
            Column::IntervalYearMonth(a) => time::write_interval(a.value(row), 0, 0, out),
            Column::IntervalDayTime(a) => {
                let value = a.value(row);
                time::write_interval(0, value.days, i64::from(value.milliseconds) * 1_000_000, out);
            }
            Column::IntervalMonthDayNano(a) => {
                let value = a.value(row);
                time::write_interval(value.months, value.days, value.nanoseconds, out);
            }
            _ => {}
        }
        out.push(b'"');
    }
}

/// The keys of a JSON object, escaped, each with its colon.
pub(crate) fn object_keys(fields: &Fields) -> Vec<Vec<u8>> {
    fields
        .iter()
        .map(|field| {
            let mut key = Vec::with_capacity(field.name().len() + 3);
            write_string(field.name(), &mut key);
            key.push(b':');
            key
        })
        .collect()
}

pub(crate) fn write_object(keys: &[Vec<u8>], columns: &[Column<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (key, column)) in keys.iter().zip(columns).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        column.write(row, out);
    }
    out.push(b'}');
}

fn list(values: &Column<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'[');
    let start = range.start;
    for index in range {
        if index > start {
            out.push(b',');
        }
        values.write(index, out);
    }
    out.push(b']');
}

/// A map is a JSON object; a key that is not text is written as the text of its JSON value.
fn map(keys: &Column<'_>, values: &Column<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = range.start;
    for index in range {
        if index > start {
            out.push(b',');
        }
        let key_start = out.len();
        keys.write(index, out);
        if out[key_start] != b'"' {
            let raw = String::from_utf8_lossy(&out[key_start..]).into_owned();
            out.truncate(key_start);
            write_string(&raw, out);
        }
        out.push(b':');
        values.write(index, out);
    }
    out.push(b'}');
}

/// serde_json's number and string formatting is infallible on a `Vec`, so its result carries no information.
fn scalar<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, value);
}

pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    scalar(text, out);
}

pub(crate) fn integer(value: i64, out: &mut Vec<u8>) {
    scalar(&value, out);
}

fn unsigned(value: u64, out: &mut Vec<u8>) {
    scalar(&value, out);
}

fn integer128(value: i128, out: &mut Vec<u8>) {
    scalar(&value, out);
}

fn decimal(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn float64(value: f64, out: &mut Vec<u8>) {
    match not_finite(value) {
        None => scalar(&value, out),
        Some(name) => out.extend_from_slice(name),
    }
}

fn float32(value: f32, out: &mut Vec<u8>) {
    match not_finite(value.into()) {
        None => scalar(&value, out),
        Some(name) => out.extend_from_slice(name),
    }
}

/// The names of the protobuf JSON mapping.
fn not_finite(value: f64) -> Option<&'static [u8]> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some(b"\"NaN\"")
    } else if value > 0.0 {
        Some(b"\"Infinity\"")
    } else {
        Some(b"\"-Infinity\"")
    }
}

fn bytes(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    let length = value.len().div_ceil(3) * 4;
    out.resize(start + length, 0);
    // The target is exactly as long as padded base64 needs, so encoding cannot run out of room.
    let written = STANDARD.encode_slice(value, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}
