//! The hand-written messages are what a general protobuf library makes of the schemas, and the broken ones are broken.

use std::collections::HashMap;

use city::{BrokenKind, BrokenRecords, CityOptions};
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};

/// Gives the compiler the embedded files under their import paths.
struct Embedded;

impl protox::file::FileResolver for Embedded {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        let sources = city::proto_sources();
        match sources.iter().find(|source| source.path == name) {
            Some(source) => protox::file::File::from_source(name, source.text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn descriptors() -> Vec<MessageDescriptor> {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(Embedded);
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    for source in city::proto_sources() {
        compiler.open_file(source.path).unwrap();
    }
    let pool = DescriptorPool::from_file_descriptor_set(compiler.file_descriptor_set()).unwrap();
    city::topics().iter().map(|topic| pool.get_message_by_name(topic.message_full_name).unwrap()).collect()
}

fn event_ms(message: &DynamicMessage) -> Option<i64> {
    let field = message.descriptor().get_field_by_name("event_timestamp")?;
    if !message.has_field(&field) {
        return None;
    }
    let value = message.get_field(&field).into_owned();
    let timestamp = value.as_message()?;
    let seconds = timestamp.get_field_by_name("seconds")?.as_i64()?;
    let nanos = timestamp.get_field_by_name("nanos")?.as_i32()?;
    Some(seconds * 1_000 + i64::from(nanos) / 1_000_000)
}

#[test]
fn whole_records_are_what_a_general_library_writes() {
    let descriptors = descriptors();
    let options = CityOptions { broken: BrokenRecords::None, ..CityOptions::default() };
    let mut fields_seen: Vec<HashMap<u32, u32>> = vec![HashMap::new(); descriptors.len()];
    super::first_records(options, 60_000, |record, key, value| {
        assert_eq!(record.broken, None);
        let message = DynamicMessage::decode(descriptors[record.topic].clone(), value).unwrap();
        // Same bytes: fields in order, defaults left out, nothing that the schema does not know.
        assert_eq!(message.encode_to_vec(), value);
        assert_eq!(event_ms(&message), Some(record.event_ms));
        let first = message.get_field_by_number(1).unwrap();
        assert_eq!(first.as_str().unwrap().as_bytes(), key, "the key is field 1");
        for (field, value) in message.fields() {
            *fields_seen[record.topic].entry(field.number()).or_default() += 1;
            if let (prost_reflect::Kind::Enum(names), Value::EnumNumber(number)) = (field.kind(), value) {
                assert!(names.get_value(*number).is_some(), "{} is {number}", field.full_name());
            }
        }
    });
    for (descriptor, seen) in descriptors.iter().zip(&fields_seen) {
        for field in descriptor.fields() {
            assert!(seen.contains_key(&field.number()), "{} is never set", field.full_name());
        }
    }
}

#[test]
fn every_kind_of_broken_record_appears_and_is_broken_in_its_way() {
    let descriptors = descriptors();
    let options = CityOptions { broken_share: 0.1, ..CityOptions::default() };
    let mut kinds: HashMap<(usize, BrokenKind), u32> = HashMap::new();
    super::first_records(options, 60_000, |record, _, value| {
        let decoded = DynamicMessage::decode(descriptors[record.topic].clone(), value);
        let Some(kind) = record.broken else {
            assert_eq!(event_ms(&decoded.unwrap()), Some(record.event_ms));
            return;
        };
        *kinds.entry((record.topic, kind)).or_default() += 1;
        match kind {
            BrokenKind::Truncated
            | BrokenKind::InvalidUtf8
            | BrokenKind::OverlongVarint
            | BrokenKind::FieldNumberZero => assert!(decoded.is_err(), "{kind:?} was decoded: {value:?}"),
            BrokenKind::MissingEventTime => assert_eq!(event_ms(&decoded.unwrap()), None),
            BrokenKind::EventTimeZero => assert_eq!(event_ms(&decoded.unwrap()), Some(0)),
            BrokenKind::EventTimeYear9999 => {
                assert_eq!(event_ms(&decoded.unwrap()), Some(253_402_300_799_000));
            }
        }
    });
    assert_eq!(kinds.len(), descriptors.len() * 7, "{kinds:?}");
}

#[test]
fn only_undecodable_records_when_asked_for() {
    let options = CityOptions { broken: BrokenRecords::Undecodable, broken_share: 0.1, ..CityOptions::default() };
    let mut broken = 0;
    super::first_records(options, 20_000, |record, _, _| {
        broken += u32::from(record.broken.is_some());
        assert!(!matches!(record.broken, Some(BrokenKind::EventTimeZero | BrokenKind::EventTimeYear9999)));
    });
    assert!((1_700..2_300).contains(&broken), "{broken} of 20,000 at a share of 10 %");
}
