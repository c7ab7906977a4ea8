//! The log as its users see it: through the trait, the embedded log's own calls, and the files that it leaves.

mod concurrency;
mod corruption;
mod disk_full;
mod durability;
mod fixture;
mod killed_writer;
mod long_poll;
mod offsets_by_time;
mod one_owner;
mod retention;
mod round_trip;
mod topics;
mod torn_tail;
