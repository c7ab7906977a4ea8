//! `millrace context`.

use crate::arguments::{ContextCommand, OutputFormat, ServerArguments};
use crate::contexts::{Context, Contexts};
use crate::failure::Failure;
use crate::output::{Output, column, note};
use crate::server_location::{self, Reason, with_scheme};
use serde_json::{Value, json};

pub fn run(command: ContextCommand, server: &ServerArguments, mut output: Output) -> Result<(), Failure> {
    let mut contexts = Contexts::read()?;
    match command {
        ContextCommand::Set(arguments) => {
            let before = contexts.all().get(&arguments.name).cloned();
            let context = changed(before, server)?;
            note(format!("context {} is {}", arguments.name, context.server));
            contexts.set(&arguments.name, context);
            contexts.write()
        }
        ContextCommand::Use { name } => {
            contexts.take_into_use(&name)?;
            contexts.write()?;
            note(format!("commands go to {} now", contexts.get(&name)?.1.server));
            Ok(())
        }
        ContextCommand::List => {
            let items: Vec<Value> = contexts
                .all()
                .iter()
                .map(|(name, context)| {
                    json!({
                        "name": name, "server": context.server, "hasToken": context.token.is_some(),
                        "current": contexts.is_current(name),
                    })
                })
                .collect();
            output.items(
                &items,
                &[
                    column("NAME", "/name"),
                    column("SERVER", "/server"),
                    column("HAS TOKEN", "/hasToken"),
                    column("CURRENT", "/current"),
                ],
            )
        }
        ContextCommand::Show => show(server, &mut output),
        ContextCommand::Delete { name } => {
            contexts.delete(&name)?;
            contexts.write()?;
            note(format!("context {name} is forgotten"));
            Ok(())
        }
    }
}

/// Only what stands on the command line counts: what the environment says is of other commands.
fn changed(before: Option<Context>, arguments: &ServerArguments) -> Result<Context, Failure> {
    let server = arguments.server.as_deref().filter(|_| arguments.written.server).map(with_scheme);
    let token = match arguments.token.as_deref().filter(|_| arguments.written.token) {
        Some("-") => Some(
            std::io::read_to_string(std::io::stdin())
                .map_err(|error| Failure::error(format!("cannot read the token from stdin: {error}")))?,
        ),
        other => other.map(str::to_owned),
    };
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    match (server, before) {
        // A token is for its own server only.
        (Some(server), Some(before)) if server == before.server => {
            Ok(Context { server, token: token.or(before.token) })
        }
        (Some(server), _) => Ok(Context { server, token }),
        (None, Some(before)) if token.is_some() => Ok(Context { token, ..before }),
        (None, _) => Err(Failure::usage("which server it is, is not said").with_hint("add --server URL")),
    }
}

fn show(arguments: &ServerArguments, output: &mut Output) -> Result<(), Failure> {
    let location = server_location::find(arguments)?;
    let why = match (location.reason, &location.context) {
        (Reason::Context, Some(name)) => format!("context {name}"),
        (Reason::Named | Reason::Context, _) => "--server or MILLRACE_URL".to_owned(),
        (Reason::DataDirectory, _) => format!("data directory {}", arguments.data_dir().display()),
        (Reason::Default, _) => "default".to_owned(),
    };
    let shown = json!({
        "server": location.url, "from": why, "context": location.context, "hasToken": location.token.is_some(),
    });
    match output.format() {
        OutputFormat::Table => output
            .items(&[shown], &[column("SERVER", "/server"), column("FROM", "/from"), column("HAS TOKEN", "/hasToken")]),
        _ => output.item(&shown),
    }
}
