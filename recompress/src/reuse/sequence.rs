//! The tokens of a DEFLATE stream without their literals' bytes, in 32 bits each: so many literals, and then a match, or
//! bytes whose tokens are not known because they are stored.

/// The most literals of one sequence; with so many there is no match.
pub(crate) const MOST_LITERALS: usize = 511;
/// The most unknown bytes of one sequence.
pub(crate) const MOST_UNKNOWN: usize = 0x7fff;
/// Matches of three bytes have no code: the encoders whose tokens are reused make none.
const SHORTEST: usize = 4;

/// Literals, and what comes after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence(u32);

impl Sequence {
    /// Literals and a match; a match of three bytes is as good as unknown.
    #[inline(always)]
    pub(crate) fn matched(literals: usize, length: usize, distance: usize) -> Self {
        if length < SHORTEST {
            return Self::unknown(literals, length);
        }
        Self((literals as u32) << 23 | (length as u32 - 3) << 15 | (distance as u32 - 1))
    }

    /// Literals and bytes whose tokens are not known, of both not more than there may be.
    pub(crate) fn unknown(literals: usize, bytes: usize) -> Self {
        Self((literals as u32) << 23 | bytes as u32)
    }

    /// Literals alone, as many as there may be.
    pub(crate) fn full() -> Self {
        Self::unknown(MOST_LITERALS, 0)
    }

    /// How many literals.
    #[inline(always)]
    pub(crate) fn literals(self) -> usize {
        (self.0 >> 23) as usize
    }

    /// Length and distance of the match.
    #[inline(always)]
    pub(crate) fn copy(self) -> Option<(usize, usize)> {
        let length = (self.0 >> 15 & 0xff) as usize;
        (length > 0).then_some((length + 3, (self.0 & 0x7fff) as usize + 1))
    }

    /// Whether all tokens of the sequence are known, and it does not end because the stream does.
    #[inline(always)]
    pub(crate) fn is_known(self) -> bool {
        self.copy().is_some() || self == Self::full()
    }

    /// How many plain bytes it stands for.
    #[inline(always)]
    pub(crate) fn plain(self) -> u64 {
        let after = self.copy().map_or((self.0 & 0x7fff) as usize, |(length, _)| length);
        (self.literals() + after) as u64
    }

    pub(crate) fn to_bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    pub(crate) fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// Goes on with the hash of the last eight sequences: older ones are shifted out of it.
    #[inline(always)]
    pub(crate) fn hash(self, before: u64) -> u64 {
        (before << 8).wrapping_add(u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_gives_what_it_was_made_of() {
        for (literals, length, distance) in [(0, 4, 1), (510, 258, 32768), (3, 16, 300)] {
            let sequence = Sequence::from_bytes(Sequence::matched(literals, length, distance).to_bytes());
            assert_eq!((sequence.literals(), sequence.copy()), (literals, Some((length, distance))));
            assert_eq!(sequence.plain(), (literals + length) as u64);
            assert!(sequence.is_known());
        }
        let unknown = Sequence::unknown(7, MOST_UNKNOWN);
        assert_eq!((unknown.copy(), unknown.plain()), (None, 7 + MOST_UNKNOWN as u64));
        assert!(!unknown.is_known() && !Sequence::unknown(9, 0).is_known() && Sequence::full().is_known());
        assert_eq!(Sequence::matched(1, 3, 1), Sequence::unknown(1, 3));
    }
}
