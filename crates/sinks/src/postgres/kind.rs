//! PostgreSQL as a kind of sink.

use std::sync::Arc;

use async_trait::async_trait;
use delivery::Destination;

use super::check;
use super::config::name_problem;
use super::session::ConnectOptions;
use super::{CopyEncoder, PostgresConfig, PostgresSink, WriteMode};
use crate::{
    Guarantee, Need, Order, PlannedSink, RowEncoder, Setting, SettingError, Settings, SinkContext, SinkDescription,
    SinkInput, SinkKind, ValueKind,
};

/// The kind `postgres`.
pub struct PostgresKind;

pub static POSTGRES: PostgresKind = PostgresKind;

const fn setting(key: &'static str, title: &'static str, help: &'static str, value: ValueKind, need: Need) -> Setting {
    Setting { key, title, help, value, need, only_with: None }
}

const UPSERT: Option<(&str, &[&str])> = Some(("mode", &["upsert"]));

const SETTINGS: &[Setting] = &[
    setting(
        "url",
        "URL",
        "instead of host, port, database and user: postgres://reports@db.example:5432/shop",
        ValueKind::Url,
        Need::Optional,
    ),
    setting("host", "Host", "name or address of the server", ValueKind::Text, Need::Optional),
    setting("port", "Port", "5432 if it is not given", ValueKind::Integer { min: 1, max: 65_535 }, Need::Optional),
    setting("database", "Database", "name of the database", ValueKind::Text, Need::Optional),
    setting("user", "User", "the role that writes", ValueKind::Text, Need::Optional),
    setting("secret", "Password", "name of the secret with the password", ValueKind::Secret, Need::Optional),
    setting(
        "sslMode",
        "TLS",
        "verify-full: encrypted, and the server's certificate is checked; require: encrypted; disable: not encrypted",
        ValueKind::Choice(&["verify-full", "require", "disable"]),
        Need::Default("\"verify-full\""),
    ),
    Setting {
        only_with: Some(("sslMode", &["verify-full"])),
        ..setting(
            "caCertificates",
            "Authorities",
            "certificates in PEM that the server's certificate is checked with; those of the system if it is not given",
            ValueKind::Text,
            Need::Optional,
        )
    },
    setting("schema", "Schema", "the schema of the table", ValueKind::Text, Need::Default("\"public\"")),
    setting("table", "Table", "the table that rows are written to", ValueKind::Text, Need::Required),
    setting(
        "mode",
        "Mode",
        "append: each row is a new one; upsert: it takes the place of the row with the same keys",
        ValueKind::Choice(&["append", "upsert"]),
        Need::Default("\"append\""),
    ),
    Setting {
        only_with: UPSERT,
        ..setting(
            "uniqueKeys",
            "Unique keys",
            "the columns that tell rows from each other",
            ValueKind::Columns,
            Need::Optional,
        )
    },
    Setting {
        only_with: UPSERT,
        ..setting(
            "deleteColumn",
            "Delete column",
            "a boolean column; where it is true, the row with these keys is deleted",
            ValueKind::Text,
            Need::Optional,
        )
    },
    setting(
        "createTable",
        "Create table",
        "creates the table, adds columns and widens them as the rows have them; never drops anything",
        ValueKind::Boolean,
        Need::Default("false"),
    ),
    setting(
        "exactlyOnce",
        "Exactly once",
        "notes in a table of the same schema how far the topic is written",
        ValueKind::Boolean,
        Need::Default("true"),
    ),
    setting(
        "positionsTable",
        "Table of positions",
        "where that is noted; it is created if it is not there",
        ValueKind::Text,
        Need::Default("\"millrace_positions\""),
    ),
    setting(
        "statementTimeout",
        "Statement timeout",
        "the server gives up a statement after this; at most 50s",
        ValueKind::Duration,
        Need::Default("\"30s\""),
    ),
];

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "postgres",
    title: "PostgreSQL",
    what: "Writes rows into a table of PostgreSQL, records of a topic exactly once.",
    settings: SETTINGS,
};

struct PlannedPostgres {
    config: PostgresConfig,
    encoder: Arc<CopyEncoder>,
    context: SinkContext,
}

impl SinkKind for PostgresKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let mut config = PostgresConfig::read(settings, context)?;
        // Rows of a query have no positions.
        if input.key_columns.is_some() || context.topic.is_empty() {
            config.positions_table = None;
        }
        let encoder = CopyEncoder::new(input.schema, config.mode.keys()).map_err(|(column, detail)| {
            let key = if config.mode.keys().contains(&column) { "uniqueKeys" } else { "table" };
            SettingError::at(key, format!("the column `{column}`: {detail}"), "name another column, or cast it")
        })?;
        check_columns(&config, input)?;
        Ok(Box::new(PlannedPostgres { config, encoder: Arc::new(encoder), context: context.clone() }))
    }
}

fn check_columns(config: &PostgresConfig, input: &SinkInput<'_>) -> Result<(), SettingError> {
    for field in input.schema.fields() {
        if let Some(problem) = name_problem(field.name()) {
            let detail = format!("the column `{}`: {problem}", field.name());
            return Err(SettingError::at("table", detail, "give the column another name"));
        }
    }
    if let Some(delete_column) = config.mode.delete_column() {
        let hint = "name a boolean column that is none of `uniqueKeys`";
        let is_boolean = input
            .schema
            .field_with_name(delete_column)
            .is_ok_and(|field| *field.data_type() == arrow::datatypes::DataType::Boolean);
        if !is_boolean || config.mode.keys().iter().any(|key| key == delete_column) {
            let detail = format!("there is no boolean column `{delete_column}` besides the keys");
            return Err(SettingError::at("deleteColumn", detail, hint));
        }
    }
    Ok(())
}

#[async_trait]
impl PlannedSink for PlannedPostgres {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(PostgresSink::new(&self.config, &self.encoder, &self.context)))
    }

    fn guarantee(&self) -> Guarantee {
        match (&self.config.positions_table, &self.config.mode) {
            (Some(_), _) => Guarantee::ExactlyOnce,
            (None, WriteMode::Upsert { .. }) => Guarantee::Overwrites,
            (None, WriteMode::Append) => Guarantee::AtLeastOnce(
                "rows that are written once more after a crash are appended once more; `mode: upsert` would overwrite them",
            ),
        }
    }

    fn order(&self) -> Order {
        match (&self.config.positions_table, &self.config.mode) {
            (Some(_), _) => Order::Partition,
            (None, _) => Order::Key,
        }
    }

    fn form(&self) -> String {
        let columns: Vec<String> = self
            .encoder
            .columns()
            .iter()
            .map(|column| format!("{} {}", super::config::quoted(&column.name), column.data_type.sql()))
            .collect();
        format!("COPY binary ({})", columns.join(", "))
    }

    async fn check(&self) -> Result<(), SettingError> {
        let options = ConnectOptions {
            addresses: self.context.http.addresses.clone(),
            connect_time_max: self.context.http.connect_time_max,
        };
        check::check(&self.config, self.encoder.columns(), &options).await
    }
}
