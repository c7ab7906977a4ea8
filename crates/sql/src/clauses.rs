//! Clauses that the parser reads and that nobody behind it would honour. Each is refused here by name: a clause that is
//! dropped in silence gives wrong results.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, DuplicateTreatment, Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, Join,
    JoinConstraint, JoinOperator, Query, Select, SelectFlavor, SelectItem, SetExpr, SetOperator, SetQuantifier,
    Spanned, TableFactor, Visit, Visitor, WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use crate::error::{Places, SqlError};

const TOP_N: &str =
    "rank the rows of a window: ROW_NUMBER() OVER (PARTITION BY window_end ORDER BY ...) and filter on it";
const NO_END: &str = "a stream does not end";

/// Refuses clauses before the query is rewritten. `aggregates` are the names of all aggregate functions.
pub(crate) fn check(query: &Query, places: &Places, aggregates: HashSet<String>) -> Result<(), SqlError> {
    let mut checker = Checker { places, aggregates, depth: 0 };
    match query.visit(&mut checker) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// Refuses sub-queries inside expressions, once those in FROM are where they belong.
pub(crate) fn check_rewritten(query: &Query, places: &Places) -> Result<(), SqlError> {
    match query.visit(&mut Rewritten { places }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// Hints such as `/*+ OPTIONS(...) */` are comments to the tokenizer, and would change what a query means in Flink.
pub(crate) fn check_hints(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    for token in tokens {
        if let Token::Whitespace(Whitespace::MultiLineComment(text)) = &token.token
            && text.starts_with('+')
        {
            let start = token.span.start;
            return Err(SqlError::at(start.line as usize, start.column as usize, "hints are not supported")
                .with_hint("leave the hint out; options of a stream are set in the dagger's document"));
        }
    }
    Ok(())
}

struct Checker<'a> {
    places: &'a Places<'a>,
    aggregates: HashSet<String>,
    depth: usize,
}

type Checked = Result<(), Box<SqlError>>;

impl Checker<'_> {
    /// The error is at the first of `words` in the text.
    fn refuse(&self, words: &[&str], message: impl Into<String>, hint: &str) -> Checked {
        let error = self.places.error(words, message);
        Err(Box::new(if hint.is_empty() { error } else { error.with_hint(hint) }))
    }

    fn unsupported(&self, words: &[&str], clause: &str) -> Checked {
        self.refuse(words, format!("{clause} is not supported"), "leave it out")
    }

    fn query(&self, query: &Query) -> Checked {
        if let Some(with) = &query.with {
            if with.recursive {
                return self.refuse(&["recursive"], format!("WITH RECURSIVE has no meaning here: {NO_END}"), "");
            }
            if with.cte_tables.iter().any(|table| table.from.is_some()) {
                return self.unsupported(&["with"], "FROM after a WITH table");
            }
        }
        if query.limit_clause.is_some() {
            return self.refuse(
                &["limit", "offset"],
                format!("LIMIT and OFFSET have no meaning in a stream: {NO_END}"),
                TOP_N,
            );
        }
        if query.fetch.is_some() {
            return self.refuse(&["fetch"], format!("FETCH has no meaning in a stream: {NO_END}"), TOP_N);
        }
        if query.order_by.is_some() && self.depth > 0 {
            return self.refuse(&["order"], "ORDER BY inside a sub-query has no effect", TOP_N);
        }
        if !query.locks.is_empty() || query.for_clause.is_some() {
            return self.unsupported(&["for"], "FOR at the end of a query");
        }
        if query.settings.is_some() {
            return self.unsupported(&["settings"], "SETTINGS");
        }
        if query.format_clause.is_some() {
            return self.unsupported(&["format"], "FORMAT");
        }
        if !query.pipe_operators.is_empty() {
            return self.refuse(&["|>"], "the pipe |> is not supported", "write sub-queries or WITH");
        }
        self.set(&query.body)
    }

    fn set(&self, body: &SetExpr) -> Checked {
        match body {
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                match (op, set_quantifier) {
                    (SetOperator::Union, SetQuantifier::All | SetQuantifier::AllByName) => {}
                    (SetOperator::Union, _) => {
                        return self.refuse(
                            &["union"],
                            format!("UNION without ALL would have to remember every row: {NO_END}"),
                            "write UNION ALL",
                        );
                    }
                    (op, _) => {
                        let word = op.to_string();
                        return self.refuse(
                            &[&word],
                            format!("{word} is not supported"),
                            "join two windowed results on their window and keys",
                        );
                    }
                }
                self.set(left)?;
                self.set(right)
            }
            SetExpr::Select(_) | SetExpr::Query(_) => Ok(()),
            SetExpr::Values(_) => self.refuse(
                &["values"],
                "VALUES is not supported: the query reads no stream",
                "SELECT ... FROM one of the dagger's tables",
            ),
            SetExpr::Table(_) => self.refuse(&["table"], "TABLE t is not supported", "write SELECT * FROM t"),
            other => {
                let word = other.to_string();
                let word = word.split_whitespace().next().unwrap_or_default();
                self.refuse(&[word], format!("a dagger is a SELECT, not {word}"), "")
            }
        }
    }

    fn select(&self, select: &Select) -> Checked {
        match &select.distinct {
            Some(Distinct::On(_)) => return self.refuse(&["on"], "DISTINCT ON is not supported", TOP_N),
            Some(Distinct::Distinct | Distinct::All) | None => {}
        }
        let refused: [(bool, &[&str], &str); 12] = [
            (!select.optimizer_hints.is_empty(), &["select"], "a hint"),
            (select.select_modifiers.is_some(), &["select"], "a modifier of SELECT"),
            (select.top.is_some(), &["top"], "TOP"),
            (select.exclude.is_some(), &["exclude"], "EXCLUDE at the end of SELECT"),
            (select.into.is_some(), &["into"], "SELECT INTO"),
            (!select.lateral_views.is_empty(), &["lateral"], "LATERAL VIEW"),
            (select.prewhere.is_some(), &["prewhere"], "PREWHERE"),
            (!select.connect_by.is_empty(), &["connect", "start"], "CONNECT BY"),
            (!select.cluster_by.is_empty(), &["cluster"], "CLUSTER BY"),
            (!select.distribute_by.is_empty(), &["distribute"], "DISTRIBUTE BY"),
            (!select.sort_by.is_empty(), &["sort"], "SORT BY"),
            (select.value_table_mode.is_some(), &["as"], "SELECT AS"),
        ];
        if let Some((_, words, clause)) = refused.iter().find(|(found, _, _)| *found) {
            return self.unsupported(words, clause);
        }
        if select.flavor != SelectFlavor::Standard {
            return self.refuse(&["from"], "a query begins with SELECT", "");
        }
        for item in &select.projection {
            let options = match item {
                SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => options,
                SelectItem::ExprWithAliases { .. } => return self.unsupported(&["as"], "more than one alias"),
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => continue,
            };
            let WildcardAdditionalOptions { opt_ilike, opt_rename, opt_alias, .. } = options;
            if opt_ilike.is_some() {
                return self.unsupported(&["ilike"], "ILIKE after *");
            }
            if opt_rename.is_some() {
                return self.unsupported(&["rename"], "RENAME after *");
            }
            if opt_alias.is_some() {
                return self.unsupported(&["as"], "an alias after *");
            }
        }
        let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else {
            let GroupByExpr::All(modifiers) = &select.group_by else { return Ok(()) };
            return if modifiers.is_empty() { Ok(()) } else { self.grouping_sets() };
        };
        let is_set = |expr: &Expr| matches!(expr, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_));
        if !modifiers.is_empty() || groups.iter().any(is_set) {
            return self.grouping_sets();
        }
        for table in &select.from {
            for join in &table.joins {
                self.join(join)?;
            }
        }
        Ok(())
    }

    fn grouping_sets(&self) -> Checked {
        self.refuse(
            &["grouping", "rollup", "cube", "totals"],
            "GROUPING SETS, ROLLUP and CUBE are not supported yet",
            "write one SELECT per set of keys, with UNION ALL between",
        )
    }

    fn join(&self, join: &Join) -> Checked {
        let constraint = match &join.join_operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint) => constraint,
            other => {
                let shown = Join { join_operator: other.clone(), ..join.clone() }.to_string();
                let word = shown.split_whitespace().find(|word| !word.eq_ignore_ascii_case("left")).unwrap_or("JOIN");
                let message = format!("a join by {word} is not supported");
                return self.refuse(&[word, "join"], message, "write JOIN, LEFT JOIN, RIGHT JOIN or FULL JOIN");
            }
        };
        if join.global {
            return self.unsupported(&["global"], "GLOBAL before JOIN");
        }
        if matches!(join.join_operator, JoinOperator::CrossJoin(_)) && !matches!(constraint, JoinConstraint::None) {
            return self.refuse(&["cross"], "CROSS JOIN takes no condition", "write JOIN ... ON");
        }
        Ok(())
    }

    fn table(&self, factor: &TableFactor) -> Checked {
        match factor {
            TableFactor::Table {
                name,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let name = name.to_string();
                if version.is_some() {
                    return self.refuse(
                        &["system_time", "for"],
                        "FOR SYSTEM_TIME AS OF is not supported yet: temporal and lookup joins come later",
                        "join two windowed results on their window and keys, or put the reference data into the records",
                    );
                }
                let refused: [(bool, &[&str], &str); 7] = [
                    (!with_hints.is_empty(), &["with"], "WITH after a table"),
                    (*with_ordinality, &["ordinality"], "WITH ORDINALITY"),
                    (!partitions.is_empty(), &["partition"], "PARTITION after a table"),
                    (json_path.is_some(), &[&name], "a path after a table"),
                    (sample.is_some(), &["tablesample", "sample"], "TABLESAMPLE"),
                    (!index_hints.is_empty(), &["use", "ignore", "force"], "an index hint"),
                    (args.as_ref().is_some_and(|args| args.settings.is_some()), &["settings"], "SETTINGS"),
                ];
                match refused.iter().find(|(found, _, _)| *found) {
                    Some((_, words, clause)) => self.unsupported(words, clause),
                    None => Ok(()),
                }
            }
            TableFactor::Derived { lateral, sample, .. } => {
                if *lateral {
                    return self.refuse(
                        &["lateral"],
                        "LATERAL before a sub-query is not supported",
                        "use LATERAL TABLE(function(...)), UNNEST, or a join of windows",
                    );
                }
                if sample.is_some() { self.unsupported(&["tablesample", "sample"], "TABLESAMPLE") } else { Ok(()) }
            }
            TableFactor::UNNEST { with_offset, with_offset_alias, with_ordinality, .. } => {
                if *with_offset || with_offset_alias.is_some() {
                    return self.unsupported(&["offset"], "WITH OFFSET");
                }
                if *with_ordinality { self.unsupported(&["ordinality"], "WITH ORDINALITY") } else { Ok(()) }
            }
            TableFactor::Function { with_ordinality, .. } => {
                if *with_ordinality {
                    self.unsupported(&["ordinality"], "WITH ORDINALITY")
                } else {
                    Ok(())
                }
            }
            TableFactor::TableFunction { .. } | TableFactor::NestedJoin { .. } => Ok(()),
            TableFactor::MatchRecognize { .. } => self.refuse(
                &["match_recognize"],
                "MATCH_RECOGNIZE is not supported yet",
                "sessions find runs of events: GROUP BY SESSION(rowtime, gap), key",
            ),
            TableFactor::Pivot { .. } => {
                self.refuse(&["pivot"], "PIVOT is not supported", "write aggregates with FILTER (WHERE ...)")
            }
            TableFactor::Unpivot { .. } => self.unsupported(&["unpivot"], "UNPIVOT"),
            TableFactor::JsonTable { .. } => {
                self.refuse(&["json_table"], "JSON_TABLE is not supported", "use JsonQuery(json, path)")
            }
            TableFactor::OpenJsonTable { .. } => {
                self.refuse(&["openjson"], "OPENJSON is not supported", "use JsonQuery(json, path)")
            }
            other => {
                let text = other.to_string();
                let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                self.refuse(&[word], format!("{word} is not supported in FROM"), "")
            }
        }
    }

    fn function(&self, function: &Function) -> Checked {
        let name = function.name.to_string();
        let lower = name.to_lowercase();
        let place: &[&str] = &[&name];
        if !matches!(function.parameters, FunctionArguments::None) {
            return self.refuse(place, format!("{name} takes one list of arguments"), "");
        }
        let mut clauses: Vec<&str> = Vec::new();
        let (mut distinct, mut ordered) = (false, false);
        if let FunctionArguments::List(list) = &function.args {
            distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
            for clause in &list.clauses {
                match clause {
                    FunctionArgumentClause::OrderBy(_) => ordered = true,
                    FunctionArgumentClause::IgnoreOrRespectNulls(_) => clauses.push("IGNORE NULLS"),
                    _ => return self.refuse(place, format!("a clause inside {name}(...) is not supported"), ""),
                }
            }
        }
        if function.null_treatment.is_some() {
            clauses.push("IGNORE NULLS");
        }
        const NULLS_MATTER: [&str; 6] = ["first_value", "last_value", "nth_value", "array_agg", "lag", "lead"];
        if !clauses.is_empty() && !NULLS_MATTER.contains(&lower.as_str()) {
            let message = format!("IGNORE NULLS and RESPECT NULLS are not supported in {name}");
            return self.refuse(
                &["ignore", "respect"],
                message,
                "leave it out, or filter: FILTER (WHERE x IS NOT NULL)",
            );
        }
        if !self.aggregates.contains(&lower) {
            // DataFusion drops all of these from a scalar function.
            let found = [
                (distinct, "distinct", "DISTINCT"),
                (ordered, "order", "ORDER BY"),
                (function.filter.is_some(), "filter", "FILTER"),
                (!function.within_group.is_empty(), "within", "WITHIN GROUP"),
            ];
            if let Some((_, word, clause)) = found.iter().find(|(found, _, _)| *found)
                && function.over.is_none()
            {
                let message = format!("{clause} belongs to an aggregate, and {name} is none");
                return self.refuse(&[word], message, "leave it out");
            }
            return Ok(());
        }
        const DISTINCT_HONOURED: [&str; 15] = [
            "count",
            "sum",
            "avg",
            "mean",
            "min",
            "max",
            "array_agg",
            "string_agg",
            "median",
            "bit_and",
            "bit_or",
            "bit_xor",
            "bool_and",
            "bool_or",
            "percentile_cont",
        ];
        if distinct && !DISTINCT_HONOURED.contains(&lower.as_str()) {
            let hint = match lower.as_str() {
                "distinctcount" | "approxdistinctcount" => "leave DISTINCT out: the function counts distinct values",
                _ => "leave it out, or group by the value in a sub-query over the same window first",
            };
            return self.refuse(&["distinct"], format!("DISTINCT is not supported in {name}"), hint);
        }
        const ORDER_HONOURED: [&str; 4] = ["array_agg", "string_agg", "first_value", "last_value"];
        if ordered && !ORDER_HONOURED.contains(&lower.as_str()) {
            let hint = match lower.as_str() {
                "collectarray" => "CollectArray orders by event time; for another order write array_agg(x ORDER BY y)",
                "nth_value" => "write ElementAt(array_agg(x ORDER BY y), n)",
                _ => "leave it out: the result does not depend on the order",
            };
            return self.refuse(&["order"], format!("ORDER BY is not supported in {name}"), hint);
        }
        Ok(())
    }
}

impl Visitor for Checker<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let checked = self.query(query);
        self.depth += 1;
        flow(checked)
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Self::Break> {
        flow(self.select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Self::Break> {
        flow(self.table(factor))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Function(function) => flow(self.function(function)),
            _ => ControlFlow::Continue(()),
        }
    }
}

struct Rewritten<'a> {
    places: &'a Places<'a>,
}

impl Visitor for Rewritten<'_> {
    type Break = Box<SqlError>;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        let word = match expr {
            Expr::InSubquery { .. } => "in",
            Expr::Exists { .. } => "exists",
            Expr::Subquery(_) => "select",
            _ => return ControlFlow::Continue(()),
        };
        let mut error = self
            .places
            .error(&[word], "a sub-query inside an expression is not supported")
            .with_hint("join two windowed results on their window and keys");
        let start = expr.span().start;
        if start.line > 0 {
            (error.line, error.column, error.end) = (start.line as usize, start.column as usize, None);
        }
        ControlFlow::Break(Box::new(error))
    }
}

fn flow(checked: Checked) -> ControlFlow<Box<SqlError>> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}
