//! Against bytes that Confluent's clients are tested with (confluent-kafka-javascript `serde.spec.ts`, confluent-kafka-python
//! `test_proto_serializers.py`), and whatever else there may be in a topic.

use super::message_index::MessageIndex;
use super::*;
use crate::limits::NULL_SPAN;
use bytes::Bytes;
use prost_reflect::MessageDescriptor;

const SOURCE: &str = "syntax = \"proto3\"; package t;
message Ping { string id = 1; int64 n = 2; }
message Outer {
  map<string, int32> counts = 1;
  message First { string id = 1; }
  message Second { string id = 1; message Inner { string id = 1; } }
}
message Third { string id = 1; }
message Fourth { message A {} message B {} message C { message D {} message E {} message F {} message G { string id = 1; } } }";

fn message(name: &str) -> MessageDescriptor {
    let file = schema::SourceFile { path: "t.proto".into(), text: SOURCE.into() };
    schema::SchemaSet::from_sources(&[file]).unwrap().message(name).unwrap()
}

fn confluent(schema_ids: &[u32]) -> WireFormat {
    WireFormat::Confluent(ConfluentFrame { schema_ids: schema_ids.to_vec(), ..ConfluentFrame::default() })
}

const GUID: &str = "89791762-2336-4186-9674-299b90a802e2";
const GUID_HEADER: &[u8] = b"\x01\x89\x79\x17\x62\x23\x36\x41\x86\x96\x74\x29\x9b\x90\xa8\x02\xe2";

fn by_header() -> WireFormat {
    let header = ConfluentHeader { write_schema_guid: Some(GUID.parse().unwrap()), ..ConfluentHeader::default() };
    WireFormat::ConfluentHeader(header)
}

/// The payload of one record, or what is wrong with it.
fn read(format: &WireFormat, name: &str, value: &[u8], header: Option<&[u8]>) -> Result<Vec<u8>, FrameFault> {
    let reader = FrameReader::new(format, &message(name), RecordPart::Value).unwrap();
    let data = Bytes::from([b"before", value, b"after"].concat());
    let mut payloads = reader.read(&data, &[(6, value.len() as u32)], |_| header);
    match payloads.faults.pop() {
        Some(fault) => {
            assert_eq!(payloads.spans[0].1, NULL_SPAN);
            Err(fault)
        }
        None => {
            let (start, len) = payloads.spans[0];
            Ok(payloads.data[start as usize..(start + len) as usize].to_vec())
        }
    }
}

fn index_of(name: &str) -> Vec<u8> {
    MessageIndex::of(&message(name), None).canonical().to_vec()
}

#[test]
fn message_indexes_are_written_as_confluents_clients_write_them() {
    assert_eq!(index_of("t.Ping"), [0]);
    // The vectors of confluent-kafka-python: [1] is 02 02, [3, 2, 3] is 06 06 04 06.
    assert_eq!(index_of("t.Outer"), [2, 2]);
    assert_eq!(index_of("t.Fourth.C.G"), [6, 6, 4, 6]);
    let far = MessageIndex::of(&message("t.Ping"), Some(&[1_000_000]));
    assert_eq!(far.canonical(), [2, 0x80, 0x89, 0x7a]);
}

#[test]
fn the_frame_of_confluents_clients_is_read_and_written() {
    let framed = b"\x00\x00\x00\x00\x07\x00\x0a\x01x";
    assert_eq!(read(&confluent(&[]), "t.Ping", framed, None).unwrap(), b"\x0a\x01x");
    let writer = FrameWriter::new(&confluent(&[7]), &message("t.Ping"), RecordPart::Value).unwrap();
    assert_eq!(writer.frame(Bytes::from_static(b"\x0a\x01x")).unwrap(), framed.as_slice());
    assert_eq!(writer.header(), None);
    let nested = FrameWriter::new(&confluent(&[1]), &message("t.Fourth.C.G"), RecordPart::Value).unwrap();
    assert_eq!(nested.frame(Bytes::new()).unwrap(), b"\x00\x00\x00\x00\x01\x06\x06\x04\x06".as_slice());
}

#[test]
fn every_encoding_of_the_index_is_read() {
    let any = confluent(&[]);
    let first: [(&str, &[u8]); 9] = [
        ("t.Ping", b"\x00"),
        ("t.Ping", b"\x02\x00"),
        // Without zig-zag: [1, 0].
        ("t.Ping", b"\x01\x00"),
        ("t.Outer", b"\x02\x02"),
        ("t.Outer", b"\x01\x01"),
        ("t.Fourth.C.G", b"\x06\x06\x04\x06"),
        ("t.Fourth.C.G", b"\x03\x03\x02\x03"),
        // Behind the entry type of the map, and for those who do not count it.
        ("t.Outer.Second", b"\x04\x02\x04"),
        ("t.Outer.Second", b"\x04\x02\x02"),
    ];
    for (name, index) in first {
        for payload in [b"\x0a\x01x".as_slice(), b""] {
            let record = [b"\x00\x00\x00\x00\x07", index, payload].concat();
            assert_eq!(read(&any, name, &record, None).as_deref(), Ok(payload), "{name} {index:?}");
        }
    }
}

#[test]
fn an_old_index_counts_only_where_it_cannot_be_a_new_one() {
    // 02 00 0a 01 78 is [0] before a text; as an old index it would be [0, 10].
    let set = |index: &[u32]| {
        WireFormat::Confluent(ConfluentFrame { message_index: Some(index.to_vec()), ..ConfluentFrame::default() })
    };
    let record = b"\x00\x00\x00\x00\x07\x02\x00\x0a\x01x";
    let fault = read(&set(&[0, 10]), "t.Ping", record, None).unwrap_err();
    assert!(matches!(&fault.error, FrameError::MessageIndex { found, .. } if *found == [0]), "{fault}");
    // 02 00 02 cannot be [0] before a message: there is no field 0.
    assert_eq!(
        read(&set(&[0, 2]), "t.Ping", b"\x00\x00\x00\x00\x07\x02\x00\x02\x0a\x01x", None).unwrap(),
        b"\x0a\x01x"
    );
}

#[test]
fn a_guid_in_the_header_is_read_and_written() {
    let writer = FrameWriter::new(&by_header(), &message("t.Ping"), RecordPart::Value).unwrap();
    assert_eq!(writer.frame(Bytes::from_static(b"\x0a\x01x")).unwrap(), b"\x0a\x01x".as_slice());
    let (name, value) = writer.header().unwrap();
    assert_eq!((name, value.as_ref()), ("__value_schema_id", [GUID_HEADER, b"\x00"].concat().as_slice()));
    let key = FrameWriter::new(&by_header(), &message("t.Ping"), RecordPart::Key).unwrap();
    assert_eq!(key.header().unwrap().0, "__key_schema_id");
    // The clients' vector: index [1, 2, 3] behind the GUID.
    let set = |index: &[u32]| ConfluentHeader { message_index: Some(index.to_vec()), ..ConfluentHeader::default() };
    let vector = [GUID_HEADER, b"\x06\x02\x04\x06"].concat();
    let format = WireFormat::ConfluentHeader(set(&[1, 2, 3]));
    assert_eq!(read(&format, "t.Ping", b"\x0a\x01x", Some(&vector)).unwrap(), b"\x0a\x01x");
    for header in [GUID_HEADER.to_vec(), [GUID_HEADER, b"\x00"].concat(), b"\x00\x00\x00\x00\x07\x00".to_vec()] {
        for format in [by_header(), confluent(&[])] {
            assert_eq!(read(&format, "t.Ping", b"\x0a\x01x", Some(&header)).unwrap(), b"\x0a\x01x", "{header:?}");
        }
    }
    // A topic that has changed from one to the other.
    assert_eq!(read(&by_header(), "t.Ping", b"\x00\x00\x00\x00\x07\x00\x0a\x01x", None).unwrap(), b"\x0a\x01x");
}

#[test]
fn what_is_wrong_with_a_frame_is_said() {
    let only_7 = confluent(&[7, 12]);
    /// Format, value, header; what is said, and where.
    type Case<'a> = (&'a WireFormat, &'a [u8], Option<&'a [u8]>, &'a str, Option<u32>);
    let cases: [Case<'_>; 12] = [
        (&only_7, b"\x0a\x01x", None, "begins with 0x0a: it looks like bare protobuf (`protobuf`)", Some(0)),
        (&only_7, b"{\"id\": \"x\"}", None, "begins with 0x7b: it looks like JSON", Some(0)),
        (&only_7, b"\x05", None, "begins with 0x05", Some(0)),
        (&only_7, b"\x00\x00\x00", None, "has 3 bytes", Some(3)),
        (&only_7, b"", None, "has 0 bytes", Some(0)),
        (
            &only_7,
            b"\x00\x00\x00\x00\x09\x00\x0a\x01x",
            None,
            "schema id is 9, the topic's encoding accepts 7, 12",
            Some(1),
        ),
        (
            &only_7,
            b"\x00\x00\x00\x00\x07\x02\x02",
            None,
            "is message [1] of its schema, t.Ping is message [0]",
            Some(5),
        ),
        (&only_7, b"\x00\x00\x00\x00\x07\x08\x02", None, "no message index behind the schema id 7", Some(5)),
        (&only_7, b"\x00\x00\x00\x00\x07", None, "no message index behind the schema id 7", Some(5)),
        (
            &only_7,
            b"\x0a\x01x",
            Some(GUID_HEADER),
            "by its GUID, and the topic's encoding accepts ids only: 7, 12",
            None,
        ),
        (&by_header(), b"\x0a\x01x", None, "has no header `__value_schema_id`", None),
        (&by_header(), b"\x0a\x01x", Some(b"\x01\x02"), "has 2 bytes that name no schema", None),
    ];
    for (format, value, header, problem, offset) in cases {
        let fault = read(format, "t.Ping", value, header).unwrap_err();
        assert!(fault.to_string().contains(problem), "{fault}");
        assert_eq!(fault.offset, offset, "{fault}");
    }
    let strict = ConfluentHeader { schema_guids: vec![SchemaGuid([1; 16])], ..ConfluentHeader::default() };
    let fault = read(&WireFormat::ConfluentHeader(strict), "t.Ping", b"", Some(GUID_HEADER)).unwrap_err();
    assert!(fault.to_string().contains("schema is 89791762-2336-4186-9674-299b90a802e2"), "{fault}");
}

#[test]
fn json_is_read_and_its_faults_have_a_place() {
    let read_json = |text: &str| read(&WireFormat::Json, "t.Ping", text.as_bytes(), None);
    assert_eq!(read_json("{\"id\": \"x\", \"n\": \"5\", \"more\": [1]}").unwrap(), b"\x0a\x01x\x10\x05");
    assert_eq!(read_json(" {\"id\": \"x\", \"n\": 5} ").unwrap(), b"\x0a\x01x\x10\x05");
    assert_eq!(read_json("{}").unwrap(), b"");
    for (text, place, offset) in [
        ("{\n  \"id\": x}", "at line 2, column 9", 10),
        ("{\"id\": \"x\"} {}", "at line 1, column 13", 12),
        ("{\"id\": \"x\"", "at line 1, column 10", 9),
        ("", "at line 1, column 1", 0),
    ] {
        let fault = read_json(text).unwrap_err();
        assert!(fault.to_string().contains(place), "{text}: {fault}");
        assert_eq!(fault.offset, Some(offset), "{text}: {fault}");
    }
    let fault = read_json("{\"n\": \"many\"}").unwrap_err();
    assert!(fault.to_string().contains("no t.Ping in the protobuf JSON mapping"), "{fault}");
    let framed = read(&WireFormat::Json, "t.Ping", b"\x00\x00\x00\x00\x07\x00\x0a\x01x", None).unwrap_err();
    assert!(framed.to_string().contains("it looks like Confluent's frame"), "{framed}");
    let writer = FrameWriter::new(&WireFormat::Json, &message("t.Ping"), RecordPart::Value).unwrap();
    assert_eq!(writer.frame(Bytes::from_static(b"\x0a\x01x\x10\x05")).unwrap(), br#"{"id":"x","n":"5"}"#.as_slice());
}

#[test]
fn tombstones_and_neighbours_are_left_alone() {
    let good = b"\x00\x00\x00\x00\x07\x00\x0a\x01x";
    let bad = b"\x0a\x01x";
    let data = Bytes::from([good.as_slice(), bad, good].concat());
    let spans = [(0, 9), (0, NULL_SPAN), (9, 3), (12, 9), (20, 900)];
    let reader = FrameReader::new(&confluent(&[]), &message("t.Ping"), RecordPart::Value).unwrap();
    let payloads = reader.read(&data, &spans, |_| None);
    // The last one lies outside of the data, which the decoder says.
    assert_eq!(payloads.spans, [(6, 3), (0, NULL_SPAN), (9, NULL_SPAN), (18, 3), (20, 900)]);
    assert_eq!(payloads.faults.iter().map(|fault| fault.index).collect::<Vec<_>>(), [2]);
    assert_eq!(payloads.offset_in_record(3, spans[3], 2), Some(8));
    let texts = Bytes::from_static(b"{}{\"n\":7}nonsense");
    let reader = FrameReader::new(&WireFormat::Json, &message("t.Ping"), RecordPart::Value).unwrap();
    let payloads = reader.read(&texts, &[(0, 2), (0, NULL_SPAN), (9, 8), (2, 7)], |_| None);
    assert_eq!(payloads.spans, [(0, 0), (0, NULL_SPAN), (0, NULL_SPAN), (0, 2)]);
    assert_eq!((payloads.faults[0].index, payloads.offset_in_record(3, (2, 7), 1)), (2, None));
}

#[test]
fn guids_are_read_as_they_are_written() {
    let guid: SchemaGuid = GUID.parse().unwrap();
    assert_eq!((guid.0.as_slice(), guid.to_string().as_str()), (&GUID_HEADER[1..], GUID));
    assert_eq!(GUID.replace('-', "").parse(), Ok(guid));
    for wrong in ["", "89791762", "g9791762-2336-4186-9674-299b90a802e2"] {
        assert!(wrong.parse::<SchemaGuid>().is_err(), "{wrong}");
    }
}

#[test]
fn without_an_id_nothing_is_written() {
    let header = WireFormat::ConfluentHeader(ConfluentHeader::default());
    for (format, problem) in
        [(confluent(&[]), "writeSchemaId"), (confluent(&[7, 12]), "writeSchemaId"), (header, "schemaGuid")]
    {
        let error = FrameWriter::new(&format, &message("t.Ping"), RecordPart::Value).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(FrameReader::new(&WireFormat::Protobuf, &message("t.Ping"), RecordPart::Value).is_none());
}

/// Whatever bytes there are, nothing panics, every record has one outcome, and what is written is read.
#[test]
fn any_bytes_have_an_outcome_and_frames_come_back() {
    use rand::{RngExt, SeedableRng};
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("SEED={seed}");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let names = ["t.Ping", "t.Outer", "t.Outer.Second.Inner", "t.Fourth.C.G"];
    let payloads: [&[u8]; 3] = [b"", b"\x0a\x01x", b"\x0a\x02ab"];
    for _ in 0..20_000 {
        let message = message_of(&names, random.random_range(0..names.len()));
        let id: u32 = random.random();
        let index: Vec<u32> = (0..random.random_range(1..5)).map(|_| random.random_range(0..300)).collect();
        let message_index = random.random_bool(0.5).then_some(index);
        let formats = [
            WireFormat::Confluent(ConfluentFrame {
                schema_ids: vec![id],
                message_index: message_index.clone(),
                ..Default::default()
            }),
            WireFormat::ConfluentHeader(ConfluentHeader {
                write_schema_guid: Some(SchemaGuid(random.random())),
                message_index,
                ..Default::default()
            }),
        ];
        let format = &formats[random.random_range(0..2)];
        let writer = FrameWriter::new(format, &message, RecordPart::Value).unwrap();
        let reader = FrameReader::new(format, &message, RecordPart::Value).unwrap();
        let payload = Bytes::from_static(payloads[random.random_range(0..3)]);
        let header = writer.header().map(|(_, value)| value);
        let framed = writer.frame(payload.clone()).unwrap();
        let read = reader.read(&framed, &[(0, framed.len() as u32)], |_| header.as_deref());
        assert!(read.faults.is_empty(), "{format:?} {:?}", read.faults);
        assert_eq!(read.data.slice(read.spans[0].0 as usize..), payload, "{format:?}");
        // Broken anywhere: one outcome, and it is somewhere in the record.
        let mut bytes = framed.to_vec();
        let at = random.random_range(0..bytes.len().max(1));
        match (bytes.get_mut(at), random.random_bool(0.5)) {
            (Some(byte), true) => *byte = random.random(),
            _ => bytes.truncate(at),
        }
        let bytes = Bytes::from(bytes);
        let read = reader.read(&bytes, &[(0, bytes.len() as u32)], |_| header.as_deref());
        assert_eq!(read.faults.len(), usize::from(read.spans[0].1 == NULL_SPAN));
        assert!(read.faults.iter().all(|fault| fault.offset.is_none_or(|at| at as usize <= bytes.len())));
    }
}

fn message_of(names: &[&str], at: usize) -> MessageDescriptor {
    use std::sync::OnceLock;
    static MESSAGES: OnceLock<Vec<MessageDescriptor>> = OnceLock::new();
    MESSAGES.get_or_init(|| names.iter().map(|name| message(name)).collect())[at].clone()
}
