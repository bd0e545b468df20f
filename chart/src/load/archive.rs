//! Unpacks a chart's archive.
//! Takes untrusted bytes; gives its files within [`Limits`], or says what is hostile or broken.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::EntryType;

use super::error::{LoadCause, LoadError};
use crate::chart::{Data, File};
use crate::{Limits, Map};

/// The rest of the limits for a chart and all charts inside it.
pub(super) struct Room<'a> {
    pub(super) limits: &'a Limits,
    bytes: u64,
    files: usize,
    /// The bytes of files, each once: umbrella charts have one library inside each of hundreds of charts.
    known: HashSet<Data>,
    /// The values that were read, by the address of the file's bytes.
    pub(super) values: HashMap<usize, Map>,
}

/// Larger files in bytes are rarely equal, and take a while to compare.
const SHARED: usize = 256 << 10;

impl<'a> Room<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            bytes: limits.unpacked,
            files: limits.files,
            known: HashSet::new(),
            values: HashMap::new(),
        }
    }

    pub(super) fn take_file(&mut self) -> Result<(), LoadCause> {
        self.files = self.files.checked_sub(1).ok_or(LoadCause::Files(self.limits.files))?;
        Ok(())
    }

    /// A file, which shares its bytes with equal ones.
    pub(super) fn file(&mut self, name: String, data: Vec<u8>) -> File {
        let file = File::new(name, data);
        if file.data().len() > SHARED {
            return file;
        }
        let data = file.content();
        match self.known.get(&data) {
            Some(known) => file.with(known.clone()),
            None => {
                self.known.insert(data);
                file
            }
        }
    }

    pub(super) fn take_bytes(&mut self, size: u64) -> Result<(), LoadCause> {
        if size > self.limits.file {
            return Err(LoadCause::FileSize(self.limits.file));
        }
        self.bytes = self.bytes.checked_sub(size).ok_or(LoadCause::Unpacked(self.limits.unpacked))?;
        Ok(())
    }
}

/// The files of a packed chart, by their paths inside it.
pub(super) fn unpack(bytes: &[u8], room: &mut Room<'_>) -> Result<Vec<File>, LoadError> {
    let whole = |cause: LoadCause| LoadError { places: Vec::new(), cause };
    if bytes.len() as u64 > room.limits.archive {
        return Err(whole(LoadCause::ArchiveSize(room.limits.archive)));
    }
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(whole(LoadCause::Gzip(io::ErrorKind::InvalidData.into())));
    }
    // A header and padding for each file, and long names, come on top of the files' bytes.
    let overhead = (room.files as u64).saturating_mul(4_096);
    let left = room.bytes.saturating_add(overhead);
    let mut archive = tar::Archive::new(Bounded { inner: MultiGzDecoder::new(bytes), left });
    let mut files = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let torn = |error: io::Error, room: &Room<'_>| match error.get_ref() {
        Some(inner) if inner.is::<TooMuch>() => whole(LoadCause::Unpacked(room.limits.unpacked)),
        _ => whole(LoadCause::Tar(error)),
    };
    for entry in archive.entries().map_err(|error| torn(error, room))? {
        let mut entry = entry.map_err(|error| torn(error, room))?;
        room.take_file().map_err(whole)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::XHeader) {
            continue;
        }
        let raw = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&raw).into_owned();
        let wrong = |cause| LoadError::new(shown.clone(), cause);
        if kind.is_dir() || raw.ends_with(b"/") {
            continue;
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Err(wrong(LoadCause::NotAFile));
        }
        let name = member_name(&raw, room.limits).map_err(wrong)?;
        let size = entry.size();
        room.take_bytes(size).map_err(wrong)?;
        let mut data = Vec::new();
        entry.read_to_end(&mut data).map_err(|error| torn(error, room))?;
        if data.len() as u64 != size {
            return Err(wrong(LoadCause::Tar(io::ErrorKind::UnexpectedEof.into())));
        }
        let file = room.file(name.clone(), data);
        // If two entries have one name, the later one counts, as when an archive is unpacked.
        match places.get(&name) {
            Some(&place) => files[place] = file,
            None => {
                places.insert(name, files.len());
                files.push(file);
            }
        }
    }
    if files.is_empty() { Err(whole(LoadCause::Empty)) } else { Ok(files) }
}

/// The path inside the chart of a path in its archive, whose first component is the archive's
/// directory.
fn member_name(raw: &[u8], limits: &Limits) -> Result<String, LoadCause> {
    let text = std::str::from_utf8(raw).map_err(|_| LoadCause::PathText)?;
    if text.len() > limits.path || text.chars().any(char::is_control) {
        return Err(LoadCause::PathText);
    }
    // Archives that were made on Windows have the other slash.
    let separator = if text.contains('\\') { '\\' } else { '/' };
    let Some((_, inside)) = text.split_once(separator) else {
        return Err(LoadCause::OutsideBase);
    };
    let inside = inside.replace(separator, "/");
    let drive = inside.as_bytes().get(1..3) == Some(b":/");
    if inside.starts_with('/') || drive || inside.split('/').any(|part| part == "..") {
        return Err(LoadCause::Path);
    }
    let parts: Vec<&str> = inside.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() { Err(LoadCause::OutsideBase) } else { Ok(parts.join("/")) }
}

/// A reader that fails where more bytes come than may.
struct Bounded<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("more bytes than are read")]
struct TooMuch;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other(TooMuch))?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive with entries that the crate `tar` would refuse to write.
    fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, kind, data) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(data.len() as u64);
            header.set_cksum();
            tar.extend_from_slice(header.as_bytes());
            tar.extend_from_slice(data);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1_024, 0);
        gzip(&tar)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn names(bytes: &[u8], limits: &Limits) -> Result<Vec<String>, String> {
        let files = unpack(bytes, &mut Room::new(limits)).map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|file| file.name().to_owned()).collect())
    }

    #[test]
    fn paths_are_those_inside_the_archives_directory() {
        let regular = EntryType::Regular;
        let bytes = archive(&[
            ("a/", EntryType::Directory, b""),
            ("a/Chart.yaml", regular, b"old"),
            ("./a/x", regular, b""),
            ("a\\templates\\b.yaml", regular, b""),
            ("a/./c//d", regular, b""),
            ("a/Chart.yaml", regular, b"new"),
        ]);
        let files = unpack(&bytes, &mut Room::new(&Limits::DEFAULT)).unwrap();
        let found: Vec<_> = files.iter().map(File::name).collect();
        assert_eq!(found, ["Chart.yaml", "a/x", "templates/b.yaml", "c/d"]);
        assert_eq!(files[0].data(), b"new");
    }

    #[test]
    fn hostile_archives_are_refused_with_the_member() {
        let regular = EntryType::Regular;
        let long = format!("a/{}", "b".repeat(90));
        let small = Limits { path: 80, files: 10, file: 1_000, unpacked: 3_000, ..Limits::DEFAULT };
        let big = [0; 1_001];
        let many: Vec<(String, Vec<u8>)> = (0..11).map(|n| (format!("a/{n}"), Vec::new())).collect();
        let many: Vec<_> = many.iter().map(|(name, data)| (name.as_str(), regular, &data[..])).collect();
        let four: Vec<_> = ["a/1", "a/2", "a/3", "a/4"].map(|name| (name, regular, &big[..900])).into();
        for (entries, message) in [
            (
                &[("a/../../etc/passwd", regular, &b"x"[..])][..],
                "a/../../etc/passwd: its path points outside the chart",
            ),
            (&[("a//etc/passwd", regular, b"x")], "a//etc/passwd: its path points outside the chart"),
            (&[("a/c:/x", regular, b"x")], "a/c:/x: its path points outside the chart"),
            (&[("a\\..\\x", regular, b"x")], "a\\..\\x: its path points outside the chart"),
            (&[("Chart.yaml", regular, b"x")], "Chart.yaml: it is not inside the archive's directory"),
            (
                &[("a/l", EntryType::Symlink, b"")],
                "a/l: it is not a regular file; a chart may have only regular files",
            ),
            (
                &[("a/l", EntryType::Link, b"")],
                "a/l: it is not a regular file; a chart may have only regular files",
            ),
            (
                &[("a/l", EntryType::Fifo, b"")],
                "a/l: it is not a regular file; a chart may have only regular files",
            ),
            (
                &[("a/\x1b[31m", regular, b"")],
                "a/\\u{1b}[31m: its path is too long or has characters that are not allowed",
            ),
            (
                &[(&long, regular, b"")],
                &format!("{long}: its path is too long or has characters that are not allowed"),
            ),
            (&[("a/big", regular, &big)], "a/big: it has more than 1000 bytes"),
            (&four, "a/4: the chart's files have more than 3000 bytes"),
            (&many, ": the chart has more than 10 files"),
            (&[], ": it contains no file"),
        ] {
            assert_eq!(names(&archive(entries), &small).unwrap_err(), message);
        }
        assert!(names(b"PK", &small).unwrap_err().contains("not a gzipped tar"));
        let whole = archive(&[("a/x", regular, &big[..900])]);
        assert!(names(&whole[..whole.len() - 30], &small).is_err());
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        // A header that says nothing of the gigabyte behind it, and a name of a gigabyte.
        let mut bomb = vec![0; 64 << 20];
        bomb[0] = b'x';
        for kind in [EntryType::GNULongName, EntryType::XHeader, EntryType::Regular] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(bomb.len() as u64);
            header.set_cksum();
            let bytes = [gzip(header.as_bytes()), gzip(&bomb)].concat();
            let small = Limits { unpacked: 1 << 20, files: 10, ..Limits::DEFAULT };
            assert!(names(&bytes, &small).is_err(), "{kind:?}");
        }
    }
}
