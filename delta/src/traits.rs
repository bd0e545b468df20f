//! What is known of a member for matching: its names, the hash of its content, and a sketch of it.
//! Takes a member and its plain bytes, gives numbers that say which members are the same and which are alike.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use sha2::{Digest, Sha256};

use crate::members::Member;
use crate::read_at::ReadAt;

/// The numbers in a sketch.
pub(crate) const FEATURES: usize = 8;
/// How many bytes are read at once.
const STEP: usize = 128 << 10;
/// One in 64 positions gives features; these bits of the rolling hash choose them (the highest see 32 bytes).
const SAMPLED: u32 = 0xfc00_0000;

/// The traits of one member.
#[derive(Clone, Debug)]
pub(crate) struct Traits {
    /// The hash of the path.
    pub(crate) path: u64,
    /// The hash of the path without what looks like a version.
    pub(crate) stem: u32,
    /// The hash of the file name without what looks like a version.
    pub(crate) name: u32,
    /// The first half of the SHA-256 of the content.
    pub(crate) content: [u8; 16],
    /// The largest of some functions over hashes of sampled positions: two alike files have many in common. Zero
    /// where nothing was sampled.
    pub(crate) sketch: [u32; FEATURES],
}

/// Finds traits, with a buffer that it keeps.
pub(crate) struct Inspector {
    buffer: Vec<u8>,
    gear: [u32; 256],
}

impl Inspector {
    pub(crate) fn new() -> Inspector {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let gear = std::array::from_fn(|_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (state >> 32) as u32
        });
        Inspector { buffer: vec![0; STEP], gear }
    }

    /// Reads the member's content once.
    pub(crate) fn traits(&mut self, plain: &dyn ReadAt, member: &Member) -> io::Result<Traits> {
        let mut digest = Sha256::new();
        let mut sketch = Sketch::default();
        self.read(plain, member, |bytes, gear| {
            digest.update(bytes);
            sketch.add(bytes, gear);
        })?;
        Ok(named(member, digest, sketch.features))
    }

    /// The same without a sketch, which takes as long again: with the content known, it may not be wanted.
    pub(crate) fn unsketched(&mut self, plain: &dyn ReadAt, member: &Member) -> io::Result<Traits> {
        let mut digest = Sha256::new();
        self.read(plain, member, |bytes, _| digest.update(bytes))?;
        Ok(named(member, digest, [0; FEATURES]))
    }

    /// The sketch alone.
    pub(crate) fn sketch(&mut self, plain: &dyn ReadAt, member: &Member) -> io::Result<[u32; FEATURES]> {
        let mut sketch = Sketch::default();
        self.read(plain, member, |bytes, gear| sketch.add(bytes, gear))?;
        Ok(sketch.features)
    }

    fn read(
        &mut self,
        plain: &dyn ReadAt,
        member: &Member,
        mut visit: impl FnMut(&[u8], &[u32; 256]),
    ) -> io::Result<()> {
        let end = member.data + member.size;
        let mut at = member.data;
        while at < end {
            let buffer = &mut self.buffer[..(end - at).min(STEP as u64) as usize];
            plain.read_exact_at(buffer, at)?;
            visit(buffer, &self.gear);
            at += buffer.len() as u64;
        }
        Ok(())
    }
}

/// A sketch that grows.
#[derive(Default)]
struct Sketch {
    features: [u32; FEATURES],
    rolling: u32,
}

impl Sketch {
    fn add(&mut self, bytes: &[u8], gear: &[u32; 256]) {
        let mut rolling = self.rolling;
        for byte in bytes {
            rolling = (rolling << 1).wrapping_add(gear[usize::from(*byte)]);
            if rolling & SAMPLED == 0 {
                for (feature, (factor, offset)) in self.features.iter_mut().zip(FUNCTIONS) {
                    *feature = (*feature).max(rolling.wrapping_mul(factor).wrapping_add(offset));
                }
            }
        }
        self.rolling = rolling;
    }
}

fn named(member: &Member, digest: Sha256, sketch: [u32; FEATURES]) -> Traits {
    let mut content = [0; 16];
    content.copy_from_slice(&digest.finalize()[..16]);
    let stem = stem(&member.path);
    let name = file_name(&stem);
    Traits { path: hash(&member.path), stem: hash(&stem) as u32, name: hash(name) as u32, content, sketch }
}

/// Factors and offsets of the sketch's functions: arbitrary odd numbers.
const FUNCTIONS: [(u32, u32); FEATURES] = [
    (0x9e37_79b1, 0x7f4a_7c15),
    (0x85eb_ca6b, 0xc2b2_ae35),
    (0x27d4_eb2f, 0x1656_67b1),
    (0xcc9e_2d51, 0x1b87_3593),
    (0xe654_6b65, 0x38b3_4ae5),
    (0xa1e3_8b93, 0x52dc_e729),
    (0x6c07_8965, 0x9908_b0df),
    (0x0019_660d, 0x3c6e_f35f),
];

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// What is behind the last `/` of a path.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// A path with `#` for each number, version and hexadecimal hash in it: `libz.so.#`, `numpy-#.dist-info/RECORD`.
pub fn stem(path: &[u8]) -> Vec<u8> {
    let mut stem = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let rest = &path[at..];
        let hex = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).count();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let begins = at == 0 || !path[at - 1].is_ascii_alphanumeric();
        let length =
            if begins && hex >= 6 && rest[..hex].iter().any(u8::is_ascii_digit) { hex } else { digits };
        if length == 0 {
            stem.push(path[at]);
            at += 1;
            continue;
        }
        // 1.2.3 is one number.
        match stem.as_slice() {
            [.., b'#', b'.' | b'-' | b'_' | b'+'] => {
                stem.pop();
            }
            [.., b'#'] => {}
            _ => stem.push(b'#'),
        }
        at += length;
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_forget_versions_and_hashes() {
        let cases = [
            ("usr/lib/libfoo.so.1.2.3", "usr/lib/libfoo.so.#"),
            ("numpy.libs/libscipy_openblas64_-ff651d7f.so", "numpy.libs/libscipy_openblas#_-#.so"),
            ("numpy-2.2.5.dist-info/RECORD", "numpy-#.dist-info/RECORD"),
            ("python3.11/decade.py", "python#/decade.py"),
        ];
        for (path, expected) in cases {
            assert_eq!(String::from_utf8(stem(path.as_bytes())).unwrap(), expected);
        }
    }

    #[test]
    fn alike_content_has_an_alike_sketch() {
        let mut state = 1u32;
        let old: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(100_000)
        .collect();
        let mut new = old.clone();
        new.splice(5000..5100, [1, 2, 3]);
        let sketch = |plain: &Vec<u8>| {
            let member = Member { size: plain.size(), end: plain.size(), ..Member::default() };
            Inspector::new().traits(plain, &member).unwrap().sketch
        };
        let same = sketch(&old).iter().zip(sketch(&new)).filter(|(old, new)| **old == *new).count();
        assert!(same >= 6, "{same}");
    }
}
