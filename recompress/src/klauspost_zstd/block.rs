//! Blocks (RFC 8878 section 3.1.1.2): what was found, or the plain bytes, in the form that is smaller.
//! Takes what a finder found, appends a block.

use super::history::Found;
use super::huffman::{Coded, FOUR_STREAMS, GivesUp, Huffman};
use super::sequences::{Coder, MIN_MATCH};
use super::version::ZstdVersion;

const RAW: u32 = 0;
const RUN: u32 = 1;
const COMPRESSED: u32 = 2;
/// Fewer literals are no block of their own with codes.
const MIN_LITERALS: usize = 32;
/// So many literals, or fewer, have no codes.
const FEW_LITERALS: usize = 16;

/// How literals may be coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literals {
    /// Never in blocks with matches.
    pub(super) never: bool,
    /// Also in blocks without a match.
    pub(super) always: bool,
}

/// The codes of one frame.
pub(super) struct Blocks {
    version: ZstdVersion,
    literals: Literals,
    huffman: Huffman,
    coder: Coder,
}

impl Blocks {
    pub(super) fn new(version: ZstdVersion, literals: Literals) -> Self {
        Self { version, literals, huffman: Huffman::new(), coder: Coder::new(version) }
    }

    /// Begins a frame.
    pub(super) fn reset(&mut self) {
        self.huffman.forbid_reuse();
        self.coder.reset();
    }

    /// Appends a block of `plain`, in which `found` was found. `full` if it is as long as blocks can be.
    pub(super) fn write(
        &mut self,
        plain: &[u8],
        found: &Found,
        full: bool,
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), GivesUp> {
        if self.version.leaves_full_blocks() && full && found.literals.len() == plain.len() {
            raw(plain, last, out);
            return Ok(());
        }
        let [first, rest @ ..] = &found.sequences[..] else {
            return self.only_literals(plain, last, out);
        };
        if self.version.has_runs()
            && rest.is_empty()
            && found.literals.len() <= 1
            && first.literals as usize == found.literals.len()
            && first.offset == 1 + 3
            && let Some(&byte) = plain.first()
        {
            header(RUN, first.length + MIN_MATCH + first.literals, last, out);
            out.push(byte);
            return Ok(());
        }
        let saved = plain.len() as i64 - found.literals.len() as i64;
        if saved - (plain.len() >> self.version.least_saving()) as i64 <= 15 {
            return self.only_literals(plain, last, out);
        }
        let start = out.len();
        header(COMPRESSED, 0, last, out);
        self.literals_section(&found.literals, out)?;
        let used = self.coder.write(&found.sequences, out).ok_or(GivesUp)?;
        let size = out.len() - start - 3;
        if size >= plain.len() {
            out.truncate(start);
            raw(plain, last, out);
            self.huffman.forbid_reuse();
            return Ok(());
        }
        let header = header_of(COMPRESSED, size as u32, last);
        out[start..start + 3].copy_from_slice(&header);
        self.coder.keep(used);
        Ok(())
    }

    /// A block without a match.
    fn only_literals(&mut self, plain: &[u8], last: bool, out: &mut Vec<u8>) -> Result<(), GivesUp> {
        if plain.len() < MIN_LITERALS || !self.literals.always {
            raw(plain, last, out);
            return Ok(());
        }
        let mut coded = self.huffman.compress(plain)?;
        let single = plain.len() < FOUR_STREAMS;
        let size = self.huffman.out.len();
        let is_coded = matches!(coded, Coded::New | Coded::Again);
        if is_coded && size + 5 > plain.len() && size + sizes(size, plain.len(), single).1 >= plain.len() {
            self.unwritten(coded);
            coded = Coded::Raw;
        }
        match coded {
            Coded::Raw => raw(plain, last, out),
            Coded::Run => {
                header(RUN, plain.len() as u32, last, out);
                out.extend(plain.first());
            }
            Coded::New | Coded::Again => {
                self.huffman.allow_reuse();
                let len = sizes(size, plain.len(), single).1;
                header(COMPRESSED, (size + len + 1) as u32, last, out);
                self.coded_section(coded, plain.len(), single, out);
                out.push(0);
            }
        }
        Ok(())
    }

    /// The literals of a block with matches.
    fn literals_section(&mut self, literals: &[u8], out: &mut Vec<u8>) -> Result<(), GivesUp> {
        let mut coded = match literals.len() <= FEW_LITERALS || self.literals.never {
            true => Coded::Raw,
            false => self.huffman.compress(literals)?,
        };
        let single = literals.len() < FOUR_STREAMS;
        let size = self.huffman.out.len();
        if matches!(coded, Coded::New | Coded::Again)
            && size + 5 > literals.len()
            && size + sizes(size, literals.len(), single).1 >= literals.len() + plain_size(literals.len()).1
        {
            self.unwritten(coded);
            coded = Coded::Raw;
        }
        match coded {
            Coded::Raw | Coded::Run => {
                let (bits, len) = plain_size(literals.len());
                let kind = if coded == Coded::Raw { RAW } else { RUN };
                out.extend_from_slice(&(bits | u64::from(kind)).to_le_bytes()[..len]);
                let kept = if coded == Coded::Raw { literals.len() } else { 1 };
                out.extend_from_slice(&literals[..kept.min(literals.len())]);
            }
            Coded::New | Coded::Again => {
                self.coded_section(coded, literals.len(), single, out);
                self.huffman.allow_reuse();
            }
        }
        Ok(())
    }

    fn coded_section(&self, coded: Coded, literals: usize, single: bool, out: &mut Vec<u8>) {
        let (bits, len) = sizes(self.huffman.out.len(), literals, single);
        let kind = if coded == Coded::New { 2 } else { 3 };
        out.extend_from_slice(&(bits | kind).to_le_bytes()[..len]);
        out.extend_from_slice(&self.huffman.out);
    }

    /// Literals were coded, and are written as they are all the same.
    fn unwritten(&mut self, coded: Coded) {
        if self.version.counts_states() && coded == Coded::New {
            self.huffman.forbid_reuse();
        }
    }
}

fn header_of(kind: u32, size: u32, last: bool) -> [u8; 3] {
    let [a, b, c, _] = (size << 3 | kind << 1 | u32::from(last)).to_le_bytes();
    [a, b, c]
}

fn header(kind: u32, size: u32, last: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&header_of(kind, size, last));
}

/// Appends a block of plain bytes as they are.
pub(super) fn raw(plain: &[u8], last: bool, out: &mut Vec<u8>) {
    header(RAW, plain.len() as u32, last, out);
    out.extend_from_slice(plain);
}

/// The header of literals that are not coded, and its length.
fn plain_size(literals: usize) -> (u64, usize) {
    let number = literals as u64;
    match literals {
        ..16 => (number << 3, 1),
        16..2048 => (1 << 2 | number << 4, 2),
        _ => (3 << 2 | number << 4, 3),
    }
}

/// The header of literals that are coded, and its length.
fn sizes(coded: usize, literals: usize, single: bool) -> (u64, usize) {
    let (size, number) = (coded as u64, literals as u64);
    match coded.max(literals) {
        ..1024 => (u64::from(!single) << 2 | number << 4 | size << 14, 3),
        1024..16384 => (2 << 2 | number << 4 | size << 18, 4),
        _ => (3 << 2 | number << 4 | size << 22, 5),
    }
}
