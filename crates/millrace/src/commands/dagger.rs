//! `millrace dagger`, all but `run`.

use super::{apply, items, read_document};
use crate::arguments::{DaggerApplyArguments, DaggerCommand, OutputFormat, PublishArguments};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Column, Output, column, note};
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};

pub async fn run(command: DaggerCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        DaggerCommand::Apply(DaggerApplyArguments { file, how }) => {
            let resources = apply::apply(&[file.file], &how, &client).await?;
            match output.format() {
                // What was filled in is shown; a listing would hide it.
                OutputFormat::Table => resources.iter().try_for_each(|resource| output.item(resource)),
                _ => output.documents(&resources, &[]),
            }
        }
        DaggerCommand::List => list(items(&client.get(&["daggers"]).await?), &mut output),
        DaggerCommand::Show { name } => output.item(&client.get(&["daggers", &name]).await?),
        DaggerCommand::Results { name, last, follow } => results(&name, &last, follow, client, output).await,
        DaggerCommand::Stop { name } => {
            let dagger = client.post_text(&["daggers", &name, "stop"], String::new()).await?;
            note(format!("stopped {name}; `millrace dagger start {name}` goes on from here"));
            list(&[dagger], &mut output)
        }
        DaggerCommand::Start { name, accept_loss } => {
            let query: Vec<_> = accept_loss.iter().map(|accepted| ("acceptLoss", accepted.as_str())).collect();
            let dagger = crate::client::json(
                client.send(client.request(Method::POST, &["daggers", &name, "start"])?.query(&query)).await?,
            )
            .await?;
            list(&[dagger], &mut output)
        }
        DaggerCommand::Delete { name } => {
            client.delete(&["daggers", &name]).await?;
            note(format!("deleted the dagger {name}; its results stay"));
            Ok(())
        }
        DaggerCommand::Fork { name, copy, group } => {
            let answer =
                client.post_json(&["daggers", &name, "fork"], &json!({ "name": copy, "group": group })).await?;
            note(format!("{copy} is a copy of {name}; `millrace dagger start {copy}` lets it run"));
            show_applied(&answer, &mut output)
        }
        DaggerCommand::Publish(arguments) => publish(arguments, client, output).await,
        DaggerCommand::History { name } => output.items(
            items(&client.get(&["daggers", &name, "history"]).await?),
            &[
                column("AT", "/at"),
                column("STATE", "/state"),
                column("GENERATION", "/generation"),
                column("REASON", "/reason"),
            ],
        ),
        DaggerCommand::Revisions { name } => output.items(
            items(&client.get(&["daggers", &name, "revisions"]).await?),
            &[
                column("GENERATION", "/generation"),
                column("AT", "/at"),
                column("BY", "/by"),
                column("STATE", "/spec/state"),
                column("SQL", "/spec/sql"),
            ],
        ),
        DaggerCommand::Rollback { name, generation } => {
            let body = json!({ "generation": generation });
            let answer = client.post_json(&["daggers", &name, "rollback"], &body).await?;
            note(format!("{name} is as in generation {generation} again"));
            show_applied(&answer, &mut output)
        }
        DaggerCommand::Preview(file) => preview(read_document(&file.file)?, client, output).await,
        DaggerCommand::Run(_) => Err(Failure::error("`dagger run` needs no server")),
    }
}

pub const COLUMNS: &[Column] = &[
    column("NAME", "/metadata/name"),
    column("GROUP", "/metadata/group"),
    column("STATE", "/status/state"),
    column("RECORDS/S", "/status/recordsPerSecond"),
    column("LAG", "/status/lag"),
    column("WATERMARK", "/status/watermark"),
    column("CONSUMED", "/status/ledger/consumed"),
    column("DEAD", "/status/ledger/dead_lettered"),
    column("LATE", "/status/ledger/late"),
    column("PROBLEM", "/status/problem"),
];

fn list(daggers: &[Value], output: &mut Output) -> Result<(), Failure> {
    output.items(daggers, COLUMNS)
}

/// What a change made of a dagger.
fn show_applied(answer: &Value, output: &mut Output) -> Result<(), Failure> {
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        note(format!("warning: {}", warning.as_str().unwrap_or_default()));
    }
    list(&[answer.get("resource").cloned().unwrap_or_default()], output)
}

async fn publish(to: PublishArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let body = json!({
        "topic": to.topic, "key": to.keys, "schema": to.schema, "partitions": to.partitions,
        "cluster": to.cluster, "delivery": to.delivery, "compression": to.compression,
    });
    let answer = client.post_json(&["daggers", &to.name, "publish"], &body).await?;
    note(format!("{} writes the topic {}, too", to.name, to.topic));
    show_applied(&answer, &mut output)
}

async fn results(name: &str, last: &str, follow: bool, client: Client, mut output: Output) -> Result<(), Failure> {
    let query = [("last", last.to_owned()), ("follow", follow.to_string())];
    let request = client.request(Method::GET, &["daggers", name, "results"])?.query(&query);
    let mut lines = Box::pin(client.lines(request).await?);
    if !follow {
        return output.rows(&lines.try_collect::<Vec<_>>().await?);
    }
    while let Some(line) = lines.next().await {
        output.streamed_row(&line?)?;
    }
    Ok(())
}

async fn preview(text: String, client: Client, mut output: Output) -> Result<(), Failure> {
    let preview = client.post_text(&["daggers", "preview"], text).await?;
    if output.format() != OutputFormat::Table {
        return output.item(&preview);
    }
    note(preview.get("plan").and_then(Value::as_str).unwrap_or_default());
    for warning in preview.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        note(format!("warning: {}", warning.as_str().unwrap_or_default()));
    }
    let rows = preview.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
    let lines: Vec<Vec<u8>> = rows.iter().map(|row| row.to_string().into_bytes()).collect();
    output.rows(&lines)?;
    if preview.get("truncated") == Some(&json!(true)) {
        note("only the last rows are shown");
    }
    note(format!("ledger: {}", preview.get("ledger").unwrap_or(&Value::Null)));
    Ok(())
}
