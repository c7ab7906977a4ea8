//! `millrace topic`.

use super::{items, produce};
use crate::arguments::{TailArguments, TopicCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output, column, note};
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub async fn run(command: TopicCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        TopicCommand::Create { name, partitions, schema, encoding, key_schema, retention } => {
            let mut spec = Map::new();
            spec.insert("partitions".into(), json!(partitions));
            spec.insert("schema".into(), json!(schema));
            let encoding = encoding.map(|written| match written.trim_start().starts_with('{') {
                true => serde_json::from_str(&written)
                    .map_err(|error| Failure::usage(format!("--encoding is not JSON: {error}"))),
                false => Ok(Value::from(written)),
            });
            let given = [
                ("encoding", encoding.transpose()?),
                ("keySchema", key_schema.map(Value::from)),
                ("retention", retention.map(Value::from)),
            ];
            spec.extend(given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
            let topic = json!({
                "apiVersion": control::API_VERSION, "kind": "Topic", "metadata": { "name": name }, "spec": spec,
            });
            let created = client.post_json(&["topics"], &topic).await?;
            note(format!("created the topic {name}"));
            list(&[created], &mut output)
        }
        TopicCommand::List => list(items(&client.get(&["topics"]).await?), &mut output),
        TopicCommand::Show { name } => output.item(&client.get(&["topics", &name]).await?),
        TopicCommand::Delete { name } => {
            client.delete(&["topics", &name]).await?;
            note(format!("deleted the topic {name}"));
            Ok(())
        }
        TopicCommand::Tail(arguments) => tail(arguments, client, output).await,
        TopicCommand::Produce(arguments) => produce::run(arguments, client, output).await,
    }
}

pub const COLUMNS: &[Column] = &[
    column("NAME", "/metadata/name"),
    column("GROUP", "/metadata/group"),
    column("PARTITIONS", "/spec/partitions"),
    column("RECORDS", "/status/records"),
    column("BYTES", "/status/bytes"),
    column("RETENTION", "/spec/retention"),
    column("SCHEMA", "/spec/schema"),
];

fn list(items: &[Value], output: &mut Output) -> Result<(), Failure> {
    output.items(items, COLUMNS)
}

async fn tail(arguments: TailArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let mut query: Vec<(&str, String)> = Vec::new();
    if let Some(limit) = arguments.limit {
        query.push(("limit", limit.to_string()));
    }
    if let Some(from) = &arguments.from {
        query.push(("from", from.clone()));
    }
    for (name, given) in [("where", arguments.condition), ("text", arguments.text)] {
        query.extend(given.map(|given| (name, given)));
    }
    query.extend(arguments.scan.map(|scan| ("scan", scan.to_string())));
    query.push(("follow", arguments.follow.to_string()));
    // Without an end the rows are shown as they come.
    let has_end = !arguments.follow && arguments.from.as_deref() != Some("latest");
    query.push(("progress", has_end.to_string()));
    let request = client.request(Method::GET, &["topics", &arguments.name, "records"])?.query(&query);
    let mut lines = Box::pin(client.lines(request).await?);
    if !has_end {
        while let Some(line) = lines.next().await {
            output.streamed_row(&line?)?;
        }
        return Ok(());
    }
    let (progress, mut records): (Vec<Vec<u8>>, Vec<Vec<u8>>) =
        lines.try_collect::<Vec<_>>().await?.into_iter().partition(|line| line.starts_with(b"{\"progress\":"));
    // Those that fit a condition come as they are found; more than were asked for, because the best come last.
    records.sort_by_cached_key(|line| place(line));
    let limit = arguments.limit.unwrap_or(if arguments.from.is_none() { LIMIT_DEFAULT } else { usize::MAX });
    match arguments.from {
        None => drop(records.drain(..records.len().saturating_sub(limit))),
        Some(_) => records.truncate(limit),
    }
    output.rows(&records)?;
    let progress: Value = progress.last().and_then(|line| serde_json::from_slice(line).ok()).unwrap_or_default();
    if progress["progress"]["end"] == "scan" {
        let scanned = &progress["progress"]["scanned"];
        note(format!("looked at {scanned} records, which is the limit; --scan sets it"));
    }
    Ok(())
}

/// What the server takes when nothing is said.
const LIMIT_DEFAULT: usize = 10;

/// In time, then in the log.
fn place(line: &[u8]) -> (Option<String>, Option<i64>, Option<i64>) {
    let record: Value = serde_json::from_slice(line).unwrap_or_default();
    (record["timestamp"].as_str().map(str::to_owned), record["partition"].as_i64(), record["offset"].as_i64())
}
