//! Reading files that a path in an argument or a configuration leads to: it can be a FIFO whose writer
//! never comes, a device that never ends, or more than fits into memory.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file, and waits for nothing.
///
/// # Errors
/// The operating system's error; [`ErrorKind::InvalidInput`] for a directory, a device, a FIFO or a socket,
/// which could hang or never end.
pub fn open(path: &Path) -> Result<File> {
    open_regular(path, OFlags::empty())
}

/// As [`open`], of a file that others may have put there: never what a link at its place leads to.
///
/// # Errors
/// As [`open`]; the operating system's error for a link.
pub fn open_itself(path: &Path) -> Result<File> {
    open_regular(path, OFlags::NOFOLLOW)
}

fn open_regular(path: &Path, more: OFlags) -> Result<File> {
    // To open a FIFO waits for its writer, unless told not to; regular files do not mind. A terminal
    // must not become ours.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY | more).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`]; [`ErrorKind::FileTooLarge`] for a longer file, of which nothing is used.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_from(open(path)?, limit)
}

/// All that comes from a reader, at most `limit` bytes.
///
/// # Errors
/// As [`read`].
pub fn read_from(reader: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {}", size(limit))));
    }
    Ok(bytes)
}

/// As [`read`], of a text.
///
/// # Errors
/// As [`read`]; [`ErrorKind::InvalidData`] for what is not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> Result<String> {
    let text = String::from_utf8(read(path, limit)?);
    text.map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [fifo.as_path(), directory.path(), Path::new("/dev/zero")] {
            assert_eq!(read(path, 10).unwrap_err().kind(), ErrorKind::InvalidInput, "{}", path.display());
        }
        let file = directory.path().join("file");
        std::fs::write(&file, [7; 1024]).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(open_itself(&file).is_ok() && open(&link).is_ok() && open_itself(&link).is_err());
        assert_eq!(read(&file, 1024).unwrap(), [7; 1024]);
        let refused = |limit| read(&file, limit).unwrap_err().to_string();
        assert_eq!(refused(1023), "it has more than 1023 bytes");
        std::fs::write(&file, [7; 2049]).unwrap();
        assert_eq!(refused(2048), "it has more than 2 KiB");
        std::fs::write(&file, b"a\xff").unwrap();
        assert_eq!(read_text(&file, 2).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(read(&directory.path().join("none"), 1).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
