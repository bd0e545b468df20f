//! The numbers of RFC 1951 section 3.2.5 and 3.2.6: which code stands for a length or a distance, how many
//! extra bits follow, and the codes of blocks with fixed codes.

/// The shortest match.
pub(crate) const MIN_MATCH: usize = 3;
/// The longest match.
pub(crate) const MAX_MATCH: usize = 258;
/// Literals and lengths, with the end of a block.
pub(crate) const L_CODES: usize = 286;
/// Distances.
pub(crate) const D_CODES: usize = 30;
/// Codes for lengths of codes.
pub(crate) const BL_CODES: usize = 19;
/// The symbol that ends a block.
pub(crate) const END_BLOCK: usize = 256;

/// Extra bits after each length code, from 257 on.
pub(crate) const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Extra bits after each distance code.
pub(crate) const DISTANCE_EXTRA: [u8; D_CODES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];
/// Extra bits after the codes 16, 17 and 18 of code lengths.
pub(crate) const CODE_LENGTH_EXTRA: [u8; BL_CODES] =
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];
/// The order in which the lengths of code length codes are sent.
pub(crate) const CODE_LENGTH_ORDER: [u8; BL_CODES] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The smallest (length - 3) of each length code.
pub(crate) const LENGTH_BASE: [u16; 29] = length_base();
/// The smallest (distance - 1) of each distance code.
pub(crate) const DISTANCE_BASE: [u16; D_CODES] = distance_base();
/// The length code, counted from 0, of each (length - 3).
pub(crate) const LENGTH_CODE: [u8; 256] = length_code();
const DISTANCE_CODE: [u8; 512] = distance_code();

/// Lengths of the fixed literal and length codes.
pub(crate) const FIXED_LENGTHS: [u8; 288] = fixed_lengths();
/// The fixed literal and length codes, their first bit lowest.
pub(crate) const FIXED_CODES: [u16; 288] = fixed_codes();

/// The distance code of a (distance - 1) below 32,768.
#[inline(always)]
pub(crate) fn distance_code_of(distance: usize) -> usize {
    let index = if distance < 256 { distance } else { 256 + (distance >> 7) };
    DISTANCE_CODE[index & 511] as usize
}

/// `code`, of `length` bits, with its bits in the other order.
pub(crate) const fn reversed(code: u16, length: u32) -> u16 {
    if length == 0 { 0 } else { code.reverse_bits() >> (16 - length) }
}

/// The fixed code of a distance code.
pub(crate) fn fixed_distance(code: usize) -> u16 {
    reversed(code as u16, 5)
}

/// Canonical codes for these lengths, the first bit lowest (RFC 1951 section 3.2.2).
pub(crate) fn numbered(lengths: &[u8]) -> Vec<u16> {
    let mut counts = [0u16; 16];
    lengths.iter().for_each(|&length| counts[usize::from(length & 15)] += 1);
    counts[0] = 0;
    let (mut next, mut code) = ([0u16; 16], 0u16);
    for length in 1..16 {
        code = code.wrapping_add(counts[length - 1]).wrapping_shl(1);
        next[length] = code;
    }
    let number = |&length: &u8| {
        let next = &mut next[usize::from(length & 15)];
        let code = *next;
        *next = next.wrapping_add(1);
        reversed(code, u32::from(length & 15))
    };
    lengths.iter().map(number).collect()
}

const fn length_base() -> [u16; 29] {
    let mut base = [0; 29];
    let (mut code, mut next) = (0, 0);
    while code < 28 {
        base[code] = next;
        next += 1 << LENGTH_EXTRA[code];
        code += 1;
    }
    // 258 has a code of its own.
    base[28] = 255;
    base
}

const fn distance_base() -> [u16; D_CODES] {
    let mut base = [0; D_CODES];
    let (mut code, mut next) = (0, 0u32);
    while code < D_CODES {
        base[code] = next as u16;
        next += 1 << DISTANCE_EXTRA[code];
        code += 1;
    }
    base
}

const fn length_code() -> [u8; 256] {
    let mut codes = [0; 256];
    let mut code = 0;
    while code < 29 {
        let mut n = 0;
        while n < 1 << LENGTH_EXTRA[code] {
            let length = LENGTH_BASE[code] as usize + n;
            if length < 256 {
                codes[length] = code as u8;
            }
            n += 1;
        }
        code += 1;
    }
    codes
}

const fn distance_code() -> [u8; 512] {
    let mut codes = [0; 512];
    let mut code = 0;
    while code < D_CODES {
        let mut n = 0;
        while n < 1usize << DISTANCE_EXTRA[code] {
            let distance = DISTANCE_BASE[code] as usize + n;
            if distance < 256 {
                codes[distance] = code as u8;
            } else {
                codes[256 + (distance >> 7)] = code as u8;
            }
            n += 1;
        }
        code += 1;
    }
    codes
}

const fn fixed_lengths() -> [u8; 288] {
    let mut lengths = [8; 288];
    let mut n = 144;
    while n < 280 {
        lengths[n] = if n < 256 { 9 } else { 7 };
        n += 1;
    }
    lengths
}

const fn fixed_codes() -> [u16; 288] {
    let mut codes = [0; 288];
    let mut n = 0;
    while n < 288 {
        let code = match n {
            0..144 => 0x30 + n,
            144..256 => 0x190 + n - 144,
            256..280 => n - 256,
            _ => 0xc0 + n - 280,
        };
        codes[n] = reversed(code as u16, FIXED_LENGTHS[n] as u32);
        n += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard_s_tables() {
        assert_eq!(LENGTH_CODE[0], 0);
        assert_eq!(LENGTH_CODE[254], 27);
        assert_eq!(LENGTH_CODE[255], 28);
        assert_eq!(LENGTH_BASE[27], 227 - 3);
        assert_eq!(distance_code_of(0), 0);
        assert_eq!(distance_code_of(255), 15);
        assert_eq!(distance_code_of(256), 16);
        assert_eq!(distance_code_of(32767), 29);
        assert_eq!(DISTANCE_BASE[29], 24576);
        assert_eq!(reversed(FIXED_CODES[255], 9), 0b1_1111_1111);
        assert_eq!(FIXED_CODES[256], 0);
    }
}
