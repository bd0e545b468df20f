//! The output of `serve` while it runs: the access log on standard output, messages on standard error, and both in the
//! log. Takes events and lines, from any thread; a terminal that was stopped does not stop the server.

use std::io::Write;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use bundle_format::Timestamp;
use bundle_oci::Printable;
use bundle_report::AccessReport;
use bundle_serve::{Access, Ending, Event, Observer};

use crate::output;

/// Writes the access log to stdout and messages to stderr, from a thread of its own, so that a
/// terminal that was stopped does not stop the server.
pub(super) struct Console {
    lines: SyncSender<Line>,
}

enum Line {
    Access(Box<Access>),
    Message(String),
}

/// The lines that wait for the terminal; what comes while it is full is lost.
const WAITING: usize = 4096;

impl Console {
    pub(super) fn start() -> Self {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::spawn(move || {
            for line in waiting {
                match line {
                    Line::Access(access) => {
                        // If stdout is closed, the error cannot be reported.
                        let _ = writeln!(std::io::stdout(), "{}", self::line(&access));
                        log(&access);
                    }
                    Line::Message(text) if text.starts_with("error: ") => output::tell_error(&text),
                    Line::Message(text) => output::tell(&text),
                }
            }
        });
        Self { lines }
    }
}

impl Console {
    /// Writes a message after those that wait.
    pub(super) fn say(&self, text: String) {
        self.write(Line::Message(text));
    }

    fn write(&self, line: Line) {
        match self.lines.try_send(line) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Logs a request: never its query, which may be anything.
fn log(access: &Access) {
    let path = access.target.split('?').next().unwrap_or_default();
    tracing::debug!(
        target: "bundle_serve",
        peer = %access.peer,
        method = access.method.as_str(),
        path = %Printable(path),
        status = access.status,
        bytes = access.bytes,
        ms = u64::try_from(access.took.as_millis()).unwrap_or(u64::MAX),
        "request"
    );
}

fn line(access: &Access) -> String {
    let report = AccessReport {
        time: Timestamp::now().to_string(),
        peer: access.peer.to_string(),
        user: access.user.clone(),
        method: access.method.to_string(),
        target: access.target.clone(),
        status: access.status,
        bytes: access.bytes,
        ending: match access.ending {
            Ending::Complete => "complete",
            Ending::Left => "left",
            Ending::Broken => "broken",
        }
        .to_owned(),
        seconds: access.took.as_secs_f64(),
        agent: access.agent.clone(),
    };
    match output::is_json() {
        true => output::json_line(&report),
        false => report.line(&access.peer.ip().to_string()),
    }
}

impl Observer for Console {
    fn event(&self, event: &Event<'_>) {
        let line = match event {
            Event::Answered(access) => Line::Access(Box::new((*access).clone())),
            Event::Lost { bundle, error } => Line::Message(format!(
                "error: {} cannot be read: {error}; looking for it again when it is asked for",
                Printable(bundle)
            )),
            Event::Found { bundle } => {
                Line::Message(format!("note: {} is available again", Printable(bundle)))
            }
            Event::Damaged { bundle, byte } => Line::Message(format!(
                "error: {} has other bytes than were signed, in the blob at byte {byte}; answers with it are cut off before their end",
                Printable(bundle)
            )),
            Event::Refused(error) => Line::Message(format!("error: connections cannot be accepted: {error}")),
        };
        self.write(line);
    }
}
