//! The platform without HTTP: what is desired is made so, again after a restart, and what cannot be is said.

mod clusters;
mod daggers;
mod database;
mod edits;
mod external_sinks;
mod firehoses;
mod history;
mod kafka_clusters;
mod kafka_daggers;
mod kinds_of_sinks;
mod measurements;
mod open_platform;
mod scanning;
mod test_database;
mod topics;
mod wire_formats;
