//! A connection that is ready to write to the table.

use std::time::Duration;

use delivery::{CallError, ErrorClass};
use futures::future::try_join3;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, Statement};

use super::answer::{Judged, judge};
use super::column_type::Column;
use super::config::PostgresConfig;
use super::fit::{self, Fit, Misfit};
use super::request::{PositionStatements, Statements};
use super::table::{self, Table};
use crate::{AddressPolicy, tcp};

/// How connections are made.
#[derive(Clone, Debug)]
pub(super) struct ConnectOptions {
    pub addresses: AddressPolicy,
    pub connect_time_max: Duration,
}

/// A connection that ends when it is dropped.
pub(super) struct Connection {
    pub client: Client,
    running: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A connection with everything prepared.
pub(super) struct Session {
    pub connection: Connection,
    /// Names of the columns that rows have.
    columns: Vec<String>,
    pub probe: Statement,
    pub copy: Statement,
    pub merge: Option<Statement>,
    /// See [`super::request::Stage::keys`].
    pub keys: Option<Vec<usize>>,
    pub positions: Option<Positions>,
}

impl Session {
    /// What an error in writing records means.
    pub fn judge(&self, error: &tokio_postgres::Error) -> Judged {
        let judged = judge(error);
        // A column that somebody has added takes no record, whatever is in it.
        let is_foreign = judged.null_column.as_ref().is_some_and(|column| !self.columns.contains(column));
        if is_foreign { Judged { error: outage(judged.error), row: None, ..judged } } else { judged }
    }
}

pub(super) struct Positions {
    pub lock: Statement,
    pub add: Statement,
    pub note: Statement,
}

/// A transaction that its client has forgotten keeps nobody waiting for longer.
const IDLE_TRANSACTION_TIME_MAX: Duration = Duration::from_secs(60);

pub(super) async fn connect(config: &PostgresConfig, options: &ConnectOptions) -> Result<Connection, CallError> {
    let stream = tcp::connect(&config.host, config.port, &options.addresses, options.connect_time_max).await?;
    let starting = async {
        let stream = config.tls.wrap(stream, &config.host).await?;
        let mut settings = Config::new();
        settings.user(&config.user).dbname(&config.database).application_name("millrace");
        settings.ssl_mode(tokio_postgres::config::SslMode::Disable);
        if let Some(password) = &config.password {
            settings.password(&password.0);
        }
        let started = settings.connect_raw(stream, NoTls).await;
        let (client, connection) = started.map_err(|error| not_let_in(&error))?;
        let running = tokio::spawn(async move {
            // Whoever waits for an answer gets the error.
            let _ = connection.await;
        });
        let connection = Connection { client, running };
        // What is answered has to be durable, and times without a zone are those of UTC.
        let setup = format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET TimeZone = 'UTC'; \
             SET client_min_messages = warning; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            config.statement_time_max.as_millis(),
            IDLE_TRANSACTION_TIME_MAX.as_millis()
        );
        connection.client.batch_execute(&setup).await.map_err(|error| judge(&error).error)?;
        Ok(connection)
    };
    match tokio::time::timeout(options.connect_time_max, starting).await {
        Ok(started) => started,
        Err(_) => Err(CallError::new(ErrorClass::Down, "the server does not say hello in time")),
    }
}

/// A client without a password, or with a way to log in that is not known, has no SQLSTATE.
fn not_let_in(error: &tokio_postgres::Error) -> CallError {
    let judged = judge(error).error;
    let text = error.to_string();
    let is_about_login = text.contains("authentication error") || text.contains("invalid configuration");
    match error.as_db_error().is_none() && is_about_login {
        true => CallError::new(ErrorClass::Auth, judged.reason),
        false => judged,
    }
}

/// Connects, changes the table if it may and has to, and prepares the statements.
pub(super) async fn open(
    config: &PostgresConfig,
    columns: &[Column],
    options: &ConnectOptions,
) -> Result<Session, CallError> {
    let connection = connect(config, options).await?;
    let client = &connection.client;
    let failed = |error: tokio_postgres::Error| outage(judge(&error).error);
    let (found, fit) = ready_table(config, columns, client).await?;
    let statements = Statements::new(config, columns, &fit);
    if let Some(stage) = &statements.stage {
        client.batch_execute(&stage.create).await.map_err(failed)?;
    }
    let position_statements = config.qualified_positions().map(|table| PositionStatements::new(&table));
    if let Some(statements) = &position_statements {
        let name = config.positions_table.as_deref().unwrap_or_default();
        if table::read(client, &config.schema, name).await.map_err(failed)?.is_none() {
            change(client, std::slice::from_ref(&statements.create)).await?;
        }
    }
    let probe = client.prepare(&statements.probe).await.map_err(failed)?;
    // The table may have been changed since it was looked at.
    let is_as_seen = probe.columns().iter().all(|column| {
        found.columns.iter().any(|seen| seen.name == column.name() && seen.type_oid == column.type_().oid())
    });
    if !is_as_seen {
        return Err(CallError::new(ErrorClass::Down, "the table is being changed"));
    }
    let copy = client.prepare(&statements.copy).await.map_err(failed)?;
    let merge = match &statements.stage {
        Some(stage) => Some(client.prepare(&stage.merge).await.map_err(failed)?),
        None => None,
    };
    let positions = match &position_statements {
        Some(PositionStatements { lock, add, note, .. }) => {
            let prepared = try_join3(client.prepare(lock), client.prepare(add), client.prepare(note)).await;
            let (lock, add, note) = prepared.map_err(failed)?;
            Some(Positions { lock, add, note })
        }
        None => None,
    };
    let columns = columns.iter().map(|column| column.name.clone()).collect();
    let keys = statements.stage.and_then(|stage| stage.keys);
    Ok(Session { columns, keys, probe, copy, merge, positions, connection })
}

/// No record is the reason of what happens before one is written.
pub(super) fn outage(error: CallError) -> CallError {
    let class = if error.class.is_of_a_record() { ErrorClass::Down } else { error.class };
    CallError { class, ..error }
}

/// The table as it is after the changes that are allowed.
async fn ready_table(config: &PostgresConfig, columns: &[Column], client: &Client) -> Result<(Table, Fit), CallError> {
    // Others may change it at the same time.
    for _ in 0..3 {
        let found = table::read(client, &config.schema, &config.table).await;
        let found = found.map_err(|error| outage(judge(&error).error))?;
        let fit = fit::fit(config, columns, found.as_ref())
            .map_err(|misfits| CallError::new(ErrorClass::Down, crate::http::shortened(&say(&misfits))))?;
        match found {
            Some(found) if fit.changes.is_empty() => return Ok((found, fit)),
            _ => change(client, &fit.changes).await?,
        }
    }
    Err(CallError::new(ErrorClass::Down, "the table is being changed by others"))
}

pub(super) fn say(misfits: &[Misfit]) -> String {
    let say = |misfit: &Misfit| format!("{}; {}", misfit.detail, misfit.hint);
    misfits.iter().map(say).collect::<Vec<_>>().join(". ")
}

/// Changes tables, one session at a time. What another has done meanwhile is no error.
async fn change(client: &Client, statements: &[String]) -> Result<(), CallError> {
    const LOCK: i64 = 0x6d69_6c6c_7261_6365;
    let changing = async {
        client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
        for statement in statements {
            client.batch_execute(statement).await?;
        }
        client.batch_execute("COMMIT").await
    };
    let Err(error) = changing.await else { return Ok(()) };
    client.batch_execute("ROLLBACK").await.map_err(|error| judge(&error).error)?;
    match error.code().map(|code| code.code()) {
        // There already: a table, a column, a type of a table.
        Some("42P07" | "42701" | "42710" | "23505") => Ok(()),
        _ => Err(outage(judge(&error).error)),
    }
}
