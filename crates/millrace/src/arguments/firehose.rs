//! `millrace firehose` as it is written.

use super::FileArguments;
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum FirehoseCommand {
    /// List the firehoses
    List,
    /// Show one firehose with every default and its status
    Show { name: String },
    /// Read no more until it is resumed; what was read goes on its way
    Pause { name: String },
    /// Let a firehose go on from where it is; one that has failed is tried again
    Resume { name: String },
    /// Let a firehose go on elsewhere in its topic
    Seek(SeekArguments),
    /// Set how many calls there are at a time
    Scale { name: String, parallelism: u32 },
    /// Show what becomes of the first records of the topic, sending nothing
    Preview {
        #[command(flatten)]
        file: FileArguments,
        /// How many records
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
        records: u32,
    },
    /// Really send one record of the topic, and show what came back; the firehose need not be there
    SendOne {
        #[command(flatten)]
        file: FileArguments,
        #[arg(long, default_value_t = 0)]
        partition: u32,
        #[arg(long)]
        offset: i64,
    },
    /// List the states that a firehose went through, the latest first
    History { name: String },
    /// Delete a firehose with its positions and dead letters; what it has sent stays
    Delete { name: String },
    /// List the kinds of sinks; with one, its settings
    Sinks { kind: Option<String> },
}

#[derive(Debug, Args)]
pub struct SeekArguments {
    pub name: String,
    /// `earliest`, `latest`, a time such as 2013-01-31T10:00:00Z or 15m (ago), or offsets as PARTITION=OFFSET,...
    #[arg(long, value_name = "WHERE")]
    pub to: String,
}
