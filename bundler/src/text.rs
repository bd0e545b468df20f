use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::{ConfigError, Limits};

/// Why a text file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A directory, pipe or device, which could hang or never end.
    #[error("{} is no regular file", .0.display())]
    NotAFile(PathBuf),
    /// More bytes than are read.
    #[error("{} has more than {} MiB", .path.display(), .limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// Bytes that are no text.
    #[error("{}:{line}: is not UTF-8", .path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The first such line, from 1.
        line: usize,
    },
}

/// What standard input is called in messages and reasons.
const STDIN: &str = "<stdin>";

/// Reads a bundle.yaml or an image list: a regular file of at most [`Limits::file`] bytes.
///
/// # Errors
/// [`ConfigError::Text`].
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    Ok(read_text_file(path)?)
}

/// Reads an image list, which may be `-` for standard input: what it is called, and its text.
///
/// # Errors
/// [`ConfigError::Text`].
pub fn read_list(path: &Path) -> Result<(String, String), ConfigError> {
    if path.as_os_str() == "-" {
        let bytes = read(std::io::stdin().lock(), Path::new(STDIN), Limits::DEFAULT.file)?;
        return Ok((STDIN.to_owned(), text(bytes, Path::new(STDIN))?));
    }
    Ok((path.display().to_string(), read_text(path)?))
}

/// Reads a person's file: a regular file of at most [`Limits::file`] bytes.
///
/// # Errors
/// Any [`TextError`].
pub fn read_text_file(path: &Path) -> Result<String, TextError> {
    read_file(path, Limits::DEFAULT.file)
}

pub(crate) fn read_file(path: &Path, limit: u64) -> Result<String, TextError> {
    text(read_bytes(path, limit)?, path)
}

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, TextError> {
    let failed = |source| TextError::Read { path: path.to_owned(), source };
    // To open a FIFO waits for its writer, unless told not to; regular files do not mind.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(TextError::NotAFile(path.to_owned()));
    }
    read(file, path, limit)
}

fn read(reader: impl Read, path: &Path, limit: u64) -> Result<Vec<u8>, TextError> {
    let mut bytes = Vec::new();
    let read = reader.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|source| TextError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(TextError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>, path: &Path) -> Result<String, TextError> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        TextError::Encoding { path: path.to_owned(), line }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8], limit: u64) -> String {
        let path = Path::new("images.txt");
        read(bytes, path, limit).and_then(|bytes| text(bytes, path)).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_text_of_bounded_size_is_refused() {
        assert_eq!(read(&b"abc"[..], Path::new("images.txt"), 3).unwrap(), b"abc");
        assert_eq!(refusal(&[b'a'; (1 << 20) + 1], 1 << 20), "images.txt has more than 1 MiB");
        assert_eq!(refusal(b"a\nb\xff\n", 100), "images.txt:2: is not UTF-8");
    }

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [fifo.as_path(), directory.path(), Path::new("/dev/zero")] {
            let message = read_text(path).unwrap_err().to_string();
            assert_eq!(message, format!("{} is no regular file", path.display()));
        }
        let message = read_text(&directory.path().join("none")).unwrap_err().to_string();
        assert!(message.ends_with("/none cannot be read"), "{message}");
    }
}
