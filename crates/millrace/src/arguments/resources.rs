//! `millrace apply`, `diff`, `get` and `delete` as they are written.

use clap::{Args, ValueEnum};
use control::parse_duration;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct ApplyArguments {
    #[command(flatten)]
    pub files: FilesArguments,
    #[command(flatten)]
    pub how: ApplyHow,
}

#[derive(Debug, Args)]
pub struct FilesArguments {
    /// A YAML or JSON file, a folder of them (with those below it), or `-` for stdin; may be given several times
    #[arg(short = 'f', long = "file", value_name = "PATH", required = true, num_args = 1..)]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct ApplyHow {
    /// Check everything and change nothing
    #[arg(long, conflicts_with = "wait")]
    pub dry_run: bool,
    /// Wait until every dagger and firehose that is to run runs; if one fails, say why and exit with 1
    #[arg(long)]
    pub wait: bool,
    /// How long --wait waits, such as 30s
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration)]
    pub timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// Prints a unified diff: what is there, and what the server would store. The exit code is 0 whether or not there are
/// differences, and 1 if they cannot be found out; --exit-code makes differences 5.
#[derive(Debug, Args)]
pub struct DiffArguments {
    #[command(flatten)]
    pub files: FilesArguments,
    /// Exit with 5 if there are differences
    #[arg(long)]
    pub exit_code: bool,
}

/// One word for each kind of thing; the plural is as good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ResourceKind {
    #[value(alias = "daggers")]
    Dagger,
    #[value(alias = "firehoses")]
    Firehose,
    #[value(alias = "topics")]
    Topic,
    #[value(alias = "schemas")]
    Schema,
    #[value(alias = "groups")]
    Group,
    #[value(alias = "dagger-clusters", alias = "daggercluster", alias = "daggerclusters")]
    DaggerCluster,
    #[value(alias = "kafka-clusters", alias = "kafkacluster", alias = "kafkaclusters")]
    KafkaCluster,
    #[value(alias = "secrets")]
    Secret,
    #[value(alias = "users")]
    User,
    #[value(alias = "tokens")]
    Token,
    Audit,
}

/// With -o yaml the resources come as documents that `apply` reads.
#[derive(Debug, Args)]
pub struct GetArguments {
    /// What to list
    pub kind: ResourceKind,
    /// Show this one with everything that is known of it; of `audit`, list the changes of the resource with this name
    pub name: Option<String>,
    /// Words that must all be found, anywhere in it
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,
    /// Only what belongs to this group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Only daggers or firehoses in this state, such as running
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Column to sort daggers, firehoses, topics or schemas by; with `-` in front the greatest comes first
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// How many at most; all if not given, of `audit` 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// With -f, daggers and firehoses go before the topics that they read; what is not there is no error.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// What to delete: dagger, firehose, topic, group, dagger-cluster, kafka-cluster, secret, user or token
    #[arg(required_unless_present = "paths", conflicts_with = "paths", requires = "name")]
    pub kind: Option<ResourceKind>,
    /// Its name; of a token the id, as `token list` shows it
    pub name: Option<String>,
    /// A YAML or JSON file, a folder of them, or `-` for stdin; may be given several times
    #[arg(short = 'f', long = "file", value_name = "PATH", num_args = 1..)]
    pub paths: Vec<PathBuf>,
}
