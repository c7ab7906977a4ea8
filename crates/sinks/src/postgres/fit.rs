//! Whether rows fit a table, and what would have to be done to it.

use super::column_type::{Column, ColumnType};
use super::config::{PostgresConfig, quoted};
use super::table::{Table, TableColumn};

/// How rows go into a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    /// What the server makes of each column on its way from another table, where that is something else: a type.
    pub casts: Vec<Option<String>>,
    /// Whether the binary form of every column is that of the table's.
    pub is_direct: bool,
    /// Statements that have to be run before.
    pub changes: Vec<String>,
}

/// Something that stands in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub detail: String,
    pub hint: String,
}

/// How one column goes into another.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ColumnFit {
    Same,
    Cast,
    /// After the column of the table has got this type, which holds all that is in it.
    Widen(String),
    No(String),
}

/// The columns that are written into the table: all but the one that says what is deleted.
pub(super) fn written<'a>(config: &'a PostgresConfig, columns: &'a [Column]) -> impl Iterator<Item = &'a Column> {
    columns.iter().filter(|column| config.mode.delete_column() != Some(column.name.as_str()))
}

/// What makes a table for these rows.
pub(super) fn create_statement(config: &PostgresConfig, columns: &[Column]) -> String {
    let mut lines: Vec<String> =
        written(config, columns).map(|column| format!("{} {}", quoted(&column.name), column.data_type.sql())).collect();
    if !config.mode.keys().is_empty() {
        lines.push(format!("PRIMARY KEY ({})", names(config.mode.keys())));
    }
    format!("CREATE TABLE {} ({})", config.qualified_table(), lines.join(", "))
}

pub(super) fn names(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// Compares rows with the table. With the right to change it, what can be done without losing anything is no misfit.
pub(super) fn fit(config: &PostgresConfig, columns: &[Column], table: Option<&Table>) -> Result<Fit, Vec<Misfit>> {
    let count = written(config, columns).count();
    let Some(table) = table else {
        let statement = create_statement(config, columns);
        return match config.changes_table {
            true => Ok(Fit { casts: vec![None; count], is_direct: true, changes: vec![statement] }),
            false => Err(vec![Misfit {
                detail: format!("there is no table `{}.{}`", config.schema, config.table),
                hint: format!("run {statement}; or set `createTable: true`"),
            }]),
        };
    };
    let mut misfits = Vec::new();
    if !matches!(table.kind.as_str(), "r" | "p") {
        misfits.push(Misfit {
            detail: format!("`{}.{}` is no table", config.schema, config.table),
            hint: "name a table; views and foreign tables are not written to".to_owned(),
        });
    }
    let (mut casts, mut changes, mut is_direct) = (Vec::with_capacity(count), Vec::new(), true);
    let alter = format!("ALTER TABLE {}", config.qualified_table());
    for column in written(config, columns) {
        let mut cast = None;
        match table.columns.iter().find(|known| known.name == column.name) {
            None => {
                let statement = format!("{alter} ADD COLUMN {} {}", quoted(&column.name), column.data_type.sql());
                match config.changes_table {
                    true => changes.push(statement),
                    false => misfits.push(Misfit {
                        detail: format!("the table has no column `{}`", column.name),
                        hint: format!("run {statement}; or set `createTable: true`, or leave the column out"),
                    }),
                }
            }
            Some(known) => match fit_column(&column.data_type, known, config.changes_table) {
                ColumnFit::Same if known.type_name == column.data_type.name() || known.type_name.starts_with('_') => {}
                ColumnFit::Same => cast = Some(known.plain_type.clone()),
                ColumnFit::Cast => {
                    cast = Some(known.plain_type.clone());
                    is_direct = false;
                }
                ColumnFit::Widen(to) => {
                    changes.push(format!("{alter} ALTER COLUMN {} TYPE {to}", quoted(&column.name)));
                }
                ColumnFit::No(reason) => misfits.push(Misfit {
                    detail: format!(
                        "the column `{}` of the table is {}, and the rows have {}: {reason}",
                        column.name,
                        known.sql_type,
                        column.data_type.sql()
                    ),
                    hint: "give one of them another type, or another name".to_owned(),
                }),
            },
        }
        casts.push(cast);
    }
    for known in &table.columns {
        let is_given = written(config, columns).any(|column| column.name == known.name);
        if !is_given && known.is_not_null && !known.has_default && !known.is_generated {
            misfits.push(Misfit {
                detail: format!(
                    "the column `{}` of the table takes no NULL, has no default and is not among the rows' columns",
                    known.name
                ),
                hint: format!(
                    "add it to the columns, or run {alter} ALTER COLUMN {0} DROP NOT NULL",
                    quoted(&known.name)
                ),
            });
        }
    }
    let mut keys = config.mode.keys().to_vec();
    keys.sort();
    if !keys.is_empty() && !table.unique.contains(&keys) {
        let keys = names(config.mode.keys());
        misfits.push(Misfit {
            detail: format!("the table has no unique index over ({keys})"),
            hint: format!("run CREATE UNIQUE INDEX ON {} ({keys})", config.qualified_table()),
        });
    }
    if misfits.is_empty() { Ok(Fit { casts, is_direct, changes }) } else { Err(misfits) }
}

fn fit_column(ours: &ColumnType, theirs: &TableColumn, may_widen: bool) -> ColumnFit {
    use ColumnType::*;
    let no = |reason: &str| ColumnFit::No(reason.to_owned());
    if theirs.is_generated {
        return no("it is always generated by the server");
    }
    let is_array = theirs.type_name.starts_with('_') && theirs.element_oid != 0;
    let name = theirs.type_name.as_str();
    let is_text = matches!(name, "text" | "varchar" | "bpchar" | "citext");
    match (ours, name) {
        (Numeric { precision, scale }, "numeric") => fit_numeric(*precision, *scale, theirs, may_widen),
        (Array(element), _) if is_array && element.oid() == theirs.element_oid => match &**element {
            // Their digits would have to be compared, too.
            Numeric { .. } if theirs.type_modifier != -1 => no("digits could be cut off"),
            _ => ColumnFit::Same,
        },
        (Array(_), _) => no("arrays go into arrays of the same type only"),
        (_, _) if ours.name() == name => ColumnFit::Same,
        (TimestampTz, "timestamp") => ColumnFit::Same,
        (Text, "varchar" | "bpchar") if theirs.type_modifier != -1 && may_widen => ColumnFit::Widen("text".to_owned()),
        (Text, "varchar" | "bpchar" | "citext" | "json") => ColumnFit::Same,
        (Text, _) if theirs.type_kind == "e" => ColumnFit::Same,
        (Integer, "int2") | (BigInt, "int2" | "int4") | (Double, "float4") if may_widen => ColumnFit::Widen(ours.sql()),
        (Numeric { scale: 0, .. }, "int2" | "int4" | "int8") if may_widen => ColumnFit::Widen(ours.sql()),
        // Out of range is an error there, and no other value.
        (SmallInt | Integer | BigInt | Numeric { scale: 0, .. }, "int2" | "int4" | "int8") => ColumnFit::Cast,
        (SmallInt | Integer | BigInt, "numeric") => match scale_of(theirs) {
            Some(scale) if scale < 0 => no("digits could be cut off"),
            _ => ColumnFit::Cast,
        },
        (SmallInt, "float4" | "float8") | (Integer, "float8") | (Real, "float8") => ColumnFit::Cast,
        (Double, "float4") => no("digits could be cut off"),
        (BigInt | Integer | Numeric { .. }, "float4" | "float8") => no("digits could be cut off"),
        (Real | Double, "numeric") => no("digits could be cut off"),
        (Date, "timestamp" | "timestamptz") => ColumnFit::Cast,
        (Jsonb, "json") => ColumnFit::Cast,
        (Bytea | Date | Time | TimestampTz | Interval, _) if !is_text => no("they do not go together"),
        (Jsonb, _) if !is_text => no("they do not go together"),
        (Bytea, _) => no("bytes are no text"),
        (_, _) if is_text => ColumnFit::Cast,
        // The server reads it as if it were written in SQL.
        (Text, _) if !is_array => ColumnFit::Cast,
        _ => no("they do not go together"),
    }
}

/// Of a `numeric(p, s)`; `None` if it takes all digits.
fn scale_of(column: &TableColumn) -> Option<i32> {
    // numeric_typmod_scale in PostgreSQL's numeric.c: 11 bits with a sign.
    (column.type_modifier >= 4).then(|| (((column.type_modifier - 4) & 0x7ff) ^ 1024) - 1024)
}

fn precision_of(column: &TableColumn) -> Option<i32> {
    (column.type_modifier >= 4).then(|| ((column.type_modifier - 4) >> 16) & 0xffff)
}

fn fit_numeric(precision: u8, scale: i8, theirs: &TableColumn, may_widen: bool) -> ColumnFit {
    let (Some(their_precision), Some(their_scale)) = (precision_of(theirs), scale_of(theirs)) else {
        return ColumnFit::Same;
    };
    let (whole, scale) = (i32::from(precision) - i32::from(scale), i32::from(scale));
    let their_whole = their_precision - their_scale;
    // More digits before the point are an error there, fewer behind it are not.
    if scale > their_scale && !may_widen {
        return ColumnFit::No("digits could be cut off".to_owned());
    }
    if may_widen && (scale > their_scale || whole > their_whole) {
        let scale = scale.max(their_scale);
        return ColumnFit::Widen(format!("numeric({},{scale})", whole.max(their_whole) + scale));
    }
    ColumnFit::Same
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theirs(type_name: &str, type_modifier: i32) -> TableColumn {
        TableColumn { type_name: type_name.to_owned(), type_modifier, ..TableColumn::default() }
    }

    /// Of `numeric(precision, scale)`.
    fn numeric(precision: i32, scale: i32) -> TableColumn {
        theirs("numeric", (precision << 16 | scale & 0x7ff) + 4)
    }

    #[test]
    fn nothing_is_cut_off_without_an_error() {
        use ColumnType::*;
        let fits = |ours: ColumnType, theirs: &TableColumn| fit_column(&ours, theirs, false);
        let decimal = || Numeric { precision: 10, scale: 2 };
        assert_eq!(fits(BigInt, &theirs("int8", -1)), ColumnFit::Same);
        assert_eq!(fits(BigInt, &theirs("int4", -1)), ColumnFit::Cast);
        assert_eq!(fits(Text, &theirs("varchar", 14)), ColumnFit::Same);
        assert_eq!(fits(Text, &theirs("uuid", -1)), ColumnFit::Cast);
        assert_eq!(fits(TimestampTz, &theirs("timestamp", -1)), ColumnFit::Same);
        assert_eq!(fits(decimal(), &numeric(10, 2)), ColumnFit::Same);
        assert_eq!(fits(decimal(), &numeric(5, 3)), ColumnFit::Same);
        assert_eq!(fits(decimal(), &theirs("numeric", -1)), ColumnFit::Same);
        for (ours, theirs) in [
            (decimal(), numeric(10, 1)),
            (BigInt, numeric(10, -2)),
            (Double, theirs("numeric", -1)),
            (Double, theirs("float4", -1)),
            (BigInt, theirs("float8", -1)),
            (Double, theirs("int8", -1)),
            (TimestampTz, theirs("date", -1)),
            (Jsonb, theirs("int4", -1)),
            (Bytea, theirs("text", -1)),
            (Text, TableColumn { element_oid: 25, ..theirs("_text", -1) }),
        ] {
            assert!(matches!(fits(ours.clone(), &theirs), ColumnFit::No(_)), "{ours:?} into {theirs:?}");
        }
        let generated = TableColumn { is_generated: true, ..theirs("int8", -1) };
        assert!(matches!(fits(BigInt, &generated), ColumnFit::No(_)));
    }

    #[test]
    fn a_column_is_widened_where_nothing_is_lost() {
        use ColumnType::*;
        let widened = |ours: ColumnType, theirs: &TableColumn| match fit_column(&ours, theirs, true) {
            ColumnFit::Widen(to) => to,
            other => format!("{other:?}"),
        };
        assert_eq!(widened(BigInt, &theirs("int4", -1)), "bigint");
        assert_eq!(widened(SmallInt, &theirs("int4", -1)), "Cast");
        assert_eq!(widened(Double, &theirs("float4", -1)), "double precision");
        assert_eq!(widened(Text, &theirs("varchar", 14)), "text");
        assert_eq!(widened(Numeric { precision: 20, scale: 0 }, &theirs("int8", -1)), "numeric(20,0)");
        assert_eq!(widened(Numeric { precision: 10, scale: 3 }, &numeric(8, 2)), "numeric(10,3)");
        assert_eq!(widened(Numeric { precision: 10, scale: 1 }, &numeric(4, 2)), "numeric(11,2)");
    }
}
