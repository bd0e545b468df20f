//! Streams, sequences and times: what names a bundle among others.
//! Takes text, gives names and numbers in one spelling.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a series of bundles, of which the importer accepts only newer ones: up to 64
/// lower-case letters, digits, and `.`, `_` or `-` inside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(String);

/// A text that is no stream name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "name must be 1 to 64 lower-case letters, digits, '.', '_' and '-', with a letter or digit at both ends"
)]
pub struct ParseStreamError;

impl FromStr for StreamName {
    type Err = ParseStreamError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let valid = |byte: u8| plain(byte) || matches!(byte, b'.' | b'_' | b'-');
        let bytes = text.as_bytes();
        let ends = bytes.first().copied().is_some_and(plain) && bytes.last().copied().is_some_and(plain);
        if ends && bytes.len() <= 64 && bytes.iter().copied().all(valid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseStreamError)
        }
    }
}

impl Default for StreamName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

bundle_oci::serde_as_text!(StreamName);

/// A bundle's place in its stream, from 1 to 2^53 - 1 (what every JSON reader keeps exactly).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Sequence(NonZeroU64);

/// A number that is no sequence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sequence must be a number from 1 to 9007199254740991")]
pub struct ParseSequenceError;

/// The numbers that are read as a time: those of the seconds from 2001-09-09 to 2100-01-01.
const TIMES: std::ops::RangeInclusive<u64> = 1_000_000_000..=4_102_444_800;

impl Sequence {
    /// The time of the number, if it is the seconds since 1970, as writers choose by default.
    pub fn moment(self) -> Option<Timestamp> {
        let seconds = TIMES.contains(&self.0.get()).then(|| i64::try_from(self.0.get()).ok()).flatten()?;
        Timestamp::from_unix(seconds).ok()
    }

    /// The number for people: with the date beside it if it is a time, as in
    /// `1795000000 (2026-11-18T11:06:40Z)`.
    pub fn dated(self) -> String {
        match self.moment() {
            Some(moment) => format!("{self} ({moment})"),
            None => self.to_string(),
        }
    }

    /// The number and the digest that belongs to it, for people: `42 (sha256:…)`, or
    /// `1795000000 (2026-11-18T11:06:40Z, sha256:…)`.
    pub fn dated_with(self, digest: &bundle_oci::Digest) -> String {
        match self.moment() {
            Some(moment) => format!("{self} ({moment}, {digest})"),
            None => format!("{self} ({digest})"),
        }
    }
}

impl TryFrom<u64> for Sequence {
    type Error = ParseSequenceError;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() < 1 << 53 => Ok(Self(number)),
            _ => Err(ParseSequenceError),
        }
    }
}

impl FromStr for Sequence {
    type Err = ParseSequenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<u64>().map_err(|_| ParseSequenceError)?.try_into()
    }
}

impl From<Sequence> for u64 {
    fn from(sequence: Sequence) -> Self {
        sequence.0.get()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A moment in whole seconds, written as RFC 3339 in UTC: `2026-11-24T09:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// A text that is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("time must be like 2026-11-24T09:00:00Z, or seconds since 1970")]
pub struct ParseTimestampError;

impl Timestamp {
    /// The moment so many seconds after 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// The moment lies before 1970 or after the year 9999.
    pub fn from_unix(seconds: i64) -> Result<Self, ParseTimestampError> {
        if seconds < 0 {
            return Err(ParseTimestampError);
        }
        jiff::Timestamp::from_second(seconds).map(Self).map_err(|_| ParseTimestampError)
    }

    /// This moment by the machine's clock; the nearest one that there is, where the clock is wrong by
    /// thousands of years.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let latest = jiff::Timestamp::MAX.as_second();
        Self(jiff::Timestamp::from_second(seconds.min(latest)).unwrap_or_default())
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub fn unix(self) -> i64 {
        self.0.as_second()
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(seconds) = text.parse::<i64>() {
            return Self::from_unix(seconds);
        }
        let moment: jiff::Timestamp = text.parse().map_err(|_| ParseTimestampError)?;
        Self::from_unix(moment.as_second())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment: Self = text.parse().map_err(serde::de::Error::custom)?;
        // One spelling only, so that two readers cannot take the same bytes for two moments.
        if moment.to_string() == text {
            Ok(moment)
        } else {
            Err(serde::de::Error::custom(ParseTimestampError))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_one_spelling_in_a_statement() {
        let moment = Timestamp::from_unix(1_795_000_000).unwrap();
        let text = serde_json::to_string(&moment).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), moment);
        assert_eq!("2026-11-18T12:26:40+01:00".parse::<Timestamp>().unwrap().unix(), 1_795_001_200);
        for bad in
            ["\"2026-11-18T12:26:40.5Z\"", "\"2026-11-18T12:26:40+00:00\"", "\"1795000000\"", "1795000000"]
        {
            assert!(serde_json::from_str::<Timestamp>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_that_is_a_time_is_shown_with_its_date() {
        let shown = |number: u64| Sequence::try_from(number).unwrap().dated();
        assert_eq!(shown(1_795_000_000), "1795000000 (2026-11-18T11:06:40Z)");
        assert_eq!(shown(42), "42");
        assert_eq!(shown((1 << 53) - 1), "9007199254740991");
    }

    #[test]
    fn sequences_and_streams_are_bounded() {
        assert!("0".parse::<Sequence>().is_err());
        assert!("9007199254740992".parse::<Sequence>().is_err());
        assert_eq!("9007199254740991".parse::<Sequence>().unwrap().to_string(), "9007199254740991");
        for bad in ["", "A", "-a", "a/b", "a b", &"a".repeat(65)] {
            assert!(bad.parse::<StreamName>().is_err(), "{bad:?}");
        }
        assert!("site-1.nightly".parse::<StreamName>().is_ok());
    }
}
