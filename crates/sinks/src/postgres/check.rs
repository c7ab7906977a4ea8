//! What the server would refuse, before anything is written.

use delivery::{CallError, ErrorClass};
use tokio_postgres::Client;

use super::answer::judge;
use super::column_type::Column;
use super::config::{PostgresConfig, WriteMode};
use super::fit;
use super::session::{ConnectOptions, connect, say};
use super::table;
use crate::SettingError;

/// Connects and compares. A server that does not answer is let through: it may be there when it is written to.
pub(super) async fn check(
    config: &PostgresConfig,
    columns: &[Column],
    options: &ConnectOptions,
) -> Result<(), SettingError> {
    let connection = match connect(config, options).await {
        Ok(connection) => connection,
        Err(CallError { class: ErrorClass::Auth, reason, .. }) => {
            let key = if config.password.is_some() { "secret" } else { "user" };
            return Err(SettingError::at(
                key,
                format!("the server does not let `{}` in: {reason}", config.user),
                "correct the user, or put the password as a secret and name it in `secret`",
            ));
        }
        Err(error) => return not_connected(&error),
    };
    let asked = |error: tokio_postgres::Error| {
        let reason = judge(&error).error.reason;
        SettingError::at("table", format!("the server cannot be asked about the table: {reason}"), "mend it there")
    };
    let client = &connection.client;
    let found = table::read(client, &config.schema, &config.table).await.map_err(asked)?;
    if let Err(misfits) = fit::fit(config, columns, found.as_ref()) {
        return Err(match misfits.as_slice() {
            [only] => SettingError::at("table", only.detail.clone(), only.hint.clone()),
            _ => SettingError::at("table", say(&misfits), "mend the table, or the columns"),
        });
    }
    let missing = missing_rights(config, client, found.is_some()).await.map_err(asked)?;
    match missing {
        None => Ok(()),
        Some((detail, hint)) => Err(SettingError::at("user", detail, hint)),
    }
}

/// What a person has to mend, as against a server that is not there now.
fn not_connected(error: &CallError) -> Result<(), SettingError> {
    let reason = &error.reason;
    if reason.contains("TLS") {
        return Err(SettingError::at("sslMode", reason.clone(), "correct `sslMode` or `caCertificates`"));
    }
    if reason.contains("(3D000)") {
        return Err(SettingError::at("database", reason.clone(), "create it, or correct its name"));
    }
    if reason.contains("which sinks may not reach") {
        return Err(SettingError::at("host", reason.clone(), "name another server, or ask the operator"));
    }
    Ok(())
}

/// Which right is missing, and the statement that gives it.
async fn missing_rights(
    config: &PostgresConfig,
    client: &Client,
    is_there: bool,
) -> Result<Option<(String, String)>, tokio_postgres::Error> {
    let wanted: &[&str] = match (&config.mode, is_there) {
        (_, false) => &[],
        (WriteMode::Append, _) => &["SELECT", "INSERT"],
        (WriteMode::Upsert { delete_column: None, .. }, _) => &["SELECT", "INSERT", "UPDATE"],
        (WriteMode::Upsert { .. }, _) => &["SELECT", "INSERT", "UPDATE", "DELETE"],
    };
    let mut tables = vec![(config.qualified_table(), wanted)];
    let mut creates = !is_there;
    if let (Some(table), Some(name)) = (config.qualified_positions(), &config.positions_table) {
        match table::read(client, &config.schema, name).await? {
            Some(_) => tables.push((table, &["SELECT", "INSERT", "UPDATE"][..])),
            None => creates = true,
        }
    }
    let user = super::config::quoted(&config.user);
    for (table, rights) in tables {
        for right in rights {
            let has = client.query_one("SELECT has_table_privilege($1::text, $2::text)", &[&table, right]).await?;
            if !has.try_get::<_, bool>(0)? {
                let hint = format!("run GRANT {} ON {table} TO {user}", rights.join(", "));
                return Ok(Some((format!("`{}` has no right to {right} on {table}", config.user), hint)));
            }
        }
    }
    if creates {
        let schema = super::config::quoted(&config.schema);
        let statement = "SELECT has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = $1";
        let has = client.query_opt(statement, &[&config.schema]).await?;
        let has = has.map(|row| row.try_get::<_, bool>(0)).transpose()?;
        return Ok(match has {
            Some(true) => None,
            Some(false) => Some((
                format!("`{}` has no right to create a table in the schema `{}`", config.user, config.schema),
                format!("run GRANT CREATE ON SCHEMA {schema} TO {user}"),
            )),
            None => Some((format!("there is no schema `{}`", config.schema), format!("run CREATE SCHEMA {schema}"))),
        });
    }
    Ok(None)
}
