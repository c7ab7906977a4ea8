//! Searching, sorting and paging of lists, on the server, so that a client asks for what it shows and no more.

use crate::problem::Problem;
use control::{ControlError, nearest};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use utoipa::IntoParams;

pub(crate) const LIMIT_MAX: usize = 1_000;
pub(crate) const SEARCH_BYTES_MAX: usize = 1_024;

/// What a list can be asked; without anything the whole list is the answer.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Words that must all be found, in any part of the resource.
    #[serde(default)]
    search: Option<String>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    state: Option<String>,
    /// Daggers that run in this dagger cluster.
    #[serde(default)]
    cluster: Option<String>,
    /// Daggers that read this topic.
    #[serde(default)]
    topic: Option<String>,
    /// Resources of this message type.
    #[serde(default)]
    schema: Option<String>,
    /// A column, with a leading `-` the greatest first.
    #[serde(default)]
    sort: Option<String>,
    #[serde(default)]
    limit: Option<usize>,
    #[serde(default)]
    offset: Option<usize>,
}

/// A column to sort by: its name, and where its value is.
pub(crate) type Column = (&'static str, &'static str);

/// `{"items": [..], "total": N, "facets": {"groups": [..], "states": [..]}}`: the page, how many match, and what there is
/// to filter by.
pub(crate) fn page(mut items: Vec<Value>, query: &ListQuery, columns: &[Column]) -> Result<Value, Problem> {
    let facets = json!({
        "groups": values(&items, "/metadata/group"), "states": values(&items, "/status/state"),
        "clusters": values(&items, "/spec/cluster"),
    });
    let words = words(query)?;
    items.retain(|item| matches(item, query, &words));
    if let Some(sort) = &query.sort {
        let (name, descending) = sort.strip_prefix('-').map_or((sort.as_str(), false), |name| (name, true));
        let pointer = column(name, columns)?;
        items.sort_by(|a, b| {
            let order = compare(a.pointer(pointer), b.pointer(pointer));
            if descending { order.reverse() } else { order }
        });
    }
    let total = items.len();
    let offset = query.offset.unwrap_or(0).min(total);
    let limit = query.limit.map_or(total, |limit| limit.min(LIMIT_MAX));
    let items: Vec<Value> = items.into_iter().skip(offset).take(limit).collect();
    Ok(json!({ "items": items, "total": total, "facets": facets }))
}

fn words(query: &ListQuery) -> Result<Vec<String>, Problem> {
    let search = query.search.as_deref().unwrap_or_default();
    if search.len() > SEARCH_BYTES_MAX {
        return Err(ControlError::too_large(
            "search_too_long",
            format!("the search has more than {SEARCH_BYTES_MAX} bytes"),
        )
        .into());
    }
    Ok(search.split_whitespace().map(str::to_lowercase).collect())
}

fn column(name: &str, columns: &[Column]) -> Result<&'static str, Problem> {
    let known = columns.iter().map(|(name, _)| *name);
    columns.iter().find(|(known, _)| *known == name).map(|(_, pointer)| *pointer).ok_or_else(|| {
        let hint = match nearest(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are {}", known.collect::<Vec<_>>().join(", ")),
        };
        ControlError::invalid("sort_invalid", format!("there is no column `{name}` to sort by")).with_hint(hint).into()
    })
}

fn matches(item: &Value, query: &ListQuery, words: &[String]) -> bool {
    let is = |pointer: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| item.pointer(pointer).and_then(Value::as_str) == Some(wanted))
    };
    let streams = || item.pointer("/spec/streams").and_then(Value::as_array).into_iter().flatten();
    let reads = |topic: &String| {
        streams().filter_map(|stream| stream.get("topics")?.as_array()).flatten().any(|known| known == topic.as_str())
    };
    let is_of = |schema: &String| {
        let of_streams = streams().filter_map(|stream| stream.get("schema"));
        of_streams.chain(item.pointer("/spec/schema")).any(|known| known == schema.as_str())
    };
    is("/metadata/group", &query.group)
        && is("/status/state", &query.state)
        && is("/spec/cluster", &query.cluster)
        && query.topic.as_ref().is_none_or(reads)
        && query.schema.as_ref().is_none_or(is_of)
        && (words.is_empty() || {
            let text = format!("{} {}", item["metadata"], item["spec"]).to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        })
}

/// Numbers by size, texts without regard to case, what is missing last.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a.filter(|value| !value.is_null()), b.filter(|value| !value.is_null())) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => text(a).cmp(&text(b)),
        },
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_lowercase)
}

fn values<'a>(items: &'a [Value], pointer: &str) -> BTreeSet<&'a str> {
    items.iter().filter_map(|item| item.pointer(pointer)?.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("name", "/metadata/name"), ("lag", "/status/lag")];

    fn dagger(name: &str, group: &str, lag: Option<i64>) -> Value {
        json!({
            "metadata": { "name": name, "group": group },
            "spec": { "streams": [{ "topics": ["bookings"], "schema": "a.Booking" }], "sql": format!("SELECT {name}") },
            "status": { "state": "running", "lag": lag },
        })
    }

    fn names(query: &str) -> Vec<String> {
        let items =
            vec![dagger("surge", "rides", Some(20)), dagger("api", "core", Some(3)), dagger("Old", "core", None)];
        let query: ListQuery = serde_json::from_str(query).unwrap();
        let page = page(items, &query, COLUMNS).unwrap();
        assert_eq!(page["facets"]["groups"], json!(["core", "rides"]));
        page["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap().into()).collect()
    }

    #[test]
    fn a_list_is_searched_sorted_and_paged() {
        assert_eq!(names("{}"), ["surge", "api", "Old"]);
        assert_eq!(names(r#"{"sort": "name"}"#), ["api", "Old", "surge"]);
        assert_eq!(names(r#"{"sort": "lag"}"#), ["api", "surge", "Old"]);
        assert_eq!(names(r#"{"sort": "-lag", "limit": 1, "offset": 1}"#), ["surge"]);
        assert_eq!(names(r#"{"search": "select SURGE"}"#), ["surge"]);
        assert_eq!(names(r#"{"group": "core", "state": "running"}"#), ["api", "Old"]);
        assert_eq!(names(r#"{"topic": "bookings", "schema": "a.Booking"}"#).len(), 3);
        assert!(names(r#"{"topic": "pings"}"#).is_empty());
        assert!(names(r#"{"offset": 9}"#).is_empty());
    }

    #[test]
    fn a_column_that_is_not_there_is_named() {
        let query = ListQuery { sort: Some("nam".to_owned()), ..ListQuery::default() };
        let error = page(Vec::new(), &query, COLUMNS).unwrap_err().document();
        assert_eq!(error.hint.as_deref(), Some("did you mean `name`?"));
    }
}
