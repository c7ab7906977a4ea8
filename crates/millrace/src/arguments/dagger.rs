//! `millrace dagger` as it is written.

use super::ApplyHow;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum DaggerCommand {
    /// Make or change daggers from a YAML file
    Apply(DaggerApplyArguments),
    /// List the daggers
    List,
    /// Show one dagger with every default and its status
    Show { name: String },
    /// Print what a dagger has written to its measurement
    Results {
        name: String,
        /// How far back, such as 15m
        #[arg(long, value_name = "DURATION", default_value = "15m")]
        last: String,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
    },
    /// Suspend a dagger; it keeps its state
    Stop { name: String },
    /// Let a dagger run again from where it stopped
    Start {
        name: String,
        /// Go on although records are gone that the dagger has not read: from the earliest that is there, or the latest
        #[arg(long, value_name = "WHERE", value_parser = ["earliest", "latest"])]
        accept_loss: Option<String>,
    },
    /// Delete a dagger and its state; its results stay
    Delete { name: String },
    /// Make a suspended copy, with a measurement of its own
    Fork {
        name: String,
        copy: String,
        /// Group that the copy belongs to
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
    /// Write the results to a topic, too; the state and the other sinks stay
    Publish(PublishArguments),
    /// List the states that a dagger went through, the latest first
    History { name: String },
    /// List what became of a dagger, the latest change first; -o yaml has the specs
    Revisions { name: String },
    /// Apply a former revision anew
    Rollback {
        name: String,
        /// As `dagger revisions` lists it
        generation: i64,
    },
    /// Run a dagger over the records that are there, writing nothing
    Preview(FileArguments),
    /// Run a dagger over files, without a server
    Run(RunArguments),
}

#[derive(Debug, Args)]
pub struct DaggerApplyArguments {
    #[command(flatten)]
    pub file: FileArguments,
    #[command(flatten)]
    pub how: ApplyHow,
}

#[derive(Debug, Args)]
pub struct PublishArguments {
    pub name: String,
    /// Topic to write; it is made if it is not there
    pub topic: String,
    /// Column whose value is part of the records' key; may be given several times
    #[arg(long = "key", value_name = "COLUMN")]
    pub keys: Vec<String>,
    /// Message type of the records; made from the query's columns if not given
    #[arg(long, value_name = "TYPE")]
    pub schema: Option<String>,
    /// Partitions of a topic that is made
    #[arg(long, value_name = "N")]
    pub partitions: Option<u32>,
    /// Kafka cluster on which a topic is made that is not there
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// On a Kafka cluster: exactlyOnce (seen once a checkpoint is there) or atLeastOnce
    #[arg(long, value_name = "HOW")]
    pub delivery: Option<String>,
    /// On a Kafka cluster: none, gzip, snappy, lz4 or zstd
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<String>,
}

#[derive(Debug, Args)]
pub struct FileArguments {
    /// YAML or JSON; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The dagger's YAML
    pub spec: PathBuf,
    /// Directory of .proto files, a .proto file or a descriptor set; may be given several times
    #[arg(long, value_name = "PATH", required = true)]
    pub proto: Vec<PathBuf>,
    /// A file of a table: TABLE=FILE, .pb (varint-delimited) or .ndjson; several of one table are its partitions
    #[arg(long, value_name = "TABLE=FILE", required = true, num_args = 1.., value_parser = parse_input)]
    pub input: Vec<(String, PathBuf)>,
    /// Where the results go instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Threads; all cores if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Records per batch; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch_rows: Option<u32>,
}

fn parse_input(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((table, file)) if !table.is_empty() && !file.is_empty() => Ok((table.to_owned(), PathBuf::from(file))),
        _ => Err("write TABLE=FILE, for example data_stream=bookings.pb".to_owned()),
    }
}
