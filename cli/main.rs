//! The `bundle` command: arguments, progress, output and exit codes. Takes the command line, gives the
//! exit code; what a bundle is and does is decided in the libraries.

// All output goes through `output`, which fails where it must and keeps terminals safe.
#![deny(clippy::print_stderr, clippy::print_stdout)]

#[cfg(target_env = "musl")]
mod allocator;
mod base;
mod bases;
mod command;
mod connection;
mod destination;
mod environment;
mod examples;
mod exit;
mod groups;
mod history;
mod interrupt;
mod limits;
mod log;
mod notes;
mod opened;
mod output;
mod parts;
mod place;
mod program;
mod progress;
mod reference;
mod resources;
mod settings;
mod several;
mod size;
mod sources;
mod trust;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::command::Command;
use crate::exit::{Failure, Id};

/// musl's own takes a lock for each allocation and each release; two threads that read a chart wait for each
/// other most of the time.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: allocator::BySize = allocator::BySize;

/// Move container images and Helm charts across an air gap.
///
/// On the connected side, `bundle create` packs images and charts into one signed file. On the disconnected
/// side, `bundle import` verifies the file and pushes its contents to a registry.
#[derive(Parser)]
#[command(name = "bundle", version, max_term_width = 100, after_help = exit::HELP)]
struct Arguments {
    /// Print the result as JSON, and errors as JSON on standard error
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    log: log::LogArguments,

    /// Progress on standard error: bars on a terminal and lines elsewhere, always lines, nothing, or JSON
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|plain|none|json"
    )]
    progress: progress::Mode,

    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    bundle_os::forbid_core_dumps();
    if let Some(failure) = usage::login_in_arguments() {
        return failure.report();
    }
    let settings = match settings::read() {
        Ok(settings) => settings,
        // Help must not need a file that is right.
        Err(_) if usage::asks_for_help() => settings::none(),
        Err(failure) if usage::asks_for_support() => settings::without(failure.said()),
        Err(failure) => return usage::refused(failure),
    };
    let command = examples::with_examples(
        groups::in_groups(Arguments::command()).long_version(program::long_version()),
    );
    let matches = settings::apply(command, settings).try_get_matches();
    let arguments = match matches.and_then(|matches| Arguments::from_arg_matches(&matches)) {
        Ok(arguments) => arguments,
        Err(error) => return usage::report(&error),
    };
    if arguments.json {
        output::print_as_json();
    }
    if arguments.log.is_quiet() {
        output::be_quiet();
    }
    if let Err(failure) = arguments.log.begin() {
        return failure.report();
    }
    progress::show_as(arguments.progress);
    resources::explain_refusals();
    let name = arguments.command.name();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !arguments.command.moves_data() {
        // It waits for nothing but a signal at a prompt.
        runtime.worker_threads(1);
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Id::Resources, &error).report(),
    };
    let result = runtime.block_on(async {
        if arguments.command.takes_time() {
            interrupt::watch();
        }
        arguments.command.run().await
    });
    // Threads that wait for a pipe would hold up the end.
    runtime.shutdown_background();
    match (result, interrupt::signal()) {
        (Ok(()), _) => ExitCode::SUCCESS,
        // Whatever failed, failed because of that.
        (Err(_), Some(signal)) => {
            interrupt::report(signal);
            log::ended(name, signal.exit_code());
            signal.exit_code().into()
        }
        (Err(failure), None) => {
            let code = failure.code().number();
            let ended = failure.report();
            log::ended(name, code);
            ended
        }
    }
}
