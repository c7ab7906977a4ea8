//! The codec as a testee of protobuf's conformance suite: wire bytes become Arrow columns and wire bytes again.
//! JSON and text requests are skipped. `tests/conformance/run.sh` builds the runner and starts this program.
//!
//! Arguments: folders that hold `conformance.proto` and `google/protobuf/test_messages_proto{2,3}.proto`.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, EncodeProgram, Limits, Projection};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use schema::{SchemaSet, SourceFile};

const SOURCES: [&str; 3] =
    ["conformance.proto", "google/protobuf/test_messages_proto2.proto", "google/protobuf/test_messages_proto3.proto"];
/// `conformance.WireFormat.PROTOBUF`.
const PROTOBUF: i32 = 1;
const REQUEST_BYTES_MAX: u32 = 64 * 1024 * 1024;

type AnyError = Box<dyn std::error::Error>;

struct Programs {
    decode: DecodeProgram,
    encode: EncodeProgram,
}

struct Testee {
    schemas: SchemaSet,
    request: MessageDescriptor,
    response: MessageDescriptor,
    programs: HashMap<String, Programs>,
}

fn main() -> Result<(), AnyError> {
    let folders: Vec<String> = std::env::args().skip(1).collect();
    let mut files = Vec::new();
    for path in SOURCES {
        let text = folders.iter().find_map(|folder| std::fs::read_to_string(format!("{folder}/{path}")).ok());
        let text = text.ok_or_else(|| format!("{path} is in none of the folders {folders:?}"))?;
        files.push(SourceFile { path: path.to_owned(), text });
    }
    let schemas = SchemaSet::from_sources(&files)?;
    let mut testee = Testee {
        request: schemas.message("conformance.ConformanceRequest")?,
        response: schemas.message("conformance.ConformanceResponse")?,
        schemas,
        programs: HashMap::new(),
    };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut length = [0; 4];
    while input.read_exact(&mut length).is_ok() {
        let length = u32::from_le_bytes(length);
        if length > REQUEST_BYTES_MAX {
            return Err(format!("a request of {length} bytes").into());
        }
        let mut request = vec![0; length as usize];
        input.read_exact(&mut request)?;
        let response = testee.answer(&request)?.encode_to_vec();
        output.write_all(&(response.len() as u32).to_le_bytes())?;
        output.write_all(&response)?;
        output.flush()?;
    }
    Ok(())
}

impl Testee {
    fn answer(&mut self, request: &[u8]) -> Result<DynamicMessage, AnyError> {
        let request = DynamicMessage::decode(self.request.clone(), request)?;
        let mut response = DynamicMessage::new(self.response.clone());
        let text = |name: &str| request.get_field_by_name(name).and_then(|value| value.as_str().map(str::to_owned));
        let message_type = text("message_type").unwrap_or_default();
        if message_type == "conformance.FailureSet" {
            // The runner asks which failures the testee expects; the script tells it.
            response.set_field_by_name("protobuf_payload", Value::Bytes(Bytes::new()));
            return Ok(response);
        }
        let format = request.get_field_by_name("requested_output_format").and_then(|value| value.as_enum_number());
        let payload = request.get_field_by_name("protobuf_payload").and_then(|value| value.as_bytes().cloned());
        let (field, value) = match payload {
            Some(payload) if request.has_field_by_name("protobuf_payload") && format == Some(PROTOBUF) => {
                self.round_trip(&message_type, payload)?
            }
            _ => ("skipped", Value::String("the codec reads and writes the binary format".to_owned())),
        };
        response.set_field_by_name(field, value);
        Ok(response)
    }

    fn round_trip(&mut self, message_type: &str, payload: Bytes) -> Result<(&'static str, Value), AnyError> {
        if !self.programs.contains_key(message_type) {
            let message = self.schemas.message(message_type)?;
            let limits = Limits { recursion_depth_max: 2, ..Limits::default() };
            let options = DecodeOptions { limits, keep_unknown: true, declared_defaults: false };
            let decode = DecodeProgram::compile(&message, &Projection::all(), &options)?;
            let encode = EncodeProgram::compile(&message, decode.schema())?;
            self.programs.insert(message_type.to_owned(), Programs { decode, encode });
        }
        let programs = &self.programs[message_type];
        let span = (0, payload.len() as u32);
        let decoded = programs.decode.decoder().decode(&payload, &[span]);
        if let Some(error) = decoded.errors.first() {
            return Ok(("parse_error", Value::String(error.to_string())));
        }
        let encoded = programs.encode.encode(&decoded.batch)?;
        if let Some(error) = encoded.errors.first() {
            return Ok(("serialize_error", Value::String(error.to_string())));
        }
        Ok(("protobuf_payload", Value::Bytes(encoded.data)))
    }
}
