//! The code itself: shards of parity from shards of data, and back. It is the one of Leopard-RS over
//! GF(2^16), which docs/format.md §Parity writes down; a test holds the crate to that.

use reed_solomon_simd::Error;
use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

/// Makes the parity of blocks that are all `length` bytes long.
pub(crate) fn encode(data: &[&[u8]], parity: usize, length: usize) -> Result<Vec<Vec<u8>>, Error> {
    let mut encoder = HighRateEncoder::new(data.len(), parity, length, DefaultEngine::new(), None)?;
    for block in data {
        encoder.add_original_shard(block)?;
    }
    Ok(encoder.encode()?.recovery_iter().map(<[u8]>::to_vec).collect())
}

/// Makes the blocks of data that are not there, with their numbers, of those that are: first those of
/// data, then those of parity.
pub(crate) fn decode(
    data: &[Option<&[u8]>],
    parity: &[Option<&[u8]>],
    length: usize,
) -> Result<Vec<(usize, Vec<u8>)>, Error> {
    let mut decoder = HighRateDecoder::new(data.len(), parity.len(), length, DefaultEngine::new(), None)?;
    for (number, block) in data.iter().enumerate() {
        if let Some(block) = block {
            decoder.add_original_shard(number, block)?;
        }
    }
    for (number, block) in parity.iter().enumerate() {
        if let Some(block) = block {
            decoder.add_recovery_shard(number, block)?;
        }
    }
    let decoded = decoder.decode()?;
    Ok(decoded.restored_original_iter().map(|(number, block)| (number, block.to_vec())).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cantor's basis of GF(2^16) over x^16 + x^5 + x^3 + x^2 + 1, as docs/format.md has it.
    const BASIS: [u32; 16] = [
        0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72, 0xB900,
        0xFDB8, 0xFB34, 0xFF38, 0x991E,
    ];

    /// The field of docs/format.md: numbers are coordinates in the basis.
    struct Field {
        coordinates: Vec<u32>,
    }

    impl Field {
        fn new() -> Self {
            let mut coordinates = vec![0; 1 << 16];
            for number in 0..1 << 16 {
                coordinates[Self::polynomial(number) as usize] = number;
            }
            Self { coordinates }
        }

        fn polynomial(number: u32) -> u32 {
            (0..16).filter(|bit| number >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit as usize])
        }

        fn times(&self, one: u32, other: u32) -> u32 {
            let (mut one, other) = (Self::polynomial(one), Self::polynomial(other));
            let mut product = 0;
            for bit in 0..16 {
                product ^= one * (other >> bit & 1);
                one <<= 1;
                one ^= (one >> 16) * 0x1_002D;
            }
            self.coordinates[product as usize]
        }

        fn over(&self, one: u32, other: u32) -> u32 {
            // other^(2^16 - 2) is its inverse.
            let (mut power, mut inverse) = (other, 1);
            for _ in 1..16 {
                power = self.times(power, power);
                inverse = self.times(inverse, power);
            }
            self.times(one, inverse)
        }
    }

    /// The numbers of a block: in each 64 bytes, the low halves of 32 numbers and then the high ones.
    fn numbers(block: &[u8]) -> Vec<u32> {
        let units = block.chunks(64);
        units.flat_map(|unit| (0..32).map(|at| u32::from(unit[at]) | u32::from(unit[at + 32]) << 8)).collect()
    }

    fn blocks(count: usize, length: usize, seed: u32) -> Vec<Vec<u8>> {
        let byte = |shard: usize, at: usize| {
            let number = (shard as u32 * 65_537 + at as u32 + seed).wrapping_mul(2_654_435_761);
            (number >> 13) as u8
        };
        (0..count).map(|shard| (0..length).map(|at| byte(shard, at)).collect()).collect()
    }

    #[test]
    fn the_code_is_the_one_of_the_specification() {
        let field = Field::new();
        for (shards, parity) in [(1, 1), (5, 2), (5, 3), (14, 2), (100, 10), (3, 3), (9, 8)] {
            let data = blocks(shards, 64, 7);
            let slices: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
            let made = encode(&slices, parity, 64).unwrap();
            assert_eq!(made.len(), parity);
            let chunk = (parity as u32).next_power_of_two();
            for (number, block) in made.iter().enumerate() {
                let mut expected = vec![0; 32];
                for (shard, data) in data.iter().enumerate() {
                    let start = chunk + shard as u32 / chunk * chunk;
                    let mut factor = 1;
                    for other in (start..start + chunk).filter(|other| *other != chunk + shard as u32) {
                        factor = field
                            .times(factor, field.over(number as u32 ^ other, (chunk + shard as u32) ^ other));
                    }
                    for (sum, value) in expected.iter_mut().zip(numbers(data)) {
                        *sum ^= field.times(factor, value);
                    }
                }
                assert_eq!(numbers(block), expected, "{shards} {parity} {number}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_lost_up_to_the_parity_comes_back(
            shards in 1_usize..40,
            parity in 1_usize..12,
            length in 1_usize..5,
            lost in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let length = length * 64;
            let data = blocks(shards, length, 1);
            let slices: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
            let made = encode(&slices, parity, length).unwrap();
            let mut gone: Vec<usize> = lost.iter().map(|index| index.index(shards + parity)).collect();
            gone.sort_unstable();
            gone.dedup();
            gone.truncate(parity);
            let kept = |at: usize, block: &'_ [u8]| (!gone.contains(&at)).then(|| block.to_vec());
            let there: Vec<Option<Vec<u8>>> = data.iter().chain(&made).enumerate().map(|(at, block)| kept(at, block)).collect();
            let there: Vec<Option<&[u8]>> = there.iter().map(|block| block.as_deref()).collect();
            let (of_data, of_parity) = there.split_at(shards);
            let restored = decode(of_data, of_parity, length).unwrap();
            let expected: Vec<(usize, Vec<u8>)> =
                gone.iter().filter(|at| **at < shards).map(|at| (*at, data[*at].clone())).collect();
            prop_assert_eq!(restored, expected);
        }
    }
}
