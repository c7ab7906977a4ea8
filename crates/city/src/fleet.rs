//! The drivers: where they are, what they do, and who is free near a pick-up.
//!
//! A driver's way is a plan (from here to the pick-up to the destination, with times); position and status
//! at any moment follow from it, so that nothing has to move between two pings.

use crate::breakage::{self, BrokenKind};
use crate::dice::Dice;
use crate::geography::{EAST, HotSpots, NORTH, Position, SOUTH, WEST};
use crate::wire::{self, Id};

/// Every driver pings about that often.
pub(crate) const PING_EVERY_SECONDS: f64 = 50.0;
/// Share of the drivers with a car.
const CAR_SHARE: f64 = 0.30;
/// Cells on each side of the grid in which free drivers are looked for; one is about 800 m wide.
const GRID: usize = 40;
/// Free drivers remembered per cell.
const CELL_DRIVERS: usize = 8;
/// Drivers asked at random when nobody is free nearby.
const PROBES: usize = 4;
/// Breaks are taken by the half hour.
const BREAK_MS: i64 = 1_800_000;

/// What a driver drives, with the numbers of `city.vehicle.v1.VehicleType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vehicle {
    Bike = 1,
    Car = 2,
    CarXl = 3,
}

/// What a driver does, with the numbers of `city.driver.v1.DriverLocationPing.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DriverStatus {
    Available = 1,
    OnTheWay = 2,
    OnTrip = 3,
    OnBreak = 4,
}

struct Driver {
    vehicle: Vehicle,
    from: Position,
    pickup: Position,
    destination: Position,
    /// The trip's three moments; before the first and after the last the driver is free.
    accepted_ms: i64,
    pickup_ms: i64,
    free_ms: i64,
    /// Until then the driver has an offer to answer and gets no other.
    asked_until_ms: i64,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    drivers: [u32; CELL_DRIVERS],
    count: u32,
}

pub(crate) struct Fleet {
    drivers: Vec<Driver>,
    cells: Vec<Cell>,
    next_ping: usize,
}

impl Fleet {
    pub(crate) fn new(dice: &mut Dice, hot_spots: &mut HotSpots, size: usize, start_ms: i64) -> Self {
        let mut fleet =
            Self { drivers: Vec::with_capacity(size), cells: vec![Cell::default(); GRID * GRID], next_ping: 0 };
        for number in 0..size {
            let (centre, _) = hot_spots.draw(dice, start_ms);
            let position = centre.near(dice, 0.012);
            let vehicle = match dice.unit() {
                part if part < CAR_SHARE * 0.75 => Vehicle::Car,
                part if part < CAR_SHARE => Vehicle::CarXl,
                _ => Vehicle::Bike,
            };
            fleet.drivers.push(Driver {
                vehicle,
                from: position,
                pickup: position,
                destination: position,
                accepted_ms: i64::MIN,
                pickup_ms: i64::MIN,
                free_ms: i64::MIN,
                asked_until_ms: i64::MIN,
            });
            fleet.remember(position, number as u32);
        }
        fleet
    }

    fn remember(&mut self, position: Position, driver: u32) {
        let cell = &mut self.cells[cell_of(position)];
        cell.drivers[cell.count as usize % CELL_DRIVERS] = driver;
        cell.count = cell.count.wrapping_add(1);
    }

    pub(crate) fn status(&self, driver: u32, ms: i64) -> DriverStatus {
        let plan = &self.drivers[driver as usize];
        if ms >= plan.free_ms {
            // One driver in twelve rests in any half hour; whose turn it is follows from a hash of both.
            let turn = (u64::from(driver) << 32 ^ (ms / BREAK_MS) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            if turn.is_multiple_of(12) { DriverStatus::OnBreak } else { DriverStatus::Available }
        } else if ms >= plan.pickup_ms {
            DriverStatus::OnTrip
        } else {
            DriverStatus::OnTheWay
        }
    }

    pub(crate) fn position(&self, driver: u32, ms: i64) -> Position {
        let plan = &self.drivers[driver as usize];
        let part = |from: i64, to: i64| (ms - from).max(0) as f64 / (to - from).max(1) as f64;
        if ms >= plan.free_ms {
            plan.destination
        } else if ms >= plan.pickup_ms {
            plan.pickup.towards(plan.destination, part(plan.pickup_ms, plan.free_ms))
        } else {
            plan.from.towards(plan.pickup, part(plan.accepted_ms, plan.pickup_ms))
        }
    }

    fn takes(&self, driver: u32, vehicle: Vehicle, ms: i64) -> bool {
        let plan = &self.drivers[driver as usize];
        plan.vehicle == vehicle && ms >= plan.asked_until_ms && self.is_available(driver, ms)
    }

    /// Marks a driver as having an offer to answer.
    pub(crate) fn ask(&mut self, driver: u32, answer_ms: i64) {
        self.drivers[driver as usize].asked_until_ms = answer_ms;
    }

    pub(crate) fn is_available(&self, driver: u32, ms: i64) -> bool {
        self.status(driver, ms) == DriverStatus::Available
    }

    /// A free driver, nearby if one was seen there lately. `skip` passes over the first ones, who were asked before.
    pub(crate) fn find(
        &self,
        dice: &mut Dice,
        pickup: Position,
        vehicle: Vehicle,
        skip: usize,
        ms: i64,
    ) -> Option<u32> {
        let cell = &self.cells[cell_of(pickup)];
        let known = (cell.count as usize).min(CELL_DRIVERS);
        let mut to_skip = skip;
        for back in 1..=known {
            let driver = cell.drivers[(cell.count as usize - back) % CELL_DRIVERS];
            if self.takes(driver, vehicle, ms) {
                if to_skip == 0 {
                    return Some(driver);
                }
                to_skip -= 1;
            }
        }
        let size = self.drivers.len() as u32;
        (0..PROBES).map(|_| dice.below(size)).find(|driver| self.takes(*driver, vehicle, ms))
    }

    /// Sends a driver to a pick-up and on to the destination.
    pub(crate) fn send(
        &mut self,
        driver: u32,
        accepted_ms: i64,
        pickup: (Position, i64),
        destination: (Position, i64),
    ) {
        let from = self.position(driver, accepted_ms);
        let plan = &mut self.drivers[driver as usize];
        plan.from = from;
        plan.accepted_ms = accepted_ms;
        (plan.pickup, plan.pickup_ms) = pickup;
        (plan.destination, plan.free_ms) = destination;
    }

    /// A driver stops where they are, for the booking was cancelled.
    pub(crate) fn release(&mut self, driver: u32, ms: i64) {
        let here = self.position(driver, ms);
        let plan = &mut self.drivers[driver as usize];
        plan.destination = here;
        plan.free_ms = ms;
        plan.pickup_ms = plan.pickup_ms.min(ms);
    }

    /// The next driver's ping. Writes the message and returns the driver.
    pub(crate) fn ping(&mut self, dice: &mut Dice, ms: i64, broken: Option<BrokenKind>, out: &mut Vec<u8>) {
        let driver = self.next_ping as u32;
        self.next_ping = (self.next_ping + 1) % self.drivers.len();
        let status = self.status(driver, ms);
        if matches!(status, DriverStatus::Available | DriverStatus::OnBreak) {
            let moved = self.drivers[driver as usize].destination.near(dice, 0.000_6);
            self.drivers[driver as usize].destination = moved;
            if status == DriverStatus::Available {
                self.remember(moved, driver);
            }
        }
        // What the phone measures is a few metres off.
        let position = self.position(driver, ms).near(dice, 0.000_05);
        let bits = dice.bits();
        let speed_kmh = match status {
            DriverStatus::Available => (bits % 90) as f32 * 0.1,
            DriverStatus::OnBreak => 0.0,
            _ => 8.0 + (bits % 420) as f32 * 0.1,
        };
        let id = driver_id(driver);
        out.extend_from_slice(id.as_bytes());
        wire::text(out, 1, id.as_bytes());
        wire::double(out, 2, position.lat);
        wire::double(out, 3, position.long);
        wire::int(out, 4, status as i64);
        breakage::event_time(out, 5, ms, broken);
        wire::int(out, 6, self.drivers[driver as usize].vehicle as i64);
        wire::float(out, 7, speed_kmh);
        wire::int(out, 8, (bits >> 16) as i64 % 360);
        wire::float(out, 9, 3.0 + (bits >> 48 & 0xff) as f32 * 0.0625);
    }
}

fn cell_of(position: Position) -> usize {
    let along = |value: f64, low: f64, high: f64| (((value - low) / (high - low) * GRID as f64) as usize).min(GRID - 1);
    along(position.lat, SOUTH, NORTH) * GRID + along(position.long, WEST, EAST)
}

/// Bytes of a driver's id, which is also the key of the pings.
pub(crate) const DRIVER_ID_BYTES: usize = 9;

pub(crate) fn driver_id(driver: u32) -> Id {
    Id::new(b"D-", u64::from(driver), DRIVER_ID_BYTES - 2)
}
