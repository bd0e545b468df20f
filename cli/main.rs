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

/// Whether an argument has a user name and password before a host, as in `https://user:password@host`.
/// A digest after an `@` is none.
fn has_login(argument: &str) -> bool {
    let value = match argument.split_once('=') {
        Some((name, value)) if !name.contains(['/', '@']) => value,
        _ => argument,
    };
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    let authority = rest.split('/').next().unwrap_or_default();
    let Some((login, host)) = authority.rsplit_once('@') else { return false };
    let digest = host.starts_with("sha256:") || host.starts_with("sha512:");
    !digest && !host.is_empty() && login.contains(':') && (scheme.is_empty() || !scheme.contains(' '))
}

fn main() -> ExitCode {
    // clap repeats the values that it refuses, and shells keep histories.
    let shown = |argument: std::ffi::OsString| has_login(&argument.to_string_lossy());
    if let Some(position) = std::env::args_os().skip(1).position(shown) {
        let text = format!("argument {} has a user name and password", position + 1);
        return Failure::text(exit::Code::Usage, text)
            .hint("arguments can be seen by others; store them with `bundle login HOST --username USER`")
            .report();
    }
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

#[cfg(test)]
mod tests {
    use super::has_login;

    #[test]
    fn logins_are_seen_and_digests_are_none() {
        for argument in [
            "https://u:p@harbor.example",
            "u:p@harbor.example/team/app",
            "--to=https://u:p@harbor.example/x",
            "docker.io=u:p@harbor.example",
            "docker://u:p@q@harbor.example/x:1",
        ] {
            assert!(has_login(argument), "{argument}");
        }
        for argument in [
            "nginx:1.25@sha256:0123",
            "harbor.example:5000/team/app:1@sha256:0123",
            "team/app@sha256:0123",
            "alice@example.com",
            "--username=alice@example.com",
            "https://harbor.example:8443/a@b",
            "b.tar",
        ] {
            assert!(!has_login(argument), "{argument}");
        }
    }
}
