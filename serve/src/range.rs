//! The part of a blob that a request asks for (RFC 9110 §14).
//! Takes the header and the blob's size; gives the whole, a part, or that none fits.

use std::ops::Range;

/// The part that a request asks for of content with `size` bytes (RFC 9110 §14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, one that is not understood, or several at once.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// A range that has none of its bytes.
    Nothing,
}

impl Wanted {
    /// Reads the header `Range`.
    pub(crate) fn parse(header: &str, size: u64) -> Self {
        let header = header.trim();
        let Some((unit, range)) = header.split_once('=') else {
            return Self::Whole;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let Some((first, last)) = range.trim().split_once('-') else {
            return Self::Whole;
        };
        match (number(first), number(last)) {
            (Some(Number::Absent), Some(Number::Is(suffix))) => {
                if suffix == 0 || size == 0 {
                    Self::Nothing
                } else {
                    Self::Part(size.saturating_sub(suffix)..size)
                }
            }
            (Some(Number::Is(first)), Some(last)) => {
                let last = match last {
                    Number::Absent => u64::MAX,
                    Number::Is(last) if last < first => return Self::Whole,
                    Number::Is(last) => last,
                };
                if first >= size {
                    Self::Nothing
                } else {
                    Self::Part(first..last.saturating_add(1).min(size))
                }
            }
            _ => Self::Whole,
        }
    }
}

enum Number {
    Absent,
    Is(u64),
}

/// Digits, or nothing; what is larger than can be counted is as large as can be.
fn number(text: &str) -> Option<Number> {
    if text.is_empty() {
        return Some(Number::Absent);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Number::Is(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        let part = Wanted::Part;
        for (header, wanted) in [
            ("bytes=0-", part(0..10)),
            ("bytes=0-0", part(0..1)),
            ("bytes=3-5", part(3..6)),
            ("Bytes = 3-5", part(3..6)),
            ("bytes=9-9", part(9..10)),
            ("bytes=3-99999999999999999999999", part(3..10)),
            ("bytes=-3", part(7..10)),
            ("bytes=-99", part(0..10)),
            ("bytes=-99999999999999999999999", part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-3", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(Wanted::parse(header, 10), wanted, "{header:?}");
        }
        assert_eq!(Wanted::parse("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(Wanted::parse("bytes=-5", 0), Wanted::Nothing);
        assert_eq!(Wanted::parse("bytes=0-18446744073709551615", u64::MAX), part(0..u64::MAX));
    }
}
