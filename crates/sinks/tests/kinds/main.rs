//! The kinds of sinks as firehoses use them, through what every kind offers.

mod grpc;
mod grpc_server;
mod log_lines;
mod platform;
mod points;
mod rows;
mod series;
mod topic;
