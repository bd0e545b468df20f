//! The two entries at an archive's head, before anything about them is known.
//! Takes any reader, gives the statement's and the signature's bytes, within the limits.

use std::io::{self, Read};

use crate::archive::layout::{self, BLOCK, Entry, EntryName, SIGNATURE};
use crate::{Damage, Limits, SignatureBytes};

/// The statement and signature as they stand at a bundle's head; nothing about them is known yet.
#[derive(Debug)]
pub struct Unverified {
    /// The statement's bytes.
    pub statement: Vec<u8>,
    /// The signature's bytes.
    pub signature: SignatureBytes,
}

impl Unverified {
    /// Steps 1 and 2 of docs/format.md §Verification: the two entries at the head, from their
    /// first byte to the end of the signature's padding.
    ///
    /// # Errors
    /// The head is not that of a bundle.
    pub fn read(reader: &mut impl Read, limits: &Limits) -> Result<Self, Damage> {
        let mut header = [0; BLOCK as usize];
        fill(reader, &mut header, 0).map_err(|damage| match damage {
            Damage::Truncated { .. } => Damage::NotABundle,
            other => other,
        })?;
        let size = statement_size(&header).ok_or(Damage::NotABundle)?;
        if header != layout::header(EntryName::Statement, size) {
            return Err(Damage::NotABundle);
        }
        if size > limits.statement {
            return Err(Damage::StatementSize(size));
        }
        let entry = Entry { name: EntryName::Statement, offset: BLOCK, size };
        // The size is bounded, yet memory is taken only as bytes arrive.
        let mut statement = Vec::new();
        let read = reader.take(size).read_to_end(&mut statement);
        // A compressed pipe that is cut says so itself.
        if let Err(error) = read
            && error.kind() != io::ErrorKind::UnexpectedEof
        {
            return Err(error.into());
        }
        if statement.len() as u64 != size {
            return Err(Damage::Truncated { expected: entry.end(), found: BLOCK + statement.len() as u64 });
        }
        zeros(reader, &entry)?;
        let entry = Entry { name: EntryName::Signature, offset: entry.end() + BLOCK, size: SIGNATURE };
        fill(reader, &mut header, entry.header_offset())?;
        if header != entry.header() {
            return Err(Damage::Header(entry));
        }
        let mut signature = [0; SignatureBytes::LENGTH];
        fill(reader, &mut signature, entry.offset)?;
        zeros(reader, &entry)?;
        Ok(Self { statement, signature: signature.into() })
    }
}

/// The size in the first header: octal digits (a statement is far below the 8 GiB where base-256
/// begins).
fn statement_size(header: &[u8; BLOCK as usize]) -> Option<u64> {
    let digits = header[124..135].iter().try_fold(0_u64, |size, digit| match digit {
        b'0'..=b'7' => Some(size * 8 + u64::from(digit - b'0')),
        _ => None,
    })?;
    (header[135] == 0).then_some(digits)
}

pub(crate) fn fill(reader: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<(), Damage> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Damage::Truncated { expected: offset + buffer.len() as u64, found: offset }
        }
        _ => error.into(),
    })
}

pub(crate) fn zeros(reader: &mut impl Read, entry: &Entry) -> Result<(), Damage> {
    let mut padding = [0; BLOCK as usize];
    let padding = &mut padding[..entry.padding() as usize];
    fill(reader, padding, entry.offset + entry.size)?;
    if padding.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(Damage::Padding(*entry)) }
}
