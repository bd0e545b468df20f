//! Exceptions in `harbor.yaml`: vulnerabilities that somebody answers for until a day, in the words of
//! `bundle scan --ignore`. Takes them as they are written; gives Harbor's CVE allowlist of a moment, and what is over.

use std::collections::BTreeSet;
use std::fmt;

use bundle_format::Timestamp;
use bundle_harbor::Allowlist;
use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

/// The longest text of an exception, in characters: people read it in one line.
const TEXT: usize = 300;
/// More than anybody keeps in order.
const MOST: usize = 1_000;
const DAY: i64 = 24 * 60 * 60;

/// A vulnerability that is overlooked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Such as `CVE-2026-1234`.
    pub vulnerability: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it counts, in UTC.
    pub expires: Day,
    /// Why.
    pub reason: String,
}

/// A day in UTC, by its first moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Timestamp);

impl Day {
    /// The first moment after it, in seconds since 1970.
    pub fn end(self) -> i64 {
        self.0.unix().saturating_add(DAY)
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        plain.then(|| format!("{text}T00:00:00Z").parse().ok()).flatten().map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().get(..10).unwrap_or_default())
    }
}

/// The exceptions of a project, or of the whole system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions(Vec<Exception>);

impl Exceptions {
    /// Harbor's list of those that count at a moment. Harbor knows one end for a whole list, which is the end of the
    /// exception that ends first: nothing is overlooked longer than somebody answers for it.
    pub fn allowlist(&self, now: Timestamp) -> Allowlist {
        let current: Vec<&Exception> = self.0.iter().filter(|it| it.expires.end() > now.unix()).collect();
        Allowlist {
            items: current.iter().map(|it| it.vulnerability.clone()).collect(),
            expires_at: current.iter().map(|it| it.expires.end()).min(),
        }
    }

    /// Those that no longer count.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = &Exception> {
        self.0.iter().filter(move |it| it.expires.end() <= now.unix())
    }

    /// Those that still count, and for less than so many seconds.
    pub fn ending(&self, now: Timestamp, within: i64) -> impl Iterator<Item = &Exception> {
        let soon = now.unix().saturating_add(within);
        self.0.iter().filter(move |it| (now.unix() + 1..=soon).contains(&it.expires.end()))
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (vulnerability, owner) = (Printable(&self.vulnerability), Printable(&self.owner));
        write!(f, "{vulnerability} ({owner}, last day {})", self.expires)
    }
}

/// A list in words: `CVE-2026-1, CVE-2026-2 until 2027-01-31`.
pub(crate) fn text(list: &Allowlist) -> String {
    if list.items.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = list.items.iter().map(|name| Printable(name).to_string()).collect();
    let names = names.join(", ");
    let end = list.expires_at.map(|at| Timestamp::from_unix(at.saturating_sub(1).max(0)));
    match end {
        Some(Ok(end)) => format!("{names} until {}", Day(end)),
        Some(Err(_)) | None => format!("{names} without end"),
    }
}

/// A vulnerability that is overlooked
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    /// Its name, such as CVE-2026-1234
    vulnerability: String,
    /// Who answers for it
    owner: String,
    /// The last day on which it counts, in UTC, such as 2027-01-31
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    expires: String,
    /// Why
    reason: String,
}

impl<'de> Deserialize<'de> for Exceptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Vec::<Written>::deserialize(deserializer)?;
        if written.len() > MOST {
            return Err(de::Error::custom(format!("more than {MOST} exceptions")));
        }
        let mut known = BTreeSet::new();
        let read = |written: Written| {
            let name = Printable(&written.vulnerability).to_string();
            let wrong = |why: &str| de::Error::custom(format!("exception {name}: {why}"));
            for text in [&written.vulnerability, &written.owner, &written.reason] {
                if text.trim().is_empty() || text.chars().count() > TEXT {
                    return Err(wrong("vulnerability, owner and reason must each have 1 to 300 characters"));
                }
            }
            if written.vulnerability.contains(|sign: char| sign == '*' || sign.is_whitespace()) {
                return Err(wrong("it must name one vulnerability"));
            }
            // Harbor refuses a list that names one twice (its pkg/allowlist/validator.go).
            if !known.insert(written.vulnerability.clone()) {
                return Err(wrong("it is listed twice"));
            }
            let expires = Day::parse(&written.expires);
            let expires = expires.ok_or_else(|| wrong("expires must be a day like 2027-01-31"))?;
            let Written { vulnerability, owner, reason, .. } = written;
            Ok(Exception { vulnerability, owner, expires, reason })
        };
        written.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Exceptions {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Exceptions".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let item = generator.subschema_for::<Written>();
        schemars::json_schema!({"type": "array", "maxItems": MOST, "items": item})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions(ends: &[&str]) -> Exceptions {
        let exception = |(number, day): (usize, &&str)| Exception {
            vulnerability: format!("CVE-2026-{number}"),
            owner: "security@example".to_owned(),
            expires: Day::parse(day).unwrap(),
            reason: "not reachable".to_owned(),
        };
        Exceptions(ends.iter().enumerate().map(exception).collect())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_list_ends_with_the_exception_that_ends_first_and_the_last_day_counts() {
        let all = exceptions(&["2026-12-31", "2027-01-31"]);
        let told = |now: &str| text(&all.allowlist(at(now)));
        assert_eq!(told("2026-12-31T23:59:59Z"), "CVE-2026-0, CVE-2026-1 until 2026-12-31");
        assert_eq!(told("2027-01-01T00:00:00Z"), "CVE-2026-1 until 2027-01-31");
        assert_eq!(told("2027-02-01T00:00:00Z"), "none");
        // Harbor's IsExpired: from this moment on.
        let list = all.allowlist(at("2026-12-01T00:00:00Z"));
        assert_eq!(list.expires_at, Some(at("2027-01-01T00:00:00Z").unix()));
    }

    #[test]
    fn what_is_over_and_what_ends_soon_is_known() {
        let all = exceptions(&["2026-12-31", "2027-01-31"]);
        let now = at("2027-01-01T00:00:00Z");
        let names = |found: Vec<&Exception>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(all.expired(now).collect()), ["CVE-2026-0 (security@example, last day 2026-12-31)"]);
        assert_eq!(all.ending(now, 31 * DAY).count(), 1);
        assert_eq!(all.ending(now, 30 * DAY).count(), 0);
    }

    #[test]
    fn only_days_of_the_calendar_are_days() {
        for (day, is_one) in
            [("2027-01-31", true), ("2027-02-30", false), ("2027-1-31", false), ("never", false), ("", false)]
        {
            assert_eq!(Day::parse(day).is_some(), is_one, "{day}");
        }
    }
}
