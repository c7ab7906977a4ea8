//! Jakarta as far as the city needs it: its bounding box, the places where people gather, and the five
//! administrative cities.

use crate::dice::Dice;
use crate::rhythm;

/// A position in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Position {
    pub(crate) lat: f64,
    pub(crate) long: f64,
}

pub(crate) const SOUTH: f64 = -6.370;
pub(crate) const NORTH: f64 = -6.090;
pub(crate) const WEST: f64 = 106.690;
pub(crate) const EAST: f64 = 106.970;

/// Length of one degree of latitude, with R = 6371 km.
const KM_PER_DEGREE: f64 = 111.195;
/// Cosine of Jakarta's latitude, which shortens a degree of longitude.
const COS_LATITUDE: f64 = 0.994;
/// Streets are that much longer than the straight line.
const DETOUR: f64 = 1.3;

impl Position {
    fn within_city(self) -> Self {
        Self { lat: self.lat.clamp(SOUTH, NORTH), long: self.long.clamp(WEST, EAST) }
    }

    /// The way by street, in kilometres.
    pub(crate) fn road_km(self, other: Self) -> f64 {
        let north = (other.lat - self.lat) * KM_PER_DEGREE;
        let east = (other.long - self.long) * KM_PER_DEGREE * COS_LATITUDE;
        (north * north + east * east).sqrt() * DETOUR
    }

    /// A point near this one, scattered like a bell, within the city.
    pub(crate) fn near(self, dice: &mut Dice, spread_degrees: f64) -> Self {
        Self { lat: self.lat + dice.bell() * spread_degrees, long: self.long + dice.bell() * spread_degrees }
            .within_city()
    }

    /// The point at `part` (0 to 1) of the way to `other`.
    pub(crate) fn towards(self, other: Self, part: f64) -> Self {
        Self { lat: self.lat + (other.lat - self.lat) * part, long: self.long + (other.long - self.long) * part }
    }
}

/// A place where people gather.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    centre: Position,
    spread_degrees: f64,
    /// How many bookings start here when people leave home, and when they go home.
    outward: f64,
    homeward: f64,
}

const fn place(name: &'static str, lat: f64, long: f64, spread_degrees: f64, outward: f64, homeward: f64) -> Place {
    Place { name, centre: Position { lat, long }, spread_degrees, outward, homeward }
}

/// Business and shopping first, homes after them.
pub(crate) const PLACES: [Place; 24] = [
    place("Monas", -6.1754, 106.8272, 0.006, 2.0, 5.0),
    place("Thamrin", -6.1930, 106.8230, 0.005, 3.0, 9.0),
    place("Sudirman", -6.2146, 106.8205, 0.006, 3.0, 11.0),
    place("SCBD", -6.2256, 106.8086, 0.004, 2.0, 10.0),
    place("Kuningan", -6.2297, 106.8302, 0.006, 3.0, 10.0),
    place("Tanah Abang", -6.1862, 106.8110, 0.006, 4.0, 6.0),
    place("Gambir", -6.1767, 106.8306, 0.004, 5.0, 5.0),
    place("Kota Tua", -6.1352, 106.8133, 0.006, 2.0, 5.0),
    place("Senayan", -6.2270, 106.7990, 0.006, 2.0, 6.0),
    place("Blok M", -6.2443, 106.7983, 0.006, 4.0, 7.0),
    place("Ancol", -6.1223, 106.8330, 0.008, 1.0, 3.0),
    place("Mangga Dua", -6.1390, 106.8240, 0.006, 2.0, 5.0),
    place("Kemang", -6.2607, 106.8137, 0.008, 5.0, 4.0),
    place("Tebet", -6.2262, 106.8530, 0.009, 7.0, 3.0),
    place("Kelapa Gading", -6.1600, 106.9050, 0.012, 7.0, 4.0),
    place("Grogol", -6.1670, 106.7880, 0.009, 6.0, 4.0),
    place("Puri Indah", -6.1880, 106.7340, 0.010, 6.0, 3.0),
    place("Cempaka Putih", -6.1810, 106.8690, 0.009, 5.0, 2.0),
    place("Jatinegara", -6.2150, 106.8700, 0.009, 6.0, 3.0),
    place("Pasar Minggu", -6.2840, 106.8440, 0.010, 7.0, 2.0),
    place("Pondok Indah", -6.2650, 106.7830, 0.009, 5.0, 4.0),
    place("Cilandak", -6.2910, 106.8000, 0.011, 7.0, 2.0),
    place("Kalideres", -6.1540, 106.7050, 0.010, 6.0, 2.0),
    place("Cakung", -6.1830, 106.9470, 0.012, 6.0, 2.0),
];

/// Share of the pick-ups that lie anywhere in the bounding box.
const ANYWHERE_SHARE: f64 = 0.12;
/// How long the weights of the places stay as they are.
const WEIGHTS_MS: i64 = 600_000;

/// Where bookings start, changing over the day.
pub(crate) struct HotSpots {
    cumulative: [f64; PLACES.len()],
    valid_until_ms: i64,
}

impl HotSpots {
    pub(crate) fn new() -> Self {
        Self { cumulative: [0.0; PLACES.len()], valid_until_ms: i64::MIN }
    }

    /// A pick-up and the number of its place in [`PLACES`].
    pub(crate) fn draw(&mut self, dice: &mut Dice, ms: i64) -> (Position, usize) {
        if ms >= self.valid_until_ms {
            self.weigh(ms);
        }
        if dice.chance(ANYWHERE_SHARE) {
            let position = Position { lat: dice.between(SOUTH, NORTH), long: dice.between(WEST, EAST) };
            return (position, nearest_place(position));
        }
        let total = self.cumulative[PLACES.len() - 1];
        let drawn = dice.unit() * total;
        let number = self.cumulative.partition_point(|sum| *sum <= drawn).min(PLACES.len() - 1);
        let place = &PLACES[number];
        (place.centre.near(dice, place.spread_degrees), number)
    }

    fn weigh(&mut self, ms: i64) {
        let homeward = rhythm::homeward(ms);
        let mut sum = 0.0;
        for (cumulative, place) in self.cumulative.iter_mut().zip(&PLACES) {
            sum += place.outward + (place.homeward - place.outward) * homeward;
            *cumulative = sum;
        }
        self.valid_until_ms = ms.div_euclid(WEIGHTS_MS) * WEIGHTS_MS + WEIGHTS_MS;
    }
}

fn nearest<'a>(position: Position, centres: impl Iterator<Item = &'a Position>) -> usize {
    let mut best = (0, f64::INFINITY);
    for (number, centre) in centres.enumerate() {
        let (north, east) = (centre.lat - position.lat, centre.long - position.long);
        let distance = north * north + east * east;
        if distance < best.1 {
            best = (number, distance);
        }
    }
    best.0
}

fn nearest_place(position: Position) -> usize {
    nearest(position, PLACES.iter().map(|place| &place.centre))
}

/// The middles of Central, North, West, South and East Jakarta.
const ADMINISTRATIVE: [Position; 5] = [
    Position { lat: -6.182, long: 106.832 },
    Position { lat: -6.128, long: 106.868 },
    Position { lat: -6.165, long: 106.752 },
    Position { lat: -6.270, long: 106.808 },
    Position { lat: -6.245, long: 106.902 },
];

/// 1 Central, 2 North, 3 West, 4 South, 5 East Jakarta: the one whose middle is closest.
pub(crate) fn city_id(position: Position) -> u8 {
    nearest(position, ADMINISTRATIVE.iter()) as u8 + 1
}
