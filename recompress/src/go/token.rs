//! Tokens of Go's encoder, literals and matches in 32 bits each, and the tables of RFC 1951 3.2.5 that turn
//! lengths and distances into symbols and extra bits.

/// How many literal and length symbols there are.
pub(crate) const LITERALS: usize = 286;
/// How many distance symbols there are.
pub(crate) const DISTANCES: usize = 30;
/// The symbol that ends a block.
pub(crate) const END_OF_BLOCK: usize = 256;
/// The symbol of the shortest length.
pub(crate) const LENGTHS_START: usize = 257;

/// The bits that a length symbol takes besides its code.
pub(crate) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// The bits that a distance symbol takes besides its code.
pub(crate) const DISTANCE_EXTRA: [u8; DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// The length symbol, less [`LENGTHS_START`], of a length less 3.
pub(crate) const LENGTH_CODE: [u8; 256] = length_codes();
/// The distance symbol of a distance less 1, for distances up to 256; see [`distance_code`].
const DISTANCE_CODE: [u8; 256] = distance_codes();
/// The smallest distance, less 1, of each distance symbol.
pub(crate) const DISTANCE_BASE: [u16; 32] = distance_bases();
/// The smallest length, less 3, of each length symbol.
pub(crate) const LENGTH_BASE: [u8; 29] = length_bases();

const fn length_bases() -> [u8; 29] {
    let mut bases = [0; 29];
    let (mut code, mut next) = (0, 0u8);
    while code < 28 {
        bases[code] = next;
        // 227 + 32 is beyond a byte, and of no use: the last symbol stands for 258 alone.
        next = next.wrapping_add(1 << LENGTH_EXTRA[code]);
        code += 1;
    }
    bases[28] = 255;
    bases
}

const fn length_codes() -> [u8; 256] {
    let mut codes = [0; 256];
    let (mut length, mut code) = (0, 0);
    while length < 256 {
        if code < 28 && LENGTH_BASE[code + 1] as usize == length {
            code += 1;
        }
        codes[length] = code as u8;
        length += 1;
    }
    codes
}

const fn distance_bases() -> [u16; 32] {
    let mut bases = [0; 32];
    let mut code = 1;
    while code < DISTANCES {
        bases[code] = bases[code - 1] + (1 << DISTANCE_EXTRA[code - 1]);
        code += 1;
    }
    bases
}

const fn distance_codes() -> [u8; 256] {
    let mut codes = [0; 256];
    let (mut distance, mut code) = (0, 0);
    while distance < 256 {
        if DISTANCE_BASE[code + 1] as usize == distance {
            code += 1;
        }
        codes[distance] = code as u8;
        distance += 1;
    }
    codes
}

/// The distance symbol of a distance less 1, below 32768.
#[inline(always)]
pub(crate) fn distance_code(distance: usize) -> usize {
    if distance < 256 {
        DISTANCE_CODE[distance & 255] as usize
    } else {
        DISTANCE_CODE[(distance >> 7) & 255] as usize + 14
    }
}

/// A literal byte, or a match. Both have their fields at the same places, so that they are counted and written without
/// asking which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

const MATCH: u32 = 1 << 30;
/// The distance symbol of a literal: there is no such distance.
const NO_DISTANCE: u32 = 31;

impl Token {
    /// How many numbers [`Self::index`] gives.
    pub(crate) const INDICES: usize = 512;

    /// The literal `byte`.
    #[inline(always)]
    pub(crate) fn literal(byte: u8) -> Self {
        Token((NO_DISTANCE << 24) | (u32::from(byte) << 16))
    }

    /// A match of `length` bytes (3 to 258), `distance` bytes back (1 to 32768).
    #[inline(always)]
    pub(crate) fn copy(length: usize, distance: usize) -> Self {
        let symbol = distance_code(distance - 1) as u32;
        Token(MATCH | (symbol << 24) | ((length as u32 - 3) << 16) | (distance as u32 - 1))
    }

    /// The byte of a literal, or 256 and the length of a match less 3.
    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        ((self.0 >> 16) & 0xff | (self.0 >> 22) & 0x100) as usize
    }

    /// The length less 3, of a match.
    #[inline(always)]
    pub(crate) fn length(self) -> usize {
        ((self.0 >> 16) & 0xff) as usize
    }

    /// The distance symbol of a match; of a literal one that is none, below 32.
    #[inline(always)]
    pub(crate) fn symbol(self) -> usize {
        ((self.0 >> 24) & 31) as usize
    }

    /// The distance less 1, of a match; 0 for a literal.
    #[inline(always)]
    pub(crate) fn distance(self) -> usize {
        (self.0 & 0x7fff) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_what_it_was_made_of() {
        let literal = Token::literal(200);
        assert_eq!((literal.index(), literal.symbol(), literal.distance()), (200, 31, 0));
        let copy = Token::copy(258, 32768);
        assert_eq!((copy.index(), copy.length()), (511, 255));
        assert_eq!((copy.symbol(), copy.distance()), (29, 32767));
    }

    #[test]
    fn the_tables_are_those_of_the_standard() {
        assert_eq!(LENGTH_BASE[8..12], [8, 10, 12, 14]);
        assert_eq!((LENGTH_CODE[254], LENGTH_CODE[255]), (27, 28));
        assert_eq!((DISTANCE_BASE[4], DISTANCE_BASE[29]), (4, 24576));
        for distance in 0..32768 {
            let code = distance_code(distance);
            let base = usize::from(DISTANCE_BASE[code]);
            assert!((base..base + (1 << DISTANCE_EXTRA[code])).contains(&distance), "{distance}");
        }
    }
}
