//! Wrong arguments, and arguments that must not be repeated in messages. Takes what clap says, gives the exit
//! code 2; with `--json` among the arguments, the error is JSON as any other.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::{Failure, Id};
use crate::output;
use crate::settings;

/// Whether `--json` is among the options, which must be known even of arguments that are wrong.
fn asks_for_json() -> bool {
    // `--` ends the options.
    std::env::args_os().skip(1).take_while(|it| it != "--").any(|it| it == "--json")
}

/// Refuses a user name and password in an argument: clap repeats the values that it refuses, and shells keep
/// histories.
pub(crate) fn login_in_arguments() -> Option<Failure> {
    let shown = |argument: std::ffi::OsString| has_login(&argument.to_string_lossy());
    let position = std::env::args_os().skip(1).position(shown)?;
    if asks_for_json() {
        output::print_as_json();
    }
    let text = format!("argument {} has a user name and password", position + 1);
    let hint = "arguments can be seen by others; store them with `bundle login HOST --username USER`";
    Some(Failure::text(Id::Usage, text).hint(hint))
}

/// Whether an argument has a user name and password before a host, as in `https://user:password@host`. An `@`
/// before a digest does not count.
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

/// Whether help or the version is asked for.
pub(crate) fn asks_for_help() -> bool {
    let help = ["help", "-h", "--help", "-V", "--version"];
    std::env::args_os().skip(1).take_while(|it| it != "--").any(|it| help.iter().any(|word| it == *word))
}

/// Prints why there are no arguments to look at, as JSON if they ask for it.
pub(crate) fn refused(failure: Failure) -> ExitCode {
    if asks_for_json() {
        output::print_as_json();
    }
    failure.report()
}

/// Prints clap's error; help and version are no errors.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let option = context(ContextKind::InvalidArg).zip(context(ContextKind::InvalidValue));
    if let Some(place) = option.and_then(|(option, value)| settings::blame(option, value)) {
        let text = error.render().to_string();
        let text = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return refused(Failure::text(Id::Usage, format!("{place}: {text}")));
    }
    if wanted || !asks_for_json() {
        // If the terminal is gone, the error cannot be reported.
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    }
    output::print_as_json();
    let text = error.render().to_string();
    let (wrong, usage) = text.split_once("\nUsage:").unwrap_or((&text, ""));
    let wrong = wrong.trim().trim_start_matches("error: ");
    let lines: Vec<&str> = wrong.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let usage = usage.lines().next().unwrap_or_default().trim();
    let failure = Failure::text(Id::Usage, lines.join("\n"));
    match usage.is_empty() {
        true => failure,
        false => failure.hint(format!("usage: {usage}")),
    }
    .report()
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
