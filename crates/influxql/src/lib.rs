//! InfluxQL over the built-in series, answered as InfluxDB 1.6 answers it.
//!
//! [`parse`] reads statements, [`run`] answers them one after the other, [`write_json`] and [`write_csv`] write what was
//! answered in InfluxDB's shapes. It does not know HTTP, people or their rights: whoever asks hands in the databases that
//! may be seen and changed.

mod answer;
mod database;
mod options;

pub use answer::{ResultSeries, StatementChunk};
pub use database::{Batches, Database, Databases, MeasurementShape, RetentionPolicy, SeriesDatabase, TagSet};
pub use options::{Precision, QueryError, QueryLimits, QueryOptions};
