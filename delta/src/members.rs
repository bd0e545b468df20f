//! The members of a layer's tar: takes plain bytes, gives where each member's header, content and padding are.
//! What is not a tar, or stops being one, is one member without a header. Nothing is refused: the members only guide.

use std::io;

use crate::read_at::ReadAt;

/// The unit of a tar.
const BLOCK: u64 = 512;
/// The most bytes of extended headers (pax, GNU long names) before a member. Longer ones are content to us.
const EXTENDED_MAX: u64 = 64 << 10;

/// One member. The regions follow each other: header, content, padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Where the header starts, with the extended headers before it.
    pub start: u64,
    /// Where the content starts.
    pub data: u64,
    /// The length of the content.
    pub size: u64,
    /// Where the padding ends.
    pub end: u64,
    /// The path as the header has it; empty for what has no header.
    pub path: Vec<u8>,
}

/// Calls `visit` for each member of a tar in order. Together they cover all bytes.
///
/// # Errors
/// The bytes cannot be read; and what `visit` says.
pub fn walk<E: From<io::Error>>(
    plain: &dyn ReadAt,
    mut visit: impl FnMut(Member) -> Result<(), E>,
) -> Result<(), E> {
    let size = plain.size();
    let mut at = 0;
    while at < size {
        let member = member(plain, at)?;
        let member =
            member.unwrap_or(Member { start: at, data: at, size: size - at, end: size, path: Vec::new() });
        at = member.end;
        visit(member)?;
    }
    Ok(())
}

/// The member whose header starts at the offset, if one does.
fn member(plain: &dyn ReadAt, start: u64) -> io::Result<Option<Member>> {
    let size = plain.size();
    let mut at = start;
    let mut path = None;
    let mut length = None;
    loop {
        if at + BLOCK > size || at - start > EXTENDED_MAX {
            return Ok(None);
        }
        let mut header = [0; BLOCK as usize];
        plain.read_exact_at(&mut header, at)?;
        let Some(of_header) = content_size(&header) else { return Ok(None) };
        at += BLOCK;
        match header[156] {
            kind @ (b'x' | b'L' | b'K' | b'g') => {
                let padded = padded(of_header);
                if padded > EXTENDED_MAX || at + padded > size {
                    return Ok(None);
                }
                let mut bytes = vec![0; of_header as usize];
                plain.read_exact_at(&mut bytes, at)?;
                match kind {
                    b'L' => path = Some(until_nul(&bytes).to_vec()),
                    b'x' => {
                        path = record(&bytes, b"path").map(<[u8]>::to_vec).or(path);
                        length = record(&bytes, b"size")
                            .and_then(|size| std::str::from_utf8(size).ok()?.parse().ok())
                            .or(length);
                    }
                    _ => {}
                }
                at += padded;
            }
            // Links, devices and directories have no content, whatever their size says.
            b'1'..=b'6' => {
                let path = path.unwrap_or_else(|| path_of(&header));
                return Ok(Some(Member { start, data: at, size: 0, end: at, path }));
            }
            _ => {
                let content = length.unwrap_or(of_header).min(size - at);
                let end = at.saturating_add(padded(content)).min(size);
                let path = path.unwrap_or_else(|| path_of(&header));
                return Ok(Some(Member { start, data: at, size: content, end, path }));
            }
        }
    }
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK).unwrap_or(size)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The size of a header block whose checksum is right.
fn content_size(header: &[u8; BLOCK as usize]) -> Option<u64> {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    if octal(&header[148..156])? != sum {
        return None;
    }
    let field = &header[124..136];
    if field[0] & 0x80 != 0 {
        return Some(u64::from_be_bytes(field[4..].try_into().ok()?));
    }
    octal(field)
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(until_nul(field)).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The path in a header block, with ustar's prefix.
fn path_of(header: &[u8; BLOCK as usize]) -> Vec<u8> {
    let name = until_nul(&header[..100]);
    let prefix = until_nul(&header[345..500]);
    if header[257..263] != *b"ustar\0" || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// The value of a key in a pax header's records (`LENGTH KEY=VALUE\n`).
fn record<'a>(mut records: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    loop {
        let space = records.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
        let text = records.get(space + 1..length.checked_sub(1)?)?;
        if let Some(value) = text.strip_prefix(key).and_then(|rest| rest.strip_prefix(b"=")) {
            return Some(value);
        }
        records = records.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(plain: &[u8]) -> Vec<Member> {
        let mut members = Vec::new();
        walk(&plain, |member| {
            members.push(member);
            Ok::<_, io::Error>(())
        })
        .unwrap();
        members
    }

    #[test]
    fn the_members_cover_all_bytes_and_long_paths_are_found() {
        let mut tar = tar::Builder::new(Vec::new());
        let long = "d/".repeat(90) + "file";
        for (path, content) in [("usr/bin/a", &b"abc"[..]), (&long, b""), ("b", &[7; 512])] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content).unwrap();
        }
        let plain = tar.into_inner().unwrap();
        let members = members(&plain);
        let paths: Vec<_> =
            members.iter().map(|member| String::from_utf8_lossy(&member.path).into_owned()).collect();
        assert_eq!(paths, ["usr/bin/a", &long, "b", ""]);
        assert_eq!(members[2].size, 512);
        assert_eq!(members.last().unwrap().end, plain.size());
        assert!(members.windows(2).all(|pair| pair[0].end == pair[1].start));
    }

    #[test]
    fn bytes_that_are_no_tar_are_one_member() {
        let plain = vec![9; 3000];
        assert_eq!(members(&plain), [Member { end: 3000, size: 3000, ..Member::default() }]);
    }
}
