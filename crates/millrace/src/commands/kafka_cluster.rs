//! `millrace kafka-cluster`.

use super::{items, read_document};
use crate::arguments::{KafkaClusterCommand, KafkaClusterTestArguments, OutputFormat};
use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Column, Output, column};
use reqwest::Method;
use serde_json::{Value, json};

const STEP_COLUMNS: &[Column] =
    &[column("STEP", "/step"), column("OUTCOME", "/outcome"), column("MS", "/ms"), column("DETAIL", "/detail")];
const TOPIC_COLUMNS: &[Column] = &[
    column("NAME", "/name"),
    column("PARTITIONS", "/partitions"),
    column("REPLICAS", "/replicas"),
    column("LEADERLESS", "/leaderless"),
    column("ATTACHED AS", "/attachedAs"),
];

pub async fn run(command: KafkaClusterCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        KafkaClusterCommand::Test(arguments) => test(&arguments, &client, &mut output).await,
        KafkaClusterCommand::Topics { name, search, internal } => {
            let mut query: Vec<(&str, String)> = vec![("internal", internal.to_string())];
            query.extend(search.map(|search| ("search", search)));
            let request = client.request(Method::GET, &["kafka-clusters", &name, "topics"])?.query(&query);
            output.items(items(&json(client.send(request).await?).await?), TOPIC_COLUMNS)
        }
    }
}

async fn test(arguments: &KafkaClusterTestArguments, client: &Client, output: &mut Output) -> Result<(), Failure> {
    let answer = match (&arguments.file, &arguments.name) {
        (Some(file), _) => client.post_text(&["kafka-clusters", "test"], read_document(file)?).await?,
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            client.post_json(&["kafka-clusters", name, "test"], &json!({})).await?
        }
    };
    let steps = answer.get("steps").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    match output.format() {
        OutputFormat::Table => output.items(steps, STEP_COLUMNS)?,
        _ => output.item(&answer)?,
    }
    let text = |step: &Value, key: &str| step.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match steps.iter().find(|step| text(step, "outcome") == "failed") {
        None => Ok(()),
        Some(step) => {
            let failure = Failure::error(format!("{}: {}", text(step, "step"), text(step, "detail")));
            Err(failure.with_hint(text(step, "hint")))
        }
    }
}
