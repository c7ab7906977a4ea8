//! Sinks against real servers: `scripts/influxdb.sh -- scripts/victoria_metrics.sh -- cargo test ...`, and against doubles
//! of those that cannot be installed.

mod contract;
mod influx_2;
mod influx_3;
mod influxdb;
mod servers;
mod victoria_metrics;
