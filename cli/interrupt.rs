//! What Ctrl-C, SIGTERM and the end of a terminal do to a command that takes its time: it keeps what it has, says how to go on, and ends.
//! Takes signals, and from each command what it leaves; gives the last line and the exit code.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bundle_os::{EndSignal, Signals};
use bundle_registry::Stop;
use bundle_report::{ErrorBody, ErrorReport};

use crate::output::{self, tell_error, tell_json};

/// How long a command may take to keep what it has. What it does is safe at any moment, as if it were killed.
const GRACE: Duration = Duration::from_secs(5);

/// The signal that came.
static SIGNAL: OnceLock<EndSignal> = OnceLock::new();
/// Whether signals are waited for.
static WATCHED: AtomicBool = AtomicBool::new(false);
/// Whether a prompt has the terminal, which it must give back as it was.
static PROMPTS: AtomicBool = AtomicBool::new(false);
/// The state that the command leaves when it is interrupted.
static LEFT: Mutex<Left> = Mutex::new(Left::Unchanged);

/// What an interrupted command leaves, and how it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing was changed. The same command does it from the start.
    Unchanged,
    /// This is kept, and the same command goes on with it.
    Kept(String),
    /// This is of no use. The same command does it from the start.
    Lost(String),
}

/// The request to end that all of this process share.
pub(crate) fn stop() -> &'static Stop {
    static STOP: OnceLock<Stop> = OnceLock::new();
    STOP.get_or_init(Stop::default)
}

/// Whether long work goes on: an error once it was asked to end.
pub(crate) fn goes_on() -> std::io::Result<()> {
    if stop().is_asked() { Err(std::io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// Says what the command leaves if it is interrupted from here on.
pub(crate) fn leaves(left: Left) {
    *lock(&LEFT) = left;
}

/// The signal that ends this process, if one came.
pub(crate) fn signal() -> Option<EndSignal> {
    SIGNAL.get().copied()
}

/// Whether signals are waited for, so that nobody else needs to.
pub(crate) fn is_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

/// Says that a prompt begins to have the terminal, or ends to.
pub(crate) fn prompts(prompts: bool) {
    PROMPTS.store(prompts, Ordering::Relaxed);
}

/// From now on, the first signal asks the command to end, and a second one ends it. Must be called within a
/// runtime. Where the system has no signals to wait for, they end it at once, as ever.
pub(crate) fn watch() {
    let Ok(mut signals) = Signals::listen_with_hangups() else { return };
    WATCHED.store(true, Ordering::Relaxed);
    tokio::spawn(async move {
        let first = signals.next().await;
        SIGNAL.get_or_init(|| first);
        stop().now();
        if *lock(&LEFT) == Left::Unchanged && !PROMPTS.load(Ordering::Relaxed) {
            end(first);
        }
        tokio::select! {
            second = signals.next() => {
                crate::progress::clear();
                std::process::exit(second.exit_code().into());
            }
            () = tokio::time::sleep(GRACE) => end(first),
        }
    });
}

fn end(signal: EndSignal) -> ! {
    crate::progress::clear();
    report(signal);
    std::process::exit(signal.exit_code().into());
}

/// Says that the command was interrupted, and how it goes on.
pub(crate) fn report(signal: EndSignal) {
    let command = command_line(std::env::args());
    let (message, hint) = said(signal, &lock(&LEFT), &command);
    if output::is_json() {
        let error = ErrorBody {
            id: ID.to_owned(),
            code: signal.exit_code(),
            message,
            causes: Vec::new(),
            hints: vec![hint],
        };
        return tell_json(&ErrorReport { version: 1, error });
    }
    // It says why the command failed, which -q does not take away.
    tell_error(&format!("{message}; {hint}"));
}

/// The identifier in JSON.
const ID: &str = "interrupted";

fn said(signal: EndSignal, left: &Left, command: &str) -> (String, String) {
    let name = signal.as_str();
    match left {
        Left::Unchanged => {
            (format!("interrupted by {name}: nothing was changed"), format!("to run it again: {command}"))
        }
        Left::Kept(what) => (format!("interrupted by {name}: {what}"), format!("to go on: {command}")),
        Left::Lost(what) => (format!("interrupted by {name}: {what}"), format!("to start over: {command}")),
    }
}

/// A command line as a shell takes it.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    arguments.map(|argument| quoted(&argument)).collect::<Vec<_>>().join(" ")
}

fn quoted(argument: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte);
    if !argument.is_empty() && argument.bytes().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The value is whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_command_line_that_is_shown() {
        let arguments = ["bundle", "create", "r.example/a:1", "--key", "my key", "", "it's", "a$b"];
        let line = command_line(arguments.into_iter().map(str::to_owned));
        assert_eq!(line, r"bundle create r.example/a:1 --key 'my key' '' 'it'\''s' 'a$b'");
        let shell = std::process::Command::new("sh").arg("-c").arg(format!("printf '%s\\n' {line}")).output();
        let expected = arguments.map(|argument| format!("{argument}\n")).concat();
        assert_eq!(String::from_utf8(shell.unwrap().stdout).unwrap(), expected);
    }

    #[test]
    fn what_is_kept_is_gone_on_with_and_what_is_lost_starts_over() {
        let said = |left| said(EndSignal::Terminate, &left, "bundle x");
        let (message, hint) = said(Left::Kept("what was fetched is kept".to_owned()));
        assert_eq!(message, "interrupted by SIGTERM: what was fetched is kept");
        assert_eq!(hint, "to go on: bundle x");
        assert_eq!(said(Left::Lost("a pipe".to_owned())).1, "to start over: bundle x");
        assert_eq!(said(Left::Unchanged).1, "to run it again: bundle x");
    }
}
