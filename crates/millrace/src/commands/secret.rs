//! `millrace secret`.

use super::get::SECRET_COLUMNS;
use super::items;
use crate::arguments::{SecretCommand, SecretSetArguments};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Output, note};
use reqwest::Method;
use serde_json::json;
use std::io::{IsTerminal, Read};

pub async fn run(command: SecretCommand, client: Client, mut output: Output) -> Result<(), Failure> {
    match command {
        SecretCommand::Set(arguments) => {
            let body = json!({ "value": value(&arguments)?, "group": arguments.group });
            client.send(client.request(Method::PUT, &["secrets", &arguments.name])?.json(&body)).await?;
            note(format!("secret {} is written", arguments.name));
            Ok(())
        }
        SecretCommand::List => output.items(items(&client.get(&["secrets"]).await?), SECRET_COLUMNS),
        SecretCommand::Delete { name } => {
            client.delete(&["secrets", &name]).await?;
            note(format!("secret {name} deleted"));
            Ok(())
        }
    }
}

fn value(arguments: &SecretSetArguments) -> Result<String, Failure> {
    let (from, bytes) = match &arguments.from_file {
        Some(path) => (path.display().to_string(), std::fs::read(path)),
        None => {
            if std::io::stdin().is_terminal() {
                note("write the value, then press Ctrl-D in an empty line");
            }
            let mut bytes = Vec::new();
            ("stdin".to_owned(), std::io::stdin().read_to_end(&mut bytes).map(|_| bytes))
        }
    };
    let bytes = bytes.map_err(|error| Failure::error(format!("cannot read {from}: {error}")))?;
    let mut value =
        String::from_utf8(bytes).map_err(|_| Failure::error(format!("what {from} has is no UTF-8 text")))?;
    if arguments.from_file.is_none() {
        // `echo` ends with one that nobody means.
        let kept = value.strip_suffix('\n').map_or(value.len(), |rest| rest.strip_suffix('\r').unwrap_or(rest).len());
        value.truncate(kept);
    }
    match value.is_empty() {
        true => Err(Failure::usage(format!("the value of {} is empty", arguments.name))
            .with_hint("pipe it in, or name a file with --from-file")),
        false => Ok(value),
    }
}
