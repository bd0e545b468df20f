//! How much parity is asked for: `10%`, or one volume in so many, `1/10`.
//! Takes the text; gives the number of shards of parity for as many of data.

use std::str::FromStr;

/// The part of a bundle that may be lost: a number of shards for so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParityShare {
    parts: u64,
    of: u64,
}

/// A text that says no share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parity must be a share from 1% to 100%, like 10%, or one volume in so many, like 1/10")]
pub struct ParseParityShareError;

impl FromStr for ParityShare {
    type Err = ParseParityShareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str, largest: u64| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse::<u64>().ok().filter(|_| digits && !text.starts_with('0'));
            number.filter(|number| *number <= largest).ok_or(ParseParityShareError)
        };
        if let Some(percent) = text.strip_suffix('%') {
            return Ok(Self { parts: number(percent, 100)?, of: 100 });
        }
        match text.split_once('/') {
            Some(("1", of)) => Ok(Self { parts: 1, of: number(of, 100)? }),
            _ => Err(ParseParityShareError),
        }
    }
}

impl ParityShare {
    /// How many shards of parity that is for `shards` of data: at least one.
    pub(crate) fn of(self, shards: usize) -> usize {
        usize::try_from((shards as u64 * self.parts).div_ceil(self.of)).unwrap_or(usize::MAX).max(1)
    }

    /// The share that `parity` of `shards` are.
    pub(crate) fn between(parity: usize, shards: usize) -> Self {
        Self { parts: parity as u64, of: shards.max(1) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_per_cent_or_one_in_so_many() {
        let of = |text: &str, shards| text.parse::<ParityShare>().map(|share| share.of(shards));
        assert_eq!(of("10%", 100), Ok(10));
        assert_eq!(of("10%", 14), Ok(2));
        assert_eq!(of("1/10", 14), Ok(2));
        assert_eq!(of("1/10", 10), Ok(1));
        assert_eq!(of("1/3", 100), Ok(34));
        assert_eq!(of("100%", 3), Ok(3));
        assert_eq!(of("1%", 1), Ok(1));
        for bad in ["", "10", "0%", "101%", "5.5%", "-1%", "+1%", "2/10", "1/0", "1/", "1/101", "010%", "%"] {
            assert_eq!(of(bad, 1), Err(ParseParityShareError), "{bad}");
        }
    }
}
