//! Reuse of a base's tokens: whatever base and layer have in common, the layer comes back bit for bit; and whatever a
//! recipe says of a base's tokens, nothing panics, and what is not theirs is refused.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use bundle_recompress::go::GoEncoder;
use bundle_recompress::{
    BaseTokens, Encoder, InflateError, Limits, ReadAt, Recipe, RecreateError, examine_beside, inflate_base,
    recreate_beside,
};
use flate2::Crc;
use proptest::prelude::*;

/// Runs are looked for in layers that are larger than what models are tried on.
const LARGE: usize = 1_600_000;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Memory {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        Read::read_exact(&mut bytes.get(offset as usize..).unwrap_or_default(), buffer)
    }
}

fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Something like programs and texts, with copies from near and far, and some noise that blocks store.
fn plain(seed: u64, length: usize) -> Vec<u8> {
    let mut noise = noise(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 100_000);
    while bytes.len() < length {
        let long = (noise() % 3000) as usize;
        match noise() % 16 {
            0 => bytes.extend((0..long).map(|_| b"etaoin shrdlu,\n0"[noise() as usize % 16])),
            1 => bytes.extend(std::iter::repeat_n(noise() as u8, long)),
            2 if noise().is_multiple_of(8) => bytes.extend((0..70_000).map(|_| noise() as u8)),
            3 => bytes.extend((0..long / 8).map(|_| noise() as u8)),
            4..8 if !bytes.is_empty() => {
                let back = (noise() as usize % 40_000).min(bytes.len() - 1) + 1;
                let from = bytes.len() - back;
                bytes.extend_from_within(from..(from + long).min(from + back));
            }
            _ => {
                for _ in 0..long / 40 {
                    bytes.extend_from_slice(format!("call fn_{:03}(%rsp)\n", noise() % 600).as_bytes());
                    bytes.push(noise() as u8);
                }
            }
        }
    }
    bytes.truncate(length);
    bytes
}

/// The same with some bytes others, more or less.
fn edited(plain: &[u8], seed: u64, edits: usize) -> Vec<u8> {
    let mut noise = noise(seed ^ 0xabcd);
    let mut bytes = plain.to_vec();
    for _ in 0..edits {
        let at = noise() as usize % (bytes.len() + 1);
        let end = (at + noise() as usize % 300).min(bytes.len());
        let new: Vec<u8> = (0..noise() % 300).map(|_| noise() as u8).collect();
        match noise() % 3 {
            0 => drop(bytes.splice(at..end, new)),
            1 => drop(bytes.splice(at..at, new)),
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1),
        }
    }
    bytes
}

fn gzip(plain: &[u8], level: i32) -> Vec<u8> {
    let mut blob = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut encoder = GoEncoder::new(level).unwrap();
    encoder.write(plain, &mut blob);
    encoder.finish(&mut blob);
    let mut crc = Crc::new();
    crc.update(plain);
    blob.extend(crc.sum().to_le_bytes());
    blob.extend((plain.len() as u32).to_le_bytes());
    blob
}

/// The plain bytes and the tokens of a base.
fn base(blob: &[u8]) -> Result<(Vec<u8>, Arc<BaseTokens>), InflateError> {
    let (mut plain, mut tokens) = (Vec::new(), Memory::default());
    let file = Arc::new(tokens.clone());
    let base = inflate_base(&mut Cursor::new(blob), &mut plain, &mut tokens, file, true)?;
    Ok((plain, Arc::new(base)))
}

/// The recipe of a layer beside a base, and for how many bytes tokens are taken over; it is recreated and compared.
fn round(blob: &[u8], plain: &[u8], base: &Arc<BaseTokens>) -> (Recipe, u64) {
    let (mut found, mut corrections) = (Vec::new(), Vec::new());
    let bases = [None, Some(base.clone())];
    let recipe =
        examine_beside(&mut Cursor::new(blob), &mut found, &mut corrections, &bases).unwrap().unwrap();
    assert!(found == plain, "the plain bytes differ");
    assert!(corrections.is_empty(), "a model is found");
    let recipe = Recipe::from_bytes(&recipe.to_bytes()).unwrap();
    let mut again = Vec::new();
    let made = recreated(&recipe, plain, base, &mut again, blob.len()).unwrap();
    assert!(again == blob, "the blob differs");
    (recipe, made)
}

fn recreated(
    recipe: &Recipe,
    mut plain: &[u8],
    base: &Arc<BaseTokens>,
    out: &mut Vec<u8>,
    most: usize,
) -> Result<u64, RecreateError> {
    let limits = Limits { compressed: most as u64 };
    let bases = [None, Some(base.clone())];
    recreate_beside(recipe, &mut plain, &mut io::empty(), &bases, out, limits).map(|made| made.taken_over)
}

#[test]
fn tokens_of_unchanged_stretches_are_not_searched_for_again() {
    let old = plain(1, LARGE);
    let mut new = old.clone();
    new.splice(300_000..300_100, std::iter::repeat_n(7, 90));
    new[900_000..900_050].fill(0x55);
    let (_, tokens) = base(&gzip(&old, 6)).unwrap();
    for level in 4..=9 {
        let (recipe, taken) = round(&gzip(&new, level), &new, &tokens);
        assert!(level != 6 || taken > 1_000_000, "level {level}: {taken} of {} bytes", new.len());
        assert_eq!(recipe.has_runs(), taken > 0);
    }
    // Levels without lazy matching have no runs.
    for level in [-2, 0, 1, 2, 3] {
        assert!(!round(&gzip(&new, level), &new, &tokens).0.has_runs());
    }
}

#[test]
fn a_recipe_that_takes_over_what_is_no_token_of_the_base_is_refused() {
    let old = plain(2, LARGE);
    let new = edited(&old, 2, 2);
    let (_, tokens) = base(&gzip(&old, 6)).unwrap();
    let blob = gzip(&new, 6);
    let (recipe, taken) = round(&blob, &new, &tokens);
    assert!(taken > 0);
    let (_, other) = base(&gzip(&plain(3, LARGE), 6)).unwrap();
    let (_, short) = base(&gzip(&old[..1000], 6)).unwrap();
    // Of stored blocks no tokens are known.
    let (_, stored) = base(&gzip(&old, 0)).unwrap();
    for wrong in [other, short, stored] {
        let refused = recreated(&recipe, &new, &wrong, &mut Vec::new(), usize::MAX);
        assert!(matches!(refused, Err(RecreateError::Runs)), "{refused:?}");
    }
    let limits = Limits { compressed: blob.len() as u64 };
    let no_base = recreate_beside(&recipe, &mut &new[..], &mut io::empty(), &[], &mut io::sink(), limits);
    assert!(matches!(no_base, Err(RecreateError::Runs)), "{no_base:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_come_back_whatever_they_have_in_common_with_the_base(
        seed in any::<u64>(), length in LARGE / 2..LARGE, edits in 0usize..40, level in 4i32..=9, other in 4i32..=9,
        move_by in 0usize..LARGE / 2,
    ) {
        let old = plain(seed, length);
        let mut new = plain(!seed, move_by);
        new.extend(edited(&old, seed, edits));
        let other = if edits % 4 == 0 { other } else { level };
        let (found, tokens) = base(&gzip(&old, other))?;
        prop_assert!(found == old);
        round(&gzip(&new, level), &new, &tokens);
    }

    #[test]
    fn a_base_of_any_program_gives_its_plain_bytes(
        seed in any::<u64>(), length in 0usize..300_000, level in 0u32..=9, cut in any::<prop::sample::Index>(),
    ) {
        let plain = plain(seed, length);
        let half = cut.index(plain.len() + 1);
        let mut blob = Vec::new();
        for part in [&plain[..half], &plain[half..]] {
            let mut encoder = flate2::write::GzEncoder::new(&mut blob, flate2::Compression::new(level));
            encoder.write_all(part)?;
            encoder.finish()?;
        }
        match base(&blob) {
            Ok((found, _)) => prop_assert!(found == plain),
            // A base without a byte is of no use.
            Err(_) => prop_assert!(plain.is_empty() || half == 0),
        }
    }

    #[test]
    fn a_damaged_base_is_refused_or_gives_the_same_bytes(
        seed in any::<u64>(), length in 1usize..100_000, at in any::<prop::sample::Index>(), bit in 0u8..8,
        cut in any::<bool>(),
    ) {
        let plain = plain(seed, length);
        let mut blob = gzip(&plain, 6);
        let at = at.index(blob.len());
        if cut {
            blob.truncate(at);
        } else {
            blob[at] ^= 1 << bit;
        }
        if let Ok((found, _)) = base(&blob) {
            prop_assert!(found == plain);
        }
    }

    #[test]
    fn whatever_a_recipe_says_of_runs_nothing_panics_and_bounds_hold(
        seed in any::<u64>(), length in 20_000usize..300_000,
        runs in prop::collection::vec((0u64..40_000, 0u64..3, any::<i32>(), 0u64..40_000, any::<bool>()), 1..12),
    ) {
        let old = plain(seed, length);
        let new = edited(&old, seed, 3);
        let (_, tokens) = base(&gzip(&old, 6))?;
        let blob = gzip(&new, 6);
        let mut bytes = vec![2, 5];
        number(runs.len() as u64, &mut bytes);
        for &(gap, base, shift, length, near) in &runs {
            number(gap, &mut bytes);
            number(base, &mut bytes);
            // Near to where the bytes are the same, or anywhere.
            let shift = if near { i64::from(shift % 3) } else { i64::from(shift) };
            number((shift << 1 ^ shift >> 63) as u64, &mut bytes);
            number(length, &mut bytes);
        }
        bytes.extend([1, 4, 8, 10, 31, 139, 8, 0, 0, 0, 0, 0, 0, 255]);
        number(new.len() as u64, &mut bytes);
        if let Ok(recipe) = Recipe::from_bytes(&bytes) {
            prop_assert!(recipe.has_runs());
            let mut out = Vec::new();
            let made = recreated(&recipe, &new, &tokens, &mut out, blob.len());
            prop_assert!(out.len() <= blob.len());
            prop_assert!(made.is_err() || out.len() > 20);
        }
    }
}

fn number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
