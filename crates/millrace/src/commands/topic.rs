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
        TopicCommand::Create { name, partitions, schema, retention } => {
            let mut spec = Map::new();
            spec.insert("partitions".into(), json!(partitions));
            spec.insert("schema".into(), json!(schema));
            if let Some(retention) = retention {
                spec.insert("retention".into(), json!(retention));
            }
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
    query.push(("follow", arguments.follow.to_string()));
    let request = client.request(Method::GET, &["topics", &arguments.name, "records"])?.query(&query);
    let mut lines = Box::pin(client.lines(request).await?);
    // Without an end the rows are shown as they come.
    if arguments.follow || arguments.from.as_deref() == Some("latest") {
        while let Some(line) = lines.next().await {
            output.streamed_row(&line?)?;
        }
        return Ok(());
    }
    output.rows(&lines.try_collect::<Vec<_>>().await?)
}
