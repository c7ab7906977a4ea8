//! The sink of PostgreSQL against PostgreSQL 15 and 18: `scripts/postgres.sh -- cargo test ... --test postgres`.

mod contract;
mod faults;
mod servers;
mod values;
