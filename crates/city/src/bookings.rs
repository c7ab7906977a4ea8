//! The life of bookings, from the customer's tap to the destination or to a cancellation.
//!
//! Each booking waits in the agenda for its next step; a step publishes what happened and decides what comes
//! next and when.

use crate::agenda::Agenda;
use crate::breakage::{self, BrokenKind};
use crate::catalog::ALLOCATION_LOG;
use crate::dice::Dice;
use crate::fleet::{self, Fleet, Vehicle};
use crate::geography::{self, HotSpots, PLACES, Position};
use crate::rhythm::{COMMUTE, DayCurve, MEALS, PARCELS};
use crate::simulation::Outbox;
use crate::wire::{self, Id};

/// So long before its first record the city begins to live. One booking in a thousand lasts longer.
pub(crate) const WARM_UP_MS: i64 = 30 * 60_000;
/// Records that a booking makes in its own topic and in the allocation log, measured over a day.
pub(crate) const BOOKING_RECORDS: f64 = 3.85;
pub(crate) const ALLOCATION_RECORDS: f64 = 2.40;

const OFFERS_MAX: u8 = 4;
const SEARCHES_MAX: u8 = 4;
const NO_DRIVER: u32 = u32::MAX;

/// A product, in the order of the booking topics; `number + 1` is its number in `city.product.v1.Product`.
struct Product {
    order_prefix: &'static [u8; 3],
    /// Share of all bookings.
    share: f64,
    day: &'static DayCurve,
    fare: i64,
    fare_per_km: f64,
    /// How long the driver waits at the pick-up.
    waiting_ms: (u32, u32),
}

const PRODUCTS: [Product; 4] = [
    Product {
        order_prefix: b"RD-",
        share: 0.32,
        day: &COMMUTE,
        fare: 8_000,
        fare_per_km: 2_500.0,
        waiting_ms: (10_000, 90_000),
    },
    Product {
        order_prefix: b"CR-",
        share: 0.24,
        day: &COMMUTE,
        fare: 14_000,
        fare_per_km: 4_600.0,
        waiting_ms: (20_000, 120_000),
    },
    Product {
        order_prefix: b"FD-",
        share: 0.26,
        day: &MEALS,
        fare: 9_000,
        fare_per_km: 2_200.0,
        waiting_ms: (60_000, 240_000),
    },
    Product {
        order_prefix: b"SD-",
        share: 0.18,
        day: &PARCELS,
        fare: 10_000,
        fare_per_km: 2_400.0,
        waiting_ms: (30_000, 120_000),
    },
];

/// With the numbers of `city.booking.v1.BookingLog.Status`.
#[derive(Clone, Copy)]
enum Status {
    Created = 1,
    DriverFound = 2,
    PickedUp = 3,
    Completed = 4,
    CancelledByCustomer = 5,
    CancelledByDriver = 6,
    NoDriverFound = 7,
}

/// With the numbers of `city.allocation.v1.AllocationEvent.State`.
#[derive(Clone, Copy)]
enum OfferState {
    Offered = 1,
    Accepted = 2,
    Rejected = 3,
}

/// What happens to a booking next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Search,
    Answer,
    PickUp,
    Complete,
    CustomerCancels,
    DriverCancels,
    GiveUp,
}

struct Booking {
    order: u64,
    trace: u64,
    created_ms: i64,
    pickup: Position,
    destination: Position,
    distance_km: f32,
    price: i64,
    customer: u32,
    driver: u32,
    product: u8,
    vehicle: Vehicle,
    city_id: u8,
    place: u8,
    searches: u8,
    offers: u8,
}

/// All bookings under way.
pub(crate) struct Bookings {
    slab: Vec<Booking>,
    free: Vec<u32>,
    agenda: Agenda<Step>,
    next_order: u64,
    per_second: f64,
    carry: [f64; PRODUCTS.len()],
}

impl Bookings {
    pub(crate) fn new(per_second: f64, first_order: u64, start_ms: i64) -> Self {
        Self {
            slab: Vec::new(),
            free: Vec::new(),
            agenda: Agenda::new(start_ms),
            next_order: first_order,
            per_second,
            carry: [0.0; PRODUCTS.len()],
        }
    }

    /// Everything that customers and drivers do from `from_ms` to `to_ms`.
    pub(crate) fn advance(
        &mut self,
        outbox: &mut Outbox,
        fleet: &mut Fleet,
        hot_spots: &mut HotSpots,
        (from_ms, to_ms): (i64, i64),
    ) {
        let span_ms = (to_ms - from_ms) as u32;
        for (number, product) in PRODUCTS.iter().enumerate() {
            let expected = self.per_second * product.share * product.day.at(from_ms) * f64::from(span_ms) / 1_000.0;
            self.carry[number] += expected;
            while self.carry[number] >= 1.0 {
                self.carry[number] -= 1.0;
                let ms = from_ms + outbox.dice.ms(0, span_ms);
                self.create(outbox, hot_spots, number, ms);
            }
        }
        while let Some((ms, booking, step)) = self.agenda.take(to_ms) {
            self.perform(outbox, fleet, booking, step, ms);
        }
    }

    fn create(&mut self, outbox: &mut Outbox, hot_spots: &mut HotSpots, number: usize, ms: i64) {
        let dice = &mut outbox.dice;
        let product = &PRODUCTS[number];
        let (pickup, place) = hot_spots.draw(dice, ms);
        let destination = pickup.near(dice, 0.018);
        let distance_km = pickup.road_km(destination) + 0.3;
        let surge = dice.between(0.95, 1.35);
        let vehicle = match (number, dice.unit()) {
            (1, part) if part < 0.25 => Vehicle::CarXl,
            (1, _) => Vehicle::Car,
            (3, part) if part < 0.12 => Vehicle::Car,
            _ => Vehicle::Bike,
        };
        let booking = Booking {
            order: self.next_order,
            trace: dice.bits(),
            created_ms: ms,
            pickup,
            destination,
            distance_km: distance_km as f32,
            price: ((product.fare as f64 + product.fare_per_km * distance_km) * surge / 500.0) as i64 * 500,
            customer: dice.below(4_000_000),
            driver: NO_DRIVER,
            product: number as u8,
            vehicle,
            city_id: geography::city_id(pickup),
            place: place as u8,
            searches: 0,
            offers: 0,
        };
        self.next_order += 1;
        let first_search_ms = ms + dice.ms(600, 3_500);
        publish_booking(outbox, &booking, Status::Created, ms);
        let place = match self.free.pop() {
            Some(place) => {
                self.slab[place as usize] = booking;
                place
            }
            None => {
                self.slab.push(booking);
                self.slab.len() as u32 - 1
            }
        };
        self.agenda.plan(first_search_ms, place, Step::Search);
    }

    fn perform(&mut self, outbox: &mut Outbox, fleet: &mut Fleet, number: u32, step: Step, ms: i64) {
        match step {
            Step::Search => self.search(outbox, fleet, number, ms),
            Step::Answer => self.answer(outbox, fleet, number, ms),
            Step::PickUp => {
                let booking = &self.slab[number as usize];
                publish_booking(outbox, booking, Status::PickedUp, ms);
                let arrives_ms = ms + trip_ms(&mut outbox.dice, f64::from(booking.distance_km));
                fleet.send(booking.driver, ms, (booking.pickup, ms), (booking.destination, arrives_ms));
                self.agenda.plan(arrives_ms, number, Step::Complete);
            }
            Step::Complete => self.end(outbox, number, Status::Completed, ms),
            Step::GiveUp => self.end(outbox, number, Status::NoDriverFound, ms),
            Step::CustomerCancels | Step::DriverCancels => {
                fleet.release(self.slab[number as usize].driver, ms);
                let status = match step {
                    Step::CustomerCancels => Status::CancelledByCustomer,
                    _ => Status::CancelledByDriver,
                };
                self.end(outbox, number, status, ms);
            }
        }
    }

    fn end(&mut self, outbox: &mut Outbox, number: u32, status: Status, ms: i64) {
        publish_booking(outbox, &self.slab[number as usize], status, ms);
        self.free.push(number);
    }

    fn search(&mut self, outbox: &mut Outbox, fleet: &mut Fleet, number: u32, ms: i64) {
        let booking = &mut self.slab[number as usize];
        booking.searches += 1;
        let found = fleet.find(&mut outbox.dice, booking.pickup, booking.vehicle, usize::from(booking.offers), ms);
        let (step, after_ms) = match found {
            Some(driver) => {
                booking.driver = driver;
                booking.offers += 1;
                let distance_km = fleet.position(driver, ms).road_km(booking.pickup);
                publish_offer(outbox, booking, OfferState::Offered, distance_km, ms);
                let answer_after_ms = outbox.dice.ms(1_200, 13_000);
                fleet.ask(driver, ms + answer_after_ms);
                (Step::Answer, answer_after_ms)
            }
            None if booking.searches + booking.offers >= SEARCHES_MAX + OFFERS_MAX => (Step::GiveUp, 1_000),
            None => (Step::Search, outbox.dice.ms(6_000, 12_000)),
        };
        self.agenda.plan(ms + after_ms, number, step);
    }

    fn answer(&mut self, outbox: &mut Outbox, fleet: &mut Fleet, number: u32, ms: i64) {
        let booking = &mut self.slab[number as usize];
        let distance_km = fleet.position(booking.driver, ms).road_km(booking.pickup);
        if !fleet.is_available(booking.driver, ms) || !outbox.dice.chance(0.8) {
            publish_offer(outbox, booking, OfferState::Rejected, distance_km, ms);
            booking.driver = NO_DRIVER;
            let step = if booking.offers >= OFFERS_MAX { Step::GiveUp } else { Step::Search };
            let after_ms = outbox.dice.ms(300, 1_500);
            self.agenda.plan(ms + after_ms, number, step);
            return;
        }
        publish_offer(outbox, booking, OfferState::Accepted, distance_km, ms);
        publish_booking(outbox, booking, Status::DriverFound, ms);
        let (low, high) = PRODUCTS[usize::from(booking.product)].waiting_ms;
        let pickup_ms = ms + trip_ms(&mut outbox.dice, distance_km.min(3.0)) + outbox.dice.ms(low, high);
        fleet.send(booking.driver, ms, (booking.pickup, pickup_ms), (booking.pickup, pickup_ms));
        let fate = outbox.dice.unit();
        let (step, at_ms) = if fate < 0.08 {
            (Step::CustomerCancels, ms + (pickup_ms - ms) * i64::from(outbox.dice.below(100)) / 100)
        } else if fate < 0.11 {
            (Step::DriverCancels, ms + (pickup_ms - ms) * i64::from(outbox.dice.below(100)) / 100)
        } else {
            (Step::PickUp, pickup_ms)
        };
        self.agenda.plan(at_ms.max(ms + 1), number, step);
    }
}

/// How long the way takes in Jakarta's traffic.
fn trip_ms(dice: &mut Dice, distance_km: f64) -> i64 {
    let kmh = dice.between(22.0, 38.0);
    (distance_km / kmh * 3_600_000.0) as i64 + 20_000
}

/// Bytes of an order number, which is also the key of the records about a booking.
const ORDER_NUMBER_BYTES: usize = 15;

fn order_number(booking: &Booking) -> Id {
    let prefix = PRODUCTS[usize::from(booking.product)].order_prefix;
    Id::new(prefix, booking.order, ORDER_NUMBER_BYTES - prefix.len())
}

fn publish_booking(outbox: &mut Outbox, booking: &Booking, status: Status, ms: i64) {
    outbox.publish(usize::from(booking.product), ms, |_, out, broken| {
        write_booking(booking, status, ms, broken, out);
        ORDER_NUMBER_BYTES
    });
}

fn write_booking(booking: &Booking, status: Status, ms: i64, broken: Option<BrokenKind>, out: &mut Vec<u8>) {
    let order = order_number(booking);
    out.extend_from_slice(order.as_bytes());
    wire::text(out, 1, order.as_bytes());
    wire::int(out, 2, i64::from(booking.product) + 1);
    wire::int(out, 3, status as i64);
    wire::int(out, 4, booking.vehicle as i64);
    breakage::event_time(out, 5, ms, broken);
    wire::int(out, 6, i64::from(booking.city_id));
    wire::text(out, 7, Id::new(b"C-", u64::from(booking.customer), 8).as_bytes());
    let has_driver = !matches!(status, Status::Created | Status::NoDriverFound);
    if has_driver {
        wire::text(out, 8, fleet::driver_id(booking.driver).as_bytes());
    }
    wire::double(out, 9, booking.pickup.lat);
    wire::double(out, 10, booking.pickup.long);
    wire::double(out, 11, booking.destination.lat);
    wire::double(out, 12, booking.destination.long);
    wire::timestamp(out, 13, booking.created_ms);
    wire::int(out, 14, booking.price);
    wire::float(out, 15, booking.distance_km);
    wire::int(out, 16, 1 + (booking.trace % 16 / 7) as i64);
    if booking.trace >> 8 & 7 == 0 {
        wire::text(out, 17, Id::new(b"SAVE", booking.trace >> 16 & 0x3f, 2).as_bytes());
    }
    let mut version = *b"4.10.0";
    version[3] += (booking.trace >> 24 & 7) as u8;
    wire::text(out, 18, &version);
    wire::text(out, 19, PLACES[usize::from(booking.place)].name.as_bytes());
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&booking.trace.to_be_bytes());
    trace[8..].copy_from_slice(&booking.order.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    wire::text(out, 20, &trace);
}

fn publish_offer(outbox: &mut Outbox, booking: &Booking, state: OfferState, distance_km: f64, ms: i64) {
    outbox.publish(ALLOCATION_LOG, ms, |_, out, broken| {
        let order = order_number(booking);
        out.extend_from_slice(order.as_bytes());
        wire::text(out, 1, order.as_bytes());
        wire::int(out, 2, i64::from(booking.product) + 1);
        wire::int(out, 3, state as i64);
        breakage::event_time(out, 4, ms, broken);
        wire::text(out, 5, fleet::driver_id(booking.driver).as_bytes());
        wire::int(out, 6, i64::from(booking.offers));
        wire::double(out, 7, booking.pickup.lat);
        wire::double(out, 8, booking.pickup.long);
        wire::float(out, 9, distance_km as f32);
        wire::int(out, 10, ms - booking.created_ms);
        wire::timestamp(out, 11, booking.created_ms);
        wire::fixed64(out, 12, booking.trace.wrapping_add(u64::from(booking.offers)) | 1);
        ORDER_NUMBER_BYTES
    });
}
