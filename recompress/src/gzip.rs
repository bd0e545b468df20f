//! The gzip container (RFC 1952): where a member's header ends, what it says of the program that wrote it,
//! and the trailer. Takes bytes, gives lengths; the header's bytes themselves are kept as they are.

/// The longest header that is looked at: name and comment have no end of their own.
pub(crate) const MAX_HEADER: usize = 64 * 1024;
/// CRC-32 and length of the plain bytes.
pub(crate) const TRAILER: usize = 8;
/// The first bytes of each member that holds DEFLATE.
pub(crate) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const FIXED: usize = 10;
const HEADER_CRC: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;

/// What the fixed part of a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hints {
    /// "Extra flags": 2 for the slowest level, 4 for the fastest.
    pub(crate) speed: u8,
    /// Operating system: 3 for Unix, 255 for unknown, as Go has it, 0 for FAT, as Java had it.
    pub(crate) system: u8,
}

/// The length of the header at the start of `bytes`, or `None` if there is none within them.
pub(crate) fn header_len(bytes: &[u8]) -> Option<usize> {
    let fixed = bytes.get(..FIXED)?;
    if fixed[..3] != MAGIC || fixed[3] & 0xe0 != 0 {
        return None;
    }
    let flags = fixed[3];
    let mut at = FIXED;
    if flags & EXTRA != 0 {
        let size = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([size[0], size[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += bytes.get(at..)?.iter().position(|&byte| byte == 0)? + 1;
        }
    }
    if flags & HEADER_CRC != 0 {
        at += 2;
    }
    (at <= bytes.len() && at <= MAX_HEADER).then_some(at)
}

/// The hints in a header that [`header_len`] found.
pub(crate) fn hints(header: &[u8]) -> Hints {
    Hints {
        speed: header.get(8).copied().unwrap_or_default(),
        system: header.get(9).copied().unwrap_or_default(),
    }
}

/// The trailer of a member with this CRC-32 and this length, which counts modulo 2³².
pub(crate) fn trailer(crc: u32, len: u64) -> [u8; TRAILER] {
    let mut bytes = [0; TRAILER];
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    bytes[4..].copy_from_slice(&(len as u32).to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_ends_behind_all_of_its_optional_fields() {
        let mut header = vec![0x1f, 0x8b, 8, EXTRA | NAME | COMMENT | HEADER_CRC, 1, 2, 3, 4, 2, 3];
        header.extend([3, 0, 9, 9, 9]);
        header.extend(b"layer.tar\0a comment\0");
        header.extend([7, 7]);
        let len = header.len();
        header.extend(b"deflate");
        assert_eq!(header_len(&header), Some(len));
        assert_eq!(hints(&header), Hints { speed: 2, system: 3 });
        assert!((0..len).all(|short| header_len(&header[..short]).is_none()));
    }

    #[test]
    fn reserved_flags_and_other_methods_are_no_header() {
        assert_eq!(header_len(&[0x1f, 0x8b, 8, 0x20, 0, 0, 0, 0, 0, 3]), None);
        assert_eq!(header_len(&[0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 3]), None);
    }
}
