//! The sink of PostgreSQL keeps the contract of delivery, with PostgreSQL 15 and 18.

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use delivery::Destination;
use delivery::contract::{CALL_TIME, Outcome, STREAM_CASES, StreamSubject, check_stream};
use serde_json::{Value, json};
use sinks::postgres::{CopyEncoder, PostgresConfig, PostgresSink};
use sinks::{RowEncoder, Settings, SinkKind};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::servers::{Place, VERSIONS, context, unique};

struct Postgres {
    place: Place,
    role: String,
    mode: Value,
}

impl Postgres {
    async fn new(version: u32, mode: &Value) -> Self {
        let place = Place::new(version).await;
        let role = unique("writer");
        place
            .run(&format!(
                "CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA {schema} TO {role};
                 CREATE TABLE t (id bigint PRIMARY KEY, word text CHECK (word <> 'poison'));
                 ALTER TABLE t OWNER TO {role}",
                schema = place.schema
            ))
            .await;
        Self { place, role, mode: mode.clone() }
    }

    fn encode(&self, number: u64, word: &str) -> Vec<u8> {
        let batch = batch(&[number], word);
        let encoder = CopyEncoder::new(&batch.schema(), &[]).unwrap();
        encoder.encode(&batch, None).unwrap().records.record(0).to_vec()
    }
}

fn batch(numbers: &[u64], word: &str) -> RecordBatch {
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from_iter_values(numbers.iter().map(|number| *number as i64)))),
        ("word", Arc::new(StringArray::from(vec![word; numbers.len()]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[async_trait]
impl StreamSubject for Postgres {
    fn upstream(&self) -> String {
        self.place.address.clone()
    }

    fn destination(&self, address: SocketAddr) -> Arc<dyn Destination> {
        let mut settings = self.place.settings_at(&address.to_string(), self.mode.clone());
        settings["user"] = json!(self.role);
        let description = sinks::postgres::POSTGRES.description();
        let settings = Settings::read(description, settings.as_object().unwrap()).unwrap();
        let config = PostgresConfig::read(&settings, &context()).unwrap();
        let encoder = CopyEncoder::new(&batch(&[], "").schema(), &[]).unwrap();
        Arc::new(PostgresSink::new(&config, &encoder, &context()).with_call_time_max(CALL_TIME))
    }

    fn record(&self, number: u64) -> Vec<u8> {
        self.encode(number, "good")
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        self.encode(number, "poison")
    }

    async fn stored(&self) -> Vec<u64> {
        self.place.numbers("SELECT id FROM t").await
    }

    async fn allow(&self, is_allowed: bool) {
        let login = if is_allowed { "LOGIN" } else { "NOLOGIN" };
        self.place.run(&format!("ALTER ROLE {} {login}", self.role)).await;
    }
}

/// Shown by `cargo test -- --nocapture contract`.
fn print(sink: &str, outcomes: &[Outcome]) {
    assert_eq!(outcomes.len(), STREAM_CASES.len());
    for Outcome { case, counts, duplicates, took } in outcomes {
        println!(
            "{sink:<24} {:<18} taken {:>5}, delivered {:>5}, dead letters {}, retried {:>5}, calls {:>4}, doubled {duplicates}, {took:?}",
            format!("{case:?}"),
            counts.taken,
            counts.delivered,
            counts.dead_lettered,
            counts.retried,
            counts.calls
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends() {
    for version in VERSIONS {
        // Without the primary key a record written twice is there twice, and is seen.
        let outcomes = check_stream(async || {
            let subject = Postgres::new(version, &json!({})).await;
            subject.place.run("ALTER TABLE t DROP CONSTRAINT t_pkey").await;
            subject
        })
        .await;
        print(&format!("PostgreSQL {version}, append"), &outcomes);
        // It names the record, so nothing is halved.
        let calls: Vec<u64> =
            outcomes.iter().filter(|outcome| is_poison(outcome)).map(|one| one.counts.calls).collect();
        assert_eq!(calls, [1]);
    }
}

fn is_poison(outcome: &Outcome) -> bool {
    outcome.case == delivery::contract::Case::Poison
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upserts() {
    for version in VERSIONS {
        let mode = json!({ "mode": "upsert", "uniqueKeys": ["id"] });
        let outcomes = check_stream(async || Postgres::new(version, &mode).await).await;
        print(&format!("PostgreSQL {version}, upsert"), &outcomes);
    }
}
