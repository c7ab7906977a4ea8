//! What each command does.

mod dagger;
mod dead_letter;
mod produce;
mod run;
mod schema;
mod sql;
mod topic;
mod up;

use crate::arguments::{Arguments, Command, DaggerCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use std::path::Path;

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = Output::new(arguments.output_format);
    let client = || Client::new(&arguments.server);
    match arguments.command {
        Command::Up(up) => up::run(up, &arguments.server.data_dir, output).await,
        Command::Schema(command) => schema::run(command, client()?, output).await,
        Command::Topic(command) => topic::run(command, client()?, output).await,
        Command::Sql(sql) => sql::run(sql, client()?, output).await,
        Command::Dagger(DaggerCommand::Run(arguments)) => {
            drop(output);
            tokio::task::spawn_blocking(move || run::run(&arguments))
                .await
                .map_err(|error| Failure::error(format!("the run ended unexpectedly: {error}")))?
        }
        Command::Dagger(command) => dagger::run(command, client()?, output).await,
        Command::DeadLetter(command) => dead_letter::run(command, client()?, output).await,
    }
}

/// A document that a person wrote; `-` is stdin.
fn read_document(path: &Path) -> Result<String, Failure> {
    let read = match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    read.map_err(|error| Failure::error(format!("cannot read {}: {error}", path.display())))
}

fn items(answer: &serde_json::Value) -> &[serde_json::Value] {
    answer.get("items").and_then(serde_json::Value::as_array).map_or(&[], Vec::as_slice)
}
