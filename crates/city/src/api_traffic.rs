//! Requests of the company's sixty services. Now and then one of them is unwell for some minutes.

use crate::breakage::{self, BrokenKind};
use crate::dice::Dice;
use crate::wire::{self, Id};

/// The services, busiest first.
const SERVICES: [&str; 60] = [
    "driver-location",
    "gateway",
    "login",
    "pricing",
    "allocation",
    "booking",
    "customer-profile",
    "driver-profile",
    "session",
    "feature-flags",
    "surge-pricing",
    "maps-routing",
    "maps-geocoding",
    "places",
    "eta",
    "wallet",
    "payment",
    "promotions",
    "vouchers",
    "notifications",
    "chat",
    "ratings",
    "restaurant-search",
    "restaurant-menu",
    "food-cart",
    "food-order",
    "merchant-profile",
    "parcel-quote",
    "parcel-order",
    "trip-history",
    "receipts",
    "fraud-check",
    "identity",
    "device-check",
    "referrals",
    "loyalty",
    "subscriptions",
    "insurance",
    "support-tickets",
    "help-articles",
    "driver-incentives",
    "driver-earnings",
    "driver-documents",
    "driver-training",
    "shift-planning",
    "heatmap",
    "demand-forecast",
    "supply-forecast",
    "experiments",
    "recommendations",
    "banners",
    "search-suggest",
    "translations",
    "sms",
    "email",
    "push",
    "tax",
    "invoicing",
    "ledger",
    "settlement",
];

const ENDPOINTS: [&str; 6] = ["/v1/items", "/v1/items/{id}", "/v2/search", "/v1/status", "/v2/quotes", "/v1/batch"];

/// Method numbers of `city.api.v1.ApiLog.Method`, by endpoint.
const METHODS: [i64; 6] = [2, 1, 1, 1, 2, 3];

/// In every stretch of that length one service may be unwell.
const STRETCH_MS: i64 = 600_000;
const UNWELL_SHARE: f64 = 0.7;

struct Unwell {
    service: usize,
    from_ms: i64,
    to_ms: i64,
}

pub(crate) struct ApiTraffic {
    seed: u64,
    cumulative: [f64; SERVICES.len()],
    stretch: i64,
    unwell: Option<Unwell>,
}

impl ApiTraffic {
    pub(crate) fn new(seed: u64) -> Self {
        let mut cumulative = [0.0; SERVICES.len()];
        let mut sum = 0.0;
        for (rank, entry) in cumulative.iter_mut().enumerate() {
            sum += 1.0 / (rank as f64 + 4.0);
            *entry = sum;
        }
        Self { seed, cumulative, stretch: i64::MIN, unwell: None }
    }

    /// Who is unwell depends on the seed and the time only, not on what was drawn before.
    fn look_at(&mut self, ms: i64) {
        let stretch = ms.div_euclid(STRETCH_MS);
        if stretch == self.stretch {
            return;
        }
        self.stretch = stretch;
        let mut dice = Dice::new(self.seed, 1_000_000 + stretch as u64);
        self.unwell = dice.chance(UNWELL_SHARE).then(|| {
            let from_ms = stretch * STRETCH_MS + dice.ms(30_000, 300_000);
            Unwell {
                service: dice.below(SERVICES.len() as u32) as usize,
                from_ms,
                to_ms: from_ms + dice.ms(90_000, 300_000),
            }
        });
    }

    fn is_unwell(&self, service: usize, ms: i64) -> bool {
        self.unwell
            .as_ref()
            .is_some_and(|unwell| unwell.service == service && (unwell.from_ms..unwell.to_ms).contains(&ms))
    }

    /// One answered request. Writes the key and the message and returns the length of the key.
    pub(crate) fn request(&mut self, dice: &mut Dice, ms: i64, broken: Option<BrokenKind>, out: &mut Vec<u8>) -> usize {
        self.look_at(ms);
        let drawn = dice.unit() * self.cumulative[SERVICES.len() - 1];
        let number = self.cumulative.partition_point(|sum| *sum <= drawn).min(SERVICES.len() - 1);
        let unwell = self.is_unwell(number, ms);
        let bits = dice.bits();
        let endpoint = (bits % 7 % 6) as usize;
        let status = match bits >> 8 & 0x3ff {
            part if unwell && part < 220 => 503,
            part if part < 3 => 500,
            part if part < 5 => 504,
            part if part < 25 => 404,
            part if part < 40 => 400,
            part if METHODS[endpoint] == 2 && part < 500 => 201,
            _ => 200,
        };
        // A Pareto tail: the square root of one over an even number.
        let usual_ms = 4.0 + (number * 37 % 60) as f64 * 1.5;
        let slow = if unwell { 7.0 } else { 1.0 };
        let latency_ms = slow * usual_ms * (0.6 + 0.4 / (1.0 - dice.unit() * 0.999_9).sqrt());
        let name = SERVICES[number].as_bytes();
        out.extend_from_slice(name);
        wire::text(out, 1, name);
        wire::text(out, 2, ENDPOINTS[endpoint].as_bytes());
        wire::int(out, 3, METHODS[endpoint]);
        wire::int(out, 4, status);
        wire::double(out, 5, (latency_ms * 1_000.0).round() / 1_000.0);
        breakage::event_time(out, 6, ms, broken);
        wire::text(out, 7, Id::new(b"node-", bits >> 20 & 0x0f, 2).as_bytes());
        wire::int(out, 8, 80 + (bits >> 28 & 0x3fff) as i64);
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&bits.to_le_bytes());
        trace[8..].copy_from_slice(&dice.bits().to_le_bytes());
        wire::text(out, 9, &trace);
        name.len()
    }
}
