//! PostgreSQL 15 and 18 for tests, and what is in them.

use delivery::contract::CALL_TIME;
use serde_json::{Value, json};
use sinks::{AddressPolicy, HttpOptions, PlannedSink, SettingError, Settings, SinkContext, SinkInput, SinkKind};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// A variable that the script sets.
pub fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests within `scripts/postgres.sh -- cargo test ...`"))
}

/// A name that no other test has.
pub fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

pub const VERSIONS: [u32; 2] = [15, 18];

/// `HOST:PORT` of a server.
pub fn address(version: u32) -> String {
    let url = variable(&format!("MILLRACE_POSTGRES_{version}_URL"));
    let url = reqwest::Url::parse(&url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
}

/// A client besides the sink's, of the superuser.
pub async fn client(address: &str, database: &str) -> Client {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut config = tokio_postgres::Config::new();
    let connecting = config.user("millrace").dbname(database).ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = connecting.connect_raw(stream, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A schema of a server that no other test has.
pub struct Place {
    pub address: String,
    pub schema: String,
    pub client: Client,
}

impl Place {
    pub async fn new(version: u32) -> Self {
        Self::at(&address(version)).await
    }

    pub async fn at(address: &str) -> Self {
        let client = client(address, "postgres").await;
        let schema = unique("s");
        client.batch_execute(&format!("CREATE SCHEMA {schema}; SET search_path = {schema}")).await.unwrap();
        Self { address: address.to_owned(), schema, client }
    }

    pub async fn run(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    /// Rows as JSON, in the order of the statement.
    pub async fn rows(&self, statement: &str) -> Vec<Value> {
        let statement = format!("SELECT to_json(r)::text FROM ({statement}) AS r");
        let rows = self.client.query(&statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap()).collect()
    }

    pub async fn numbers(&self, statement: &str) -> Vec<u64> {
        let rows = self.client.query(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        rows.iter().map(|row| row.get::<_, i64>(0) as u64).collect()
    }

    /// The settings of a sink into this schema, and these besides.
    pub fn settings(&self, more: Value) -> Value {
        self.settings_at(&self.address, more)
    }

    pub fn settings_at(&self, address: &str, more: Value) -> Value {
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut settings = json!({
            "host": host, "port": port.parse::<u16>().unwrap(), "database": "postgres", "user": "millrace",
            "sslMode": "disable", "schema": self.schema, "table": "t",
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings
    }
}

pub fn context() -> SinkContext {
    SinkContext {
        http: HttpOptions {
            call_time_max: CALL_TIME,
            connect_time_max: Duration::from_secs(5),
            ..HttpOptions::reaching(AddressPolicy::allowing(["127.0.0.0/8", "::1"].map(|text| text.parse().unwrap())))
        },
        owner: "orders-to-postgres".into(),
        incarnation: "1".into(),
        topic: "orders".into(),
        secrets: BTreeMap::from([("pg".to_owned(), "right\n".to_owned()), ("wrong".to_owned(), "wrong".to_owned())]),
        services: None,
    }
}

/// A sink of records with these columns.
pub fn plan(
    settings: &Value,
    schema: &arrow::datatypes::SchemaRef,
    context: &SinkContext,
) -> Result<Box<dyn PlannedSink>, SettingError> {
    let kind = &sinks::postgres::POSTGRES;
    let settings = Settings::read(kind.description(), settings.as_object().unwrap())?;
    kind.plan(&settings, &SinkInput { schema, key_columns: None, time_column: None }, context)
}
