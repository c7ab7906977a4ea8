//! InfluxQL as whoever asks sees it: statements in, answers out. That the answers are InfluxDB's is shown by the example
//! `beside_influxdb`.

mod answers;
mod asking;
mod limits;
mod pushed;
