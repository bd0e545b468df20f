//! Reading and writing at a place of a file, by several threads at once: no shared position moves.
//! Takes a file, an offset and a buffer.

use std::fs::File;
use std::io::{IoSliceMut, Result};
use std::os::unix::fs::FileExt;

/// Reads some bytes from `offset`; none at the end.
///
/// # Errors
/// The operating system's error.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize> {
    file.read_at(buffer, offset)
}

/// Fills `buffer` from `offset`.
///
/// # Errors
/// The operating system's error; [`std::io::ErrorKind::UnexpectedEof`] if the file ends before.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<()> {
    file.read_exact_at(buffer, offset)
}

/// Writes all of `bytes` at `offset`.
///
/// # Errors
/// The operating system's error; some of the bytes may then be written.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> Result<()> {
    file.write_all_at(bytes, offset)
}

/// Fills `buffer` from `offset` if the system has the bytes in memory, and says whether it did: nothing
/// waits for a medium. Where that cannot be known, the answer is no.
pub fn read_cached_at(file: &File, buffer: &mut [u8], offset: u64) -> bool {
    let wanted = buffer.len();
    let mut buffers = [IoSliceMut::new(buffer)];
    // Linux gives what is in its page cache; file systems that cannot say refuse the flag.
    let read = rustix::io::preadv2(file, &mut buffers, offset, rustix::io::ReadWriteFlags::NOWAIT);
    read == Ok(wanted)
}
