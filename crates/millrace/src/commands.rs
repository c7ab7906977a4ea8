//! What each command does.

mod apply;
mod backup;
mod completion;
mod context;
mod dagger;
mod dead_letter;
mod firehose;
mod get;
mod grafana;
mod kafka_cluster;
mod produce;
mod run;
mod schema;
mod secret;
mod sql;
mod token;
mod topic;
mod up;
mod user;

use crate::arguments::{Arguments, Command, DaggerCommand};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use control::Kind;
use std::path::Path;

pub async fn run(arguments: Arguments) -> Result<(), Failure> {
    let output = Output::new(arguments.output_format);
    let client = || Client::new(&arguments.server);
    match arguments.command {
        Command::Up(up) => up::run(up, arguments.server.data_dir(), output).await,
        Command::Apply(arguments) => apply::run(arguments, client()?, output).await,
        Command::Diff(arguments) => apply::diff(arguments, client()?, output).await,
        Command::Get(arguments) => get::run(arguments, client()?, output).await,
        Command::Delete(arguments) => get::delete(arguments, client()?).await,
        Command::Context(command) => context::run(command, &arguments.server, output),
        Command::Token(command) => token::run(command, client()?, output).await,
        Command::Secret(command) => secret::run(command, client()?, output).await,
        Command::User(command) => user::run(command, client()?, output).await,
        Command::Completion(arguments) => completion::run(&arguments, output),
        Command::Schema(command) => schema::run(command, client()?, output).await,
        Command::Topic(command) => topic::run(command, client()?, output).await,
        Command::KafkaCluster(command) => kafka_cluster::run(command, client()?, output).await,
        Command::Grafana(command) => grafana::run(command, client()?, output).await,
        Command::Sql(sql) => sql::run(sql, client()?, output).await,
        Command::Backup => backup::run(client()?, output).await,
        Command::Dagger(DaggerCommand::Run(arguments)) => {
            drop(output);
            tokio::task::spawn_blocking(move || run::run(&arguments))
                .await
                .map_err(|error| Failure::error(format!("the run ended unexpectedly: {error}")))?
        }
        Command::Dagger(command) => dagger::run(command, client()?, output).await,
        Command::Firehose(command) => firehose::run(command, client()?, output).await,
        Command::DeadLetter(command) => dead_letter::run(command, client()?, output).await,
    }
}

/// A document that a person wrote; `-` is stdin.
pub fn read_document(path: &Path) -> Result<String, Failure> {
    let read = match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    read.map_err(|error| Failure::error(format!("cannot read {}: {error}", path.display())))
}

/// Where the API has a resource.
fn path_of(kind: Kind, name: &str) -> [&str; 2] {
    let list = match kind {
        Kind::Group => "groups",
        Kind::Schema => "schemas",
        Kind::Topic => "topics",
        Kind::Dagger => "daggers",
        Kind::DaggerCluster => "dagger-clusters",
        Kind::KafkaCluster => "kafka-clusters",
        Kind::Firehose => "firehoses",
    };
    [list, name]
}

fn items(answer: &serde_json::Value) -> &[serde_json::Value] {
    answer.get("items").and_then(serde_json::Value::as_array).map_or(&[], Vec::as_slice)
}
