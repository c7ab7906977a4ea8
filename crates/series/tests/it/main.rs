//! The store as its users see it: through its public interface, on a real disk.

mod backup;
mod concurrency;
mod crash;
mod follow;
mod limits;
mod model;
mod points;
mod retention;
mod scans;
mod series_tags;
mod sql;
mod store;
mod windows;
