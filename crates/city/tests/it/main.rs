//! Tests of the city as others see it: its bytes, its order and its proportions.

mod daggers;
mod messages;
mod proportions;
mod sameness;

use city::{City, CityBatch, CityOptions, CityRecord};

/// Calls `see` with the first records of a city.
fn first_records(options: CityOptions, count: usize, mut see: impl FnMut(&CityRecord, &[u8], &[u8])) {
    let mut city = City::new(options);
    let mut batch = CityBatch::new();
    let mut seen = 0;
    while seen < count {
        city.next_batch(&mut batch, i64::MAX, 10_000.min(count - seen));
        for record in batch.records() {
            see(record, batch.key(record), batch.value(record));
        }
        seen += batch.records().len();
    }
}
