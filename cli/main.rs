//! The `bundle` command: arguments, progress, output and exit codes.

// What is printed goes through `output`, which fails where it must and keeps terminals safe.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod base;
mod command;
mod connection;
mod exit;
mod harbor_text;
mod memory;
mod notes;
mod output;
mod parts;
mod place;
mod progress;
mod size;
mod span;
mod trust;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Command;
use crate::exit::Failure;

/// Carries container images across an air gap.
///
/// On the connected side `bundle create` packs images into one signed file. On the other side
/// `bundle import` verifies the file and puts the images into a registry.
#[derive(Parser)]
#[command(name = "bundle", version, max_term_width = 100, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(exit::Code::Failed, &error).report(),
    };
    let result = runtime.block_on(arguments.command.run());
    // Threads that wait for a pipe would hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
