//! The bytes and the text of a person's file: a regular file of bounded size, in UTF-8, or standard
//! input where a list may come from there.

use std::path::{Path, PathBuf};

use bundle_oci::Printable;

use crate::Limits;

/// Why a text file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file that cannot be read.
    #[error("{} cannot be read", Printable(&.path.display().to_string()))]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Bytes that are no text.
    #[error("{}:{line}:{column}: byte 0x{byte:02x} is not UTF-8", Printable(&.path.display().to_string()))]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The first such line, from 1.
        line: usize,
        /// The column of the first such byte, from 1.
        column: usize,
        /// The byte.
        byte: u8,
    },
    /// Text of two bytes a letter, as Windows PowerShell writes it.
    #[error("{} is UTF-16; save it as UTF-8", Printable(&.0.display().to_string()))]
    Utf16(PathBuf),
}

/// The name of standard input in messages and reasons.
pub const STDIN: &str = "<stdin>";

/// Reads an image list, which may be `-` for standard input: what it is called, and its text. Bytes of another
/// encoding are no matter where they are in a comment, and make a reference that is refused elsewhere.
///
/// # Errors
/// Any [`TextError`].
pub fn read_list(path: &Path) -> Result<(String, String), TextError> {
    if path.as_os_str() == "-" {
        let path = Path::new(STDIN);
        let bytes = bundle_os::read_from(std::io::stdin().lock(), Limits::DEFAULT.file);
        let bytes = bytes.map_err(|source| TextError::Read { path: path.to_owned(), source })?;
        return Ok((STDIN.to_owned(), list(bytes, path)?));
    }
    Ok((path.display().to_string(), list(read_bytes(path, Limits::DEFAULT.file)?, path)?))
}

/// Reads a person's file: a regular file of at most `limit` bytes, in UTF-8.
///
/// # Errors
/// Any [`TextError`].
pub fn read_text(path: &Path, limit: u64) -> Result<String, TextError> {
    text(read_bytes(path, limit)?, path)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// [`TextError::Read`].
pub fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, TextError> {
    bundle_os::read(path, limit).map_err(|source| TextError::Read { path: path.to_owned(), source })
}

fn list(bytes: Vec<u8>, path: &Path) -> Result<String, TextError> {
    refuse_utf16(&bytes, path)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// By its mark, or by the zero byte that every Latin letter of it has.
fn refuse_utf16(bytes: &[u8], path: &Path) -> Result<(), TextError> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            Err(TextError::Utf16(path.to_owned()))
        }
        _ => Ok(()),
    }
}

/// The text without a byte order mark, which editors on Windows put before it.
fn text(bytes: Vec<u8>, path: &Path) -> Result<String, TextError> {
    refuse_utf16(&bytes, path)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let (good, bad) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let start = good.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let column = String::from_utf8_lossy(good.get(start..).unwrap_or_default()).chars().count() + 1;
        let byte = bad.first().copied().unwrap_or_default();
        TextError::Encoding { path: path.to_owned(), line, column, byte }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_of_a_bounded_regular_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("images.txt");
        let refusal = |path: &Path| match read_text(path, 4 << 20).unwrap_err() {
            TextError::Read { path, source } => format!("{} cannot be read: {source}", path.display()),
            error @ (TextError::Encoding { .. } | TextError::Utf16(_)) => error.to_string(),
        };
        std::fs::write(&path, b"a\nb\xff\n").unwrap();
        assert_eq!(refusal(&path), format!("{}:2:2: byte 0xff is not UTF-8", path.display()));
        std::fs::write(&path, b"\xef\xbb\xbfa\n").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "a\n");
        std::fs::write(&path, vec![b'a'; (4 << 20) + 1]).unwrap();
        assert_eq!(refusal(&path), format!("{} cannot be read: it has more than 4 MiB", path.display()));
        assert_eq!(refusal(Path::new("/dev/zero")), "/dev/zero cannot be read: it is not a regular file");
    }
}
