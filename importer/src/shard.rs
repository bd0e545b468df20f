//! Which of several parallel imports uploads which blobs.
//! Takes `N/M` and a plan's blobs, gives those of one shard.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::str::FromStr;

use bundle_format::Statement;
use bundle_oci::Digest;

/// Which of a bundle's blobs one import delivers: several can share the work of one large bundle.
/// The one that ends last finds all blobs there, and sets the tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Shard {
    /// All of them.
    #[default]
    All,
    /// One part of several.
    Part {
        /// Which part, from 0.
        number: usize,
        /// How many parts there are.
        of: usize,
    },
}

/// A text that is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shard must be NUMBER/PARTS, from 0/PARTS on, of at most 1000 parts")]
pub struct ParseShardError;

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, of) = text.split_once('/').ok_or(ParseShardError)?;
        let parse = |text: &str| text.parse::<usize>().map_err(|_| ParseShardError);
        let (number, of) = (parse(number)?, parse(of)?);
        if number < of && of <= 1000 { Ok(Self::Part { number, of }) } else { Err(ParseShardError) }
    }
}

impl Shard {
    /// The blobs of the share; none for all. Every import finds the same parts, of about the same
    /// size, for they follow from the statement.
    pub(crate) fn blobs(self, statement: &Statement) -> Option<HashSet<Digest>> {
        let Self::Part { number, of } = self else { return None };
        let mut blobs: Vec<_> = statement.blobs.iter().collect();
        blobs.sort_by_key(|blob| (Reverse(blob.size), blob.digest));
        // The lightest part is on top; of equal ones, the first.
        let mut loads: BinaryHeap<_> = (0..of).map(|part| Reverse((0_u64, part))).collect();
        let mut ours = HashSet::new();
        for blob in blobs {
            let Some(mut top) = loads.peek_mut() else { break };
            let Reverse((load, part)) = &mut *top;
            *load += blob.size;
            if *part == number {
                ours.insert(blob.digest);
            }
        }
        Some(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_from_nothing() {
        assert_eq!("0/4".parse(), Ok(Shard::Part { number: 0, of: 4 }));
        for bad in ["", "4/4", "1", "-1/4", "0/0", "0/1001", "a/b"] {
            assert_eq!(bad.parse::<Shard>(), Err(ParseShardError), "{bad}");
        }
    }
}
