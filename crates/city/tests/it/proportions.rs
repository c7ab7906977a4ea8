//! The city is plausible: its rate, the size of its records, its rush hours, its places, its outcomes.

use std::collections::{HashMap, HashSet};

use city::{BrokenRecords, City, CityBatch, CityOptions};

const HOUR_MS: i64 = 3_600_000;

fn whole() -> CityOptions {
    CityOptions { broken: BrokenRecords::None, late_share: 0.0, ..CityOptions::default() }
}

/// The value of a field with a one-byte tag and a one-byte varint, which these tests look for in front of
/// anything that could look alike: status, state and the like are among the first fields.
fn small_field(value: &[u8], tag: u8) -> Option<u8> {
    let after_first_text = 2 + usize::from(value[1]);
    value[after_first_text..].chunks_exact(2).take(4).find(|pair| pair[0] == tag).map(|pair| pair[1])
}

#[test]
fn a_day_has_the_rate_that_was_asked_for_and_rush_hours() {
    let options = CityOptions { records_per_second: 8.0, ..whole() };
    // Midnight in Jakarta.
    let start_ms = 1_767_546_000_000;
    let mut city = City::new(CityOptions { start_ms, ..options.clone() });
    let mut batch = CityBatch::new();
    let mut by_hour = [0_u32; 24];
    let mut rides_by_hour = [0_u32; 24];
    loop {
        city.next_batch(&mut batch, start_ms + 24 * HOUR_MS, 50_000);
        if batch.records().is_empty() {
            break;
        }
        for record in batch.records() {
            let hour = ((record.event_ms - start_ms) / HOUR_MS) as usize;
            by_hour[hour] += 1;
            rides_by_hour[hour] += u32::from(record.topic == 0);
        }
    }
    let per_second = f64::from(by_hour.iter().sum::<u32>()) / 86_400.0;
    assert!((per_second / options.records_per_second - 1.0).abs() < 0.1, "{per_second} records per second");
    assert!(rides_by_hour[17] > 5 * rides_by_hour[3], "rides by hour: {rides_by_hour:?}");
    assert!(rides_by_hour[7] > rides_by_hour[10] * 5 / 4, "rides by hour: {rides_by_hour:?}");
}

#[test]
fn records_have_the_size_of_real_ones() {
    let mut sizes: HashMap<usize, (u64, u64)> = HashMap::new();
    super::first_records(whole(), 200_000, |record, _, value| {
        let size = sizes.entry(record.topic).or_default();
        *size = (size.0 + 1, size.1 + value.len() as u64);
    });
    assert_eq!(sizes.len(), city::topics().len());
    for booking_topic in 0..4 {
        let (records, bytes) = sizes[&booking_topic];
        let average = bytes as f64 / records as f64;
        assert!((155.0..165.0).contains(&average), "a booking has {average} bytes");
    }
}

#[test]
fn most_bookings_are_completed_and_offers_are_answered_once() {
    let mut statuses = [0_u32; 8];
    let mut states = [0_u32; 4];
    super::first_records(whole(), 1_000_000, |record, _, value| match record.topic {
        0..=3 => statuses[usize::from(small_field(value, 3 << 3).unwrap())] += 1,
        5 => states[usize::from(small_field(value, 3 << 3).unwrap())] += 1,
        _ => {}
    });
    let [_, created, _, _, completed, by_customer, by_driver, nobody] = statuses;
    let ended = f64::from(completed + by_customer + by_driver + nobody);
    assert!(f64::from(completed) / ended > 0.7, "statuses: {statuses:?}");
    // Bookings end some minutes after they began, and in the morning their number grows.
    assert!((1.0..1.2).contains(&(f64::from(created) / ended)), "statuses: {statuses:?}");
    assert!(by_customer > by_driver && by_driver > 0 && nobody > 0, "statuses: {statuses:?}");
    let [_, offered, accepted, rejected] = states;
    assert!(f64::from(offered).abs_sub_share(f64::from(accepted + rejected)) < 0.02, "states: {states:?}");
    let accepted_share = f64::from(accepted) / f64::from(accepted + rejected);
    assert!((0.6..0.85).contains(&accepted_share), "{accepted_share} of the offers are accepted");
}

trait ShareApart {
    fn abs_sub_share(self, other: f64) -> f64;
}

impl ShareApart for f64 {
    /// How far two counts are apart, as a share of the first.
    fn abs_sub_share(self, other: f64) -> f64 {
        ((self - other) / self).abs()
    }
}

#[test]
fn drivers_stay_in_the_city_and_gather_at_hot_spots() {
    let double = |value: &[u8], at: usize| f64::from_le_bytes(value[at..at + 8].try_into().unwrap());
    let mut cells: HashMap<(i64, i64), u32> = HashMap::new();
    let mut drivers: HashSet<Vec<u8>> = HashSet::new();
    let mut pings = 0;
    super::first_records(whole(), 200_000, |record, key, value| {
        if record.topic != 4 {
            return;
        }
        let latitude_at = 2 + usize::from(value[1]) + 1;
        let (latitude, longitude) = (double(value, latitude_at), double(value, latitude_at + 9));
        assert!((-6.37..=-6.09).contains(&latitude) && (106.69..=106.97).contains(&longitude));
        let cell = ((latitude * 50.0).floor() as i64, (longitude * 50.0).floor() as i64);
        *cells.entry(cell).or_default() += 1;
        drivers.insert(key.to_vec());
        pings += 1;
    });
    let busiest = *cells.values().max().unwrap();
    assert!(busiest as usize > 3 * pings / cells.len(), "{busiest} pings in the busiest of {} cells", cells.len());
    assert!(drivers.len() > 30_000, "{} drivers", drivers.len());
}

#[test]
fn a_service_degrades_now_and_then() {
    // Requests and errors by service and minute, over an hour.
    let options = CityOptions { records_per_second: 2_000.0, ..whole() };
    let start_ms = options.start_ms;
    let mut city = City::new(options);
    let mut batch = CityBatch::new();
    let mut minutes: HashMap<(Vec<u8>, i64), (u32, u32)> = HashMap::new();
    loop {
        city.next_batch(&mut batch, start_ms + HOUR_MS, 50_000);
        if batch.records().is_empty() {
            break;
        }
        for record in batch.records().iter().filter(|record| record.topic == 6) {
            let value = batch.value(record);
            let minute = minutes.entry((batch.key(record).to_vec(), record.event_ms / 60_000)).or_default();
            minute.0 += 1;
            // Status 503 as a varint: 0xf7 0x03.
            minute.1 += u32::from(value.windows(3).any(|bytes| bytes == [4 << 3, 0xf7, 0x03]));
        }
    }
    let services: HashSet<&[u8]> = minutes.keys().map(|(service, _)| service.as_slice()).collect();
    assert_eq!(services.len(), 60);
    let unwell: Vec<_> =
        minutes.iter().filter(|(_, (requests, errors))| *requests >= 20 && errors * 10 > *requests).collect();
    let unwell_services: HashSet<&[u8]> = unwell.iter().map(|((service, _), _)| service.as_slice()).collect();
    assert!((1..=6).contains(&unwell_services.len()), "{unwell:?}");
    assert!(unwell.len() < 40, "{} service minutes with errors", unwell.len());
}
