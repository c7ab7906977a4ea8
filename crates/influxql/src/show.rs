//! Statements that begin with `SHOW`: what there is, without reading points.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};

use crate::answer::ResultSeries;
use crate::ast::{Counted, DataType, Expr, Measurement, Regex, Show, TagKeys};
use crate::condition::{has_time, split};
use crate::database::{Database, TagSet};
use crate::reduce::Known;
use crate::run::{database_not_found, text_series};
use crate::schema::{Found, field_type};
use crate::select::{Budget, matching_series};
use crate::token::Token;
use crate::{Databases, QueryError};

type Answer = Result<Vec<ResultSeries>, QueryError>;

fn open(show: &Show, databases: &dyn Databases) -> Result<Arc<dyn Database>, QueryError> {
    if show.database.is_empty() {
        return Err(QueryError::new("database name required"));
    }
    databases.open(&show.database)?.ok_or_else(|| database_not_found(&show.database))
}

fn is_source(name: &str, sources: &[Measurement]) -> bool {
    sources.is_empty()
        || sources.iter().any(|source| match &source.regex {
            Some(regex) => regex.matches(name),
            None => source.name == name,
        })
}

/// The measurements that a statement's FROM names.
fn found(show: &Show, databases: &dyn Databases) -> Result<Vec<Found>, QueryError> {
    let mut found = Vec::new();
    let default = show.sources.iter().find(|source| !source.database.is_empty());
    let name = default.map_or(show.database.clone(), |source| source.database.clone());
    let database = open(&Show { database: name, ..Show::default() }, databases)?;
    for name in database.measurements()? {
        if is_source(&name, &show.sources)
            && let Some(shape) = database.shape(&name)?
        {
            found.push(Found { database: database.clone(), name, shape });
        }
    }
    Ok(found)
}

/// The condition with the types that names have in a measurement.
fn typed(condition: &Expr, found: &Found) -> Expr {
    let mut condition = condition.clone();
    condition.walk_mut(&mut |expr| {
        if let Expr::Ref(reference) = expr {
            let field = found.shape.fields.iter().find(|field| field.name == reference.name);
            reference.data_type = match field {
                Some(field) => field_type(field.field_type),
                None => DataType::Tag,
            };
        }
    });
    condition
}

/// The series of a measurement that a condition does not rule out. Times are not considered.
fn series_of(found: &Found, condition: Option<&Expr>, budget: &Budget) -> Result<Vec<TagSet>, QueryError> {
    let condition = condition.map(|condition| typed(condition, found));
    matching_series(found, condition.as_ref(), budget)
}

fn page<T>(items: Vec<T>, show: &Show) -> Vec<T> {
    let limit = if show.limit == 0 { usize::MAX } else { show.limit };
    items.into_iter().skip(show.offset).take(limit).collect()
}

pub fn measurements(show: &Show, databases: &dyn Databases) -> Answer {
    if has_time(show.condition.as_ref()) {
        return Err(QueryError::new("SHOW MEASUREMENTS doesn't support time in WHERE clause"));
    } else if show.database.is_empty() {
        return Err(QueryError::new("database name required"));
    } else if databases.open(&show.database)?.is_none() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for found in found(show, databases)? {
        let wanted = match &show.condition {
            Some(condition) => measurement_holds(condition, &found)?,
            None => true,
        };
        if wanted {
            names.push(found.name);
        }
    }
    let names = page(names, show);
    Ok(if names.is_empty() { Vec::new() } else { vec![text_series("measurements", &["name"], vec![names])] })
}

/// Whether a measurement has values of tags as a condition wants them; without the tag it has not, whatever is wanted.
fn measurement_holds(condition: &Expr, found: &Found) -> Result<bool, QueryError> {
    let binary = match condition {
        Expr::Paren(inner) => return measurement_holds(inner, found),
        Expr::Binary(binary) => binary,
        other => return Err(QueryError::new(format!("invalid condition: {other}"))),
    };
    if matches!(binary.op, Token::And | Token::Or) {
        let (left, right) = (measurement_holds(&binary.left, found)?, measurement_holds(&binary.right, found)?);
        return Ok(if binary.op == Token::And { left && right } else { left || right });
    }
    if !matches!(binary.op, Token::Eq | Token::Neq | Token::EqRegex | Token::NeqRegex) {
        return Err(QueryError::new("invalid tag comparison operator"));
    }
    let op = binary.op.text();
    let Expr::Ref(tag) = &binary.left else {
        return Err(QueryError::new(format!("left side of '{op}' must be a tag key")));
    };
    let matches: Box<dyn Fn(&str) -> bool> = match &binary.right {
        Expr::Regex(regex) => Box::new(|value| regex.matches(value)),
        Expr::Text(text) => Box::new(move |value| value == text),
        _ => return Err(QueryError::new(format!("right side of '{op}' must be a tag value string"))),
    };
    let negated = matches!(binary.op, Token::Neq | Token::NeqRegex);
    if tag.name == "_name" {
        return Ok(matches(&found.name) != negated);
    } else if !found.shape.tags.contains(&tag.name) {
        return Ok(false);
    }
    let any = found.database.tag_values(&found.name, &tag.name)?.iter().any(|value| matches(value));
    Ok(any != negated)
}

/// As line protocol writes it.
fn series_key(measurement: &str, tags: &TagSet) -> String {
    let mut key = measurement.replace(',', "\\,").replace(' ', "\\ ");
    let escape = |text: &str| text.replace(',', "\\,").replace(' ', "\\ ").replace('=', "\\=");
    for (name, value) in tags {
        key.push(',');
        key.push_str(&escape(name));
        key.push('=');
        key.push_str(&escape(value));
    }
    key
}

fn without_time(show: &Show, now: i64) -> Result<Option<Expr>, QueryError> {
    let known = Known { now: Some(now), ..Known::default() };
    Ok(split(show.condition.as_ref(), known)?.0)
}

pub fn series(show: &Show, databases: &dyn Databases, budget: &Budget) -> Answer {
    let condition = without_time(show, 0)?;
    let mut keys = Vec::new();
    for found in found(show, databases)? {
        let mut series = series_of(&found, condition.as_ref(), budget)?;
        series.sort();
        for tags in &series {
            let key = series_key(&found.name, tags);
            budget.hold(key.len() + size_of::<String>())?;
            keys.push(key);
        }
    }
    let keys = page(keys, show);
    Ok(if keys.is_empty() { Vec::new() } else { vec![text_series("", &["key"], vec![keys])] })
}

pub fn tag_keys(show: &Show, databases: &dyn Databases, now: i64, budget: &Budget) -> Answer {
    open(show, databases)?;
    let condition = without_time(show, now)?;
    let mut answer = Vec::new();
    for found in found(show, databases)? {
        let keys: BTreeSet<String> = match &condition {
            None => found.shape.tags.iter().cloned().collect(),
            Some(_) => {
                let series = series_of(&found, condition.as_ref(), budget)?;
                series.into_iter().flatten().map(|(name, _)| name).collect()
            }
        };
        let keys = page(keys.into_iter().collect(), show);
        if !keys.is_empty() {
            answer.push(text_series(&found.name, &["tagKey"], vec![keys]));
        }
    }
    Ok(answer)
}

fn wants(keys: &TagKeys, name: &str) -> bool {
    let matches = |regex: &Regex| regex.matches(name);
    match keys {
        TagKeys::In(names) => names.iter().any(|wanted| wanted == name),
        TagKeys::Is(wanted) => wanted == name,
        TagKeys::IsNot(unwanted) => unwanted != name,
        TagKeys::Matches(regex) => matches(regex),
        TagKeys::MatchesNot(regex) => !matches(regex),
    }
}

/// The values of the wanted tags of a measurement, by tag.
fn values_of(
    found: &Found,
    keys: &TagKeys,
    condition: Option<&Expr>,
    budget: &Budget,
) -> Result<BTreeMap<String, BTreeSet<String>>, QueryError> {
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    if condition.is_none() {
        for tag in found.shape.tags.iter().filter(|tag| wants(keys, tag)) {
            let all = found.database.tag_values(&found.name, tag)?;
            budget.hold(all.iter().map(|value| value.len() + size_of::<String>()).sum())?;
            values.insert(tag.clone(), all.into_iter().collect());
        }
        return Ok(values);
    }
    for (name, value) in series_of(found, condition, budget)?.into_iter().flatten() {
        if wants(keys, &name) {
            values.entry(name).or_default().insert(value);
        }
    }
    Ok(values)
}

pub fn tag_values(show: &Show, keys: &TagKeys, databases: &dyn Databases, now: i64, budget: &Budget) -> Answer {
    open(show, databases)?;
    let condition = without_time(show, now)?;
    let mut answer = Vec::new();
    for found in found(show, databases)? {
        let values = values_of(&found, keys, condition.as_ref(), budget)?;
        let pairs: Vec<(String, String)> = values
            .into_iter()
            .flat_map(|(key, values)| values.into_iter().map(move |value| (key.clone(), value)))
            .collect();
        let (keys, values): (Vec<_>, Vec<_>) = page(pairs, show).into_iter().unzip();
        if !keys.is_empty() {
            answer.push(text_series(&found.name, &["key", "value"], vec![keys, values]));
        }
    }
    Ok(answer)
}

pub fn field_keys(show: &Show, databases: &dyn Databases) -> Answer {
    let mut answer = Vec::new();
    for found in found(show, databases)? {
        let mut fields: Vec<(String, String)> = found
            .shape
            .fields
            .iter()
            .map(|field| (field.name.clone(), field_type(field.field_type).text().to_owned()))
            .collect();
        fields.sort();
        let (names, types): (Vec<_>, Vec<_>) = page(fields, show).into_iter().unzip();
        if !names.is_empty() {
            answer.push(text_series(&found.name, &["fieldKey", "fieldType"], vec![names, types]));
        }
    }
    if show.descending {
        answer.reverse();
    }
    Ok(answer)
}

pub fn retention_policies(database: &str, databases: &dyn Databases) -> Answer {
    let show = Show { database: database.to_owned(), ..Show::default() };
    let policies = open(&show, databases)?.retention_policies()?;
    let text = |texts: Vec<String>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let duration = |nanos: i64| format_go_duration(nanos);
    let values: Vec<ArrayRef> = vec![
        text(policies.iter().map(|policy| policy.name.clone()).collect()),
        text(policies.iter().map(|policy| duration(policy.duration_nanos)).collect()),
        text(policies.iter().map(|policy| duration(policy.shard_group_duration_nanos)).collect()),
        Arc::new(Int64Array::from_iter_values(policies.iter().map(|policy| policy.replicas))),
        Arc::new(BooleanArray::from(policies.iter().map(|policy| policy.default).collect::<Vec<_>>())),
    ];
    let columns = ["name", "duration", "shardGroupDuration", "replicaN", "default"];
    let columns = columns.iter().map(|column| (*column).to_owned()).collect();
    Ok(vec![ResultSeries { name: String::new(), tags: Vec::new(), columns, values, partial: false }])
}

/// `168h0m0s`; whole seconds.
fn format_go_duration(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}h{minutes}m{seconds}s")
    } else if minutes > 0 {
        format!("{minutes}m{seconds}s")
    } else {
        format!("{seconds}s")
    }
}

fn count_series(name: &str, column: &str, count: usize) -> ResultSeries {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    ResultSeries {
        name: name.to_owned(),
        tags: Vec::new(),
        columns: vec![column.to_owned()].into(),
        values: vec![Arc::new(Int64Array::from(vec![count]))],
        partial: false,
    }
}

pub fn cardinality(counted: &Counted, exact: bool, show: &Show, databases: &dyn Databases, budget: &Budget) -> Answer {
    let what = match counted {
        Counted::Series => "SHOW SERIES EXACT CARDINALITY",
        Counted::Measurements => "SHOW MEASUREMENT EXACT CARDINALITY",
        Counted::TagKeys => "SHOW TAG KEY EXACT CARDINALITY",
        Counted::FieldKeys => "SHOW FIELD KEY CARDINALITY",
        Counted::TagValues(_) => "SHOW TAG VALUES CARDINALITY",
    };
    if !show.dimensions.is_empty() {
        return Err(QueryError::new(format!("{what} with GROUP BY is not offered; see docs/influxql.md")));
    }
    let plain = show.sources.is_empty() && show.condition.is_none() && show.limit == 0 && show.offset == 0;
    let estimated = !exact && plain && matches!(counted, Counted::Series | Counted::Measurements);
    if !estimated && has_time(show.condition.as_ref()) {
        return Err(QueryError::new(format!("{what} doesn't support time in WHERE clause")));
    }
    let mut counts = Vec::new();
    for found in found(show, databases)? {
        let condition = show.condition.as_ref();
        let count = match counted {
            Counted::Series => series_of(&found, condition, budget)?.len(),
            Counted::Measurements => {
                usize::from(condition.is_none() || !series_of(&found, condition, budget)?.is_empty())
            }
            Counted::TagKeys => {
                let series = series_of(&found, condition, budget)?;
                series.into_iter().flatten().map(|(name, _)| name).collect::<BTreeSet<_>>().len()
            }
            Counted::TagValues(keys) => {
                values_of(&found, keys, condition, budget)?.into_values().flatten().collect::<BTreeSet<_>>().len()
            }
            Counted::FieldKeys => found.shape.fields.len(),
        };
        if count > 0 {
            counts.push((found.name, count));
        }
    }
    let total = counts.iter().map(|(_, count)| count).sum();
    if estimated {
        return Ok(vec![count_series("", "cardinality estimation", total)]);
    } else if *counted == Counted::Measurements {
        return Ok(if total == 0 { Vec::new() } else { vec![count_series("", "count", total)] });
    }
    Ok(counts.into_iter().map(|(name, count)| count_series(&name, "count", count)).collect())
}
