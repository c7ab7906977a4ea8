//! Columns from the records' places in the log.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryBuilder, Int32Array, Int64Array, MapBuilder, MapFieldNames, StringArray,
    StringBuilder, TimestampMillisecondArray,
};
use log::Slab;
use sql::MetadataColumn;

/// A metadata column of the slab's records with these numbers.
pub(crate) fn column(column: MetadataColumn, slab: &Slab, records: impl Iterator<Item = usize>) -> ArrayRef {
    match column {
        MetadataColumn::Topic => Arc::new(StringArray::from_iter_values(records.map(|_| slab.topic.as_ref()))),
        MetadataColumn::Partition => Arc::new(Int32Array::from_iter_values(records.map(|_| slab.partition as i32))),
        MetadataColumn::Offset => Arc::new(Int64Array::from_iter_values(records.map(|record| slab.offset(record)))),
        MetadataColumn::Timestamp => {
            let times = records.map(|record| slab.timestamp_ms(record));
            Arc::new(TimestampMillisecondArray::from_iter_values(times))
        }
        MetadataColumn::Key => Arc::new(records.map(|record| slab.key(record)).collect::<BinaryArray>()),
        MetadataColumn::Headers => {
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
