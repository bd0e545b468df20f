//! A length of time as people write it, in arguments and in files: a number with `s`, `m` or `h`.
//! Takes text, gives a duration within its bounds.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A time as people write it: `90s`, `10m`, `2h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "must be a number with s, m or h, such as 10m, and at most 24h";
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(wrong),
        };
        let number: u64 = number.parse().map_err(|_| wrong)?;
        let seconds = number.checked_mul(seconds).filter(|seconds| *seconds <= 24 * 3600).ok_or(wrong)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("24h", 86_400), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))));
        }
        for bad in ["", "10", "m", "1d", "25h", "-1s", "99999999999999999999h", "1.5m"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
