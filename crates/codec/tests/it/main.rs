//! What the codec promises, checked against hand-written bytes and against prost-reflect.

mod corruption;
mod decode_rules;
mod differential;
mod encode_rules;
mod generated;
mod mapping;
mod random_message;
mod random_schema;
mod reference;
mod scrambled;
mod tree;

use prost_reflect::MessageDescriptor;

/// The message type `name` of one source file.
pub fn message(source: &str, name: &str) -> MessageDescriptor {
    let file = schema::SourceFile { path: "test.proto".to_owned(), text: source.to_owned() };
    let set = schema::SchemaSet::from_sources(&[file]).unwrap_or_else(|error| panic!("{error}\n{source}"));
    set.message(name).unwrap_or_else(|error| panic!("{error}"))
}

/// The records one after the other, with their spans.
pub fn slab(records: &[Vec<u8>]) -> (bytes::Bytes, Vec<(u32, u32)>) {
    let mut data = Vec::new();
    let spans = records
        .iter()
        .map(|record| {
            let start = data.len() as u32;
            data.extend_from_slice(record);
            (start, record.len() as u32)
        })
        .collect();
    (data.into(), spans)
}
