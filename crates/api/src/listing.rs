//! Searching, sorting and paging of lists, on the server, so that a client asks for what it shows and no more.

use crate::problem::Problem;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use control::{ControlError, nearest};
use serde::Deserialize;
use serde_json::{Value, json};
use std::borrow::Cow;
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
    /// Daggers and firehoses that read this topic.
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

impl ListQuery {
    /// Of a list that is not of resources: it has no groups or states to filter by.
    pub fn words_of(search: Option<String>, sort: Option<String>, limit: Option<usize>, offset: Option<usize>) -> Self {
        Self { search, sort, limit, offset, ..Self::default() }
    }
}

/// A column to sort by: its name, and where its value is.
pub(crate) type Column = (&'static str, &'static str);

/// One item of a list. Its JSON is written when it is on the page, and not before: most are not.
pub(crate) trait Item {
    fn value(&self, pointer: &str) -> Option<Cow<'_, Value>>;
    /// Where words are looked for.
    fn text(&self) -> String;
    fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()>;
}

impl Item for Value {
    fn value(&self, pointer: &str) -> Option<Cow<'_, Value>> {
        self.pointer(pointer).map(Cow::Borrowed)
    }

    fn text(&self) -> String {
        format!("{} {}", self["metadata"], self["spec"])
    }

    fn write(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        serde_json::to_writer(out, self)
    }
}

/// `{"items": [..], "total": N, "facets": {"groups": [..], "states": [..]}}`: the page, how many match, and what there is
/// to filter by.
pub(crate) fn page<I: Item>(mut items: Vec<I>, query: &ListQuery, columns: &[Column]) -> Result<Page, Problem> {
    let facets = json!({
        "groups": values(&items, "/metadata/group"), "states": values(&items, "/status/state"),
        "clusters": values(&items, "/spec/cluster"),
    });
    let words = words(query)?;
    items.retain(|item| matches(item, query, &words));
    if let Some(sort) = &query.sort {
        let (name, descending) = sort.strip_prefix('-').map_or((sort.as_str(), false), |name| (name, true));
        let pointer = column(name, columns)?;
        let mut keyed: Vec<(Key, I)> =
            items.into_iter().map(|item| (Key::of(item.value(pointer).as_deref()), item)).collect();
        keyed.sort_by(|(a, _), (b, _)| {
            let order = a.compare(b);
            if descending { order.reverse() } else { order }
        });
        items = keyed.into_iter().map(|(_, item)| item).collect();
    }
    let total = items.len();
    let offset = query.offset.unwrap_or(0).min(total);
    let limit = query.limit.map_or(total, |limit| limit.min(LIMIT_MAX));
    let mut body = b"{\"items\":[".to_vec();
    let written = items.iter().skip(offset).take(limit).enumerate().try_for_each(|(index, item)| {
        if index > 0 {
            body.push(b',');
        }
        item.write(&mut body)
    });
    written.map_err(|error| ControlError::internal(format!("a list cannot be written: {error}")))?;
    body.extend_from_slice(format!("],\"total\":{total},\"facets\":{facets}}}").as_bytes());
    Ok(Page(body))
}

/// A page as JSON; long lists are written straight into it.
#[derive(Debug)]
pub(crate) struct Page(Vec<u8>);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
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

fn matches<I: Item>(item: &I, query: &ListQuery, words: &[String]) -> bool {
    let is = |pointer: &str, wanted: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| item.value(pointer).as_deref().and_then(Value::as_str) == Some(wanted))
    };
    let of_streams = |is_it: &dyn Fn(&Value) -> bool| {
        let streams = item.value("/spec/streams");
        streams.as_deref().and_then(Value::as_array).is_some_and(|streams| streams.iter().any(is_it))
    };
    let reads = |topic: &String| {
        of_streams(&|stream| {
            let topics = stream.get("topics").and_then(Value::as_array).into_iter().flatten();
            topics.into_iter().any(|known| known == topic.as_str())
        }) || (item.value("/kind").is_some_and(|kind| *kind == "Firehose")
            && item.value("/spec/topic").is_some_and(|known| *known == topic.as_str()))
    };
    let is_of = |schema: &String| {
        of_streams(&|stream| stream.get("schema").is_some_and(|known| known == schema.as_str()))
            || item.value("/spec/schema").is_some_and(|known| *known == schema.as_str())
    };
    is("/metadata/group", &query.group)
        && is("/status/state", &query.state)
        && is("/spec/cluster", &query.cluster)
        && query.topic.as_ref().is_none_or(reads)
        && query.schema.as_ref().is_none_or(is_of)
        && (words.is_empty() || {
            let text = item.text().to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        })
}

/// What a list is sorted by: numbers by size, texts without regard to case, what is missing last.
enum Key {
    Number(f64),
    Text(String),
    Missing,
}

impl Key {
    fn of(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Key::Missing,
            Some(Value::String(text)) => Key::Text(text.to_lowercase()),
            Some(other) => other.as_f64().map_or_else(|| Key::Text(other.to_string()), Key::Number),
        }
    }

    fn compare(&self, other: &Key) -> Ordering {
        let rank = |key: &Key| match key {
            Key::Number(_) => 0,
            Key::Text(_) => 1,
            Key::Missing => 2,
        };
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

fn values<I: Item>(items: &[I], pointer: &str) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for value in items.iter().filter_map(|item| item.value(pointer)) {
        if let Some(text) = value.as_str()
            && !values.contains(text)
        {
            values.insert(text.to_owned());
        }
    }
    values
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
        let page: Value = serde_json::from_slice(&page(items, &query, COLUMNS).unwrap().0).unwrap();
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
        let error = page(Vec::<Value>::new(), &query, COLUMNS).unwrap_err().document();
        assert_eq!(error.hint.as_deref(), Some("did you mean `name`?"));
    }
}
