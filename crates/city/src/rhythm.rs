//! The city's day: how much of everything happens at which hour in Jakarta (UTC+7, no daylight saving).

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const JAKARTA_MS: i64 = 7 * HOUR_MS;

/// Factor at each full hour, from midnight; between them a straight line. The mean of each is 1.
pub(crate) struct DayCurve([f64; 24]);

/// Rides and cars: a peak on the way to work and one on the way home.
pub(crate) const COMMUTE: DayCurve = DayCurve([
    0.30, 0.20, 0.15, 0.15, 0.30, 0.75, 1.35, 1.75, 1.70, 1.30, 1.00, 1.00, 1.10, 1.05, 1.00, 1.10, 1.40, 1.75, 1.80,
    1.50, 1.15, 0.95, 0.75, 0.50,
]);

/// Meals: noon and evening.
pub(crate) const MEALS: DayCurve = DayCurve([
    0.45, 0.25, 0.15, 0.10, 0.15, 0.30, 0.60, 0.85, 0.90, 0.95, 1.30, 1.90, 2.00, 1.50, 1.05, 0.95, 1.10, 1.45, 1.90,
    1.95, 1.60, 1.20, 0.85, 0.50,
]);

/// Parcels: office hours.
pub(crate) const PARCELS: DayCurve = DayCurve([
    0.15, 0.10, 0.10, 0.10, 0.15, 0.30, 0.70, 1.20, 1.65, 1.85, 1.90, 1.70, 1.50, 1.65, 1.75, 1.75, 1.65, 1.45, 1.20,
    1.00, 0.80, 0.60, 0.45, 0.30,
]);

/// Drivers who are logged in, and the traffic of the services.
pub(crate) const ACTIVITY: DayCurve = DayCurve([
    0.45, 0.35, 0.30, 0.30, 0.40, 0.70, 1.05, 1.30, 1.35, 1.25, 1.15, 1.20, 1.25, 1.20, 1.15, 1.15, 1.25, 1.35, 1.40,
    1.35, 1.25, 1.10, 0.95, 0.80,
]);

impl DayCurve {
    /// The factor at a moment, in milliseconds since 1970.
    pub(crate) fn at(&self, ms: i64) -> f64 {
        let of_day = (ms + JAKARTA_MS).rem_euclid(DAY_MS);
        let hour = (of_day / HOUR_MS) as usize;
        let part = (of_day % HOUR_MS) as f64 / HOUR_MS as f64;
        let (from, to) = (self.0[hour % 24], self.0[(hour + 1) % 24]);
        (from + (to - from) * part) / self.mean()
    }

    const fn mean(&self) -> f64 {
        let mut sum = 0.0;
        let mut hour = 0;
        while hour < 24 {
            sum += self.0[hour];
            hour += 1;
        }
        sum / 24.0
    }
}

/// From 0 (people leave home) to 1 (people go home): which places bookings start from.
pub(crate) fn homeward(ms: i64) -> f64 {
    let hour = (ms + JAKARTA_MS).rem_euclid(DAY_MS) as f64 / HOUR_MS as f64;
    if hour < 4.0 { 1.0 } else { ((hour - 8.0) / 8.0).clamp(0.0, 1.0) }
}
