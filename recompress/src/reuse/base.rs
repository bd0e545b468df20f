//! The tokens of a base, which lie in a file of the caller's, and the way to a place among them.
//! Takes a position among the base's plain bytes, gives the sequences from there on.

use std::io;
use std::sync::Arc;

use super::sequence::Sequence;

/// How many sequences are read at once.
const PIECE: usize = 4096;
/// The most marks of one base: with more sequences they are farther from each other.
const MOST_MARKS: usize = 4096;
/// Sequences between two marks, at first.
const SPACING: u64 = 1024;

/// Bytes with positional reads: a file to which the tokens of a base were written.
pub trait ReadAt: Send + Sync {
    /// Reads as many bytes as `buffer` has.
    ///
    /// # Errors
    /// There are not so many, or they cannot be read.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// The tokens of a base, as [`crate::inflate_base`] wrote them, with what it found out about them.
pub struct BaseTokens {
    pub(super) marks: Marks,
    /// How many anchors are behind the sequences, in the order of their hashes; for an encoder only.
    pub(super) anchors: usize,
    /// How many bits of a hash choose a place.
    pub(super) level: u32,
    pub(super) file: Arc<dyn ReadAt>,
}

/// A place that can be found again by the sequences before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Anchor {
    pub(super) hash: u64,
    pub(super) plain: u64,
}

impl Anchor {
    const BYTES: usize = 16;

    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.hash) << 64 | u128::from(self.plain)).to_le_bytes()
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let both = u128::from_le_bytes(*bytes);
        Self { hash: (both >> 64) as u64, plain: both as u64 }
    }
}

/// Where sequences are: some of them, at equal distances.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// The plain bytes before every so many sequences.
    plain: Vec<u64>,
    spacing: u64,
    /// All sequences, and all plain bytes.
    sequences: u64,
    total: u64,
}

impl Marks {
    pub(super) fn new() -> Self {
        Self { plain: Vec::new(), spacing: SPACING, sequences: 0, total: 0 }
    }

    /// Counts one sequence more.
    #[inline(always)]
    pub(super) fn add(&mut self, sequence: Sequence) {
        if self.sequences & (self.spacing - 1) == 0 {
            self.mark();
        }
        self.sequences += 1;
        self.total += sequence.plain();
    }

    fn mark(&mut self) {
        if self.plain.len() == MOST_MARKS {
            let mut position = 0usize;
            self.plain.retain(|_| {
                position += 1;
                position % 2 == 1
            });
            self.spacing *= 2;
            // The count of sequences is a multiple of the new spacing, too.
        }
        self.plain.push(self.total);
    }

    /// All plain bytes so far.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The last mark at or before these plain bytes: a sequence, and the plain bytes before it.
    fn before(&self, plain: u64) -> (u64, u64) {
        let mark = self.plain.partition_point(|&mark| mark <= plain).saturating_sub(1);
        (mark as u64 * self.spacing, self.plain.get(mark).copied().unwrap_or(0))
    }
}

impl BaseTokens {
    /// A reader of the tokens.
    pub(super) fn cursor(self: &Arc<Self>) -> Cursor {
        Cursor { base: self.clone(), buffer: Vec::new(), at: 0, next: 0, plain: 0 }
    }

    /// Reads the anchors: an encoder has those of the bases in work in memory, and no others.
    pub(super) fn anchors(&self) -> io::Result<Vec<Anchor>> {
        let mut bytes = vec![0; Anchor::BYTES * self.anchors];
        self.file.read_exact_at(&mut bytes, 4 * self.marks.sequences)?;
        Ok(bytes.as_chunks::<{ Anchor::BYTES }>().0.iter().map(Anchor::from_bytes).collect())
    }
}

impl std::fmt::Debug for BaseTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BaseTokens({} sequences of {} bytes)", self.marks.sequences, self.marks.total)
    }
}

/// A place among the tokens of a base.
pub(super) struct Cursor {
    base: Arc<BaseTokens>,
    buffer: Vec<Sequence>,
    /// Where in the buffer the next sequence is.
    at: usize,
    /// The sequence after the last of the buffer.
    next: u64,
    /// The plain bytes before the next sequence.
    plain: u64,
}

impl Cursor {
    /// The next sequence; none at the end.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> io::Result<Option<Sequence>> {
        if self.at == self.buffer.len() && !self.refill()? {
            return Ok(None);
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// Goes over the sequence that [`Self::peek`] gave.
    #[inline(always)]
    pub(super) fn skip(&mut self, sequence: Sequence) {
        self.at += 1;
        self.plain += sequence.plain();
    }

    /// Goes to the sequence that stands for the byte at `plain`, and gives how many bytes of it are before.
    pub(super) fn seek(&mut self, plain: u64) -> io::Result<Option<u64>> {
        let (sequence, before) = self.base.marks.before(plain);
        let here = self.next - (self.buffer.len() - self.at) as u64;
        // From where it is, unless that is behind, or farther away than the mark.
        if self.plain > plain || here < sequence {
            (self.next, self.plain) = (sequence, before);
            self.buffer.clear();
            self.at = 0;
        }
        while let Some(sequence) = self.peek()? {
            let within = plain - self.plain;
            if within < sequence.plain() {
                return Ok(Some(within));
            }
            self.skip(sequence);
        }
        Ok((self.plain == plain).then_some(0))
    }

    #[cold]
    fn refill(&mut self) -> io::Result<bool> {
        let number = self.base.marks.sequences.saturating_sub(self.next).min(PIECE as u64) as usize;
        let mut bytes = vec![0; 4 * number];
        self.base.file.read_exact_at(&mut bytes, 4 * self.next)?;
        let sequences = bytes.as_chunks::<4>().0;
        self.buffer.clear();
        self.buffer.extend(sequences.iter().map(|&bytes| Sequence::from_bytes(bytes)));
        self.next += number as u64;
        self.at = 0;
        Ok(number > 0)
    }
}
