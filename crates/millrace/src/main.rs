//! The `millrace` binary: one server in one process, and the command line that talks to it.
//!
//! Here are only the command line, its output and the composition; what the commands do is in `control` (behind `api`)
//! and, for `dagger run`, in `flow`.

mod arguments;
mod client;
mod commands;
mod contexts;
mod documents;
mod failure;
mod local_servers;
mod output;
mod proto_files;
mod server_location;
mod unified_diff;

use arguments::{Arguments, Command, DaggerCommand};
use failure::Failure;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Of every thread that parses, plans or evaluates SQL: enough for what `sql::check_depth` lets through. Only what is
/// used of it takes memory.
const STACK_BYTES: usize = 32 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::read();
    // Two providers could be linked in; which one speaks TLS is said once, here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // On a thread of its own, whose stack is as large as those that it starts.
    let running = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(|| run(arguments));
    let result = match running.map(std::thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => Err(Failure::error(format!("a thread cannot be started: {error}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    // The server and bounded runs use all cores; a command that only asks a server needs one thread.
    let mut runtime = match &arguments.command {
        Command::Up(_) | Command::Dagger(DaggerCommand::Run(_)) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| Failure::error(format!("the runtime cannot be started: {error}")))?;
    let result = runtime.block_on(commands::run(arguments));
    // A read of stdin that still waits must not hold up the exit.
    runtime.shutdown_background();
    result
}
