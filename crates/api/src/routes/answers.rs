//! Real answers held against the OpenAPI document: every member is described, and none that is required is missing.

use super::table;
use crate::openapi;
use crate::{Reached, Server, ServerOptions};
use axum::http::Method;
use control::access::{Actor, Caller};
use control::{DemoOptions, Platform, PlatformOptions};
use serde_json::{Value, json};
use std::sync::Arc;

struct Checker {
    components: Value,
    wrong: Vec<String>,
}

impl Checker {
    fn check(&mut self, value: &Value, schema: &Value, at: &str) {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().unwrap_or_default();
            let schema = self.components[name].clone();
            return self.check(value, &schema, at);
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(choices) = schema.get(choice).and_then(Value::as_array) {
                let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
                match value {
                    Value::Null if choices.iter().any(|schema| is_null(&schema)) => {}
                    _ => {
                        if let Some(schema) = choices.iter().find(|schema| !is_null(schema)) {
                            self.check(value, &schema.clone(), at);
                        }
                    }
                }
                return;
            }
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_number = is == "integer" && types.contains(&"number");
        if !types.contains(&is) && !is_number {
            self.wrong.push(format!("{at} is {is}, described as {types:?}"));
            return;
        }
        if let (Value::Array(items), Some(schema)) = (value, schema.get("items")) {
            for (index, item) in items.iter().enumerate() {
                self.check(item, schema, &format!("{at}[{index}]"));
            }
        }
        if let Value::Object(object) = value {
            self.check_object(object, schema, at);
        }
    }

    fn check_object(&mut self, object: &serde_json::Map<String, Value>, schema: &Value, at: &str) {
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !object.contains_key(required) {
                self.wrong.push(format!("{at} has no `{required}`"));
            }
        }
        let (properties, others) = (schema.get("properties"), schema.get("additionalProperties"));
        for (key, value) in object {
            match (properties.and_then(|properties| properties.get(key)), others) {
                (Some(schema), _) | (None, Some(schema)) => self.check(value, schema, &format!("{at}.{key}")),
                (None, None) if properties.is_some() => self.wrong.push(format!("{at}.{key} is not described")),
                (None, None) => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_the_document_says() {
    let directory = tempfile::tempdir().unwrap();
    let platform = Platform::open(PlatformOptions::in_directory(directory.path())).await.unwrap();
    platform.start_demo(DemoOptions { records_per_second: 2_000.0, seed: 1 }).await.unwrap();
    let server = Caller::server();
    platform.create_user(&server, "somebody", "", false).await.unwrap();
    let (_, secret) = platform.access().create_token(&server, "admin", "t", None, None).await.unwrap();
    platform.put_secret(&Actor::server(), "password", None, "open sesame").await.unwrap();
    platform.stop_dagger(&Actor::server(), "surge").await.unwrap();
    let options = ServerOptions { listen: "127.0.0.1:0".parse().unwrap(), reached: Reached::Directly, oidc: None };
    let server = Server::start(Arc::clone(&platform), options).await.unwrap();
    let base = format!("http://{}", server.address());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();

    let firehose = json!({
        "apiVersion": "millrace/v1", "kind": "Firehose", "metadata": { "name": "a_firehose" },
        "spec": { "topic": "driver-location-ping", "sink": { "kind": "log" } },
    });
    platform.apply_firehose(&Actor::server(), &firehose.to_string()).await.unwrap();
    let document = openapi::document();
    let mut checker = Checker { components: document["components"]["schemas"].clone(), wrong: Vec::new() };
    let dagger = client.get(format!("{base}/api/v1/daggers/driver_count_demo")).bearer_auth(&secret);
    let dagger: Value = dagger.send().await.unwrap().json().await.unwrap();
    for route in table() {
        let Some(name) = route.description.answer_name() else { continue };
        let thing = match route.path {
            path if path.contains("-clusters/") => "embedded",
            path if path.contains("/topics/") => "driver-location-ping",
            path if path.contains("/schemas/") => dagger["spec"]["streams"][0]["schema"].as_str().unwrap(),
            path if path.contains("/groups/") => "default",
            path if path.contains("/firehoses/") => "a_firehose",
            _ => "driver_count_demo",
        };
        let path = route.path.replace("{name}", thing).replace("{topic}", "driver-location-ping");
        let address = format!("{base}{path}");
        let request = match (route.method.clone(), route.path) {
            (Method::GET, path) if path.contains("{id}") => continue,
            (Method::GET, _) => client.get(address),
            // Those that change nothing, and one that does.
            (Method::POST, "/api/v1/daggers" | "/api/v1/daggers/validate" | "/api/v1/daggers/preview") => {
                client.post(address).json(&dagger)
            }
            (Method::POST, "/api/v1/firehoses" | "/api/v1/firehoses/validate" | "/api/v1/firehoses/preview") => {
                client.post(address).json(&firehose)
            }
            (Method::POST, "/api/v1/firehoses/send-one") => {
                client.post(address).json(&json!({ "firehose": firehose, "partition": 0, "offset": 0 }))
            }
            (Method::POST, path) if path.ends_with("/pause") || path.ends_with("/resume") => client.post(address),
            (Method::POST, path) if path.ends_with("/seek") => client.post(address).json(&json!({ "to": "earliest" })),
            (Method::POST, path) if path.ends_with("/scale") => client.post(address).json(&json!({ "parallelism": 2 })),
            (Method::POST, path) if path.ends_with("/diff") => client.post(address).json(&dagger),
            (Method::POST, "/api/v1/apply") => client.post(address).json(&dagger),
            (Method::POST, "/api/v1/tokens") => client.post(address).json(&json!({ "name": "another" })),
            (Method::POST, "/api/v1/sql") => client.post(address).json(&json!({ "sql": "SELECT 1 AS one" })),
            (Method::POST, path) if path.ends_with("/stop") || path.ends_with("/start") => client.post(address),
            (Method::POST, path) if path.ends_with("/fork") => client.post(address).json(&json!({ "name": "copy" })),
            _ => continue,
        };
        let response = request.bearer_auth(&secret).send().await.unwrap();
        let at = format!("{} {}", route.method, route.path);
        assert!(response.status().is_success(), "{at}: {}", response.text().await.unwrap());
        let answer: Value = response.json().await.unwrap();
        checker.check(&answer, &json!({ "$ref": format!("#/components/schemas/{name}") }), &at);
    }
    let refused = client.get(format!("{base}/api/v1/daggers/nothing")).bearer_auth(&secret).send().await.unwrap();
    let problem: Value = refused.json().await.unwrap();
    checker.check(&problem, &json!({ "$ref": "#/components/schemas/Problem" }), "a problem");
    server.stop().await.unwrap();
    platform.close().await.unwrap();
    checker.wrong.dedup();
    assert!(checker.wrong.is_empty(), "{}", checker.wrong.join("\n"));
}
