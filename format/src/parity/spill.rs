//! Where rebuilt blocks are kept that memory has no room for: a file of its own, so that what is damaged is read
//! and rebuilt once, however much it is. Takes rebuilt blocks, gives them again.

use std::fs::File;
use std::io;

use crate::parity::shape::{BLOCK, Shape};

/// The most blocks of a bundle of which a file can keep some: 1 TiB. Each takes one bit of memory.
const MOST: u64 = 1 << 28;

/// Rebuilt blocks in a file, each at its own place.
pub(crate) struct Spill {
    file: File,
    /// A bit for each block of data that is in the file.
    kept: Bits,
    /// A bit for each group of rows that was worked on.
    tried: Bits,
}

impl Spill {
    /// Keeps blocks of this shape in a file, which must be empty and not shared; none if there are too many.
    pub(crate) fn new(file: File, shape: &Shape) -> Option<Self> {
        let blocks = (shape.data.len() as u64).checked_mul(shape.rows()).filter(|blocks| *blocks <= MOST)?;
        Some(Self { file, kept: Bits::new(blocks), tried: Bits::new(blocks) })
    }

    /// Whether a group of rows was worked on.
    pub(crate) fn has_tried(&self, group: u64) -> bool {
        self.tried.get(group)
    }

    /// Takes note that a group of rows was worked on.
    pub(crate) fn tried(&mut self, group: u64) {
        self.tried.set(group);
    }

    /// Keeps a block.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn keep(&mut self, shape: &Shape, shard: usize, row: u64, block: &[u8]) -> io::Result<()> {
        bundle_os::write_all_at(&self.file, block, shard as u64 * shape.length() + row * BLOCK)?;
        self.kept.set(shard as u64 * shape.rows() + row);
        Ok(())
    }

    /// A block, if it is kept and can be read.
    pub(crate) fn block(&self, shape: &Shape, shard: usize, row: u64) -> Option<Vec<u8>> {
        if !self.kept.get(shard as u64 * shape.rows() + row) {
            return None;
        }
        let mut block = vec![0; shape.row_length(row)];
        let place = shard as u64 * shape.length() + row * BLOCK;
        bundle_os::read_exact_at(&self.file, &mut block, place).ok().map(|()| block)
    }
}

/// A set of numbers below a bound.
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u64) -> Self {
        Self(vec![0; usize::try_from(count.div_ceil(64)).unwrap_or(0)])
    }

    fn get(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    fn set(&mut self, number: u64) {
        if let Some(word) = usize::try_from(number / 64).ok().and_then(|word| self.0.get_mut(word)) {
            *word |= 1 << (number % 64);
        }
    }
}
