//! Wrong arguments, and arguments that must not be repeated in messages. Takes what clap says, gives the exit
//! code 2; with `--json` among the arguments, the error is JSON as any other.

use std::process::ExitCode;

use bundle_oci::has_login;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::{Code, Failure, Id};
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

/// Whether help or the version is asked for.
pub(crate) fn asks_for_help() -> bool {
    let help = ["help", "-h", "--help", "-V", "--version"];
    std::env::args_os().skip(1).take_while(|it| it != "--").any(|it| help.iter().any(|word| it == *word))
}

/// Whether the command is `support`, which helps most where settings are wrong.
pub(crate) fn asks_for_support() -> bool {
    std::env::args_os()
        .skip(1)
        .find(|it| !it.as_encoded_bytes().starts_with(b"-"))
        .is_some_and(|it| it == "support")
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
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if wanted {
        return match error.print() {
            // A reader that went away has seen enough.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Failure::text(Code::Failed, format!("the help cannot be written: {error}")).report()
            }
            _ => code,
        };
    }
    if error.kind() == ErrorKind::InvalidUtf8
        && let Some(variable) = settings::not_utf8()
    {
        return refused(Failure::text(Id::Usage, format!("{variable} is not UTF-8")));
    }
    let text = error.render().to_string();
    if !asks_for_json() {
        match has_login(&text) {
            // The terminal may be gone; then the error cannot be reported.
            false => drop(error.print()),
            true => output::tell_error(text.trim_end()),
        }
        return code;
    }
    output::print_as_json();
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
