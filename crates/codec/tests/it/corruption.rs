//! Broken bytes: never a panic, never a trace in other records, and no verdict that prost-reflect contradicts without a reason.

use arrow::datatypes::DataType;
use codec::{DecodeErrorKind, DecodeProgram, Projection};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::differential::{check_row, for_schemas, options};
use crate::{random_message, scrambled, slab};

fn corrupt(random: &mut ChaCha8Rng, record: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        if record.is_empty() {
            record.push(random.random());
            continue;
        }
        let at = random.random_range(0..record.len());
        match random.random_range(0..5) {
            0 => record[at] = random.random(),
            1 => record[at] ^= 1 << random.random_range(0..8),
            2 => record.truncate(at),
            3 => record.insert(at, random.random()),
            _ => drop(record.remove(at)),
        }
    }
}

fn is_opaque(kind: &DataType) -> bool {
    match kind {
        DataType::Binary => true,
        DataType::Struct(fields) => fields.iter().any(|field| is_opaque(field.data_type())),
        DataType::List(item) | DataType::Map(item, _) => is_opaque(item.data_type()),
        _ => false,
    }
}

/// Whether a map field occurs with another wire type than it has. prost-reflect reads it all the same (0.16.5), where
/// protobuf's own parsers take it for an unknown field.
fn has_mistyped_map(descriptor: &MessageDescriptor, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Ok((number, wire_type)) = decode_key(&mut rest) else { return false };
        let field = descriptor.get_field(number);
        if field.as_ref().is_some_and(|field| field.is_map()) && wire_type != WireType::LengthDelimited {
            return true;
        }
        if let (Some(Kind::Message(inner)), WireType::LengthDelimited) = (field.map(|field| field.kind()), wire_type) {
            let Ok(len) = decode_varint(&mut rest) else { return false };
            if len > rest.len() as u64 {
                return false;
            }
            let (content, behind) = rest.split_at(len as usize);
            if has_mistyped_map(&inner, content) {
                return true;
            }
            rest = behind;
        } else if matches!(wire_type, WireType::StartGroup | WireType::EndGroup) {
            // What is inside of a group is looked at as if it were here.
        } else if skip_field(wire_type, number, &mut rest, DecodeContext::default()).is_err() {
            return false;
        }
    }
    false
}

#[test]
fn broken_records_are_judged_like_prost_reflect_and_leave_no_trace() {
    for_schemas(400, |random, source, descriptor| {
        let program = DecodeProgram::compile(descriptor, &Projection::all(), &options()).expect("compiles");
        let mut decoder = program.decoder();
        let mut records: Vec<Vec<u8>> = Vec::new();
        for index in 0..24 {
            let message = random_message::message(random, descriptor, 3);
            let mut record = scrambled::encode(random, &message);
            if index % 2 == 1 {
                corrupt(random, &mut record);
            }
            records.push(record);
        }
        let (data, spans) = slab(&records);
        let decoded = decoder.decode(&data, &spans);
        for column in decoded.batch.columns() {
            column.to_data().validate_full().expect("a valid array");
        }
        let rows = decoded.rows.clone().unwrap_or_else(|| (0..records.len() as u32).collect());
        assert_eq!(rows.len() + decoded.errors.len(), records.len());
        assert_eq!(rows.len(), decoded.batch.num_rows());
        for error in &decoded.errors {
            let record = &records[error.index as usize];
            let reference = DynamicMessage::decode(descriptor.clone(), record.as_slice());
            let ours_alone = matches!(error.error.kind, DecodeErrorKind::TimestampRange);
            let excused = ours_alone || has_mistyped_map(descriptor, record);
            assert!(reference.is_err() || excused, "{}: prost-reflect reads {record:?}", error.error);
        }
        // Closed enums are only known to the codec; bytes that are kept unread may be anything.
        let comparable =
            source.contains("proto3") && !program.schema().fields().iter().any(|field| is_opaque(field.data_type()));
        for (row, index) in rows.iter().enumerate() {
            let record = &records[*index as usize];
            if has_mistyped_map(descriptor, record) {
                continue;
            }
            match DynamicMessage::decode(descriptor.clone(), record.as_slice()) {
                Ok(_) if comparable => check_row(&decoded.batch, row, descriptor, record),
                Ok(_) => {}
                Err(error) => {
                    let reason = error.to_string();
                    let stricter = reason.contains("wire type") || reason.contains("invalid varint");
                    assert!(stricter || !comparable, "the codec reads {record:?}, prost-reflect says: {reason}");
                }
            }
        }
    });
}

#[test]
fn random_bytes_never_panic() {
    for_schemas(150, |random, _, descriptor| {
        let program = DecodeProgram::compile(descriptor, &Projection::all(), &options()).expect("compiles");
        let records: Vec<Vec<u8>> =
            (0..64).map(|_| (0..random.random_range(0..40)).map(|_| random.random::<u8>() & 0x7f).collect()).collect();
        let (data, spans) = slab(&records);
        let decoded = program.decoder().decode(&data, &spans);
        assert_eq!(decoded.batch.num_rows() + decoded.errors.len(), records.len());
        for record in &records {
            let text = codec::decode_as_far_as_possible(descriptor, record);
            assert!(text.len() < 200_000);
        }
    });
}
