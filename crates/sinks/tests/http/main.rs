//! The sinks that speak HTTP to somebody's server: against receivers, and doubles of services that cannot be installed.

mod clever_tap;
mod http_sink;
mod mixpanel;
mod planned;
mod receiver;
mod webhook;
