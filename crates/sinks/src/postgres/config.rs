//! Which server, which table, and how it is written to.

use std::fmt;
use std::time::Duration;

use reqwest::Url;

use super::tls::TlsMode;
use crate::{SettingError, Settings, SinkContext};

/// One table of one database.
#[derive(Clone, Debug)]
pub struct PostgresConfig {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password: Option<Password>,
    pub tls: TlsMode,
    pub schema: String,
    pub table: String,
    pub mode: WriteMode,
    /// Whether the table is created and gets columns as the rows have them.
    pub changes_table: bool,
    /// In the schema of the table; `None` keeps no positions.
    pub positions_table: Option<String>,
    /// The server gives up a statement after this.
    pub statement_time_max: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteMode {
    Append,
    Upsert {
        keys: Vec<String>,
        /// Rows where this boolean column is true delete the row with their keys.
        delete_column: Option<String>,
    },
}

/// It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

impl fmt::Display for PostgresConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, table, database, host, port, .. } = self;
        write!(formatter, "PostgreSQL `{database}`, table `{schema}.{table}`, at {host}:{port}")
    }
}

/// Where a server is, from `url` or from settings of their own.
struct Place {
    host: String,
    port: u16,
    database: String,
    user: String,
}

const PORT: u16 = 5432;
const URL_HINT: &str = "write for example `postgres://reports@db.example:5432/shop`";
/// The courier gives up a call after a minute.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(50);

impl PostgresConfig {
    pub fn read(settings: &Settings, context: &SinkContext) -> Result<Self, SettingError> {
        let place = match settings.text("url") {
            Some(url) => {
                for key in ["host", "port", "database", "user"] {
                    if settings.to_json().contains_key(key) {
                        let detail = format!("`url` says the server already, so there cannot be a `{key}`");
                        return Err(SettingError::at(key, detail, "leave one of them out"));
                    }
                }
                place_of_url(url)?
            }
            None => place_of_settings(settings)?,
        };
        let tls = TlsMode::read(settings.text("sslMode").unwrap_or("verify-full"), settings.text("caCertificates"))?;
        let password = context.secret(settings, "secret")?.map(Password);
        let statement_time_max = settings.duration("statementTimeout").unwrap_or(Duration::from_secs(30));
        if statement_time_max.is_zero() || statement_time_max > STATEMENT_TIME_MAX {
            let detail = "`statementTimeout` is not between 1ms and 50s".to_owned();
            return Err(SettingError::at("statementTimeout", detail, "a call of a sink ends after 60s"));
        }
        Ok(Self {
            host: place.host,
            port: place.port,
            database: place.database,
            user: place.user,
            password,
            tls,
            schema: name(settings, "schema")?.unwrap_or_else(|| "public".to_owned()),
            table: name(settings, "table")?.unwrap_or_default(),
            mode: mode(settings)?,
            changes_table: settings.boolean("createTable"),
            positions_table: match settings.boolean("exactlyOnce") {
                true => Some(name(settings, "positionsTable")?.unwrap_or_else(|| "millrace_positions".to_owned())),
                false => None,
            },
            statement_time_max,
        })
    }

    /// Name of the table, quoted, with its schema.
    pub(super) fn qualified_table(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }

    pub(super) fn qualified_positions(&self) -> Option<String> {
        let table = self.positions_table.as_ref()?;
        Some(format!("{}.{}", quoted(&self.schema), quoted(table)))
    }
}

impl WriteMode {
    pub(super) fn keys(&self) -> &[String] {
        match self {
            Self::Append => &[],
            Self::Upsert { keys, .. } => keys,
        }
    }

    pub(super) fn delete_column(&self) -> Option<&str> {
        match self {
            Self::Append => None,
            Self::Upsert { delete_column, .. } => delete_column.as_deref(),
        }
    }
}

/// An identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// PostgreSQL cuts longer names without an error.
const NAME_BYTES_MAX: usize = 63;

/// Why PostgreSQL has no such name, if it has not.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("a name cannot be empty"),
        _ if name.len() > NAME_BYTES_MAX => Some("a name of PostgreSQL has at most 63 bytes"),
        _ if name.contains('\0') => Some("a name of PostgreSQL has no NUL byte"),
        _ => None,
    }
}

fn name(settings: &Settings, key: &str) -> Result<Option<String>, SettingError> {
    let Some(name) = settings.text(key) else { return Ok(None) };
    match name_problem(name) {
        Some(problem) => Err(SettingError::at(key, problem, "write another name")),
        None => Ok(Some(name.to_owned())),
    }
}

fn mode(settings: &Settings) -> Result<WriteMode, SettingError> {
    let keys: Vec<String> = settings.list("uniqueKeys").into_iter().map(str::to_owned).collect();
    let delete_column = settings.text("deleteColumn").map(str::to_owned);
    match settings.text("mode") {
        Some("upsert") if keys.is_empty() => Err(SettingError::at(
            "uniqueKeys",
            "the mode `upsert` needs `uniqueKeys`",
            "name the columns that tell rows from each other, such as [order_id]",
        )),
        Some("upsert") => Ok(WriteMode::Upsert { keys, delete_column }),
        _ if !keys.is_empty() => Err(SettingError::at(
            "uniqueKeys",
            "the mode `append` has no `uniqueKeys`",
            "write `mode: upsert`, or leave them out",
        )),
        _ if delete_column.is_some() => Err(SettingError::at(
            "deleteColumn",
            "the mode `append` deletes nothing",
            "write `mode: upsert`, or leave it out",
        )),
        _ => Ok(WriteMode::Append),
    }
}

fn place_of_settings(settings: &Settings) -> Result<Place, SettingError> {
    let required = |key: &str| match settings.text(key) {
        Some(text) => Ok(text.to_owned()),
        None => {
            let detail = format!("a sink of the kind `postgres` needs `{key}`, or a `url`");
            Err(SettingError::at(key, detail, URL_HINT))
        }
    };
    let port = settings.integer("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(PORT);
    Ok(Place { host: required("host")?, port, database: required("database")?, user: required("user")? })
}

fn place_of_url(text: &str) -> Result<Place, SettingError> {
    // It may have a password in it, so it is not repeated.
    let error = |detail: &str| SettingError::at("url", detail, URL_HINT);
    let url = Url::parse(text).map_err(|_| error("`url` is no address of a server"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(error("`url` does not begin with `postgres://`"));
    }
    if url.password().is_some() {
        let detail = "`url` has a password in it, which everybody could read";
        return Err(SettingError::at("url", detail, "take it out, and name a secret in `secret`"));
    }
    let decoded = |text: &str| percent_decoded(text).ok_or_else(|| error("`url` is not UTF-8"));
    let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']')).unwrap_or_default();
    let host = decoded(host)?;
    let user = decoded(url.username())?;
    let database = decoded(url.path().trim_start_matches('/'))?;
    for (part, what) in [(&host, "host"), (&user, "user"), (&database, "database")] {
        if part.is_empty() {
            return Err(error(&format!("`url` has no {what}")));
        }
    }
    if url.query().is_some() || url.fragment().is_some() {
        let detail = "`url` has a query";
        return Err(SettingError::at("url", detail, "write the address up to the database, and `sslMode` for TLS"));
    }
    Ok(Place { host, port: url.port().unwrap_or(PORT), database, user })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}
