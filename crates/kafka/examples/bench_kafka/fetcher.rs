//! What fetching record batches ourselves would cost: requests over one connection, a parser over whole batches, spans
//! into the answer's bytes (or into those that lz4 gave). Only what the measurement needs: one broker, no retries, no
//! aborted transactions, uncompressed and lz4.
//!
//! Sources: Kafka protocol, "Fetch" version 12 (KIP-482 encoding), "Record Batch" and "Record" (magic 2).

use std::io::{Read, Write};
use std::net::TcpStream;

use log::{NULL_SPAN, RecordIndex};

use crate::Outcome;

/// Per partition and answer, as our reader has ahead.
const FETCH_BYTES: i32 = 1 << 20;
/// Base offset and length; what follows is counted by the length.
const BATCH_PREFIX_BYTES: usize = 12;
const BATCH_HEADER_BYTES: usize = 61;
/// From here on the checksum counts.
const CHECKED_FROM: usize = 21;
const LZ4: u16 = 3;

/// Reads a topic from offset 0 until so many records have come.
pub fn read(bootstrap: &str, topic: &str, partitions: u32, records: usize) -> Outcome<usize> {
    let address = bootstrap.split(',').next().unwrap_or_default();
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let mut next = vec![0; partitions as usize];
    let (mut answer, mut total) = (Vec::new(), 0);
    while total < records {
        connection.write_all(&request(topic, &next))?;
        let mut length = [0; 4];
        connection.read_exact(&mut length)?;
        answer.resize(u32::from_be_bytes(length) as usize, 0);
        connection.read_exact(&mut answer)?;
        let taken = take_answer(&answer, &mut next).ok_or("an answer that cannot be read")??;
        if taken == 0 {
            return Err(format!("the broker gave {total} records of {records}").into());
        }
        total += taken;
    }
    Ok(total)
}

fn request(topic: &str, next: &[i64]) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&[0, 1, 0, 12, 0, 0, 0, 7, 0xff, 0xff, 0]); // Fetch, version 12, correlation, no client id
    out.extend_from_slice(&(-1i32).to_be_bytes());
    for number in [500, 1, FETCH_BYTES * next.len() as i32] {
        out.extend_from_slice(&i32::to_be_bytes(number)); // longest wait, fewest and most bytes
    }
    out.push(1); // read_committed
    out.extend_from_slice(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]); // no session
    out.push(2);
    out.push(topic.len() as u8 + 1);
    out.extend_from_slice(topic.as_bytes());
    out.push(next.len() as u8 + 1);
    for (partition, offset) in next.iter().enumerate() {
        out.extend_from_slice(&(partition as i32).to_be_bytes());
        out.extend_from_slice(&(-1i32).to_be_bytes());
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&(-1i32).to_be_bytes());
        out.extend_from_slice(&(-1i64).to_be_bytes());
        out.extend_from_slice(&FETCH_BYTES.to_be_bytes());
        out.push(0);
    }
    out.extend_from_slice(&[0, 1, 1, 0]); // end of topic, nothing forgotten, no rack, no tags
    let length = out.len() as u32 - 4;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// `None`: the answer ends too early.
fn take_answer(answer: &[u8], next: &mut [i64]) -> Option<Outcome<usize>> {
    let mut at = Cursor { bytes: answer, at: 4 };
    at.tags()?;
    at.skip(4)?;
    let error = at.i16()?;
    if error != 0 {
        return Some(Err(format!("the fetch failed with code {error}").into()));
    }
    at.skip(4)?;
    let mut records = 0;
    for _ in 1..at.varint()? {
        let name = at.varint()? as usize;
        at.skip(name.saturating_sub(1))?;
        for _ in 1..at.varint()? {
            let partition = at.i32()? as usize;
            let error = at.i16()?;
            if error != 0 {
                return Some(Err(format!("partition {partition} failed with code {error}").into()));
            }
            at.skip(24)?;
            for _ in 1..at.varint()?.max(1) {
                at.skip(16)?;
                at.tags()?;
            }
            at.skip(4)?;
            let length = (at.varint()? as usize).saturating_sub(1);
            let batches = at.take(length)?;
            at.tags()?;
            match take_batches(batches, next.get_mut(partition)?) {
                Ok(taken) => records += taken,
                Err(error) => return Some(Err(error)),
            }
        }
        at.tags()?;
    }
    Some(Ok(records))
}

/// All whole batches of a partition's bytes, into what a slab has; the last one may be cut off.
fn take_batches(bytes: &[u8], next: &mut i64) -> Outcome<usize> {
    let mut index = RecordIndex::default();
    let mut unpacked = Vec::new();
    let mut start = 0;
    while let Some(prefix) = bytes.get(start..start + BATCH_PREFIX_BYTES) {
        let length = u32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]) as usize;
        let end = start + BATCH_PREFIX_BYTES + length;
        let Some(batch) = bytes.get(start..end) else { break };
        let header = Header::of(batch).ok_or("no batch of version 2, or its checksum is wrong")?;
        index.reserve(header.records);
        let records = match header.compression {
            0 => take_records(bytes, start + BATCH_HEADER_BYTES..end, &header, *next, &mut index),
            LZ4 => {
                let from = unpacked.len();
                lz4::unpack(&batch[BATCH_HEADER_BYTES..], &mut unpacked)?;
                take_records(&unpacked, from..unpacked.len(), &header, *next, &mut index)
            }
            other => return Err(format!("compression {other}").into()),
        };
        records.ok_or("a record that cannot be read")?;
        *next = header.base_offset + header.last_offset_delta + 1;
        start = end;
    }
    // What a decoder would be given: the bytes and where values lie in them.
    std::hint::black_box((&unpacked, &index));
    Ok(index.len())
}

struct Header {
    base_offset: i64,
    last_offset_delta: i64,
    base_timestamp: i64,
    compression: u16,
    records: usize,
}

impl Header {
    fn of(batch: &[u8]) -> Option<Self> {
        let mut at = Cursor { bytes: batch, at: 0 };
        let base_offset = at.i64()?;
        at.skip(8)?;
        let magic = at.take(1)?[0];
        let checksum = at.i32()? as u32;
        let attributes = at.i16()? as u16;
        let last_offset_delta = i64::from(at.i32()?);
        let base_timestamp = at.i64()?;
        at.skip(22)?;
        let records = usize::try_from(at.i32()?).ok()?;
        let is_whole = magic == 2 && crc32c::crc32c(&batch[CHECKED_FROM..]) == checksum;
        let compression = attributes & 7;
        is_whole.then_some(Self { base_offset, last_offset_delta, base_timestamp, compression, records })
    }
}

fn take_records(
    bytes: &[u8],
    range: std::ops::Range<usize>,
    header: &Header,
    next: i64,
    index: &mut RecordIndex,
) -> Option<()> {
    let mut at = Cursor { bytes: &bytes[..range.end], at: range.start };
    for _ in 0..header.records {
        let length = at.zigzag()?;
        let end = at.at + usize::try_from(length).ok()?;
        at.skip(1)?;
        let timestamp = header.base_timestamp + at.zigzag()?;
        let offset = header.base_offset + at.zigzag()?;
        let key = at.span()?;
        let value = at.span()?;
        if offset >= next {
            index.offsets.push(offset);
            index.timestamps_ms.push(timestamp);
            index.append_times_ms.push(timestamp);
            index.keys.push(key);
            index.values.push(value);
            index.headers.push((at.at as u32, end.checked_sub(at.at)? as u32));
        }
        at.at = end;
    }
    Some(())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(|_| ())
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn i32(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..10 {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Where bytes with their length before them lie; length -1 is null.
    #[inline]
    fn span(&mut self) -> Option<(u32, u32)> {
        let length = self.zigzag()?;
        if length < 0 {
            return Some((0, NULL_SPAN));
        }
        let start = self.at as u32;
        self.skip(length as usize)?;
        Some((start, length as u32))
    }

    fn tags(&mut self) -> Option<()> {
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()? as usize;
            self.skip(length)?;
        }
        Some(())
    }
}

/// The lz4 that librdkafka has inside.
mod lz4 {
    use std::ffi::c_void;
    use std::ptr;

    use crate::Outcome;

    const VERSION: u32 = 100;
    const GROWTH_BYTES: usize = 256 << 10;

    unsafe extern "C" {
        fn LZ4F_createDecompressionContext(context: *mut *mut c_void, version: u32) -> usize;
        fn LZ4F_freeDecompressionContext(context: *mut c_void) -> usize;
        fn LZ4F_decompress(
            context: *mut c_void,
            out: *mut u8,
            out_size: *mut usize,
            input: *const u8,
            input_size: *mut usize,
            options: *const c_void,
        ) -> usize;
        fn LZ4F_isError(code: usize) -> u32;
    }

    /// Appends what a frame holds.
    pub fn unpack(mut frame: &[u8], out: &mut Vec<u8>) -> Outcome<()> {
        let mut context = ptr::null_mut();
        // Sound: the context is freed once, and never writes past the room that it is told of.
        unsafe {
            LZ4F_createDecompressionContext(&mut context, VERSION);
            let mut code = 1;
            while code != 0 && LZ4F_isError(code) == 0 && !frame.is_empty() {
                out.reserve(GROWTH_BYTES);
                let (mut room, mut taken) = (out.capacity() - out.len(), frame.len());
                let end = out.as_mut_ptr().add(out.len());
                code = LZ4F_decompress(context, end, &mut room, frame.as_ptr(), &mut taken, ptr::null());
                if LZ4F_isError(code) == 0 {
                    out.set_len(out.len() + room);
                    frame = &frame[taken..];
                }
            }
            LZ4F_freeDecompressionContext(context);
            if code != 0 { Err("no whole lz4 frame".into()) } else { Ok(()) }
        }
    }
}
