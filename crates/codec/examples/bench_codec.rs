//! Speed of the decoder on bookings of about 160 bytes, beside the walk of a hand-written loop over the same bytes.
//!
//! `cargo run --release -p codec --example bench_codec` prints one JSON line (median of 5 runs); the figures per record and
//! those of prost-reflect and of the other wire formats go to stderr. `BENCH_RECORDS` sets the number of records (default 400,000);
//! with `BENCH_PROFILE` only the projected decode runs, for a profiler.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use codec::{
    ConfluentFrame, DecodeOptions, DecodeProgram, FrameReader, FrameWriter, Projection, RecordPart, WireFormat,
};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use schema::{SchemaSet, SourceFile};

/// The allocator of the shipped binary: the C library's gives back and faults in the pages of every batch.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BOOKING: &str = r#"
syntax = "proto3";
package bench;
import "google/protobuf/timestamp.proto";
enum Status { UNKNOWN = 0; CREATED = 1; COMPLETED = 2; CANCELLED = 3; DRIVER_FOUND = 4; }
enum VehicleType { NONE = 0; BIKE = 1; CAR = 2; TRUCK = 3; }
message Location { double lat = 1; double long = 2; string address = 3; }
message Booking {
  string order_id = 1;
  Status status = 2;
  google.protobuf.Timestamp event_timestamp = 3;
  string customer_id = 4;
  string driver_id = 5;
  int32 city_id = 6;
  VehicleType vehicle_type = 7;
  double lat = 8;
  double long = 9;
  double total_amount = 10;
  Location dropoff = 11;
  string payment = 12;
  uint64 fare_id = 13;
  bool promo = 14;
  int64 sequence = 16;
  string device = 17;
  string service_area = 18;
}
"#;

const COLUMNS: [&str; 6] = ["status", "city_id", "vehicle_type", "lat", "long", "event_timestamp"];
const BATCH_RECORDS: usize = 8_192;

/// A small generator, so that the bytes are the same on every machine (splitmix64, public domain, S. Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 30) as f64 / (1u64 << 30) as f64
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    if value != 0 {
        put_varint(out, field << 3);
        put_varint(out, value);
    }
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_double(out: &mut Vec<u8>, field: u64, value: f64) {
    put_varint(out, field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bookings(records: usize) -> (Bytes, Vec<(u32, u32)>) {
    let mut random = Random(2_018);
    let (mut data, mut spans) = (Vec::new(), Vec::with_capacity(records));
    for index in 0..records as u64 {
        let start = data.len();
        put_bytes(&mut data, 1, format!("RB-{:08}", random.below(100_000_000)).as_bytes());
        put_number(&mut data, 2, [2, 2, 2, 1, 3, 4][random.below(6) as usize]);
        let mut stamp = Vec::new();
        put_number(&mut stamp, 1, 1_700_000_000 + index / 5_000);
        put_number(&mut stamp, 2, random.below(1_000_000_000));
        put_bytes(&mut data, 3, &stamp);
        put_bytes(&mut data, 4, format!("C{:07}", random.below(10_000_000)).as_bytes());
        put_bytes(&mut data, 5, format!("D{:06}", random.below(1_000_000)).as_bytes());
        put_number(&mut data, 6, random.below(300));
        put_number(&mut data, 7, random.below(4));
        put_double(&mut data, 8, -6.4 + random.unit() * 0.5);
        put_double(&mut data, 9, 106.6 + random.unit() * 0.5);
        put_double(&mut data, 10, 5_000.0 + random.unit() * 90_000.0);
        let mut dropoff = Vec::new();
        put_double(&mut dropoff, 1, -6.4 + random.unit() * 0.5);
        put_double(&mut dropoff, 2, 106.6 + random.unit() * 0.5);
        put_bytes(&mut data, 11, &dropoff);
        put_bytes(&mut data, 12, b"CASH");
        put_number(&mut data, 13, random.below(1 << 40));
        put_number(&mut data, 14, random.below(2));
        put_number(&mut data, 16, index);
        put_bytes(&mut data, 17, b"android-13-a52");
        put_bytes(&mut data, 18, b"id.jakarta.kemang-south");
        spans.push((start as u32, (data.len() - start) as u32));
    }
    (Bytes::from(data), spans)
}

/// The machine's limit: every field is walked, nothing is written.
fn walk(data: &[u8], spans: &[(u32, u32)]) -> u64 {
    let mut sum = 0u64;
    for &(start, len) in spans {
        let (mut at, end) = (start as usize, (start + len) as usize);
        while at < end {
            let (tag, next) = read_varint(data, at);
            at = match tag & 7 {
                0 => {
                    let (value, next) = read_varint(data, next);
                    sum = sum.wrapping_add(value);
                    next
                }
                1 => next + 8,
                2 => {
                    let (len, next) = read_varint(data, next);
                    next + len as usize
                }
                5 => next + 4,
                _ => return sum,
            };
        }
        sum = sum.wrapping_add(at as u64);
    }
    sum
}

#[inline(always)]
fn read_varint(data: &[u8], mut at: usize) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = data[at];
        value |= u64::from(byte & 0x7f) << shift;
        at += 1;
        if byte < 0x80 || shift > 63 {
            return (value, at);
        }
        shift += 7;
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn timed(mut run: impl FnMut()) -> f64 {
    run();
    let runs = (0..5).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    median(runs.collect())
}

fn booking() -> Result<MessageDescriptor, schema::SchemaError> {
    let file = SourceFile { path: "booking.proto".to_owned(), text: BOOKING.to_owned() };
    SchemaSet::from_sources(&[file])?.message("bench.Booking")
}

/// The same records in another wire format.
fn framed(
    format: &WireFormat,
    message: &MessageDescriptor,
    data: &Bytes,
    spans: &[(u32, u32)],
) -> Result<(Bytes, Vec<(u32, u32)>), codec::FrameWriteError> {
    let writer = FrameWriter::new(format, message, RecordPart::Value)?;
    let (mut out, mut framed) = (Vec::new(), Vec::with_capacity(spans.len()));
    for &(start, len) in spans {
        let record = writer.frame(data.slice(start as usize..(start + len) as usize))?;
        framed.push((out.len() as u32, record.len() as u32));
        out.extend_from_slice(&record);
    }
    Ok((Bytes::from(out), framed))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let records = std::env::var("BENCH_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(400_000);
    let message = booking()?;
    let (data, spans) = bookings(records);
    let bytes = data.len() as f64;
    let per_record = |seconds: f64| seconds * 1e9 / records as f64;

    let limit = timed(|| {
        black_box(walk(black_box(&data), &spans));
    });
    let program = DecodeProgram::compile(&message, &Projection::paths(COLUMNS), &DecodeOptions::default())?;
    let mut decoder = program.decoder();
    if std::env::var_os("BENCH_PROFILE").is_some() {
        for batch in spans.chunks(BATCH_RECORDS).cycle().take(5_000) {
            black_box(decoder.decode(&data, batch).batch);
        }
        return Ok(());
    }
    let ours = timed(|| {
        for batch in spans.chunks(BATCH_RECORDS) {
            let decoded = decoder.decode(&data, batch);
            assert!(decoded.errors.is_empty() && decoded.batch.num_rows() == batch.len());
            black_box(decoded.batch);
        }
    });
    let mut by_format = Vec::new();
    for format in
        [WireFormat::Confluent(ConfluentFrame { schema_ids: vec![7], ..ConfluentFrame::default() }), WireFormat::Json]
    {
        let (data, spans) = framed(&format, &message, &data, &spans[..records.min(100_000)])?;
        let Some(reader) = FrameReader::new(&format, &message, RecordPart::Value) else { continue };
        let seconds = timed(|| {
            for batch in spans.chunks(BATCH_RECORDS) {
                let payloads = reader.read(&data, batch, |_| None);
                assert!(payloads.faults.is_empty());
                black_box(decoder.decode(&payloads.data, &payloads.spans).batch);
            }
        });
        by_format.push((format.name(), seconds * 1e9 / spans.len() as f64));
    }
    let all = DecodeProgram::compile(&message, &Projection::all(), &DecodeOptions::default())?;
    let mut decoder = all.decoder();
    let whole = timed(|| {
        for batch in spans.chunks(BATCH_RECORDS) {
            black_box(decoder.decode(&data, batch).batch);
        }
    });
    let few = &spans[..records.min(40_000)];
    let reflect = timed(|| {
        for &(start, len) in few {
            let record = &data[start as usize..(start + len) as usize];
            black_box(DynamicMessage::decode(message.clone(), record).ok());
        }
    }) * records as f64
        / few.len() as f64;

    eprintln!("{records} bookings of {:.0} bytes", bytes / records as f64);
    eprintln!("projected decode: {:.1} ns a record", per_record(ours));
    for (format, nanoseconds) in by_format {
        eprintln!("projected decode from `{format}`: {nanoseconds:.1} ns a record");
    }
    eprintln!("decode of all fields: {:.1} ns a record, {:.2} GB/s", per_record(whole), bytes / whole / 1e9);
    eprintln!("walk without output: {:.1} ns a record", per_record(limit));
    eprintln!("prost-reflect, all fields: {:.1} ns a record", per_record(reflect));
    println!(
        "{{\"name\":\"codec\",\"ours\":{:.3},\"limit\":{:.3},\"unit\":\"GB/s\",\"ratio\":{:.3}}}",
        bytes / ours / 1e9,
        bytes / limit / 1e9,
        limit / ours
    );
    Ok(())
}
