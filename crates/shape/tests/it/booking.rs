//! Rows with one column of every type that decoded protobuf has.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::*;

/// Three rows; in the second all that can be is unset.
pub fn batch() -> RecordBatch {
    let customer = StructArray::new(
        Fields::from(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8View, false),
            Field::new("email", DataType::Utf8View, true),
        ]),
        vec![
            Arc::new(Int64Array::from(vec![7, 0, 9])),
            Arc::new(StringViewArray::from(vec!["Ana \"A\" Putri", "", "Budi/Ü & Co"])),
            Arc::new(StringViewArray::from(vec![Some("ana@example.com"), None, None])),
        ],
        Some(NullBuffer::from(vec![true, false, true])),
    );
    let trip = StructArray::new(
        Fields::from(vec![Field::new("seconds", DataType::Int64, false), Field::new("nanos", DataType::Int32, false)]),
        vec![Arc::new(Int64Array::from(vec![90, 0, -1])), Arc::new(Int32Array::from(vec![500_000_000, 0, 0]))],
        Some(NullBuffer::from(vec![true, false, true])),
    );
    let item_fields = Fields::from(vec![
        Field::new("sku", DataType::Utf8View, false),
        Field::new("count", DataType::Int32, false),
        Field::new("note", DataType::Utf8View, true),
    ]);
    let items = StructArray::new(
        item_fields.clone(),
        vec![
            Arc::new(StringViewArray::from(vec!["rice", "tea", "salt"])),
            Arc::new(Int32Array::from(vec![2, 1, 5])),
            Arc::new(StringViewArray::from(vec![Some("brown"), None, None])),
        ],
        None,
    );
    let items = ListArray::new(
        Arc::new(Field::new("item", DataType::Struct(item_fields), false)),
        OffsetBuffer::from_lengths([2, 0, 1]),
        Arc::new(items),
        None,
    );
    let tags = ListArray::new(
        Arc::new(Field::new("item", DataType::Utf8View, false)),
        OffsetBuffer::from_lengths([2, 0, 1]),
        Arc::new(StringViewArray::from(vec!["new", "vip", "old"])),
        None,
    );
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut labels = MapBuilder::new(Some(names), StringViewBuilder::new(), Int64Builder::new())
        .with_keys_field(Arc::new(Field::new("key", DataType::Utf8View, false)))
        .with_values_field(Arc::new(Field::new("value", DataType::Int64, false)));
    labels.keys().append_value("floor");
    labels.values().append_value(3);
    labels.append(true).unwrap();
    labels.append(true).unwrap();
    labels.append(true).unwrap();
    let labels = labels.finish();
    let status: DictionaryArray<Int32Type> = vec!["CANCELLED", "STATUS_UNSPECIFIED", "DONE"].into_iter().collect();
    let number = Decimal128Array::from(vec![u64::MAX.into(), 0_i128, 42]).with_precision_and_scale(20, 0).unwrap();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("order_id", Arc::new(StringViewArray::from(vec!["o/1", "", "o 3"])), false),
        ("number", Arc::new(number), false),
        ("amount", Arc::new(Int64Array::from(vec![i64::MAX, 0, -5])), false),
        ("count", Arc::new(Int32Array::from(vec![3, 0, 1])), false),
        ("price", Arc::new(Float64Array::from(vec![12.5, 0.0, 9.0])), false),
        ("ratio", Arc::new(Float32Array::from(vec![0.1, 0.0, 1.5])), false),
        ("paid", Arc::new(BooleanArray::from(vec![true, false, false])), false),
        ("discount", Arc::new(Float64Array::from(vec![Some(2.5), None, None])), true),
        ("note", Arc::new(StringViewArray::from(vec![Some("by\nphone"), None, Some("")])), true),
        ("token", Arc::new(BinaryViewArray::from(vec![&b"\x00\xff"[..], b"", b"abc"])), false),
        ("status", Arc::new(status), false),
        (
            "event_timestamp",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(1_767_225_600_500_000),
                None,
                Some(1_700_000_000_000_000),
            ])),
            true,
        ),
        ("customer", Arc::new(customer), true),
        ("trip", Arc::new(trip), true),
        ("items", Arc::new(items), false),
        ("tags", Arc::new(tags), false),
        ("labels", Arc::new(labels), false),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array, null)| Field::new(*name, array.data_type().clone(), *null)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array, _)| array).collect())
        .unwrap()
}
