//! What the codec's targets share: message types with every kind of field.

use std::sync::OnceLock;

use arrow::array::{Array, RecordBatch};
use prost_reflect::MessageDescriptor;
use schema::{SchemaSet, SourceFile};

pub fn messages() -> &'static [MessageDescriptor] {
    static MESSAGES: OnceLock<Vec<MessageDescriptor>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let set = SchemaSet::from_sources(&[
            file("everything.proto", include_str!("everything.proto")),
            file("everything2.proto", include_str!("everything2.proto")),
        ])
        .expect("the sources are valid");
        ["fuzz.Everything", "fuzz2.Everything"]
            .iter()
            .map(|name| set.message(name).expect("is in the source"))
            .collect()
    })
}

/// Records from fuzzer bytes: each begins with its length in one byte (255: the rest).
pub fn spans(data: &[u8]) -> Vec<(u32, u32)> {
    let mut spans = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let len = match data[at] {
            255 => data.len() - at - 1,
            len => usize::from(len).min(data.len() - at - 1),
        };
        spans.push((at as u32 + 1, len as u32));
        at += 1 + len;
    }
    spans
}

/// The same values; a dictionary may have names that no row uses.
pub fn assert_same(left: &RecordBatch, right: &RecordBatch) {
    assert_eq!(left.num_rows(), right.num_rows());
    for (index, (left, right)) in left.columns().iter().zip(right.columns()).enumerate() {
        assert!(left.to_data() == right.to_data(), "column {index}: {left:?} is not {right:?}");
    }
}
