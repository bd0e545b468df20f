//! Exit codes and error messages: one file below for the errors of each part. Takes any library's error,
//! gives an identifier, an exit code, the lines to print and a hint.

mod chart;
mod convert;
mod create;
mod doctor;
mod extract;
mod harbor;
mod import;
mod inventory;
mod key;
mod prune;
mod registry;
mod scan;
mod serve;
mod sync;
mod trust;

use std::borrow::Cow;
use std::error::Error;

use bundle_importer::Finding;
use bundle_oci::{Printable, hide_logins};
use bundle_report::ErrorReport;
pub(crate) use bundle_report::{ErrorId as Id, ExitCode as Code};

pub(crate) use doctor::how_to_run;
pub(crate) use harbor::advice;

use crate::destination;
use crate::log;
use crate::output::{self, tell, tell_error, tell_json};

/// The most names in a message that could have thousands.
const NAMED: usize = 20;

pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed, or a search found nothing
  2  invalid argument or configuration file
  3  the bundle is not trusted or is damaged
  4  network or registry error; a retry may help
  5  refused by a policy, such as an immutable tag or a quota
  6  a volume, base bundle, image or scan result is missing
  7  a newer program made the file
  8  the bundle is stale: older than the newest one imported, or expired";

/// An error on its way to a person.
#[derive(Debug)]
pub(crate) struct Failure {
    id: Id,
    lines: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(id: impl Into<Id>, error: &dyn Error) -> Self {
        Self { id: id.into(), lines: vec![chain(error)], hint: None }
    }

    pub(crate) fn text(id: impl Into<Id>, text: impl Into<String>) -> Self {
        Self { id: id.into(), lines: vec![hidden(text)], hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hidden(hint));
        self
    }

    /// The same failure with another text, where the result has said the cause.
    pub(crate) fn saying(mut self, text: String) -> Self {
        self.lines = vec![hidden(text)];
        self
    }

    /// Says one more thing to do.
    pub(crate) fn also_hint(mut self, hint: &str) -> Self {
        self.hint = Some(self.hint.map_or(hint.to_owned(), |first| format!("{first}\n{hint}")));
        self
    }

    /// The message in one line, without the hint.
    pub(crate) fn said(&self) -> String {
        self.lines.join("; ")
    }

    /// The hint, if there is one.
    pub(crate) fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether it is about this.
    pub(crate) fn is(&self, id: Id) -> bool {
        self.id == id
    }

    /// Preflight checks that failed; nothing was written.
    pub(crate) fn findings(findings: &[Finding], host: &str) -> Self {
        let nobody = findings.iter().any(|finding| matches!(finding, Finding::Nobody));
        let mut lines: Vec<String> = findings.iter().map(destination::what_is_wrong).collect();
        let tags = findings.iter().filter(|finding| finding.is_about_a_tag()).count();
        lines.push(match tags == findings.len() {
            true if tags == 1 => {
                "1 tag already exists with a different digest; nothing was written".to_owned()
            }
            true => format!("{tags} tags already exist with a different digest; nothing was written"),
            false => "nothing was written".to_owned(),
        });
        let mut hints: Vec<String> = Vec::new();
        for hint in findings.iter().map(|finding| advice(finding, host)) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        let id = if nobody { Id::Unauthorized } else { preflight(findings) };
        Self { id, lines, hint: Some(hints.join("\n")) }
    }

    /// Preflight checks that failed, after they were shown with what to do.
    pub(crate) fn refused(findings: &[Finding]) -> Self {
        let Self { id, .. } = Self::findings(findings, "");
        let what = crate::size::count(findings.len(), "preflight check");
        Self { id, lines: vec![format!("{what} failed; nothing was written")], hint: None }
    }

    /// Adds the file's name to the first line.
    pub(crate) fn of(mut self, path: &std::path::Path) -> Self {
        if let Some(line) = self.lines.first_mut() {
            let name = Printable(&path.to_string_lossy()).to_string();
            if !line.starts_with(&name) {
                *line = format!("{name}: {line}");
            }
        }
        self
    }

    /// Adds the file's name to the first line, unless it is in it.
    pub(crate) fn naming(self, path: &std::path::Path) -> Self {
        let name = Printable(&path.to_string_lossy()).to_string();
        let named = self.lines.iter().any(|line| line.contains(&name));
        if named { self } else { self.of(path) }
    }

    /// The exit code that it ends with.
    pub(crate) fn code(&self) -> Code {
        self.id.code()
    }

    /// The stable identifier of its cause.
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// The first thing that is wrong.
    pub(crate) fn first_line(&self) -> &str {
        self.lines.first().and_then(|text| text.lines().next()).unwrap_or_default()
    }

    /// The same with another code. The cause stays, if it has this code.
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        if self.id.code() != code {
            self.id = code.into();
        }
        self
    }

    /// Puts a bundle's name before what is wrong with it.
    pub(crate) fn about(mut self, name: &str) -> Self {
        if let Some(line) = self.lines.first_mut() {
            *line = format!("{}: {line}", Printable(name));
        }
        self
    }

    /// Says two things with the code of the first.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.lines.extend(other.lines);
        self.hint = match (self.hint, other.hint) {
            (Some(one), Some(other)) if !one.contains(&other) => Some(format!("{one}\n{other}")),
            (one, other) => one.or(other),
        };
        self
    }

    /// Says two things with the graver code of the two.
    pub(crate) fn and_gravest(self, other: Self) -> Self {
        let id = if self.code().graver(other.code()) == self.code() { self.id } else { other.id };
        Self { id, ..self.and(other) }
    }

    /// Prints it as a note where it is no failure. A program has it in the result.
    pub(crate) fn tell_as_notes(&self) {
        if output::is_json() {
            return;
        }
        for line in self.lines.iter().flat_map(|text| text.lines()) {
            tell(&format!("note: {line}"));
        }
        for hint in self.hint.iter().flat_map(|hint| hint.lines()) {
            tell(&format!("hint: {hint}"));
        }
    }

    /// Prints the error, as JSON with `--json`, and gives the exit code.
    pub(crate) fn report(self) -> std::process::ExitCode {
        let code = self.code().number();
        if output::is_json() {
            for line in self.lines.iter().flat_map(|text| text.lines()) {
                log::note(&log::Line::printed(&format!("error: {line}")));
            }
            let lines: Vec<String> = self.lines.iter().map(hidden).collect();
            tell_json(&ErrorReport::new(self.id, &lines, self.hint.map(hidden).as_deref()));
            return code.into();
        }
        for line in self.lines.iter().flat_map(|text| text.lines()) {
            tell_error(&format!("error: {line}"));
        }
        for hint in self.hint.iter().flat_map(|hint| hint.lines()) {
            tell_error(&format!("hint: {hint}"));
        }
        code.into()
    }
}

/// The identifier of preflight checks that failed: their own, if all are of one kind.
fn preflight(findings: &[Finding]) -> Id {
    let id = |finding: &Finding| match finding {
        Finding::Nobody => Id::Unauthorized,
        Finding::ReadOnly => Id::ReadOnly,
        Finding::Quota { .. } => Id::Quota,
        Finding::Immutable { .. } => Id::TagImmutable,
        Finding::Conflict { .. } => Id::TagExists,
        Finding::NoAdministrator
        | Finding::Hidden { .. }
        | Finding::MayNotCreate { .. }
        | Finding::MissingRights { .. }
        | Finding::MayNotReconcile { .. } => Id::MissingRights,
        Finding::ProxyCache { .. } => Id::Policy,
    };
    let mut ids = findings.iter().map(id);
    match ids.next() {
        Some(first) if ids.all(|other| other == first) => first,
        _ => Id::Preflight,
    }
}

/// A text that may repeat what people wrote, without passwords.
fn hidden(text: impl Into<String>) -> String {
    let text = text.into();
    match hide_logins(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(hidden) => hidden,
    }
}

/// An error and its causes, safe to print: without control characters and passwords.
pub(crate) fn chain(error: &dyn Error) -> String {
    let text = hidden(bundle_oci::chain(error));
    text.lines().map(|line| Printable(line).to_string()).collect::<Vec<_>>().join("\n")
}
