//! The statements that rows are written with.

use super::column_type::Column;
use super::config::{PostgresConfig, WriteMode, quoted};
use super::fit::{Fit, names, written};

/// The table that rows come to before they are put into their place. It goes with its session.
const STAGE: &str = "pg_temp.millrace_stage";
/// The order of its rows.
const ORDER: &str = "millrace_order";

/// The statements for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statements {
    /// Fails when a column has got another type, and keeps it from getting one until the transaction ends.
    pub probe: String,
    pub copy: String,
    pub stage: Option<Stage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub create: String,
    /// From there into the table.
    pub merge: String,
    /// The places of the keys, where the tuples of a key are told by their bytes. Only the last of each may be sent then.
    pub keys: Option<Vec<usize>>,
}

impl Statements {
    pub fn new(config: &PostgresConfig, columns: &[Column], fit: &Fit) -> Self {
        let table = config.qualified_table();
        let written_list = list(written(config, columns));
        let probe = format!("SELECT {written_list} FROM {table} LIMIT 0");
        let is_upsert = matches!(config.mode, WriteMode::Upsert { .. });
        if fit.is_direct && !is_upsert {
            let copy = format!("COPY {table} ({written_list}) FROM STDIN (FORMAT binary)");
            return Self { probe, copy, stage: None };
        }
        let keys = keys_by_bytes(config, columns, fit);
        let mut definitions: Vec<String> =
            columns.iter().map(|column| format!("{} {}", quoted(&column.name), column.data_type.sql())).collect();
        if keys.is_none() {
            definitions.push(format!("{ORDER} bigint GENERATED ALWAYS AS IDENTITY"));
        }
        let create = format!("CREATE TEMPORARY TABLE {STAGE} ({}) ON COMMIT DELETE ROWS", definitions.join(", "));
        let copy = format!("COPY {STAGE} ({}) FROM STDIN (FORMAT binary)", list(columns.iter()));
        let cast: Vec<(String, String)> = written(config, columns)
            .zip(&fit.casts)
            .map(|(column, cast)| {
                let name = quoted(&column.name);
                let value = match cast {
                    Some(cast) => format!("CAST({name} AS {cast})"),
                    None => name.clone(),
                };
                (name, value)
            })
            .collect();
        let values: Vec<String> = cast.iter().map(|(name, value)| format!("{value} AS {name}")).collect();
        let values = values.join(", ");
        let merge = match &config.mode {
            WriteMode::Append => {
                format!("INSERT INTO {table} ({written_list}) SELECT {values} FROM {STAGE} ORDER BY {ORDER}")
            }
            WriteMode::Upsert { keys: key_names, delete_column } => {
                let key_values: Vec<&str> = key_names
                    .iter()
                    .filter_map(|key| cast.iter().find(|(name, _)| *name == quoted(key)))
                    .map(|(_, value)| value.as_str())
                    .collect();
                let key_values = key_values.join(", ");
                let deletes = delete_column.as_ref().map(|column| format!(", {} AS millrace_deletes", quoted(column)));
                let deletes_value = deletes.as_deref().unwrap_or_default();
                let last = match &keys {
                    Some(_) => format!("SELECT {values}{deletes_value} FROM {STAGE}"),
                    None => format!(
                        "SELECT DISTINCT ON ({key_values}) {values}{deletes_value} FROM {STAGE} \
                         ORDER BY {key_values}, {ORDER} DESC"
                    ),
                };
                let updates: Vec<String> = cast
                    .iter()
                    .filter(|(name, _)| !key_names.iter().any(|key| quoted(key) == *name))
                    .map(|(name, _)| format!("{name} = EXCLUDED.{name}"))
                    .collect();
                let action = match updates.is_empty() {
                    true => "NOTHING".to_owned(),
                    false => format!("UPDATE SET {}", updates.join(", ")),
                };
                let insert = |rows: &str| {
                    format!(
                        "INSERT INTO {table} ({written_list}) SELECT {written_list} FROM {rows} \
                         ON CONFLICT ({}) DO {action}",
                        names(key_names)
                    )
                };
                match deletes {
                    None => insert(&format!("({last}) AS last")),
                    Some(_) => {
                        let same: Vec<String> =
                            key_names.iter().map(|key| format!("target.{0} = last.{0}", quoted(key))).collect();
                        format!(
                            "WITH last AS MATERIALIZED ({last}), gone AS (DELETE FROM {table} AS target USING last \
                             WHERE {} AND last.millrace_deletes IS TRUE) {}",
                            same.join(" AND "),
                            insert("last WHERE millrace_deletes IS NOT TRUE")
                        )
                    }
                }
            }
        };
        Self { probe, copy, stage: Some(Stage { create, merge, keys }) }
    }
}

/// Where the server converts a key, two that differ can become one.
fn keys_by_bytes(config: &PostgresConfig, columns: &[Column], fit: &Fit) -> Option<Vec<usize>> {
    let WriteMode::Upsert { keys, .. } = &config.mode else { return None };
    let is_cast = |name: &str| {
        written(config, columns).zip(&fit.casts).any(|(column, cast)| column.name == name && cast.is_some())
    };
    let places = |name: &String| columns.iter().position(|column| column.name == *name);
    let mut places: Vec<usize> = keys.iter().filter(|name| !is_cast(name)).filter_map(places).collect();
    places.sort_unstable();
    (places.len() == keys.len()).then_some(places)
}

fn list<'a>(columns: impl Iterator<Item = &'a Column>) -> String {
    columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
}

/// The statements about positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PositionStatements {
    pub create: String,
    /// Of an owner, an incarnation, a topic and partitions; locks them.
    pub lock: String,
    pub add: String,
    pub note: String,
}

impl PositionStatements {
    pub fn new(table: &str) -> Self {
        Self {
            create: format!(
                "CREATE TABLE IF NOT EXISTS {table} (owner text, incarnation text, topic text, partition integer, \
                 next_offset bigint NOT NULL, refused bigint[] NOT NULL, written_at timestamptz NOT NULL DEFAULT now(), \
                 PRIMARY KEY (owner, incarnation, topic, partition)) WITH (fillfactor = 50)"
            ),
            lock: format!(
                "SELECT partition, next_offset, refused FROM {table} \
                 WHERE owner = $1 AND incarnation = $2 AND topic = $3 AND partition = ANY($4) \
                 ORDER BY partition FOR UPDATE"
            ),
            add: format!(
                "INSERT INTO {table} (owner, incarnation, topic, partition, next_offset, refused) \
                 SELECT $1, $2, $3, p, 0, '{{}}' FROM unnest($4::int4[]) AS p ORDER BY p ON CONFLICT DO NOTHING"
            ),
            note: format!(
                "UPDATE {table} SET next_offset = $5, refused = $6, written_at = now() \
                 WHERE owner = $1 AND incarnation = $2 AND topic = $3 AND partition = $4"
            ),
        }
    }
}
