//! The one reader of a signature's file: 64 raw bytes of Ed25519, beside what they sign.
//! Takes a path, gives the signature.

use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::SignatureBytes;

/// A signature's file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFileError {
    /// The file cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file of another length.
    #[error("{} is not a 64-byte Ed25519 signature", .0.display())]
    Length(PathBuf),
}

/// Reads the raw 64 bytes of a signature.
///
/// # Errors
/// Any [`SignatureFileError`].
pub fn read_signature(path: &Path) -> Result<SignatureBytes, SignatureFileError> {
    let failed = |source| SignatureFileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // One byte more than it may have, so that what is too long is seen to be.
    bundle_os::open(path).map_err(failed)?.take(65).read_to_end(&mut bytes).map_err(failed)?;
    SignatureBytes::try_from(&bytes[..]).map_err(|_| SignatureFileError::Length(path.to_owned()))
}
