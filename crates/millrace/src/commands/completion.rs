//! `millrace completion`.

use crate::arguments::{Arguments, CompletionArguments, Shell};
use crate::failure::Failure;
use crate::output::Output;
use clap::CommandFactory;

pub fn run(arguments: &CompletionArguments, mut output: Output) -> Result<(), Failure> {
    let shell = match arguments.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "millrace", &mut script);
    output.plain(&String::from_utf8_lossy(&script))
}
