//! Exit codes, and what people are told of errors: one file below for those of each part.

mod chart;
mod create;
mod extract;
mod harbor;
mod import;
mod key;
mod registry;
mod serve;
mod sync;
mod trust;

use std::error::Error;
use std::process::ExitCode;

use bundle_importer::Finding;
use bundle_oci::Printable;

pub(crate) use harbor::advice;

use crate::harbor_text;
use crate::output::tell;

/// What the exit code says. Stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    Failed = 1,
    Usage = 2,
    NotTrusted = 3,
    Network = 4,
    Policy = 5,
    Incomplete = 6,
}

/// Of what can be thousands, a person reads so many lines.
const MOST_NAMED: usize = 20;

pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  usage: invalid argument or configuration file
  3  the bundle is not trusted, or is damaged
  4  network or registry; trying again may help
  5  refused by a policy, such as a tag that must not move
  6  incomplete: a volume, base bundle, signature or scan result is missing";

/// An error on its way to a person.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    lines: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, error: &dyn Error) -> Self {
        Self { code, lines: vec![chain(error)], hint: None }
    }

    pub(crate) fn text(code: Code, text: impl Into<String>) -> Self {
        Self { code, lines: vec![text.into()], hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says one more thing to do.
    pub(crate) fn also_hint(mut self, hint: &str) -> Self {
        self.hint = Some(self.hint.map_or(hint.to_owned(), |first| format!("{first}\n{hint}")));
        self
    }

    /// Preflight checks that failed; nothing was written.
    pub(crate) fn findings(findings: &[Finding], host: &str) -> Self {
        let nobody = findings.iter().any(|finding| matches!(finding, Finding::Nobody));
        let mut lines: Vec<String> = findings.iter().map(harbor_text::what_is_wrong).collect();
        let tags = findings.iter().filter(|finding| finding.is_about_a_tag()).count();
        lines.push(match tags == findings.len() {
            true => format!("{tags} of the tags are there with another digest; nothing was written"),
            false => "nothing was written".to_owned(),
        });
        let mut hints: Vec<String> = Vec::new();
        for hint in findings.iter().map(|finding| advice(finding, host)) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        let code = if nobody { Code::Network } else { Code::Policy };
        Self { code, lines, hint: Some(hints.join("\n")) }
    }

    /// Preflight checks that failed, after they were shown with what to do.
    pub(crate) fn refused(findings: &[Finding]) -> Self {
        let Self { code, .. } = Self::findings(findings, "");
        let number = findings.len();
        let what = if number == 1 { "one thing stands" } else { "several things stand" };
        Self { code, lines: vec![format!("{what} in the way of an import")], hint: None }
    }

    /// Says of which file the first line tells.
    pub(crate) fn of(mut self, path: &std::path::Path) -> Self {
        if let Some(line) = self.lines.first_mut() {
            let name = Printable(&path.to_string_lossy()).to_string();
            if !line.starts_with(&name) {
                *line = format!("{name}: {line}");
            }
        }
        self
    }

    /// The exit code that it ends with.
    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The first thing that is wrong.
    pub(crate) fn first_line(&self) -> &str {
        self.lines.first().and_then(|text| text.lines().next()).unwrap_or_default()
    }

    /// The same with another code.
    pub(crate) fn with_code(mut self, code: Code) -> Self {
        self.code = code;
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

    pub(crate) fn report(self) -> ExitCode {
        for line in self.lines.iter().flat_map(|text| text.lines()) {
            tell(&format!("error: {line}"));
        }
        for hint in self.hint.iter().flat_map(|hint| hint.lines()) {
            tell(&format!("hint: {hint}"));
        }
        ExitCode::from(self.code as u8)
    }
}

/// An error and its causes, safe to print.
pub(crate) fn chain(error: &dyn Error) -> String {
    let text = bundle_oci::chain(error);
    text.lines().map(|line| Printable(line).to_string()).collect::<Vec<_>>().join("\n")
}
