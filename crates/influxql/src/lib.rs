//! InfluxQL over the built-in series, answered as InfluxDB 1.6 answers it.
//!
//! [`parse`] reads statements, [`run`] answers them one after the other, [`write_json`], [`CsvWriter`] and
//! [`write_message_pack`] write what was answered in InfluxDB's shapes. It does not know HTTP, people or their rights: whoever asks hands in the databases that
//! may be seen and changed.

mod answer;
mod ast;
mod columns;
mod compile;
mod condition;
mod database;
mod eval;
mod lexer;
mod math;
mod options;
mod parse;
mod reduce;
mod run;
mod schema;
mod select;
mod show;
mod text;
mod time;
mod token;
mod types;

pub use answer::{
    CsvWriter, JsonOptions, JsonWriter, ResultSeries, StatementChunk, write_csv_error, write_json, write_json_error,
    write_message_pack, write_message_pack_error, write_message_pack_head, write_message_pack_part,
};
pub use ast::Statement;
pub use database::{
    Batches, Database, Databases, MeasurementShape, RetentionPolicy, SeriesDatabase, TagSet, TakeSeries,
};
pub use options::{Precision, QueryError, QueryLimits, QueryOptions};
pub use parse::{ParseError, parse};
pub use run::{Run, run};
