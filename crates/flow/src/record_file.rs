//! Files of records: varint-delimited protobuf, and NDJSON in protobuf's JSON mapping.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use log::{RecordIndex, Slab};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};

use crate::FlowError;

/// Longest record that a file may hold.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// A file that is read as one partition.
pub trait RecordFile: Send {
    /// The next records, at most `rows_max`; an empty slab at the end.
    fn next_slab(&mut self, rows_max: usize) -> Result<Slab, FlowError>;

    /// The topic whose records these are; `None`: they are known by their table.
    fn topic(&self) -> Option<&str> {
        None
    }
}

/// Where a slab of a file stands, and the slab under construction.
struct Building {
    topic: Arc<str>,
    partition: u32,
    next_offset: i64,
    data: Vec<u8>,
    records: RecordIndex,
}

impl Building {
    fn new(topic: &str, partition: u32) -> Self {
        Building { topic: topic.into(), partition, next_offset: 0, data: Vec::new(), records: RecordIndex::default() }
    }

    fn push(&mut self, start: usize, len: usize) {
        self.records.offsets.push(self.next_offset);
        self.records.timestamps_ms.push(0);
        self.records.append_times_ms.push(i64::MAX);
        self.records.keys.push((0, log::NULL_SPAN));
        self.records.values.push((start as u32, len as u32));
        self.records.headers.push((0, log::NULL_SPAN));
        self.next_offset += 1;
    }

    fn finish(&mut self) -> Slab {
        Slab {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            data: Bytes::from(std::mem::take(&mut self.data)),
            records: std::mem::take(&mut self.records),
            next_offset: self.next_offset,
            end_offset: i64::MAX,
        }
    }
}

/// Varint-delimited protobuf messages.
pub struct DelimitedFile {
    name: String,
    reader: Box<dyn Read + Send>,
    /// Bytes that were read and belong to the next slab.
    left: Vec<u8>,
    building: Building,
    at_end: bool,
}

const READ_BYTES: usize = 1 << 20;

impl DelimitedFile {
    /// Opens a file as a partition.
    pub fn open(path: &Path, topic: &str, partition: u32) -> Result<Self, FlowError> {
        let name = path.display().to_string();
        let file =
            File::open(path).map_err(|error| FlowError::Input { what: name.clone(), message: error.to_string() })?;
        Ok(Self::new(name, Box::new(file), topic, partition))
    }

    /// Reads from any source.
    pub fn new(name: String, reader: Box<dyn Read + Send>, topic: &str, partition: u32) -> Self {
        DelimitedFile { name, reader, left: Vec::new(), building: Building::new(topic, partition), at_end: false }
    }

    fn fail(&self, message: impl Into<String>) -> FlowError {
        FlowError::Input { what: self.name.clone(), message: message.into() }
    }

    fn read_more(&mut self, buffer: &mut Vec<u8>) -> Result<(), FlowError> {
        let before = buffer.len();
        buffer.resize(before + READ_BYTES, 0);
        let read = self.reader.read(&mut buffer[before..]).map_err(|error| self.fail(error.to_string()))?;
        buffer.truncate(before + read);
        self.at_end = read == 0;
        Ok(())
    }
}

impl RecordFile for DelimitedFile {
    fn next_slab(&mut self, rows_max: usize) -> Result<Slab, FlowError> {
        let mut buffer = std::mem::take(&mut self.left);
        let mut at = 0;
        while self.building.records.len() < rows_max {
            match delimited(&buffer[at..]) {
                Delimited::Record { header, len } if len > RECORD_BYTES_MAX => {
                    let message = format!(
                        "record {} says it has {len} bytes, the limit is {RECORD_BYTES_MAX} (header of {header} bytes)",
                        self.building.next_offset
                    );
                    return Err(self.fail(message));
                }
                Delimited::Record { header, len } if buffer.len() - at >= header + len => {
                    self.building.push(at + header, len);
                    at += header + len;
                }
                Delimited::Broken => {
                    return Err(
                        self.fail(format!("record {} has no valid length in front of it", self.building.next_offset))
                    );
                }
                _ if self.at_end => {
                    if at < buffer.len() {
                        return Err(self.fail(format!("the file ends inside record {}", self.building.next_offset)));
                    }
                    break;
                }
                _ => self.read_more(&mut buffer)?,
            }
        }
        self.left = buffer.split_off(at);
        self.building.data = buffer;
        Ok(self.building.finish())
    }
}

enum Delimited {
    Record { header: usize, len: usize },
    Short,
    Broken,
}

fn delimited(bytes: &[u8]) -> Delimited {
    let mut len = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        len |= u64::from(byte & 0x7f) << (7 * index as u32).min(63);
        if byte & 0x80 == 0 {
            return match usize::try_from(len) {
                Ok(len) => Delimited::Record { header: index + 1, len },
                Err(_) => Delimited::Broken,
            };
        }
    }
    if bytes.len() >= 10 { Delimited::Broken } else { Delimited::Short }
}

/// One JSON object per line, in protobuf's JSON mapping.
pub struct NdjsonFile {
    name: String,
    message: MessageDescriptor,
    reader: BufReader<Box<dyn Read + Send>>,
    line: String,
    lines: u64,
    building: Building,
}

impl NdjsonFile {
    /// Opens a file as a partition.
    pub fn open(path: &Path, message: MessageDescriptor, topic: &str, partition: u32) -> Result<Self, FlowError> {
        let name = path.display().to_string();
        let file =
            File::open(path).map_err(|error| FlowError::Input { what: name.clone(), message: error.to_string() })?;
        let reader: Box<dyn Read + Send> = Box::new(file);
        Ok(NdjsonFile {
            name,
            message,
            reader: BufReader::new(reader),
            line: String::new(),
            lines: 0,
            building: Building::new(topic, partition),
        })
    }
}

impl RecordFile for NdjsonFile {
    fn next_slab(&mut self, rows_max: usize) -> Result<Slab, FlowError> {
        while self.building.records.len() < rows_max {
            self.line.clear();
            let fail = |message: String| FlowError::Input { what: self.name.clone(), message };
            if self.reader.read_line(&mut self.line).map_err(|error| fail(error.to_string()))? == 0 {
                break;
            }
            self.lines += 1;
            if self.line.trim().is_empty() {
                continue;
            }
            let mut json = serde_json::Deserializer::from_str(&self.line);
            let options = DeserializeOptions::new();
            let message = DynamicMessage::deserialize_with_options(self.message.clone(), &mut json, &options)
                .and_then(|message| json.end().map(|()| message))
                .map_err(|error| fail(format!("line {}: {error}", self.lines)))?;
            let start = self.building.data.len();
            message.encode(&mut self.building.data).map_err(|error| fail(format!("line {}: {error}", self.lines)))?;
            let len = self.building.data.len() - start;
            self.building.push(start, len);
        }
        Ok(self.building.finish())
    }
}
