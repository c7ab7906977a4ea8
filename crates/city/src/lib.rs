//! A deterministic simulation of a ride-hailing city, for the demo, the benchmarks and the tests.
//!
//! It is for realistic input: bookings of four products that go through their life, drivers who move
//! and take offers, and the requests of sixty services, as protobuf records in the order in which they
//! would reach their topics. There are rush hours, hot spots, cancellations, records that overtake each
//! other, a few that come late and a few that are broken. The same options give the same bytes.
//!
//! It does not write to topics or files, does not look at the clock, and is no model to plan a real city
//! with: there are no roads, and the numbers are plausible rather than measured.

mod agenda;
mod api_traffic;
mod arrival;
mod batch;
mod bookings;
mod breakage;
mod catalog;
mod dice;
mod fleet;
mod geography;
mod options;
mod rhythm;
mod simulation;
mod wire;

pub use batch::{CityBatch, CityRecord};
pub use breakage::BrokenKind;
pub use catalog::{CityDagger, CityTopic, ProtoSource, daggers, proto_sources, topics};
pub use options::{BrokenRecords, CityOptions};
pub use simulation::City;
