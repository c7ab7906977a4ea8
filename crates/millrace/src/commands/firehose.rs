//! `millrace firehose`.

use super::{items, read_document};
use crate::arguments::{FirehoseCommand, OutputFormat, SeekArguments};
use crate::client::{Client, json};
use crate::failure::Failure;
use crate::output::{Column, Output, column, note};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub async fn run(command: FirehoseCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        FirehoseCommand::List => list(items(&client.get(&["firehoses"]).await?), &mut output),
        FirehoseCommand::Show { name } => output.item(&client.get(&["firehoses", &name]).await?),
        FirehoseCommand::Pause { name } => {
            let firehose = client.post_text(&["firehoses", &name, "pause"], String::new()).await?;
            note(format!("paused {name}; `millrace firehose resume {name}` goes on from here"));
            list(&[firehose], &mut output)
        }
        FirehoseCommand::Resume { name } => {
            let firehose = client.post_text(&["firehoses", &name, "resume"], String::new()).await?;
            list(&[firehose], &mut output)
        }
        FirehoseCommand::Seek(SeekArguments { name, to }) => {
            let body = json!({ "to": seek_target(&to)? });
            let firehose = client.post_json(&["firehoses", &name, "seek"], &body).await?;
            note(format!("{name} goes on from {to}"));
            list(&[firehose], &mut output)
        }
        FirehoseCommand::Scale { name, parallelism } => {
            let body = json!({ "parallelism": parallelism });
            let firehose = client.post_json(&["firehoses", &name, "scale"], &body).await?;
            note(format!("{name} makes {parallelism} calls at a time"));
            list(&[firehose], &mut output)
        }
        FirehoseCommand::Preview { file, records } => {
            preview(read_document(&file.file)?, records, client, output).await
        }
        FirehoseCommand::SendOne { file, partition, offset } => {
            let firehose: Value = control::document::parse(&read_document(&file.file)?).map_err(Failure::from)?;
            let body = json!({ "firehose": firehose, "partition": partition, "offset": offset });
            send_one(&client.post_json(&["firehoses", "send-one"], &body).await?, output)
        }
        FirehoseCommand::History { name } => output.items(
            items(&client.get(&["firehoses", &name, "history"]).await?),
            &[
                column("AT", "/at"),
                column("STATE", "/state"),
                column("GENERATION", "/generation"),
                column("REASON", "/reason"),
            ],
        ),
        FirehoseCommand::Delete { name } => {
            client.delete(&["firehoses", &name]).await?;
            note(format!("deleted the firehose {name}; what it has sent stays"));
            Ok(())
        }
        FirehoseCommand::Sinks { kind } => sinks(kind, &client, &mut output).await,
    }
}

pub const COLUMNS: &[Column] = &[
    column("NAME", "/metadata/name"),
    column("GROUP", "/metadata/group"),
    column("STATE", "/status/state"),
    column("TOPIC", "/spec/topic"),
    column("SINK", "/spec/sink/kind"),
    column("RECORDS/S", "/status/recordsPerSecond"),
    column("LAG", "/status/lag"),
    column("P99 MS", "/status/latency/p99Millis"),
    column("CONSUMED", "/status/ledger/consumed"),
    column("DEAD", "/status/ledger/deadLettered"),
    column("MESSAGE", "/status/message"),
];

fn list(firehoses: &[Value], output: &mut Output) -> Result<(), Failure> {
    output.items(firehoses, COLUMNS)
}

/// `earliest`, `latest`, `{time}` or `{offsets}`.
fn seek_target(text: &str) -> Result<Value, Failure> {
    if matches!(text, "earliest" | "latest") {
        return Ok(json!(text));
    }
    if !text.contains('=') {
        return Ok(json!({ "time": text }));
    }
    let mut offsets = Map::new();
    for pair in text.split(',') {
        let read = pair.split_once('=').and_then(|(partition, offset)| {
            Some((partition.trim().parse::<u32>().ok()?, offset.trim().parse::<i64>().ok()?))
        });
        let Some((partition, offset)) = read else {
            return Err(Failure::usage(format!("`{pair}` is not PARTITION=OFFSET"))
                .with_hint("write for example --to 0=1200,1=1180"));
        };
        offsets.insert(partition.to_string(), json!(offset));
    }
    Ok(json!({ "offsets": offsets }))
}

async fn preview(text: String, records: u32, client: Client, mut output: Output) -> Result<(), Failure> {
    let request = client.request(Method::POST, &["firehoses", "preview"])?.query(&[("records", records)]).body(text);
    let preview = json(client.send(request).await?).await?;
    if output.format() != OutputFormat::Table {
        return output.item(&preview);
    }
    let records = preview.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
    output.items(
        &records,
        &[
            column("PARTITION", "/partition"),
            column("OFFSET", "/offset"),
            column("OUTCOME", "/outcome"),
            column("REASON", "/reason"),
            column("SENT", "/sent"),
        ],
    )
}

/// What was not taken is a failure of the command.
fn send_one(answer: &Value, mut output: Output) -> Result<(), Failure> {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    match output.format() {
        OutputFormat::Table => output.plain(&format!("{}\n", text("sent")))?,
        _ => output.item(answer)?,
    }
    if answer.get("isDelivered") == Some(&json!(true)) {
        note(format!("{} ({} ms)", text("answer"), answer.get("tookMillis").unwrap_or(&Value::Null)));
        return Ok(());
    }
    output.flush()?;
    Err(Failure::error(format!("it was not delivered: {}", text("answer"))))
}

async fn sinks(kind: Option<String>, client: &Client, output: &mut Output) -> Result<(), Failure> {
    let kinds = client.get(&["sinks"]).await?;
    let Some(name) = kind else {
        return output
            .items(items(&kinds), &[column("KIND", "/kind"), column("TITLE", "/title"), column("WHAT", "/what")]);
    };
    let found = items(&kinds).iter().find(|kind| kind.get("kind").and_then(Value::as_str) == Some(name.as_str()));
    let Some(found) = found else {
        let names = items(&kinds).iter().filter_map(|kind| kind.get("kind").and_then(Value::as_str));
        let failure = Failure::not_found(format!("there is no kind of sink `{name}`"));
        return Err(match control::nearest(&name, names) {
            Some(near) => failure.with_hint(format!("did you mean `{near}`?")),
            None => failure.with_hint("`millrace firehose sinks` lists them"),
        });
    };
    let settings = found.get("settings").and_then(Value::as_array).cloned().unwrap_or_default();
    output.items(
        &settings,
        &[
            column("SETTING", "/key"),
            column("TYPE", "/type"),
            column("NEED", "/need"),
            column("DEFAULT", "/default"),
            column("HELP", "/help"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::seek_target;
    use serde_json::json;

    #[test]
    fn where_to_go_on_is_read() {
        assert_eq!(seek_target("latest").unwrap(), json!("latest"));
        assert_eq!(seek_target("15m").unwrap(), json!({ "time": "15m" }));
        assert_eq!(seek_target("0=12, 3=4").unwrap(), json!({ "offsets": { "0": 12, "3": 4 } }));
        assert!(seek_target("0=x").is_err());
    }
}
