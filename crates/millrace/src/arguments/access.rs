//! `millrace context`, `token`, `secret`, `user` and `completion` as they are written.

use clap::{ArgAction, Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Kept in `$XDG_CONFIG_HOME/millrace/contexts.yaml` (or `~/.config/millrace/contexts.yaml`), which only its owner can read.
///
/// Which server a command talks to: --server or --context on the command line, else MILLRACE_URL, else MILLRACE_CONTEXT,
/// else a data directory that was named, else the context of `context use`, else the server of ./data, else
/// http://127.0.0.1:8080.
///
/// With which token: --token or MILLRACE_TOKEN, else MILLRACE_ADMIN_TOKEN, else the context's, else the data directory's;
/// the last two go only to their own server.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// Make or change a context: --server URL, --token TOKEN
    Set(ContextSetArguments),
    /// Take a context for all commands that name no server
    Use { name: String },
    /// List the contexts
    List,
    /// Show which server commands talk to from here, and why
    Show,
    /// Forget a context
    Delete { name: String },
}

/// The server is named with --server URL. With --token TOKEN the token is kept with it; `--token -` reads it from stdin.
/// Another server for a context that is there takes its token away.
#[derive(Debug, Args)]
pub struct ContextSetArguments {
    pub name: String,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; its secret is printed this once
    Create {
        /// What it is for
        name: String,
        /// Permission that it has, such as read:records; may be given several times; all of yours if not given
        #[arg(long = "scope", value_name = "PERMISSION")]
        scopes: Vec<String>,
        /// How long it is good for, such as 30d; for ever if not given
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<String>,
    },
    /// List your tokens, without their secrets
    List,
    /// Revoke a token
    Delete {
        /// As `token list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Write a secret, over the former value if there is one
    Set(SecretSetArguments),
    /// List the names of the secrets
    List,
    /// Delete a secret
    Delete { name: String },
}

/// The value is read from stdin, without the line break at its end, or from a file as it is.
#[derive(Debug, Args)]
pub struct SecretSetArguments {
    pub name: String,
    /// Group that it belongs to; one that is there stays where it is if not given
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// File with the value
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Change what somebody may do on the platform
    Set(UserSetArguments),
}

/// One admin of the platform always stays. What an identity provider says of its own people holds again from their next login.
#[derive(Debug, Args)]
pub struct UserSetArguments {
    pub name: String,
    /// Whether they are an admin of the platform
    #[arg(long, value_name = "true|false", action = ArgAction::Set, required = true)]
    pub platform_admin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// For example: millrace completion bash > ~/.local/share/bash-completion/completions/millrace
#[derive(Debug, Args)]
pub struct CompletionArguments {
    pub shell: Shell,
}
