//! Exceptions: vulnerabilities that somebody answers for, in certain images, until a day.
//! Takes a YAML file of people; gives what covers a finding today, and what is past its day.

use std::path::Path;

use bundle_format::Timestamp;
use bundle_input::{Dialect, InputError, YamlError, parse_yaml, read_text};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Finding, Limits};

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Exception {
    /// Such as `CVE-2026-1234`.
    pub vulnerability: String,
    /// The image: `project/repository:tag` at the destination, or its source, in which `*` stands for any text.
    pub image: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it counts, in UTC, such as `2027-01-31`.
    pub expires: String,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    #[serde(default)]
    version: Option<u32>,
    exceptions: Vec<Exception>,
}

/// Exceptions that are right in themselves.
#[derive(Clone, Debug, Default)]
pub struct Exceptions(Vec<(Exception, Date)>);

/// Why a file of exceptions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ExceptionsError {
    /// The file, or its YAML.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The version of the file's form.
    #[error("{file} is of version {found}, and this program reads version 1")]
    Version {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
    },
    /// One exception.
    #[error("{file}: exception {number} ({vulnerability}): {why}")]
    Exception {
        /// The file.
        file: String,
        /// Its place in the list, from 1.
        number: usize,
        /// What it is for.
        vulnerability: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than anybody keeps in order.
    #[error("{file} has more than {limit} exceptions")]
    TooMany {
        /// The file.
        file: String,
        /// How many there may be.
        limit: usize,
    },
}

impl Exceptions {
    /// Reads a file.
    ///
    /// # Errors
    /// Any [`ExceptionsError`].
    pub fn read(path: &Path, limits: &Limits) -> Result<Self, ExceptionsError> {
        let text = read_text(path, bundle_input::Limits::DEFAULT.file).map_err(InputError::from)?;
        Self::parse(&text, &path.display().to_string(), limits)
    }

    /// Reads the text of the file called `name`.
    ///
    /// # Errors
    /// Any [`ExceptionsError`].
    pub fn parse(text: &str, name: &str, limits: &Limits) -> Result<Self, ExceptionsError> {
        let wrong = |error: YamlError| ExceptionsError::Input(error.into());
        let file: File = parse_yaml(text, name, Dialect::Plain).map_err(wrong)?;
        if let Some(found) = file.version.filter(|version| *version != 1) {
            return Err(ExceptionsError::Version { file: name.to_owned(), found });
        }
        if file.exceptions.len() > limits.exceptions {
            return Err(ExceptionsError::TooMany { file: name.to_owned(), limit: limits.exceptions });
        }
        let mut all = Vec::new();
        for (number, exception) in (1..).zip(file.exceptions) {
            let wrong = |why| ExceptionsError::Exception {
                file: name.to_owned(),
                number,
                vulnerability: exception.vulnerability.clone(),
                why,
            };
            let texts = [&exception.vulnerability, &exception.image, &exception.owner, &exception.reason];
            if texts.iter().any(|text| text.trim().is_empty() || text.chars().count() > limits.text) {
                return Err(wrong(
                    "vulnerability, image, owner and reason must each have 1 to 300 characters",
                ));
            }
            if exception.vulnerability.contains('*') {
                return Err(wrong("it must name one vulnerability; '*' is for images"));
            }
            let day =
                exception.expires.parse().map_err(|_| wrong("expires must be a day like 2027-01-31"))?;
            all.push((exception, day));
        }
        Ok(Self(all))
    }

    /// The exception that covers a finding of an image, which has all of these names; `now` in UTC.
    pub fn covers(&self, finding: &Finding, names: &[String], now: Timestamp) -> Option<&Exception> {
        let today = day(now);
        let mut found = self.0.iter().filter(|(it, until)| *until >= today && it.is_of(finding, names));
        found.next().map(|(it, _)| it)
    }

    /// Those that no longer count.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = &Exception> {
        let today = day(now);
        self.0.iter().filter(move |(_, until)| *until < today).map(|(it, _)| it)
    }

    /// Those that still count.
    pub fn current(&self, now: Timestamp) -> impl Iterator<Item = &Exception> {
        let today = day(now);
        self.0.iter().filter(move |(_, until)| *until >= today).map(|(it, _)| it)
    }
}

impl Exception {
    /// Whether it is about this finding in an image of these names.
    pub fn is_of(&self, finding: &Finding, names: &[String]) -> bool {
        let mut ids = finding.aliases.iter().chain([&finding.id]);
        ids.any(|id| id.eq_ignore_ascii_case(&self.vulnerability))
            && names.iter().any(|name| matches(&self.image, name))
    }
}

/// The day in UTC.
fn day(now: Timestamp) -> Date {
    let moment = jiff::Timestamp::from_second(now.unix()).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::Offset::UTC.to_datetime(moment).date()
}

/// Whether a text is of a pattern, in which `*` stands for any text. Takes time of the product of both lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if pattern.get(at) == Some(&text[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((place, taken)) = star {
            star = Some((place, taken + 1));
            at = place + 1;
            seen = taken + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    const FILE: &str = "version: 1\nexceptions:\n  - vulnerability: CVE-2026-1\n    image: cache/docker.io/library/*\n    \
                        owner: security@example\n    expires: 2026-12-31\n    reason: not reachable\n";

    fn finding(id: &str, alias: &str) -> Finding {
        Finding {
            id: id.to_owned(),
            aliases: vec![alias.to_owned()],
            severity: Severity::High,
            package: "p".to_owned(),
            installed: "1".to_owned(),
            fixed: None,
            title: None,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_exception_counts_to_the_end_of_its_last_day_and_only_for_its_images() {
        let exceptions = Exceptions::parse(FILE, "e.yaml", &Limits::DEFAULT).unwrap();
        let nginx = ["cache/docker.io/library/nginx:1".to_owned()];
        let covers = |id, alias, names: &[String], now| {
            exceptions.covers(&finding(id, alias), names, at(now)).is_some()
        };
        assert!(covers("CVE-2026-1", "", &nginx, "2026-12-31T23:59:59Z"));
        assert!(covers("GHSA-9", "cve-2026-1", &nginx, "2026-12-31T23:59:59Z"));
        assert!(!covers("CVE-2026-1", "", &nginx, "2027-01-01T00:00:00Z"));
        assert!(!covers("CVE-2026-11", "", &nginx, "2026-12-31T00:00:00Z"));
        assert!(!covers("CVE-2026-1", "", &["team/nginx:1".to_owned()], "2026-12-31T00:00:00Z"));
        assert_eq!(exceptions.expired(at("2027-01-01T00:00:00Z")).count(), 1);
        assert_eq!(exceptions.expired(at("2026-12-31T00:00:00Z")).count(), 0);
    }

    #[test]
    fn an_exception_without_owner_reason_or_day_is_none() {
        for (one, other) in [
            ("security@example", "''"),
            ("not reachable", "' '"),
            ("2026-12-31", "never"),
            ("2026-12-31", "2026-02-30"),
            ("CVE-2026-1", "'*'"),
            ("    owner: security@example\n", ""),
            ("version: 1", "version: 2"),
            ("reason", "why"),
        ] {
            let text = FILE.replace(one, other);
            assert!(Exceptions::parse(&text, "e.yaml", &Limits::DEFAULT).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abcd", false),
            ("*:1.2*", "x/y:1.27", true),
            ("a**", "a", true),
            ("a", "ab", false),
            ("", "a", false),
            ("*a*a*b", "aaaaaaaab", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
