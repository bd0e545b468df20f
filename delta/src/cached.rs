//! Bases behind a small cache of blocks, so that many short reads near each other are few reads of the base.
//! Takes positional reads of any length; long ones go straight to the base.

use std::io;

use crate::read_at::ReadAt;

/// The bytes of one block.
const BLOCK: u64 = 16 << 10;
/// How many blocks are kept.
const BLOCKS: usize = 64;

/// Bases with a cache of 1 MiB.
pub(crate) struct Cached<'a> {
    bases: &'a [&'a dyn ReadAt],
    blocks: Vec<Option<(usize, u64)>>,
    bytes: Vec<u8>,
}

impl<'a> Cached<'a> {
    pub(crate) fn new(bases: &'a [&'a dyn ReadAt]) -> Cached<'a> {
        Cached { bases, blocks: vec![None; BLOCKS], bytes: Vec::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.bases.len()
    }

    pub(crate) fn size(&self, base: usize) -> u64 {
        self.bases[base].size()
    }

    /// Fills the buffer from the base's bytes at the offset.
    pub(crate) fn read(&mut self, base: usize, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        if buffer.len() as u64 >= BLOCK {
            return self.bases[base].read_exact_at(buffer, offset);
        }
        while !buffer.is_empty() {
            let number = offset / BLOCK;
            let within = (offset % BLOCK) as usize;
            let block = self.block(base, number)?;
            let bytes =
                block.get(within..).filter(|bytes| !bytes.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
            let length = bytes.len().min(buffer.len());
            let (now, later) = buffer.split_at_mut(length);
            now.copy_from_slice(&bytes[..length]);
            buffer = later;
            offset += length as u64;
        }
        Ok(())
    }

    fn block(&mut self, base: usize, number: u64) -> io::Result<&[u8]> {
        let size = self.size(base);
        let start = number * BLOCK;
        let length = size.saturating_sub(start).min(BLOCK) as usize;
        let slot = (number as usize).wrapping_add(base.wrapping_mul(7)) % BLOCKS;
        if self.bytes.is_empty() {
            self.bytes = vec![0; BLOCK as usize * BLOCKS];
        }
        let bytes = &mut self.bytes[slot * BLOCK as usize..][..length];
        if self.blocks[slot] != Some((base, number)) {
            self.blocks[slot] = None;
            self.bases[base].read_exact_at(bytes, start)?;
            self.blocks[slot] = Some((base, number));
        }
        Ok(bytes)
    }
}
