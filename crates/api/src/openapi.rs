//! The OpenAPI document, made from the table of routes and the types beside them. `docs/reference/openapi.json` is it; a test
//! tells when that is old, and another holds real answers against it.

use crate::routes::{Route, table};
use crate::shapes;
use axum::http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, ToSchema};

pub(crate) type Components = BTreeMap<String, Value>;
/// Adds a type and what it is made of to the components; returns its name.
pub(crate) type Describe = fn(&mut Components) -> String;

/// What the document says of one route.
pub(crate) struct Description {
    pub tag: &'static str,
    pub summary: &'static str,
    query: Option<fn() -> Value>,
    takes: Takes,
    status: u16,
    answer: Answer,
    errors: Errors,
}

enum Errors {
    /// `application/problem+json`
    Problems,
    /// `{"error": ".."}`
    InfluxDb,
}

enum Takes {
    Nothing,
    Json(Describe),
    /// A document that a person writes.
    Yaml(Describe),
    Records,
    Text,
    /// Of these media types; what is in them is told elsewhere.
    Media(&'static [&'static str]),
}

enum Answer {
    Nothing,
    Text,
    Json(Describe),
    /// A gzipped tar archive, or the same as JSON.
    Archive(Describe),
    /// Objects, one a line, or server-sent events.
    Lines,
    Redirect,
    Media(&'static [&'static str]),
}

impl Description {
    pub fn new(tag: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            summary,
            query: None,
            takes: Takes::Nothing,
            status: 200,
            answer: Answer::Nothing,
            errors: Errors::Problems,
        }
    }

    pub fn query<Q: IntoParams>(mut self) -> Self {
        self.query = Some(|| serde_json::to_value(Q::into_params(|| None)).unwrap_or_default());
        self
    }

    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Takes::Json(describe::<T>);
        self
    }

    pub fn takes_document<T: ToSchema>(mut self) -> Self {
        self.takes = Takes::Yaml(describe::<T>);
        self
    }

    pub fn takes_records(mut self) -> Self {
        self.takes = Takes::Records;
        self
    }

    pub fn takes_text(mut self) -> Self {
        self.takes = Takes::Text;
        self
    }

    pub fn answers<T: ToSchema>(mut self, status: u16) -> Self {
        (self.status, self.answer) = (status, Answer::Json(describe::<T>));
        self
    }

    pub fn answers_text(mut self) -> Self {
        self.answer = Answer::Text;
        self
    }

    pub fn takes_media(mut self, media_types: &'static [&'static str]) -> Self {
        self.takes = Takes::Media(media_types);
        self
    }

    pub fn answers_media(mut self, media_types: &'static [&'static str]) -> Self {
        self.answer = Answer::Media(media_types);
        self
    }

    pub fn errors_as_influxdb(mut self) -> Self {
        self.errors = Errors::InfluxDb;
        self
    }

    pub fn answers_nothing(mut self) -> Self {
        self.status = 204;
        self
    }

    pub fn answers_archive<T: ToSchema>(mut self) -> Self {
        self.answer = Answer::Archive(describe::<T>);
        self
    }

    pub fn answers_lines(mut self) -> Self {
        self.answer = Answer::Lines;
        self
    }

    pub fn redirects(mut self) -> Self {
        (self.status, self.answer) = (303, Answer::Redirect);
        self
    }

    /// The component of the answer, for tests.
    #[cfg(test)]
    pub fn answer_name(&self) -> Option<String> {
        match self.answer {
            Answer::Json(describe) => Some(describe(&mut Components::new())),
            _ => None,
        }
    }
}

fn describe<T: ToSchema>(components: &mut Components) -> String {
    let name = T::name().into_owned();
    let mut parts: Vec<(String, RefOr<Schema>)> = vec![(name.clone(), T::schema())];
    T::schemas(&mut parts);
    for (name, schema) in parts {
        components.entry(name).or_insert_with(|| serde_json::to_value(schema).unwrap_or_default());
    }
    name
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut components = Components::new();
    describe::<shapes::Problem>(&mut components);
    let mut paths: Map<String, Value> = Map::new();
    for route in table() {
        let operation = operation(&route, &mut components);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Millrace", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0" },
            "description": "Everything that the portal and the command line do. A token goes into `Authorization: Bearer`; \
                            errors are application/problem+json. A POST with `Idempotency-Key` is done once; a change with \
                            `If-Match` only to the generation that was seen; `?dryRun=true` checks and makes nothing.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": crate::access::SESSION_COOKIE },
            },
        },
    })
}

fn operation(route: &Route, components: &mut Components) -> Value {
    let description = &route.description;
    let mut parameters = path_parameters(route.path);
    if let Some(query) = description.query
        && let Value::Array(query) = query()
    {
        parameters.extend(query);
    }
    let mut operation = Map::new();
    operation.insert("operationId".into(), json!(operation_id(route)));
    operation.insert("tags".into(), json!([description.tag]));
    operation.insert("summary".into(), json!(description.summary));
    operation.insert("x-permission".into(), json!(route.needs.to_text()));
    if route.needs != crate::access::Needs::Nothing {
        operation.insert("security".into(), json!([{ "token": [] }, { "session": [] }]));
    }
    if !parameters.is_empty() {
        operation.insert("parameters".into(), Value::Array(parameters));
    }
    if let Some(content) = request_content(description, components) {
        operation.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    let answer = match description.answer {
        Answer::Nothing => json!({ "description": "done" }),
        Answer::Redirect => json!({ "description": "goes on elsewhere" }),
        Answer::Text => json!({ "description": "text", "content": { "text/plain": {} } }),
        Answer::Json(describe) => {
            json!({ "description": "the answer", "content": { "application/json": { "schema": reference(&describe(components)) } } })
        }
        Answer::Archive(describe) => json!({
            "description": "a gzipped tar archive, or the same as JSON for those who accept application/json",
            "content": {
                "application/gzip": {}, "application/json": { "schema": reference(&describe(components)) },
            },
        }),
        Answer::Media(media_types) => json!({ "description": "the answer", "content": contents(media_types) }),
        Answer::Lines => json!({
            "description": "one JSON object a line",
            "content": { "application/x-ndjson": {}, "text/event-stream": {} },
        }),
    };
    let content = match description.errors {
        Errors::Problems => json!({ "application/problem+json": { "schema": reference("Problem") } }),
        Errors::InfluxDb => {
            json!({ "application/json": { "schema": reference(&describe::<shapes::InfluxError>(components)) } })
        }
    };
    let problem = json!({ "description": "what is wrong and what to do", "content": content });
    operation.insert("responses".into(), json!({ description.status.to_string(): answer, "default": problem }));
    Value::Object(operation)
}

fn request_content(description: &Description, components: &mut Components) -> Option<Value> {
    Some(match description.takes {
        Takes::Nothing => return None,
        Takes::Json(describe) => json!({ "application/json": { "schema": reference(&describe(components)) } }),
        Takes::Yaml(describe) => {
            let schema = reference(&describe(components));
            json!({ "application/yaml": { "schema": schema }, "application/json": { "schema": schema } })
        }
        Takes::Media(media_types) => contents(media_types),
        Takes::Text => json!({ "application/yaml": {}, "application/json": {} }),
        Takes::Records => json!({ "application/json": {}, "application/x-ndjson": {}, "application/x-protobuf": {} }),
    })
}

fn contents(media_types: &[&str]) -> Value {
    Value::Object(media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({}))).collect())
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    names.map(parameter).collect()
}

/// `getDaggersNameResults` and its like: from the method and the path, so that no two are the same.
fn operation_id(route: &Route) -> String {
    let mut id = route.method.as_str().to_ascii_lowercase();
    let path = route.path.strip_prefix("/api/v1").unwrap_or(route.path);
    for word in path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
    }
    if route.method == Method::PUT { id.replacen("put", "set", 1) } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");

    #[test]
    fn the_file_is_as_the_routes_are() {
        let is = std::fs::read_to_string(FILE).unwrap_or_default();
        let wanted = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if is != wanted && std::env::var_os("UPDATE").is_some() {
            std::fs::write(FILE, wanted).unwrap();
            return;
        }
        assert!(
            is == wanted,
            "docs/reference/openapi.json is old: run the tests with UPDATE=1 and look at what changed"
        );
    }

    #[test]
    fn every_reference_leads_somewhere_and_no_id_is_there_twice() {
        let document = document();
        let text = document.to_string();
        for part in text.split("\"#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        let mut ids: Vec<&str> =
            text.split("\"operationId\":\"").skip(1).filter_map(|it| it.split('"').next()).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(count, ids.len());
    }
}
