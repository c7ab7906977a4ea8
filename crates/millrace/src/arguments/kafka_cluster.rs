//! `millrace kafka-cluster` as it is written.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum KafkaClusterCommand {
    /// Try to connect, step by step
    Test(KafkaClusterTestArguments),
    /// List the topics on a cluster, whether they are attached or not
    Topics {
        name: String,
        /// Words that must all be found in the topic's name
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Also those that Kafka keeps for itself
        #[arg(long)]
        internal: bool,
    },
}

/// The server connects; names and addresses are those that it sees. The exit code is 1 if a step fails.
#[derive(Debug, Args)]
pub struct KafkaClusterTestArguments {
    /// A cluster that was applied
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub name: Option<String>,
    /// A document that need not be applied; `-` is stdin. The secrets that it names must be there
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}
