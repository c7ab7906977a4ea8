//! `docs/cli.md`, made of the same description that `--help` shows. `UPDATE=1 cargo test --release --workspace -- cli_md`
//! writes it anew.

use super::Arguments;
use clap::{Arg, ArgAction, Command, CommandFactory};
use std::path::Path;

const HEAD: &str = "\
# The command line

Made of the same description as `millrace --help`; a test fails when the two differ.

Data goes to stdout, everything else to stderr. Exit codes: 0 success, 1 an error, 2 wrong usage, 3 what was named is not \
there, 5 `diff --exit-code` has found differences.
";

#[test]
fn cli_md_is_what_the_command_line_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let mut command = Arguments::command();
    command.build();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Options of every command\n\n");
    push_arguments(&mut text, command.get_arguments().filter(|argument| argument.is_global_set()));
    push_command(&mut text, &command, "millrace");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/cli.md is not what the command line says; UPDATE=1 writes it anew");
}

fn push_command(text: &mut String, command: &Command, path: &str) {
    let is_leaf = command.get_subcommands().next().is_none();
    if path != "millrace" {
        text.push_str(&format!("\n## `{path}`\n\n"));
        if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
            text.push_str(&format!("{}\n\n", sentence(&about.to_string())));
        }
    }
    if is_leaf {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        text.push_str(&format!("```\n{usage}\n```\n\n"));
        push_arguments(text, command.get_arguments().filter(|argument| !argument.is_global_set()));
    }
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        push_command(text, inner, &format!("{path} {}", inner.get_name()));
    }
}

fn push_arguments<'a>(text: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let shown = arguments.filter(|argument| !argument.is_hide_set());
    let shown: Vec<&Arg> = shown.filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version")).collect();
    if shown.is_empty() {
        return;
    }
    text.push_str("| option | |\n|---|---|\n");
    for argument in shown {
        text.push_str(&format!("| {} | {} |\n", name(argument), meaning(argument)));
    }
}

fn name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let values = names.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ");
    if argument.is_positional() {
        return format!("`{values}`");
    }
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let values = if takes_value { format!(" {values}") } else { String::new() };
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let forms: Vec<String> = short.into_iter().chain(long).collect();
    format!("`{}{values}`", forms.join(", ")).replace('|', "\\|")
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help()).map(|help| sentence(&help.to_string()));
    let mut parts: Vec<String> = help.into_iter().collect();
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let choices: Vec<String> =
        argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    if takes_value && !choices.is_empty() {
        parts.push(format!("one of {}", choices.join(", ")));
    }
    let defaults = argument.get_default_values();
    if takes_value && !defaults.is_empty() {
        let defaults: Vec<String> = defaults.iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        parts.push(format!("default {}", defaults.join(" ")));
    }
    if let Some(variable) = argument.get_env() {
        parts.push(format!("environment `{}`", variable.to_string_lossy()));
    }
    parts.join("; ").replace('|', "\\|")
}

/// Paragraphs as they are, each in one line.
fn sentence(help: &str) -> String {
    let paragraphs = help.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
