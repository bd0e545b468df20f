//! The digests of all blocks: pages of them, each with its own digest, so that a page that is damaged is
//! known as such and says nothing. docs/format.md §Parity.

use std::fs::File;
use std::io;

use bundle_oci::Digest;

use crate::Layer;
use crate::parity::shape::{DESCRIPTION, DIGEST, DIGESTS, PAGE, Shape};

/// The stored part of a block's digest.
pub(crate) type Short = [u8; DIGEST as usize];

/// The first bytes of the SHA-256 of a block.
pub(crate) fn short(block: &[u8]) -> Short {
    let digest = Digest::of(block);
    let mut bytes = [0; DIGEST as usize];
    bytes.copy_from_slice(&digest.as_bytes()[..DIGEST as usize]);
    bytes
}

/// The digests of these blocks of a shard, as far as they are known.
pub(crate) fn read(file: &File, shape: &Shape, shard: usize, first: u64, rows: u64) -> Vec<Option<Short>> {
    let mut digests = Vec::with_capacity(rows as usize);
    let start = shard as u64 * shape.rows() + first;
    let mut page = [0; PAGE as usize];
    let mut known: Option<(u64, bool)> = None;
    for number in start..start + rows {
        let (at, place) = (number / DIGESTS, (number % DIGESTS * DIGEST) as usize);
        let sound = match known {
            Some((last, sound)) if last == at => sound,
            _ => Layer::read_exact_at(file, &mut page, DESCRIPTION + at * PAGE).is_ok() && is_sound(&page),
        };
        known = Some((at, sound));
        digests.push(page[place..place + DIGEST as usize].try_into().ok().filter(|_| sound));
    }
    digests
}

fn is_sound(page: &[u8; PAGE as usize]) -> bool {
    let (digests, own) = page.split_at((DIGESTS * DIGEST) as usize);
    short(digests) == own
}

/// Writes the digests of these blocks of a shard. The pages' own digests follow with [`close`].
pub(crate) fn write(
    file: &File,
    shape: &Shape,
    shard: usize,
    first: u64,
    digests: &[Short],
) -> io::Result<()> {
    let mut number = shard as u64 * shape.rows() + first;
    let mut left = digests;
    while !left.is_empty() {
        let here = usize::try_from(DIGESTS - number % DIGESTS).unwrap_or(usize::MAX).min(left.len());
        let (now, later) = left.split_at(here);
        let place = DESCRIPTION + number / DIGESTS * PAGE + number % DIGESTS * DIGEST;
        bundle_os::write_all_at(file, now.as_flattened(), place)?;
        number += here as u64;
        left = later;
    }
    Ok(())
}

/// Gives each page its own digest, now that all others are written.
pub(crate) fn close(file: &File, shape: &Shape) -> io::Result<()> {
    let mut digests = vec![0; (DIGESTS * DIGEST) as usize];
    for page in 0..shape.pages() {
        let place = DESCRIPTION + page * PAGE;
        bundle_os::read_exact_at(file, &mut digests, place)?;
        bundle_os::write_all_at(file, &short(&digests), place + DIGESTS * DIGEST)?;
    }
    Ok(())
}
