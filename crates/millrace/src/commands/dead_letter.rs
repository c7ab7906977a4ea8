//! `millrace dead-letter`.

use super::{items, read_document};
use crate::arguments::{DeadLetterArguments, DeadLetterCommand, OutputFormat};
use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Output, column, note};
use reqwest::Method;
use serde_json::{Map, Value, json};

const PAGE_LETTERS: usize = 1_000;

pub async fn run(command: DeadLetterCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        DeadLetterCommand::List { filter, limit } => list(&filter, limit, client, output).await,
        DeadLetterCommand::Show { id } => output.item(&client.get(&["dead-letters", &id]).await?),
        DeadLetterCommand::Replay { id, edited, filter } => {
            let has_filter =
                [&filter.dagger, &filter.firehose, &filter.topic, &filter.kind].iter().any(|it| it.is_some());
            if id.is_none() && !has_filter {
                return Err(Failure::usage("what to replay is not said").with_hint(
                    "name one by its id, or give --dagger, --firehose, --topic or --kind to replay all that match",
                ));
            }
            let mut body: Map<String, Value> =
                pairs(&filter).map(|(key, value)| (key.to_owned(), json!(value))).collect();
            body.remove("state");
            if let Some(id) = id {
                body.insert("id".to_owned(), json!(id));
            }
            if let Some(file) = edited {
                let value: Value = control::document::parse_json(&read_document(&file)?).map_err(Failure::from)?;
                body.insert("value".to_owned(), value);
            }
            let answer = client.post_json(&["dead-letters", "replay"], &Value::Object(body)).await?;
            note(format!(
                "{} dead letters were given to their daggers or firehoses again",
                answer.get("replayed").unwrap_or(&Value::Null)
            ));
            if output.format() != OutputFormat::Table {
                output.item(&answer)?;
            }
            Ok(())
        }
    }
}

fn pairs(filter: &DeadLetterArguments) -> impl Iterator<Item = (&'static str, String)> {
    let given = [
        ("dagger", &filter.dagger),
        ("firehose", &filter.firehose),
        ("topic", &filter.topic),
        ("kind", &filter.kind),
        ("state", &filter.state),
    ];
    given.into_iter().filter_map(|(key, value)| value.clone().map(|value| (key, value))).collect::<Vec<_>>().into_iter()
}

async fn list(filter: &DeadLetterArguments, limit: usize, client: Client, mut output: Output) -> Result<(), Failure> {
    let mut letters: Vec<Value> = Vec::new();
    let mut after: Option<String> = None;
    while letters.len() < limit {
        let mut query: Vec<(&str, String)> = pairs(filter).collect();
        query.push(("limit", (limit - letters.len()).min(PAGE_LETTERS).to_string()));
        query.extend(after.take().map(|cursor| ("after", cursor)));
        let request = client.request(Method::GET, &["dead-letters"])?.query(&query);
        let page = json(client.send(request).await?).await?;
        letters.extend(items(&page).to_vec());
        after = page.get("next").and_then(Value::as_str).map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    output.items(
        &letters,
        &[
            column("ID", "/id"),
            column("KIND", "/kind"),
            column("STATE", "/state"),
            column("FIRST SEEN", "/firstSeen"),
            column("BYTES", "/bytes"),
            column("ERROR", "/error"),
        ],
    )?;
    if after.is_some() {
        note(format!("there are more than {limit}; -n shows more"));
    }
    Ok(())
}
