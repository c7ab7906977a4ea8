//! The command line as it is written: commands, options, help.

mod access;
mod dagger;
mod firehose;
mod grafana;
mod kafka_cluster;
#[cfg(test)]
mod reference;
mod resources;

pub use access::{
    CompletionArguments, ContextCommand, SecretCommand, SecretSetArguments, Shell, TokenCommand, UserCommand,
};
pub use dagger::{DaggerApplyArguments, DaggerCommand, FileArguments, PublishArguments, RunArguments};
pub use firehose::{FirehoseCommand, SeekArguments};
pub use grafana::{GrafanaCommand, GrafanaExportArguments};
pub use kafka_cluster::{KafkaClusterCommand, KafkaClusterTestArguments};
pub use resources::{ApplyArguments, ApplyHow, DeleteArguments, DiffArguments, GetArguments, ResourceKind};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const DATA_DIR_DEFAULT: &str = "data";

/// Streams, SQL over them, and their results, in one process.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub server: ServerArguments,
    /// How results are printed
    #[arg(short, long, global = true, value_enum, default_value_t = OutputFormat::Table)]
    pub output_format: OutputFormat,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
pub struct ServerArguments {
    /// Address of the server, such as http://127.0.0.1:8080
    #[arg(long, global = true, env = "MILLRACE_URL", value_name = "URL")]
    pub server: Option<String>,
    /// Which of the servers that `millrace context` keeps; without it the one of `context use`
    #[arg(long, global = true, env = "MILLRACE_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// The server's data directory, `data` if not given; without --server, the server is found through it
    #[arg(long, global = true, env = "MILLRACE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Token that says who asks; on the server's own machine the data directory has one
    #[arg(long, global = true, env = "MILLRACE_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// What stands on the command line itself, and not in the environment
    #[arg(skip)]
    pub written: WrittenArguments,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct WrittenArguments {
    pub server: bool,
    pub context: bool,
    pub token: bool,
}

impl ServerArguments {
    pub fn data_dir(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR_DEFAULT))
    }
}

impl Arguments {
    /// Reads the command line; what is wrong with it ends the process, with the usage.
    pub fn read() -> Self {
        let matches = Self::command().get_matches();
        let mut arguments = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let innermost = innermost(&matches);
        let is_written = |id: &str| innermost.value_source(id) == Some(ValueSource::CommandLine);
        arguments.server.written = WrittenArguments {
            server: is_written("server"),
            context: is_written("context"),
            token: is_written("token"),
        };
        arguments
    }
}

/// Global options are known to the innermost command, wherever they were written.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => innermost(inner),
        None => matches,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    Table,
    Json,
    Ndjson,
    Yaml,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server and stay in the foreground
    Up(UpArguments),
    /// Make or change what files say: topics, daggers, firehoses, groups, dagger clusters, Kafka clusters
    Apply(ApplyArguments),
    /// Show what `apply` would change
    Diff(DiffArguments),
    /// List resources, or show one
    Get(GetArguments),
    /// Delete a resource, or those that files name
    Delete(DeleteArguments),
    /// Protobuf message types
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Topics and their records
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Continuous queries
    #[command(subcommand)]
    Dagger(DaggerCommand),
    /// From topics to databases and services
    #[command(subcommand)]
    Firehose(FirehoseCommand),
    /// Records that could not be processed
    #[command(subcommand)]
    DeadLetter(DeadLetterCommand),
    /// Clusters of Apache Kafka
    #[command(subcommand)]
    KafkaCluster(KafkaClusterCommand),
    /// Dashboards and data sources for Grafana
    #[command(subcommand)]
    Grafana(GrafanaCommand),
    /// Run one SELECT over the measurements
    Sql(SqlArguments),
    /// Copy the series into a directory of its own on the server's machine, while they are written
    Backup,
    /// Servers to talk to, and with which token
    #[command(subcommand)]
    Context(ContextCommand),
    /// API tokens of your own
    #[command(subcommand)]
    Token(TokenCommand),
    /// Values that sinks use by name; they are written and never shown
    #[command(subcommand)]
    Secret(SecretCommand),
    /// People
    #[command(subcommand)]
    User(UserCommand),
    /// Print a script that completes commands and options in a shell
    Completion(CompletionArguments),
}

#[derive(Debug, Args)]
pub struct UpArguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Certificate chain of the server, as PEM; with it the server speaks https
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// A proxy in front of the server speaks https
    #[arg(long, conflicts_with = "tls_cert")]
    pub behind_proxy: bool,
    /// PostgreSQL database for resources, people and audit: postgres://USER:PASSWORD@HOST:PORT/DATABASE; SQLite in the
    /// data directory if not given
    #[arg(long, env = "MILLRACE_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
    /// Identity provider to log in with: a YAML file with issuer, clientId, clientSecretFile and groups
    #[arg(long, env = "MILLRACE_OIDC", value_name = "FILE")]
    pub oidc: Option<PathBuf>,
    /// Becomes an API token of the first admin, for scripts
    #[arg(long, env = "MILLRACE_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub admin_token: Option<String>,
    /// Grafana that people use, such as https://grafana.example.com; the portal then links to it
    #[arg(long, env = "MILLRACE_GRAFANA_URL", value_name = "URL", value_parser = web_address)]
    pub grafana_url: Option<String>,
    /// Networks that the sinks of daggers and firehoses may reach although they are not public, such as 10.0.0.0/8 or 127.0.0.1
    #[arg(long, env = "MILLRACE_SINK_NETWORKS", value_name = "NETWORK", value_delimiter = ',')]
    pub sink_networks: Vec<control::SinkNetwork>,
    /// Run the demo city: topics, schemas, daggers and a stream of records
    #[arg(long)]
    pub demo: bool,
    /// Records per second of the demo city
    #[arg(long, default_value_t = 2_000.0, value_name = "RECORDS_PER_SECOND", requires = "demo")]
    pub demo_rate: f64,
    /// Seed of the demo city
    #[arg(long, default_value_t = 1, requires = "demo")]
    pub demo_seed: u64,
}

/// What a browser can go to.
fn web_address(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(text.to_owned()),
        _ => Err("write http://HOST or https://HOST".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Register .proto files, directories of them, or compiled descriptor sets
    Push {
        /// .proto files, directories, or descriptor sets (.pb, .desc, .binpb, .protoset)
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Directory that imports are written against; may be given several times
        #[arg(short = 'I', long = "root", value_name = "DIR")]
        roots: Vec<PathBuf>,
    },
    /// List the message types
    List,
    /// Show one message type with its fields
    Show {
        /// Full name, such as city.booking.v1.BookingLog
        message_type: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Make a topic
    Create {
        name: String,
        #[arg(long, default_value_t = 1)]
        partitions: u32,
        /// Message type of the records; without one their bytes are not looked at
        #[arg(long, value_name = "TYPE")]
        schema: Option<String>,
        /// What is around the messages: `protobuf` (nothing), `confluent`, `confluentHeader` or `json`; settings, such as
        /// the schema's id, as JSON: '{"type": "confluent", "schemaIds": [7]}'
        #[arg(long, value_name = "ENCODING")]
        encoding: Option<String>,
        /// Message type of the keys; without one they are bytes
        #[arg(long, value_name = "TYPE")]
        key_schema: Option<String>,
        /// How long records stay, such as 7d, or `forever`
        #[arg(long, value_name = "DURATION")]
        retention: Option<String>,
    },
    /// List the topics
    List,
    /// Show one topic
    Show { name: String },
    /// Delete a topic and its records
    Delete { name: String },
    /// Print records
    Tail(TailArguments),
    /// Publish records
    Produce(ProduceArguments),
}

#[derive(Debug, Args)]
pub struct TailArguments {
    pub name: String,
    /// How many records; 10 if neither this nor --from is given
    #[arg(short = 'n', value_name = "N")]
    pub limit: Option<usize>,
    /// Where to begin: `earliest`, `latest` (what comes from now on), or a time such as 2013-01-31T10:00:00Z or 15m (ago)
    #[arg(long, value_name = "earliest|latest|TIME")]
    pub from: Option<String>,
    /// Go on with the records that come
    #[arg(short, long)]
    pub follow: bool,
    /// Only records for which this SQL condition holds, such as "status = 'COMPLETED' AND order.total > 10000"
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: Option<String>,
    /// Only records whose JSON contains this, in whatever case
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Look at so many records at most; 1,000,000 with --where or --text
    #[arg(long, value_name = "N")]
    pub scan: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ProduceArguments {
    pub name: String,
    /// Records: one JSON object a line in the protobuf JSON mapping, or varint-delimited protobuf (.pb); `-` is stdin
    #[arg(long, short, value_name = "FILE")]
    pub file: PathBuf,
    /// Form of the records, where the file's name does not tell
    #[arg(long, value_enum)]
    pub format: Option<RecordFormat>,
    /// Records per second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rate: Option<u64>,
    /// Field whose value becomes the record's key
    #[arg(long, value_name = "FIELD")]
    pub key_field: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RecordFormat {
    Ndjson,
    Pb,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetterCommand {
    /// List dead letters
    List {
        #[command(flatten)]
        filter: DeadLetterArguments,
        /// How many at most
        #[arg(short = 'n', long, default_value_t = 100)]
        limit: usize,
    },
    /// Show one dead letter, decoded as far as it goes
    Show {
        /// As `dead-letter list` prints it: DAGGER/STREAM/TOPIC/PARTITION/OFFSET, or firehose:NAME/...
        id: String,
    },
    /// Give dead letters to their dagger or firehose once more
    Replay {
        /// One dead letter; without it all that match
        id: Option<String>,
        /// The record as it should have been: a file with JSON in the protobuf JSON mapping; `-` is stdin
        #[arg(long, value_name = "FILE", requires = "id")]
        edited: Option<PathBuf>,
        #[command(flatten)]
        filter: DeadLetterArguments,
    },
}

#[derive(Debug, Clone, Args)]
pub struct DeadLetterArguments {
    #[arg(long)]
    pub dagger: Option<String>,
    #[arg(long)]
    pub firehose: Option<String>,
    #[arg(long)]
    pub topic: Option<String>,
    /// undecodable, value_error, no_event_time, future_event_time, expression_failed, late or undeliverable
    #[arg(long)]
    pub kind: Option<String>,
    /// kept or replayed
    #[arg(long)]
    pub state: Option<String>,
}

#[derive(Debug, Args)]
pub struct SqlArguments {
    /// One SELECT; a table per measurement
    pub sql: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
