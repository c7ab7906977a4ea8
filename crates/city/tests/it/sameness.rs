//! The same options give the same bytes, however they are asked for, and records come in order.

use city::{City, CityBatch, CityOptions};

/// FNV-1a over everything that a record is.
fn fingerprint(options: CityOptions, count: usize) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    super::first_records(options, count, |record, key, value| {
        mix(&[record.topic as u8]);
        mix(&record.timestamp_ms.to_le_bytes());
        mix(&record.event_ms.to_le_bytes());
        mix(key);
        mix(value);
    });
    hash
}

#[test]
fn same_options_give_the_same_bytes() {
    let options = CityOptions { seed: 42, ..CityOptions::default() };
    assert_eq!(fingerprint(options.clone(), 200_000), fingerprint(options, 200_000));
}

#[test]
fn another_seed_gives_another_city() {
    let seeded = |seed| CityOptions { seed, ..CityOptions::default() };
    assert_ne!(fingerprint(seeded(1), 1_000), fingerprint(seeded(2), 1_000));
}

#[test]
fn small_steps_of_time_give_the_same_records_as_one_large_batch() {
    let options = CityOptions::default();
    let end_ms = options.start_ms + 20_000;
    let mut large = CityBatch::new();
    City::new(options.clone()).next_batch(&mut large, end_ms, 1_000_000);

    let mut city = City::new(options.clone());
    let mut small = CityBatch::new();
    let mut values: Vec<Vec<u8>> = Vec::new();
    let mut until_ms = options.start_ms;
    while until_ms < end_ms {
        until_ms = (until_ms + 7).min(end_ms);
        loop {
            city.next_batch(&mut small, until_ms, 3);
            if small.records().is_empty() {
                break;
            }
            for record in small.records() {
                assert!(record.timestamp_ms < until_ms);
                values.push(small.value(record).to_vec());
            }
        }
    }
    assert!(values.len() > 10_000, "{} records in 20 s", values.len());
    let expected: Vec<&[u8]> = large.records().iter().map(|record| large.value(record)).collect();
    assert_eq!(values, expected);
}

#[test]
fn records_arrive_in_order_and_after_their_event() {
    let options = CityOptions { late_share: 0.01, late_ms_max: 20_000, ..CityOptions::default() };
    let (mut last_ms, mut late, mut overtaken, mut newest_event_ms) = (i64::MIN, 0, 0, i64::MIN);
    super::first_records(options.clone(), 300_000, |record, _, _| {
        assert!(record.timestamp_ms >= last_ms);
        assert!(record.event_ms >= options.start_ms);
        let delay_ms = record.timestamp_ms - record.event_ms;
        assert!((0..=options.late_ms_max).contains(&delay_ms));
        last_ms = record.timestamp_ms;
        late += u32::from(delay_ms > options.out_of_order_ms_max);
        overtaken += u32::from(record.event_ms < newest_event_ms);
        newest_event_ms = newest_event_ms.max(record.event_ms);
    });
    assert!((1_000..4_000).contains(&late), "{late} late records of 300,000 at a share of 1 %");
    assert!(overtaken > 100_000, "{overtaken} of 300,000 records were overtaken");
}
