//! The city's clock: lets everybody act in the order of event time and hands out the records in the order
//! in which they arrive.

use crate::api_traffic::ApiTraffic;
use crate::arrival::{Arrivals, SLOT_MS};
use crate::batch::{CityBatch, CityRecord};
use crate::bookings::{ALLOCATION_RECORDS, BOOKING_RECORDS, Bookings, WARM_UP_MS};
use crate::breakage::BrokenKind;
use crate::catalog::{API_LOG, DRIVER_LOCATION_PING};
use crate::dice::Dice;
use crate::fleet::{DRIVER_ID_BYTES, Fleet, PING_EVERY_SECONDS};
use crate::geography::HotSpots;
use crate::options::CityOptions;
use crate::rhythm::ACTIVITY;

/// Share of all records that are bookings and requests; pings are what bookings, offers and requests leave.
const BOOKING_SHARE: f64 = 0.11;
const API_SHARE: f64 = 0.08;
const PING_SHARE: f64 = 1.0 - API_SHARE - BOOKING_SHARE * (1.0 + ALLOCATION_RECORDS / BOOKING_RECORDS);

/// Least drivers of a city, however few records it makes.
const DRIVERS_MIN: f64 = 40.0;
/// Most records in one batch.
const BATCH_RECORDS_MAX: usize = 1 << 20;
/// Step of the time before the first record.
const WARM_UP_STEP_MS: i64 = 1_000;

/// A simulated city. See the crate's documentation.
pub struct City {
    outbox: Outbox,
    hot_spots: HotSpots,
    fleet: Fleet,
    bookings: Bookings,
    api_traffic: ApiTraffic,
    ping_carry: f64,
    request_carry: f64,
}

/// Where everybody in the city puts what they have to say. It adds delays and breaks a few records.
pub(crate) struct Outbox {
    pub(crate) dice: Dice,
    options: CityOptions,
    arrivals: Arrivals,
    scratch: Vec<u8>,
    /// Before the first record, the city lives but says nothing.
    is_silent: bool,
}

impl Outbox {
    /// Publishes one event. `write` appends the key, then the message, and returns the length of the key.
    pub(crate) fn publish(
        &mut self,
        topic: usize,
        event_ms: i64,
        write: impl FnOnce(&mut Dice, &mut Vec<u8>, Option<BrokenKind>) -> usize,
    ) {
        if self.is_silent {
            return;
        }
        let broken = BrokenKind::draw(&mut self.dice, self.options.broken_share, self.options.broken);
        self.scratch.clear();
        let key_bytes = write(&mut self.dice, &mut self.scratch, broken);
        if let Some(broken) = broken {
            broken.break_bytes(&mut self.dice, &mut self.scratch, key_bytes);
        }
        let record = CityRecord {
            topic,
            timestamp_ms: event_ms + self.delay_ms(),
            event_ms,
            broken,
            start: 0,
            key_bytes: key_bytes as u16,
            value_bytes: (self.scratch.len() - key_bytes) as u16,
        };
        self.arrivals.add(record, &self.scratch);
    }

    fn delay_ms(&mut self) -> i64 {
        let longest = self.options.out_of_order_ms_max as u32;
        let dice = &mut self.dice;
        if dice.chance(self.options.late_share) {
            return dice.ms(longest, self.options.late_ms_max as u32 + 1);
        }
        let drawn = dice.bits();
        if drawn & 0xff < 13 {
            return i64::from(dice.below(longest + 1));
        }
        // The lesser of two even numbers: short delays are the most likely.
        let usual = ((drawn >> 8 & 0xff).min(drawn >> 16 & 0xff) + 3) as i64;
        usual.min(i64::from(longest))
    }
}

impl City {
    /// Builds the city and lets it live for half an hour before its first record, so that from the start
    /// bookings are under way in every state. That takes about a tenth of a second per 1,000 records per second.
    pub fn new(options: CityOptions) -> Self {
        let options = options.within_limits();
        let start_ms = options.start_ms.div_euclid(SLOT_MS) * SLOT_MS;
        let mut dice = Dice::new(options.seed, 0);
        let mut hot_spots = HotSpots::new();
        let warm_up_start_ms = start_ms - WARM_UP_MS;
        let fleet_size = (options.records_per_second * PING_SHARE * PING_EVERY_SECONDS).max(DRIVERS_MIN);
        let fleet = Fleet::new(&mut dice, &mut hot_spots, fleet_size as usize, warm_up_start_ms);
        let first_order = start_ms.max(0) as u64 / 1_000 * 100;
        let bookings =
            Bookings::new(options.records_per_second * BOOKING_SHARE / BOOKING_RECORDS, first_order, warm_up_start_ms);
        let mut city = Self {
            api_traffic: ApiTraffic::new(options.seed),
            outbox: Outbox { dice, options, arrivals: Arrivals::new(start_ms), scratch: Vec::new(), is_silent: true },
            hot_spots,
            fleet,
            bookings,
            ping_carry: 0.0,
            request_carry: 0.0,
        };
        let mut ms = warm_up_start_ms;
        while ms < start_ms {
            let next_ms = (ms + WARM_UP_STEP_MS).min(start_ms);
            city.bookings.advance(&mut city.outbox, &mut city.fleet, &mut city.hot_spots, (ms, next_ms));
            ms = next_ms;
        }
        city.outbox.is_silent = false;
        city
    }

    /// Replaces the batch's records by the next ones in the order of arrival: those that arrive before
    /// `until_ms` (milliseconds since 1970), at most `records_max` (and at most 1,048,576). An empty batch
    /// means that nothing more arrives before `until_ms`.
    ///
    /// To follow the clock, call it with the time of day; to make as many as possible, with `i64::MAX`.
    pub fn next_batch(&mut self, batch: &mut CityBatch, until_ms: i64, records_max: usize) {
        batch.clear();
        let records_max = records_max.min(BATCH_RECORDS_MAX);
        while batch.records.len() < records_max && self.outbox.arrivals.slot_start_ms() < until_ms {
            if self.outbox.arrivals.is_filling() {
                self.live_one_slot();
                self.outbox.arrivals.seal();
            }
            if !self.outbox.arrivals.hand_out(batch, until_ms, records_max) {
                break;
            }
        }
    }

    /// Everything that happens in the current slot.
    fn live_one_slot(&mut self) {
        let from_ms = self.outbox.arrivals.slot_start_ms();
        let to_ms = from_ms + SLOT_MS;
        self.bookings.advance(&mut self.outbox, &mut self.fleet, &mut self.hot_spots, (from_ms, to_ms));
        let active = self.outbox.options.records_per_second * ACTIVITY.at(from_ms) * SLOT_MS as f64 / 1_000.0;
        self.ping_carry += active * PING_SHARE;
        while self.ping_carry >= 1.0 {
            self.ping_carry -= 1.0;
            let ms = from_ms + self.outbox.dice.ms(0, SLOT_MS as u32);
            let fleet = &mut self.fleet;
            self.outbox.publish(DRIVER_LOCATION_PING, ms, |dice, out, broken| {
                fleet.ping(dice, ms, broken, out);
                DRIVER_ID_BYTES
            });
        }
        self.request_carry += active * API_SHARE;
        while self.request_carry >= 1.0 {
            self.request_carry -= 1.0;
            let ms = from_ms + self.outbox.dice.ms(0, SLOT_MS as u32);
            let api_traffic = &mut self.api_traffic;
            self.outbox.publish(API_LOG, ms, |dice, out, broken| api_traffic.request(dice, ms, broken, out));
        }
    }
}
