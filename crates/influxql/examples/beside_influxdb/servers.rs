//! The two that are asked: a real InfluxDB over HTTP, and Millrace's series in a folder.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use influxql::{
    Database, Databases, JsonOptions, Precision, QueryError, QueryLimits, QueryOptions, SeriesDatabase, parse, run,
    write_json, write_json_error,
};
use serde_json::Value;
use series::{SeriesOptions, SeriesStore};

use crate::points::{Point, batches};

pub const DATABASE: &str = "city";

/// An InfluxDB that a script has started.
pub struct Influx {
    address: String,
}

impl Influx {
    pub fn connect() -> Self {
        let url = std::env::var("MILLRACE_INFLUXDB_URL").unwrap_or_else(|_| {
            panic!(
                "MILLRACE_INFLUXDB_URL is not set: use `scripts/influxdb.sh -- target/release/examples/beside_influxdb`"
            )
        });
        Self { address: url.trim_start_matches("http://").trim_end_matches('/').to_owned() }
    }

    /// Status and body.
    fn post(&self, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub fn query(&self, statement: &str) -> Value {
        let body = format!("db={DATABASE}&epoch=ns&q={}", percent(statement));
        let (_, answer) = self.post("/query", &body);
        // What it cannot write as JSON it says in plain text.
        serde_json::from_str(&answer).unwrap_or_else(|_| serde_json::json!({ "error": answer }))
    }

    pub fn write(&self, points: &[Point]) {
        for chunk in points.chunks(5_000) {
            let lines: Vec<String> = chunk.iter().map(Point::line).collect();
            let (status, answer) = self.post(&format!("/write?db={DATABASE}"), &lines.join("\n"));
            assert_eq!(status, 204, "{answer}");
        }
    }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Millrace's series with one database.
pub struct Millrace {
    pub store: SeriesStore,
    _folder: tempfile::TempDir,
}

impl Databases for Millrace {
    fn names(&self) -> Result<Vec<String>, QueryError> {
        Ok(vec![DATABASE.to_owned()])
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Database>>, QueryError> {
        Ok((name == DATABASE).then(|| Arc::new(SeriesDatabase::new(self.store.clone(), DATABASE)) as Arc<dyn Database>))
    }

    fn create(&self, _name: &str) -> Result<(), QueryError> {
        Err(QueryError::new("the test has one database"))
    }

    fn drop_database(&self, _name: &str) -> Result<(), QueryError> {
        Err(QueryError::new("the test has one database"))
    }
}

impl Millrace {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SeriesStore::open(folder.path(), SeriesOptions::default()).unwrap();
        Self { store, _folder: folder }
    }

    pub fn write(&self, points: &[Point]) {
        for chunk in points.chunks(5_000) {
            for (measurement, batch, layout) in batches(chunk) {
                let summary = self.store.write(&format!("{DATABASE}/{measurement}"), &batch, &layout).unwrap();
                assert_eq!(summary.skipped, 0, "{summary:?}");
            }
        }
    }

    pub fn options(&self) -> QueryOptions {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        QueryOptions {
            database: Some(DATABASE.to_owned()),
            retention_policy: None,
            epoch: Some(Precision::Nanoseconds),
            chunk_rows: None,
            now_nanos: now.as_nanos() as i64,
            may_write: true,
            limits: QueryLimits::default(),
        }
    }

    pub fn answer(&self, statement: &str) -> String {
        let mut out = Vec::new();
        match parse(statement, &HashMap::new()) {
            Ok(statements) => {
                let chunks: Vec<_> = run(statements, self.options(), self).collect();
                let options = JsonOptions { epoch: Some(Precision::Nanoseconds), pretty: false };
                write_json(&mut out, &chunks, options).unwrap();
            }
            Err(error) => write_json_error(&mut out, &error.to_string(), false).unwrap(),
        }
        String::from_utf8(out).unwrap()
    }

    pub fn query(&self, statement: &str) -> Value {
        serde_json::from_str(&self.answer(statement)).unwrap()
    }
}
