//! `millrace grafana` as it is written.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum GrafanaCommand {
    /// Write files of Grafana's provisioning: a data source per group, a dashboard per dagger
    Export(GrafanaExportArguments),
}

/// Files that are there already are written anew; others in the folder stay. Grafana takes the token for its requests from
/// its environment: MILLRACE_TOKEN.
#[derive(Debug, Args)]
pub struct GrafanaExportArguments {
    /// Folder to write to; it is made if it is not there
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Only daggers of this group
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Address of the server as Grafana reaches it; the one that this command talks to if not given
    #[arg(long, value_name = "URL")]
    pub millrace_url: Option<String>,
    /// Where DIR/dashboards will be on Grafana's machine; its path on this one if not given
    #[arg(long, value_name = "PATH")]
    pub dashboards_path: Option<String>,
}
