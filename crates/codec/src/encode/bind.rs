//! The plan with the arrays of one batch: what is read row by row.

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StringViewArray, StructArray, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

use super::plan::{self, FieldPlan, FieldSource, MessagePlan, StampColumns, ValueKind, ValuePlan};
use crate::shape::{JsonKind, Scalar};

pub(crate) struct BoundMessage<'a> {
    pub fields: Vec<BoundField<'a>>,
    pub unknown: Option<BinaryArray>,
}

pub(crate) struct BoundField<'a> {
    pub plan: &'a FieldPlan,
    pub wire_type: u8,
    pub source: BoundSource<'a>,
}

/// One per field and batch: its size does not matter.
#[allow(clippy::large_enum_variant)]
pub(crate) enum BoundSource<'a> {
    Single {
        value: BoundValue<'a>,
        implicit: bool,
    },
    List {
        offsets: OffsetBuffer<i32>,
        nulls: Option<NullBuffer>,
        item: BoundValue<'a>,
        packed: bool,
    },
    Map {
        offsets: OffsetBuffer<i32>,
        nulls: Option<NullBuffer>,
        key: BoundValue<'a>,
        value: BoundValue<'a>,
        wire_types: (u8, u8),
    },
    Dotted(BoundMessage<'a>),
}

/// One column by what is written of it.
pub(crate) enum BoundValue<'a> {
    Int {
        column: Ints,
        scalar: Scalar,
    },
    Double(Float64Array),
    Float(Float32Array),
    Bool(BooleanArray),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    EnumText {
        column: StringViewArray,
        numbers: &'a HashMap<String, i32>,
    },
    /// By dictionary key: the number, or the name that the enum does not have.
    EnumKeys {
        column: Int32Array,
        numbers: Vec<Result<i32, String>>,
    },
    Timestamp(Stamps),
    Wrapper(Box<BoundValue<'a>>, u8),
    Json {
        column: StringViewArray,
        kind: JsonKind,
    },
    Raw {
        column: BinaryViewArray,
        group: bool,
    },
    Message {
        nulls: Option<NullBuffer>,
        message: BoundMessage<'a>,
        group: bool,
    },
    Nothing,
}

pub(crate) enum Ints {
    Int64(Int64Array),
    Uint64(UInt64Array),
    Decimal(Decimal128Array),
}

pub(crate) struct Stamps {
    pub whole: Option<(Int64Array, TimeUnit)>,
    pub seconds: Option<Int64Array>,
    pub nanos: Option<Int32Array>,
}

pub(crate) fn message<'a>(plan: &'a MessagePlan, columns: &[ArrayRef]) -> BoundMessage<'a> {
    let fields = plan.fields.iter().map(|field| bound_field(field, columns)).collect();
    let unknown = plan.unknown.map(|index| typed(&cast(&columns[index], &DataType::Binary)));
    BoundMessage { fields, unknown }
}

fn bound_field<'a>(field: &'a FieldPlan, columns: &[ArrayRef]) -> BoundField<'a> {
    let (wire_type, source) = match &field.source {
        FieldSource::Single { value, implicit } => {
            (plan::wire_type(value), BoundSource::Single { value: bound_value(value, columns), implicit: *implicit })
        }
        FieldSource::List { column, item, packed } => {
            let list = as_list(&columns[*column]);
            let source = BoundSource::List {
                offsets: list.offsets().clone(),
                nulls: list.nulls().cloned(),
                item: bound_value(item, std::slice::from_ref(list.values())),
                packed: *packed,
            };
            (plan::wire_type(item), source)
        }
        FieldSource::Map { column, key, value } => {
            let (offsets, nulls, entries) = match columns[*column].as_any().downcast_ref::<MapArray>() {
                Some(map) => (map.offsets().clone(), map.nulls().cloned(), map.entries().clone()),
                None => {
                    let list = as_list(&columns[*column]);
                    (list.offsets().clone(), list.nulls().cloned(), typed(list.values()))
                }
            };
            let source = BoundSource::Map {
                offsets,
                nulls,
                key: bound_value(key, entries.columns()),
                value: bound_value(value, entries.columns()),
                wire_types: (plan::wire_type(key), plan::wire_type(value)),
            };
            (crate::wire::LEN, source)
        }
        FieldSource::Dotted(inner) => (crate::wire::LEN, BoundSource::Dotted(message(inner, columns))),
    };
    BoundField { plan: field, wire_type, source }
}

fn bound_value<'a>(value: &'a ValuePlan, columns: &[ArrayRef]) -> BoundValue<'a> {
    let column = || cast(&columns[value.column], &value.canonical);
    match &value.kind {
        ValueKind::Scalar(scalar) => bound_scalar(*scalar, &column()),
        ValueKind::Wrapper(scalar) => {
            let wire_type = crate::program::scalar_wire_type(*scalar);
            BoundValue::Wrapper(Box::new(bound_scalar(*scalar, &column())), wire_type)
        }
        ValueKind::Enum(numbers) => bound_enum(numbers, &value.canonical, &column()),
        ValueKind::Timestamp(parts) => BoundValue::Timestamp(bound_stamps(*parts, columns)),
        ValueKind::Json(kind) => BoundValue::Json { column: typed(&column()), kind: *kind },
        ValueKind::Raw { group } => BoundValue::Raw { column: typed(&column()), group: *group },
        ValueKind::Message { plan, group } => {
            let structs: StructArray = typed(&columns[value.column]);
            let nulls = structs.nulls().cloned();
            BoundValue::Message { nulls, message: message(plan, structs.columns()), group: *group }
        }
        ValueKind::Nothing => BoundValue::Nothing,
    }
}

fn bound_scalar(scalar: Scalar, column: &ArrayRef) -> BoundValue<'static> {
    match scalar {
        Scalar::Double => BoundValue::Double(typed(column)),
        Scalar::Float => BoundValue::Float(typed(column)),
        Scalar::Bool => BoundValue::Bool(typed(column)),
        Scalar::String => BoundValue::Text(typed(column)),
        Scalar::Bytes => BoundValue::Bytes(typed(column)),
        scalar => {
            let column = match column.data_type() {
                DataType::UInt64 => Ints::Uint64(typed(column)),
                DataType::Decimal128(..) => Ints::Decimal(typed(column)),
                _ => Ints::Int64(typed(column)),
            };
            BoundValue::Int { column, scalar }
        }
    }
}

fn bound_enum<'a>(numbers: &'a HashMap<String, i32>, canonical: &DataType, column: &ArrayRef) -> BoundValue<'a> {
    match canonical {
        DataType::Dictionary(..) => {
            let dictionary: DictionaryArray<Int32Type> = typed(column);
            let names: StringArray = typed(dictionary.values());
            let numbers = names
                .iter()
                .map(|name| {
                    let name = name.unwrap_or_default();
                    enum_number(numbers, name).ok_or_else(|| name.to_owned())
                })
                .collect();
            BoundValue::EnumKeys { column: dictionary.keys().clone(), numbers }
        }
        DataType::Int64 => BoundValue::Int { column: Ints::Int64(typed(column)), scalar: Scalar::Int32 },
        _ => BoundValue::EnumText { column: typed(column), numbers },
    }
}

/// The number of a name, or of the decimal text of a number.
pub(crate) fn enum_number(numbers: &HashMap<String, i32>, name: &str) -> Option<i32> {
    numbers.get(name).copied().or_else(|| name.parse().ok())
}

fn bound_stamps(parts: StampColumns, columns: &[ArrayRef]) -> Stamps {
    Stamps {
        whole: parts.whole.map(|(index, unit)| (typed(&cast(&columns[index], &DataType::Int64)), unit)),
        seconds: parts.seconds.map(|index| typed(&columns[index])),
        nanos: parts.nanos.map(|index| typed(&columns[index])),
    }
}

fn as_list(column: &ArrayRef) -> ListArray {
    let item = match column.data_type() {
        DataType::List(_) => return typed(column),
        DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Arc::clone(item),
        _ => Arc::new(Field::new("item", DataType::Null, true)),
    };
    typed(&cast(column, &DataType::List(item)))
}

/// Casts of the plan lose nothing and therefore do not fail.
fn cast(column: &ArrayRef, to: &DataType) -> ArrayRef {
    if column.data_type() == to {
        return Arc::clone(column);
    }
    match arrow::compute::cast(column, to) {
        Ok(array) => array,
        Err(error) => unreachable!("planned cast from {} to {to}: {error}", column.data_type()),
    }
}

fn typed<T: Array + Clone + 'static>(column: &ArrayRef) -> T {
    match column.as_any().downcast_ref::<T>() {
        Some(array) => array.clone(),
        None => unreachable!("planned type, found {}", column.data_type()),
    }
}
