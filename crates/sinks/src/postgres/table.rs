//! What the table is like at the server.

use tokio_postgres::{Client, Error};

/// The target table, as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Table {
    /// `pg_class.relkind`, such as `r` for a table.
    pub kind: String,
    pub columns: Vec<TableColumn>,
    /// The columns of each unique index that a row can conflict with, sorted.
    pub unique: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct TableColumn {
    pub name: String,
    /// As it is written in SQL, such as `character varying(10)`.
    pub sql_type: String,
    /// The same below domains, without a length: a cast to one would cut off what is longer.
    pub plain_type: String,
    /// Name in `pg_type`, below domains.
    pub type_name: String,
    /// `pg_type.typtype`, below domains.
    pub type_kind: String,
    pub type_oid: u32,
    /// Below domains; of an array: of its elements' type.
    pub element_oid: u32,
    pub type_modifier: i32,
    pub is_not_null: bool,
    /// Has a default, or counts by itself.
    pub has_default: bool,
    /// Always computed by the server.
    pub is_generated: bool,
}

const COLUMNS: &str = "
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), b.typname::text, b.typtype::text, b.oid, b.typelem,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull OR t.typnotnull,
       a.atthasdef OR a.attidentity <> '' OR t.typdefault IS NOT NULL, a.attgenerated <> '' OR a.attidentity = 'a',
       c.relkind::text, format_type(b.oid, -1)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE n.nspname = $1 AND c.relname = $2
ORDER BY a.attnum";

const UNIQUE: &str = "
SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\")
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid";

/// `None` if there is no such table.
pub(super) async fn read(client: &Client, schema: &str, table: &str) -> Result<Option<Table>, Error> {
    let (columns, unique) =
        futures::future::try_join(client.query(COLUMNS, &[&schema, &table]), client.query(UNIQUE, &[&schema, &table]))
            .await?;
    let Some(first) = columns.first() else { return Ok(None) };
    let mut found = Table { kind: first.try_get(10)?, ..Table::default() };
    for row in &columns {
        // A table can have no columns.
        let Some(name) = row.try_get(0)? else { continue };
        found.columns.push(TableColumn {
            name,
            sql_type: row.try_get(1)?,
            plain_type: row.try_get(11)?,
            type_name: row.try_get(2)?,
            type_kind: row.try_get(3)?,
            type_oid: row.try_get(4)?,
            element_oid: row.try_get(5)?,
            type_modifier: row.try_get(6)?,
            is_not_null: row.try_get(7)?,
            has_default: row.try_get(8)?,
            is_generated: row.try_get(9)?,
        });
    }
    for row in &unique {
        found.unique.push(row.try_get(0)?);
    }
    Ok(Some(found))
}
