//! Columns from the records' places in their topic.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, Int32Array, Int64Array, MapBuilder, MapFieldNames, StringArray,
    StringBuilder, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use log::Slab;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataColumn {
    /// `_topic`, Utf8.
    Topic,
    /// `_partition`, Int32.
    Partition,
    /// `_offset`, Int64.
    Offset,
    /// `_timestamp`, in milliseconds: the record's own timestamp.
    Timestamp,
    /// `_key`, Binary; NULL for a record without a key.
    Key,
    /// `_headers`, Map of Utf8 to Binary.
    Headers,
}

impl MetadataColumn {
    pub const ALL: [Self; 6] = [Self::Topic, Self::Partition, Self::Offset, Self::Timestamp, Self::Key, Self::Headers];

    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "_topic",
            Self::Partition => "_partition",
            Self::Offset => "_offset",
            Self::Timestamp => "_timestamp",
            Self::Key => "_key",
            Self::Headers => "_headers",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }

    pub fn field(self) -> FieldRef {
        let (data_type, is_nullable) = match self {
            Self::Topic => (DataType::Utf8, false),
            Self::Partition => (DataType::Int32, false),
            Self::Offset => (DataType::Int64, false),
            Self::Timestamp => (DataType::Timestamp(TimeUnit::Millisecond, None), false),
            Self::Key => (DataType::Binary, true),
            Self::Headers => {
                let entries = vec![
                    Arc::new(Field::new("keys", DataType::Utf8, false)),
                    Arc::new(Field::new("values", DataType::Binary, true)),
                ];
                let entries = Field::new("entries", DataType::Struct(entries.into()), false);
                (DataType::Map(Arc::new(entries), false), false)
            }
        };
        Arc::new(Field::new(self.name(), data_type, is_nullable))
    }

    /// Of the slab's records with these numbers.
    pub(crate) fn array(self, slab: &Slab, records: impl Iterator<Item = usize>) -> ArrayRef {
        match self {
            Self::Topic => Arc::new(StringArray::from_iter_values(records.map(|_| slab.topic.as_ref()))),
            Self::Partition => Arc::new(Int32Array::from_iter_values(records.map(|_| slab.partition as i32))),
            Self::Offset => Arc::new(Int64Array::from_iter_values(records.map(|record| slab.offset(record)))),
            Self::Timestamp => {
                let times = records.map(|record| slab.timestamp_ms(record));
                Arc::new(TimestampMillisecondArray::from_iter_values(times))
            }
            Self::Key => Arc::new(records.map(|record| slab.key(record)).collect::<BinaryArray>()),
            Self::Headers => {
                let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
                let mut headers = MapBuilder::new(Some(names), StringBuilder::new(), BinaryBuilder::new());
                for record in records {
                    for (name, value) in slab.headers(record) {
                        headers.keys().append_value(name);
                        headers.values().append_value(value);
                    }
                    // Keys and values are appended in pairs, which is all that `append` checks.
                    let _ = headers.append(true);
                }
                Arc::new(headers.finish())
            }
        }
    }
}
