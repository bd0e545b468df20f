//! Versions and ranges of versions as Helm reads them (Masterminds/semver).
//! Takes texts such as `v1.2` and `>= 1.2 < 2`; gives [`Version`] and [`Constraint`].

use crate::limits::{LONGEST_CONSTRAINT, LONGEST_VERSION, VERSION_GROUPS};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A semantic version, read as loosely as Helm reads it: `v1.2` is `1.2.0`.
///
/// ```
/// use bundle_chart::{Constraint, Version};
/// let range: Constraint = ">= 1.21.0-0, < 2".parse()?;
/// assert!(range.allows(&"v1.30.2-gke.100".parse::<Version>()?));
/// # Ok::<(), bundle_chart::ParseVersionError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
    /// The part after the hyphen; empty in a release.
    pub pre: String,
    /// The part after the plus.
    pub metadata: String,
    original: String,
}

/// A range of versions as Helm's dependencies and `semverCompare` write it: `>= 1.2 < 3 || ^4.1`.
#[derive(Clone, Debug)]
pub struct Constraint {
    groups: Vec<Vec<Comparison>>,
}

/// Why a text is no version or no range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseVersionError {
    /// More bytes than Helm reads.
    #[error("version has more than {0} bytes")]
    TooLong(usize),
    /// No version.
    #[error("invalid semantic version")]
    Version,
    /// A pre-release that is not of the form that it must have.
    #[error("invalid pre-release")]
    Prerelease,
    /// A number of a pre-release that starts with a zero.
    #[error("number of a pre-release starts with 0")]
    LeadingZero,
    /// No range of versions.
    #[error("invalid range of versions")]
    Constraint,
}

impl Version {
    /// The text as it was written.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// Whether it is a pre-release.
    pub const fn is_prerelease(&self) -> bool {
        !self.pre.is_empty()
    }

    /// Compares as semantic versions do; what stands after the plus does not count.
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_prereleases(&self.pre, &other.pre),
        })
    }
}

fn compare_prereleases(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        let (part, other_part) = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(part), Some(other_part)) => (part, other_part),
        };
        let order = match (part.parse::<u64>(), other_part.parse::<u64>()) {
            (Ok(number), Ok(other)) => number.cmp(&other),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => part.cmp(other_part),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        if text.len() > LONGEST_VERSION {
            return Err(ParseVersionError::TooLong(LONGEST_VERSION));
        }
        let (written, rest) = Written::take(text).ok_or(ParseVersionError::Version)?;
        if rest.is_empty() { written.version(text) } else { Err(ParseVersionError::Version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// The parts of a version or of a pattern such as `1.x`, as they are written.
#[derive(Default)]
struct Written<'a> {
    numbers: [Option<&'a str>; 3],
    pre: &'a str,
    metadata: &'a str,
}

impl<'a> Written<'a> {
    /// Takes a version off the front of `text`; `None` if there is none.
    fn take(text: &'a str) -> Option<(Self, &'a str)> {
        let mut rest = text.strip_prefix('v').unwrap_or(text);
        let mut written = Self::default();
        for (position, number) in written.numbers.iter_mut().enumerate() {
            let from = match position {
                0 => Some(rest),
                _ => rest.strip_prefix('.'),
            };
            let Some(from) = from else { break };
            let (digits, after) = split_while(from, |byte| matches!(byte, b'0'..=b'9' | b'x' | b'X' | b'*'));
            if digits.is_empty() {
                break;
            }
            *number = Some(digits);
            rest = after;
        }
        written.numbers[0]?;
        for (sign, part) in [('-', &mut written.pre), ('+', &mut written.metadata)] {
            let Some((identifiers, after)) = rest.strip_prefix(sign).and_then(take_identifiers) else {
                continue;
            };
            (*part, rest) = (identifiers, after);
        }
        Some((written, rest))
    }

    fn version(&self, original: &str) -> Result<Version, ParseVersionError> {
        let number = |digits: Option<&str>| match digits {
            Some(digits) => digits.parse().map_err(|_| ParseVersionError::Version),
            None => Ok(0),
        };
        let [major, minor, patch] = self.numbers;
        let zero_led =
            |part: &str| part.len() > 1 && part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
        if !self.pre.is_empty() && self.pre.split('.').any(zero_led) {
            return Err(ParseVersionError::LeadingZero);
        }
        Ok(Version {
            major: number(major)?,
            minor: number(minor)?,
            patch: number(patch)?,
            pre: self.pre.to_owned(),
            metadata: self.metadata.to_owned(),
            original: original.to_owned(),
        })
    }
}

/// `[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*`
fn take_identifiers(text: &str) -> Option<(&str, &str)> {
    let mut end = 0;
    loop {
        let (part, _) = split_while(&text[end..], |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if part.is_empty() {
            break;
        }
        end += part.len();
        if !text[end..].starts_with('.') {
            return Some(text.split_at(end));
        }
        end += 1;
    }
    // A full stop that nothing follows is not part of it.
    (end > 0).then(|| text.split_at(end - 1))
}

fn split_while(text: &str, belongs: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !belongs(byte)).unwrap_or(text.len());
    text.split_at(end)
}

impl Constraint {
    /// Whether it allows the version. A pre-release is allowed only by alternatives that name one.
    pub fn allows(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| {
            let names_prerelease = group.iter().any(|comparison| comparison.version.is_prerelease());
            (names_prerelease || !version.is_prerelease())
                && group.iter().all(|comparison| comparison.allows(version))
        })
    }
}

impl FromStr for Constraint {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        if text.len() > LONGEST_CONSTRAINT {
            return Err(ParseVersionError::TooLong(LONGEST_CONSTRAINT));
        }
        let groups: Vec<&str> = text.split("||").collect();
        if groups.len() > VERSION_GROUPS {
            return Err(ParseVersionError::Constraint);
        }
        let groups: Result<_, _> = groups.into_iter().map(parse_group).collect();
        Ok(Self { groups: groups? })
    }
}

/// Comparisons with white space or commas between them; `1.2 - 3.4` is two.
fn parse_group(text: &str) -> Result<Vec<Comparison>, ParseVersionError> {
    let mut comparisons = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (operator, after) = Operator::take(rest);
        let written = after.trim_start();
        let (parts, after) = Written::take(written).ok_or(ParseVersionError::Constraint)?;
        let spaced = after.trim_start();
        if operator == Operator::Equal
            && let Some((upper, after)) = hyphen_range(after)
        {
            comparisons.push(Comparison::new(Operator::GreaterOrEqual, &parts)?);
            comparisons.push(Comparison::new(Operator::LessOrEqual, &upper)?);
            rest = after.trim_start();
            if rest.is_empty() {
                return Ok(comparisons);
            }
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
            continue;
        }
        comparisons.push(Comparison::new(operator, &parts)?);
        if spaced.is_empty() {
            return Ok(comparisons);
        }
        rest = match spaced.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if spaced.len() < after.len() => spaced,
            None => return Err(ParseVersionError::Constraint),
        };
    }
}

/// The second half of `1.2 - 3.4`.
fn hyphen_range(after: &str) -> Option<(Written<'_>, &str)> {
    let space = |text: &str| text.starts_with(char::is_whitespace);
    if !space(after) {
        return None;
    }
    let upper = after.trim_start().strip_prefix('-')?;
    if !space(upper) {
        return None;
    }
    Written::take(upper.trim_start())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

impl Operator {
    fn take(text: &str) -> (Self, &str) {
        for (sign, operator) in [
            ("!=", Self::NotEqual),
            (">=", Self::GreaterOrEqual),
            ("=>", Self::GreaterOrEqual),
            ("<=", Self::LessOrEqual),
            ("=<", Self::LessOrEqual),
            ("~>", Self::Tilde),
            ("~", Self::Tilde),
            (">", Self::Greater),
            ("<", Self::Less),
            ("=", Self::Equal),
            ("^", Self::Caret),
        ] {
            if let Some(rest) = text.strip_prefix(sign) {
                return (operator, rest);
            }
        }
        (Self::Equal, text)
    }
}

#[derive(Clone, Debug)]
struct Comparison {
    operator: Operator,
    version: Version,
    /// From which number on anything goes.
    open: Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    All,
}

impl Comparison {
    fn new(operator: Operator, written: &Written<'_>) -> Result<Self, ParseVersionError> {
        let any = |number: Option<&str>| matches!(number, None | Some("x" | "X" | "*"));
        let [major, minor, patch] = written.numbers;
        let (numbers, open) = if any(major) {
            ([None; 3], Open::All)
        } else if any(minor) {
            ([major, None, None], Open::Minor)
        } else if any(patch) {
            ([major, minor, None], Open::Patch)
        } else {
            (written.numbers, Open::Nothing)
        };
        let version = Written { numbers, pre: written.pre, metadata: written.metadata }.version("");
        Ok(Self { operator, version: version.map_err(|_| ParseVersionError::Constraint)?, open })
    }

    /// As Helm's library compares, its surprises included (github.com/Masterminds/semver v3,
    /// constraints.go).
    fn allows(&self, version: &Version) -> bool {
        let own = &self.version;
        let order = version.compare(own);
        match self.operator {
            Operator::Equal if self.open == Open::Nothing => order == Ordering::Equal,
            Operator::Equal | Operator::Tilde => self.allows_tilde(version),
            Operator::NotEqual => match self.open {
                Open::Nothing => order != Ordering::Equal,
                _ if version.major != own.major => true,
                Open::All => {
                    version.minor != own.minor || version.patch != own.patch || order != Ordering::Equal
                }
                Open::Minor => false,
                Open::Patch if version.minor != own.minor => true,
                Open::Patch => compare_prereleases(&version.pre, &own.pre) != Ordering::Equal,
            },
            Operator::Greater => match self.open {
                Open::Nothing => order == Ordering::Greater,
                _ if version.major != own.major => version.major > own.major,
                Open::Minor => false,
                Open::Patch => version.minor > own.minor,
                Open::All => order == Ordering::Greater,
            },
            Operator::GreaterOrEqual => order != Ordering::Less,
            Operator::Less => order == Ordering::Less,
            Operator::LessOrEqual => match self.open {
                Open::Nothing => order != Ordering::Greater,
                _ => {
                    version.major < own.major
                        || version.major == own.major
                            && (version.minor <= own.minor || self.open == Open::Minor)
                }
            },
            Operator::Caret => self.allows_caret(version),
        }
    }

    fn allows_tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own) == Ordering::Less {
            return false;
        }
        let closed = matches!(self.open, Open::Nothing | Open::All);
        if (own.major, own.minor, own.patch) == (0, 0, 0) && closed {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.open == Open::Minor)
    }

    fn allows_caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own) == Ordering::Less {
            return false;
        }
        if own.major > 0 || self.open == Open::Minor {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.open == Open::Patch {
            return version.minor == own.minor;
        }
        version.minor == 0 && version.patch == own.patch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Verdicts of github.com/Masterminds/semver v3.5.0, which Helm 3.22 uses.
    #[test]
    fn ranges_allow_what_helms_library_allows() {
        for (range, version, allowed) in [
            ("1.2.3", "v1.2.3", true),
            ("1.2", "1.2.9", true),
            ("1.2", "1.3.0", false),
            ("*", "1.2.3", true),
            ("x", "0.0.1", true),
            ("*", "1.2.3-rc.1", false),
            (">=1.19-0", "v1.30.2-gke.1", true),
            (">=1.19", "v1.30.2-gke.1", false),
            (">= 1.2, < 3", "2.9.9", true),
            (">= 1.2 < 3", "3.0.0", false),
            ("1.2 - 2.4", "2.4.0", true),
            ("1.2 - 2.4", "2.4.1", true),
            ("1.2.0 - 2.4.0", "2.4.1", false),
            ("1.0 - 2.0 || 4.x", "4.7.1", true),
            ("~1.2.3", "1.2.9", true),
            ("~1.2.3", "1.3.0", false),
            ("~1", "1.9.0", true),
            ("~>2.0", "2.0.9", true),
            ("~0.0.0", "7.1.0", true),
            ("~*", "2.1.1", true),
            ("^1.2.3", "1.9.0", true),
            ("^1.2.3", "2.0.0", false),
            ("^0.2.3", "0.2.9", true),
            ("^0.2.3", "0.3.0", false),
            ("^0.0.3", "0.0.4", false),
            ("^0", "0.9.0", true),
            ("^*", "0.0.0", true),
            ("!=1.2", "1.2.3", false),
            ("!=1.2.3", "1.2.4", true),
            ("!=4.x", "5.1.0", true),
            ("!=4.x", "4.1.0", false),
            (">11", "11.1.0", false),
            (">11", "12.0.0", true),
            (">11.1", "11.1.1", false),
            (">11.1", "11.2.1", true),
            ("<=11", "11.2.3", true),
            ("<=11", "12.0.0", false),
            ("<2", "2.0.0-rc.1", false),
            ("=>1.0", "1.0.0", true),
            ("1.2.3+build", "1.2.3+other", true),
        ] {
            let parsed: Constraint = range.parse().unwrap_or_else(|_| panic!("{range}"));
            assert_eq!(parsed.allows(&version.parse().unwrap()), allowed, "{range} and {version}");
        }
    }

    #[test]
    fn what_is_no_range_or_version_is_refused() {
        for range in ["", " ", "latest", "1.2.3.4", ">=1.2<3", "1.2,", "1..2", "1x", "||", "1 |2"] {
            assert!(range.parse::<Constraint>().is_err(), "{range:?}");
        }
        for version in ["", "1.2.3.4", "1.2.x", "latest", " 1", "1.2.3-01", "1.2.3-", "1.2.3-a..b"] {
            assert!(version.parse::<Version>().is_err(), "{version:?}");
        }
        assert_eq!("v01.2".parse::<Version>().unwrap().to_string(), "1.2.0");
    }

    #[test]
    fn prereleases_are_ordered_as_the_specification_says() {
        let order = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0";
        let versions: Vec<Version> = order.split(' ').map(|text| text.parse().unwrap()).collect();
        for pair in versions.windows(2) {
            assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{} < {}", pair[0], pair[1]);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[0-9xX*v.,|<>=!~^ +a-]{0,40}") {
            let _ = text.parse::<Constraint>();
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string().parse::<Version>().unwrap().compare(&version), Ordering::Equal);
            }
        }
    }
}
