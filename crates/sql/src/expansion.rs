//! How many tables a query reads once each table of its WITH stands where it is named, as the planner puts them: tables
//! that name the one before twice double with every step.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Spanned, Statement, Visit, Visitor};

use crate::error::SqlError;
use crate::limits::EXPANDED_TABLES_MAX;

/// Refuses a statement that reads too many tables, naming the place.
pub fn check_tables(statement: &Statement) -> Result<(), SqlError> {
    check(statement)
}

pub(crate) fn check(part: &impl Visit) -> Result<(), SqlError> {
    match tables(part, &HashMap::new()) {
        Ok(_) => Ok(()),
        Err(error) => Err(*error),
    }
}

/// Tables that each table of a WITH reads, by name.
type Known = HashMap<String, usize>;

/// How many tables are read by what stands in a part of a statement.
fn tables(part: &impl Visit, known: &Known) -> Result<usize, Box<SqlError>> {
    let mut counter = Counter { known, tables: 0, depth: 0 };
    match part.visit(&mut counter) {
        ControlFlow::Continue(()) => Ok(counter.tables),
        ControlFlow::Break(error) => Err(error),
    }
}

fn tables_of_query(query: &Query, known: &Known) -> Result<usize, Box<SqlError>> {
    let Some(with) = &query.with else { return tables(&query.body, known) };
    let mut known = known.clone();
    for table in &with.cte_tables {
        let tables = tables_of_query(&table.query, &known)?;
        known.insert(table.alias.name.value.clone(), tables);
    }
    tables(&query.body, &known)
}

struct Counter<'a> {
    known: &'a Known,
    tables: usize,
    /// Queries around the place that is visited: they are counted as a whole.
    depth: usize,
}

impl Counter<'_> {
    fn add(&mut self, tables: usize, place: impl FnOnce() -> (usize, usize)) -> ControlFlow<Box<SqlError>> {
        self.tables = self.tables.saturating_add(tables);
        if self.tables <= EXPANDED_TABLES_MAX {
            return ControlFlow::Continue(());
        }
        let (line, column) = place();
        let message = format!(
            "the query reads more than {EXPANDED_TABLES_MAX} tables, each table of a WITH counted as often as it is named"
        );
        let error = SqlError::at(line.max(1), column.max(1), message)
            .with_hint("name a table of a WITH that is built of others less often");
        ControlFlow::Break(Box::new(error))
    }
}

fn place(part: &impl Spanned) -> (usize, usize) {
    let start = part.span().start;
    (start.line as usize, start.column as usize)
}

impl Visitor for Counter<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        self.depth += 1;
        if self.depth > 1 {
            return ControlFlow::Continue(());
        }
        match tables_of_query(query, self.known) {
            Ok(tables) => self.add(tables, || place(query)),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<Self::Break> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let known = match name.0.as_slice() {
            [part] => part.as_ident().and_then(|name| self.known.get(&name.value)),
            _ => None,
        };
        // A name without a table is one as well: a measurement, or a stream.
        self.add(known.copied().unwrap_or(1), || place(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    fn count(sql: &str) -> Result<(), SqlError> {
        Parser::parse_sql(&GenericDialect {}, sql).expect(sql).iter().try_for_each(check_tables)
    }

    fn doubled(steps: usize) -> String {
        let steps: Vec<String> = (1..=steps)
            .map(|step| format!("t{step} AS (SELECT a.v FROM t{0} a JOIN t{0} b ON a.v = b.v)", step - 1))
            .collect();
        format!("WITH t0 AS (SELECT v FROM m), {}\nSELECT * FROM t{}", steps.join(", "), steps.len())
    }

    #[test]
    fn tables_that_double_are_refused_with_their_place() {
        assert_eq!(count(&doubled(9)), Ok(()));
        for steps in [10, 60, 400] {
            let refused = count(&doubled(steps)).expect_err("reads too many tables");
            assert!(refused.message.contains("reads more than 1000 tables"), "{refused}");
            assert!((refused.line, refused.column) > (1, 500), "{refused}");
            assert!(count(&format!("EXPLAIN {}", doubled(steps))).is_err());
            assert!(count(&format!("SELECT * FROM m WHERE v IN ({})", doubled(steps))).is_err());
            assert!(count(&format!("SELECT * FROM ({}) AS t", doubled(steps))).is_err());
        }
    }

    #[test]
    fn a_table_counts_as_often_as_it_is_named() {
        let named = |times: usize| format!("WITH t AS (SELECT v FROM m) SELECT * FROM t{}", ", t".repeat(times - 1));
        assert_eq!(count(&named(EXPANDED_TABLES_MAX)), Ok(()));
        assert!(count(&named(EXPANDED_TABLES_MAX + 1)).is_err());
        // Not named is not read; a name with a schema is none of a WITH; an inner name hides the outer one.
        let big = vec!["m"; EXPANDED_TABLES_MAX].join(", ");
        assert_eq!(count(&format!("WITH t AS (SELECT 1 FROM {big}) SELECT 1 FROM m, s.t")), Ok(()));
        assert!(count(&format!("WITH t AS (SELECT 1 FROM {big}) SELECT 1 FROM m, t")).is_err());
        let hidden = format!(
            "WITH t AS (SELECT 1 FROM {big}) SELECT 1 FROM m, (WITH t AS (SELECT 1 FROM m) SELECT 1 FROM t) AS u"
        );
        assert_eq!(count(&hidden), Ok(()));
    }
}
