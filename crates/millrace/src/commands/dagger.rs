//! `millrace dagger`, all but `run`.

use super::{items, read_document};
use crate::arguments::{DaggerCommand, OutputFormat};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, column, note};
use futures::{StreamExt, TryStreamExt};
use reqwest::Method;
use serde_json::{Value, json};

pub async fn run(command: DaggerCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        DaggerCommand::Apply(file) => apply(read_document(&file.file)?, client, output).await,
        DaggerCommand::List => list(items(&client.get(&["daggers"]).await?), &mut output),
        DaggerCommand::Show { name } => output.item(&client.get(&["daggers", &name]).await?),
        DaggerCommand::Results { name, last, follow } => results(&name, &last, follow, client, output).await,
        DaggerCommand::Stop { name } => {
            let dagger = client.post_text(&["daggers", &name, "stop"], String::new()).await?;
            note(format!("stopped {name}; `millrace dagger start {name}` goes on from here"));
            list(&[dagger], &mut output)
        }
        DaggerCommand::Start { name } => {
            let dagger = client.post_text(&["daggers", &name, "start"], String::new()).await?;
            list(&[dagger], &mut output)
        }
        DaggerCommand::Delete { name } => {
            client.delete(&["daggers", &name]).await?;
            note(format!("deleted the dagger {name}; its results stay"));
            Ok(())
        }
        DaggerCommand::Preview(file) => preview(read_document(&file.file)?, client, output).await,
        DaggerCommand::Run(_) => Err(Failure::error("`dagger run` needs no server")),
    }
}

async fn apply(text: String, client: Client, mut output: Output) -> Result<(), Failure> {
    let answer = client.post_text(&["apply"], text).await?;
    let mut resources = Vec::new();
    for item in items(&answer) {
        let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        note(format!(
            "{} {} {}",
            text("/resource/kind").to_lowercase(),
            text("/resource/metadata/name"),
            text("/change")
        ));
        for warning in item.get("warnings").and_then(Value::as_array).into_iter().flatten() {
            note(format!("warning: {}", warning.as_str().unwrap_or_default()));
        }
        resources.push(item.get("resource").cloned().unwrap_or_default());
    }
    match output.format() {
        // What was filled in is shown; a listing would hide it.
        OutputFormat::Table => resources.iter().try_for_each(|resource| output.item(resource)),
        _ => output.items(&resources, &[]),
    }
}

fn list(daggers: &[Value], output: &mut Output) -> Result<(), Failure> {
    output.items(
        daggers,
        &[
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
        ],
    )
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
        note("only the first rows are shown");
    }
    note(format!("ledger: {}", preview.get("ledger").unwrap_or(&Value::Null)));
    Ok(())
}
