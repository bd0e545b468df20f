//! The entries of a tar archive, by name, with the places of their bytes. Takes an open file of any origin;
//! reads headers only, and follows nothing out of the archive. A directory of an archive that was unpacked
//! is read by `tree`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use tar::{EntryType, Header, PaxExtensions};

use super::content::Content;
use super::error::LocalCause;
use crate::Limits;

/// The size of a header, and what content is padded to.
const BLOCK: u64 = 512;

/// The files of an archive.
#[derive(Debug)]
pub(super) struct TarIndex {
    file: Arc<File>,
    members: HashMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// To another member: `docker save` writes layers that images share as links.
    Link(String),
    /// A device, a FIFO or the like.
    Other,
}

/// What precedes a header and counts for the entry behind it.
#[derive(Default)]
struct Long {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl TarIndex {
    /// Reads all headers.
    pub(super) fn read(file: Arc<File>, limits: &Limits) -> Result<Self, LocalCause> {
        let length = file.metadata()?.len();
        let mut members = HashMap::new();
        let mut long = Long::default();
        let (mut at, mut entries, mut names) = (0, 0, 0);
        while at < length {
            let mut block = [0; BLOCK as usize];
            read_exact(&file, &mut block, at, length)?;
            if block.iter().all(|byte| *byte == 0) {
                break;
            }
            let header = Header::from_byte_slice(&block);
            if !checksum_fits(header, &block) {
                return Err(if at == 0 {
                    LocalCause::NotTar
                } else {
                    entry(&header.path_bytes(), "has a header with a wrong checksum")
                });
            }
            entries += 1;
            if entries > limits.archive_entries {
                return Err(LocalCause::Entries(limits.archive_entries));
            }
            let kind = header.entry_type();
            let raw = long.name.as_deref().map_or_else(|| header.path_bytes(), Into::into).into_owned();
            let wrong = |what| entry(&raw, what);
            let has_content = !matches!(
                kind,
                EntryType::Link
                    | EntryType::Symlink
                    | EntryType::Char
                    | EntryType::Block
                    | EntryType::Directory
                    | EntryType::Fifo
            );
            let size = match (has_content, long.size) {
                // As Go's archive/tar: these have no content, whatever their size says.
                (false, _) => 0,
                (true, Some(size)) => size,
                (true, None) => header.entry_size().map_err(|_| wrong("has no valid size"))?,
            };
            let offset = at + BLOCK;
            let end = offset.checked_add(size).filter(|end| *end <= length).ok_or(LocalCause::Truncated)?;
            let next = end.checked_next_multiple_of(BLOCK).ok_or(LocalCause::Truncated)?;
            match kind {
                EntryType::XGlobalHeader => {}
                EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink => {
                    if size > limits.archive_name {
                        return Err(wrong("has a name or attributes that are too long"));
                    }
                    let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
                    read_exact(&file, &mut text, offset, length)?;
                    long.take(kind, text).ok_or_else(|| wrong("has attributes that cannot be read"))?;
                }
                EntryType::GNUSparse => return Err(wrong("is stored with holes")),
                _ => {
                    let link = long.link.take();
                    long = Long::default();
                    let name = path_of(&raw, "").map_err(wrong)?;
                    if let (Some(name), false) = (name, kind == EntryType::Directory) {
                        let member = match kind {
                            EntryType::Regular | EntryType::Continuous => Member::File { offset, size },
                            EntryType::Link | EntryType::Symlink => {
                                let to = link.or_else(|| header.link_name_bytes().map(|to| to.into_owned()));
                                let from = if kind == EntryType::Symlink { parent(&name) } else { "" };
                                let to = path_of(&to.unwrap_or_default(), from);
                                let outside = || wrong("is a link that leads out of the archive");
                                Member::Link(to.ok().flatten().ok_or_else(outside)?)
                            }
                            _ => Member::Other,
                        };
                        names += name.len();
                        if names > limits.archive_names {
                            return Err(LocalCause::Entries(entries));
                        }
                        // Which of two counts would be each reader's choice.
                        if members.insert(name, member).is_some() {
                            return Err(wrong("is there twice"));
                        }
                    }
                }
            }
            at = next;
        }
        if entries == 0 { Err(LocalCause::NotTar) } else { Ok(Self { file, members }) }
    }

    /// The content of a file, by its name in the archive, after at most one link.
    pub(super) fn find(&self, name: &str) -> Result<Option<Content>, LocalCause> {
        let Some(mut found) = self.members.get(name) else { return Ok(None) };
        if let Member::Link(to) = found {
            match self.members.get(to) {
                Some(member) => found = member,
                None => return Ok(None),
            }
        }
        match found {
            Member::File { offset, size } => {
                Ok(Some(Content::Part { file: self.file.clone(), offset: *offset, size: *size }))
            }
            Member::Link(_) => Err(entry(name.as_bytes(), "is a link to a link")),
            Member::Other => Err(entry(name.as_bytes(), "is not a file")),
        }
    }
}

impl Long {
    /// Takes note of a name or of attributes; `None` if these cannot be read.
    fn take(&mut self, kind: EntryType, mut text: Vec<u8>) -> Option<()> {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        match kind {
            EntryType::GNULongName => {
                text.truncate(end);
                self.name = Some(text);
            }
            EntryType::GNULongLink => {
                text.truncate(end);
                self.link = Some(text);
            }
            _ => {
                for extension in PaxExtensions::new(&text) {
                    let extension = extension.ok()?;
                    let value = extension.value_bytes();
                    match extension.key_bytes() {
                        b"path" => self.name = Some(value.to_vec()),
                        b"linkpath" => self.link = Some(value.to_vec()),
                        b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                        // The entry would be made of pieces.
                        key if key.starts_with(b"GNU.sparse") => return None,
                        _ => {}
                    }
                }
            }
        }
        Some(())
    }
}

/// A path without `.` and `..`, from the directory `from` of the archive; `None` for the archive itself.
fn path_of(raw: &[u8], from: &str) -> Result<Option<String>, &'static str> {
    let text = std::str::from_utf8(raw).map_err(|_| "has a name that is not text")?;
    if text.starts_with('/') {
        return Err("has a path that leads out of the archive");
    }
    if text.chars().any(char::is_control) || text.contains('\\') {
        return Err("has a name with characters that are not allowed");
    }
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            // Only a link may go up, and no further than to the archive itself.
            ".." if !from.is_empty() && !parts.is_empty() => {
                parts.pop();
            }
            ".." => return Err("has a path that leads out of the archive"),
            part => parts.push(part),
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn entry(name: &[u8], what: &'static str) -> LocalCause {
    const SHOWN: usize = 200;
    let name: String = String::from_utf8_lossy(name).chars().take(SHOWN).collect();
    LocalCause::Entry { name, what }
}

fn read_exact(file: &File, buffer: &mut [u8], at: u64, length: u64) -> Result<(), LocalCause> {
    if at.checked_add(buffer.len() as u64).is_none_or(|end| end > length) {
        return Err(if at == 0 { LocalCause::NotTar } else { LocalCause::Truncated });
    }
    bundle_os::read_exact_at(file, buffer, at).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => LocalCause::Truncated,
        _ => LocalCause::Read(error),
    })
}

/// The sum of all bytes with the sum itself as spaces (POSIX.1, pax Interchange Format).
fn checksum_fits(header: &Header, block: &[u8]) -> bool {
    let sum = |byte: (usize, &u8)| if (148..156).contains(&byte.0) { 32 } else { u32::from(*byte.1) };
    header.cksum().is_ok_and(|told| told == block.iter().enumerate().map(sum).sum::<u32>())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// An archive of entries, each with its kind, name, link and content.
    fn archive(entries: &[(EntryType, &str, &str, &[u8])]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        for (kind, name, link, content) in entries {
            let mut header = Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            file.write_all(header.as_bytes()).unwrap();
            file.write_all(content).unwrap();
            file.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
        }
        file.write_all(&[0; 1024]).unwrap();
        file
    }

    fn index(file: File, limits: &Limits) -> Result<TarIndex, String> {
        TarIndex::read(Arc::new(file), limits).map_err(|error| error.to_string())
    }

    #[test]
    fn files_are_found_by_name_and_through_one_link() {
        let (file, link, hard) = (EntryType::Regular, EntryType::Symlink, EntryType::Link);
        let long = format!("{}/layer.tar", "a".repeat(150));
        let pax = format!("{} path={long}\n", long.len() + " path=\n".len() + 3);
        let found = index(
            archive(&[
                (EntryType::Directory, "a/", "", b""),
                (file, "./a/layer.tar", "", b"content"),
                (link, "b/layer.tar", "../a/layer.tar", b""),
                (hard, "c", "a/layer.tar", b""),
                (link, "d", "b/layer.tar", b""),
                (link, "e", "nowhere", b""),
                (EntryType::XHeader, "pax", "", pax.as_bytes()),
                (file, "short", "", b"long"),
                (EntryType::Fifo, "fifo", "", b""),
            ]),
            &Limits::DEFAULT,
        )
        .unwrap();
        let read = |name: &str| found.find(name).unwrap().map(|content| content.read().unwrap());
        for name in ["a/layer.tar", "b/layer.tar", "c"] {
            assert_eq!(read(name).as_deref(), Some(&b"content"[..]), "{name}");
        }
        assert_eq!(read(&long).as_deref(), Some(&b"long"[..]));
        assert_eq!((read("short"), read("e"), read("a")), (None, None, None));
        assert_eq!(found.find("d").unwrap_err().to_string(), "entry 'd' is a link to a link");
        assert_eq!(found.find("fifo").unwrap_err().to_string(), "entry 'fifo' is not a file");
    }

    #[test]
    fn hostile_archives_are_refused_with_the_entry() {
        let (file, link) = (EntryType::Regular, EntryType::Symlink);
        let small = Limits { archive_entries: 4, archive_name: 600, archive_names: 40, ..Limits::DEFAULT };
        let out = "has a path that leads out of the archive";
        let leads_out = "is a link that leads out of the archive";
        for (entries, message) in [
            (&[(file, "../x", "", &b""[..])][..], format!("entry '../x' {out}")),
            (&[(file, "a/../../x", "", b"")], format!("entry 'a/../../x' {out}")),
            (&[(file, "/etc/passwd", "", b"")], format!("entry '/etc/passwd' {out}")),
            (&[(link, "a", "/etc/passwd", b"")], format!("entry 'a' {leads_out}")),
            (&[(link, "a/b", "../../x", b"")], format!("entry 'a/b' {leads_out}")),
            (&[(EntryType::Link, "a", "../x", b"")], format!("entry 'a' {leads_out}")),
            (&[(file, "a", "", b"1"), (file, "./a", "", b"2")], "entry './a' is there twice".to_owned()),
            (
                &[(file, "a\u{1b}[31m", "", b"")],
                "entry 'a\\u{1b}[31m' has a name with characters that are not allowed".to_owned(),
            ),
            (&[(EntryType::GNUSparse, "a", "", b"")], "entry 'a' is stored with holes".to_owned()),
            (
                &[(EntryType::GNULongName, "a", "", &[b'a'; 601])],
                "entry 'a' has a name or attributes that are too long".to_owned(),
            ),
            (
                &[(EntryType::XHeader, "a", "", b"99 path=x\n")],
                "entry 'a' has attributes that cannot be read".to_owned(),
            ),
            (
                &[("1"), ("2"), ("3"), ("4"), ("5")].map(|name| (file, name, "", &b""[..])),
                "the archive has more than 4 entries".to_owned(),
            ),
            (
                &[(file, "a-name-of-twenty-one-", "", b""), (file, "a-name-of-twenty-two-2", "", b"")],
                "the archive has more than 2 entries".to_owned(),
            ),
        ] {
            assert_eq!(index(archive(entries), &small).unwrap_err(), message);
        }
    }

    #[test]
    fn what_is_no_archive_or_ends_early_is_refused() {
        let bytes = |content: &[u8]| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content).unwrap();
            index(file, &Limits::DEFAULT).map(|_| ())
        };
        let not_tar = "it is not a tar archive, and not one compressed with gzip or Zstandard".to_owned();
        for content in [&b""[..], b"PK", &[0; 1024], &[b'x'; 512]] {
            assert_eq!(bytes(content), Err(not_tar.clone()));
        }
        let mut whole = Vec::new();
        io::Read::read_to_end(
            &mut reopened(archive(&[(EntryType::Regular, "a", "", &[7; 700])])),
            &mut whole,
        )
        .unwrap();
        // An archive without its end is one that was concatenated; one without content is cut.
        for (length, expected) in [(1536, Ok(())), (1212, Ok(())), (1211, Err(())), (600, Err(()))] {
            assert_eq!(bytes(&whole[..length]).map_err(|_| ()), expected, "{length}");
        }
        // A size that is no number, and one behind the end of all files.
        for size in [&b"zzzzzzzzzzz\0"[..], b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"] {
            let mut hostile = whole.clone();
            hostile[124..136].copy_from_slice(size);
            let mut block: [u8; 512] = hostile[..512].try_into().unwrap();
            let mut header = Header::from_byte_slice(&block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
            hostile[..512].copy_from_slice(&block);
            assert!(bytes(&hostile).is_err());
        }
    }

    fn reopened(mut file: File) -> File {
        io::Seek::rewind(&mut file).unwrap();
        file
    }
}
