//! The embedded time-series store: measurements of points with tags, fields and a time.
//!
//! It keeps what daggers deliver and answers SQL over it. It knows nothing of daggers, streams or topics, runs no
//! threads of its own besides the storage engine's, and does no work for a measurement that nobody writes or reads.
//!
//! A point is identified by (measurement, tags, time): writing it again overwrites it field by field; fields that are
//! not written again stay, as in InfluxDB.

mod aggregate_exec;
mod aggregate_pushdown;
mod batch_points;
mod bit_packing;
mod catalog;
mod change_log;
mod chunk;
mod column_builder;
mod columns;
mod compaction;
mod counters;
mod dictionary;
mod error;
mod far_times;
mod floats;
mod fold;
mod json_text;
mod known_rows;
mod layout;
mod merge;
mod migration;
mod numbers;
mod options;
mod point;
mod points_builder;
mod pushdown;
mod request;
mod retention;
mod scan;
mod series_cache;
mod series_tags;
mod shape;
mod space;
mod store;
mod table;
mod tag_condition;
mod tag_table;
mod varint;
mod wanted_series;
mod window_cells;
mod window_plan;
mod window_sums;
mod windows;
mod write;

pub use aggregate_pushdown::SeriesAggregates;
pub use error::SeriesError;
pub use far_times::FarTimes;
pub use layout::{FieldType, PointLayout, SkipReason, SkippedRow, WriteSummary};
pub use options::{Clock, SeriesLimits, SeriesOptions};
pub use request::{ScanOrder, ScanRequest, TIME_MAX, TIME_MIN, TagFilter, TagTest, TimeRange};
pub use scan::SeriesScan;
pub use series_tags::SeriesTags;
pub use storage::SyncPoint;
pub use store::{Changes, ExpireSummary, FieldInfo, MeasurementInfo, SeriesStore};
pub use windows::{WindowAggregate, WindowRequest, Windows};
