//! The cells of what a courier was given.

use serde::Serialize;

/// Numbers of records since the courier was started. No cell is computed from the others, so [`Self::balances`] is a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCounts {
    /// Given to the courier.
    pub taken: u64,
    /// The sink has them.
    pub delivered: u64,
    /// The sink does not take them for good, and they are kept.
    pub dead_lettered: u64,
    /// Waiting, or in a call: a level, all others only grow.
    pub in_flight: u64,
    /// Given to the sink once more after an outage: outside the sum.
    pub retried: u64,
    /// Calls to the sink: outside the sum.
    pub calls: u64,
}

impl DeliveryCounts {
    /// Whether every record taken is in exactly one cell.
    pub fn balances(&self) -> bool {
        self.taken == self.delivered + self.dead_lettered + self.in_flight
    }
}
