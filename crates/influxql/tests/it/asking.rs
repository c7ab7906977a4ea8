//! A store with a few points, and statements to it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampSecondArray};
use influxql::{
    Database, Databases, JsonOptions, Precision, QueryError, QueryLimits, QueryOptions, SeriesDatabase, StatementChunk,
    parse, run, write_json, write_json_error,
};
use series::{PointLayout, SeriesOptions, SeriesStore};

/// 2026-03-02T00:00:00Z; seconds.
pub const START: i64 = 1_772_409_600;

pub struct City {
    pub store: SeriesStore,
    pub options: QueryOptions,
    _folder: tempfile::TempDir,
}

impl Databases for City {
    fn names(&self) -> Result<Vec<String>, QueryError> {
        Ok(vec!["city".into()])
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Database>>, QueryError> {
        Ok((name == "city").then(|| Arc::new(SeriesDatabase::new(self.store.clone(), "city")) as Arc<dyn Database>))
    }

    fn create(&self, name: &str) -> Result<(), QueryError> {
        Err(QueryError::new(format!("{name} is a group: groups are made in the portal")))
    }

    fn drop_database(&self, name: &str) -> Result<(), QueryError> {
        self.create(name)
    }
}

impl City {
    /// `driver_count_demo_influx_3876` with a point every 10 s of two drivers' cities for 5 minutes, from [`START`].
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SeriesStore::open(folder.path(), SeriesOptions::default()).unwrap();
        let rows: Vec<i64> = (0..60).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampSecondArray::from_iter_values(rows.iter().map(|row| START + row / 2 * 10))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| ["jakarta", "bandung"][*row as usize % 2]))),
            Arc::new(Int64Array::from_iter_values(rows.iter().copied())),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| *row as f64 / 4.0))),
        ];
        let names = ["window_timestamp", "tag_city", "drivers", "fare"];
        let batch = RecordBatch::try_from_iter(names.into_iter().zip(columns)).unwrap();
        let layout = PointLayout {
            time: 0,
            tags: vec![(1, "city".into())],
            fields: vec![(2, "drivers".into()), (3, "fare".into())],
        };
        store.write("city/driver_count_demo_influx_3876", &batch, &layout).unwrap();
        let options = QueryOptions {
            database: Some("city".into()),
            retention_policy: None,
            epoch: Some(Precision::Seconds),
            chunk_rows: None,
            now_nanos: (START + 300) * 1_000_000_000,
            may_write: true,
            limits: QueryLimits::default(),
        };
        Self { store, options, _folder: folder }
    }

    pub fn chunks(&self, statement: &str) -> Vec<StatementChunk> {
        run(parse(statement, &HashMap::new()).unwrap(), self.options.clone(), self).collect()
    }

    /// The answer as InfluxDB's JSON, without the line break at its end.
    pub fn ask(&self, statement: &str) -> String {
        let mut out = Vec::new();
        match parse(statement, &HashMap::new()) {
            Ok(_) => {
                let options = JsonOptions { epoch: self.options.epoch, pretty: false };
                write_json(&mut out, &self.chunks(statement), options).unwrap();
            }
            Err(error) => write_json_error(&mut out, &error.to_string(), false).unwrap(),
        }
        String::from_utf8(out).unwrap().trim_end().to_owned()
    }

    /// The error of a statement that is refused.
    pub fn refused(&self, statement: &str) -> String {
        let chunks = self.chunks(statement);
        chunks.into_iter().find_map(|chunk| chunk.error).unwrap_or_else(|| panic!("{statement} was answered"))
    }
}
