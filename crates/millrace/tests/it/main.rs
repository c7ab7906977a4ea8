//! Drives the real binary: one server per test, on a free port of loopback and a directory of its own.

mod access;
mod apply;
mod backup;
mod bounded;
mod contexts;
mod daggers;
mod deep_sql;
mod edits;
mod exit_codes;
mod external_servers;
mod external_sinks;
mod firehoses;
mod get;
mod grafana;
mod influx_bad_input;
mod influx_limits;
mod influx_query;
mod influx_turns;
mod influx_write;
mod lifecycle;
mod publishing;
mod schemas;
mod server;
mod tag_warnings;
#[path = "../../../control/tests/it/test_database.rs"]
mod test_database;
