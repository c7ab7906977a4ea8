//! Bookings of the demo city, filled up to 200 bytes.

use bytes::Bytes;
use city::{BrokenRecords, City, CityBatch, CityOptions};
use log::NewRecord;
use schema::MessageDescriptor;

use crate::Outcome;

/// Bytes of key and value.
const RECORD_BYTES: usize = 200;
/// `string voucher_code = 17`: what makes the records equally long is put there.
const FILLER_TAG: [u8; 2] = [0x8a, 0x01];

pub fn bookings(records: usize) -> Vec<NewRecord> {
    let topics = city::topics();
    let options = CityOptions {
        seed: 7,
        records_per_second: 20_000.0,
        late_share: 0.0,
        broken_share: 0.0,
        broken: BrokenRecords::None,
        ..CityOptions::default()
    };
    let (mut city, mut batch, mut all) = (City::new(options), CityBatch::new(), Vec::with_capacity(records));
    let mut random = 2_018;
    while all.len() < records {
        city.next_batch(&mut batch, i64::MAX, 20_000);
        let of_bookings = |record: &&city::CityRecord| topics[record.topic].name.ends_with("booking-log");
        for record in batch.records().iter().filter(of_bookings).take(records - all.len()) {
            let key = batch.key(record);
            all.push(NewRecord {
                key: Some(Bytes::copy_from_slice(key)),
                value: Some(filled(batch.value(record), RECORD_BYTES - key.len(), &mut random)),
                timestamp_ms: Some(record.timestamp_ms),
                ..NewRecord::default()
            });
        }
    }
    all
}

/// The value with a voucher code of as many letters as are missing (by splitmix64, so that they do not compress away).
fn filled(value: &[u8], wanted: usize, random: &mut u64) -> Bytes {
    let mut filled = value.to_vec();
    let missing = wanted.saturating_sub(value.len() + FILLER_TAG.len() + 1).min(127);
    filled.extend_from_slice(&FILLER_TAG);
    filled.push(missing as u8);
    for _ in 0..missing {
        *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        filled.push(b'A' + ((z >> 33) % 26) as u8);
    }
    filled.into()
}

pub fn schema() -> Outcome<MessageDescriptor> {
    let source =
        |source: city::ProtoSource| schema::SourceFile { path: source.path.to_string(), text: source.text.to_string() };
    let sources: Vec<schema::SourceFile> = city::proto_sources().into_iter().map(source).collect();
    Ok(schema::SchemaSet::from_sources(&sources)?.message("city.booking.v1.BookingLog")?)
}
