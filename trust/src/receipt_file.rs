//! Receipts and absence notices as files, with the signature beside them.
//! Takes a path and keys, gives a document whose signature was checked if keys were given.

use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::{AbsenceError, AbsenceNotice, Limits, PublicKey, Receipt, ReceiptError, SignatureBytes};

use crate::signature_file::{SignatureFileError, read_signature};

/// Why a receipt's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptFileError {
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A receipt that is not right, or not signed as it must be.
    #[error("{}: {source}", .path.display())]
    Receipt {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ReceiptError,
    },
    /// An absence notice that is not right, or not signed as it must be.
    #[error("{}: {source}", .path.display())]
    Absence {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: AbsenceError,
    },
    /// The signature beside it.
    #[error(transparent)]
    Signature(#[from] SignatureFileError),
}

/// Reads a receipt. With `keys`, one of them must have made the signature in the file beside it;
/// without, nothing is known of who wrote it.
///
/// # Errors
/// Any [`ReceiptFileError`].
pub fn load_receipt(path: &Path, keys: &[PublicKey], limits: &Limits) -> Result<Receipt, ReceiptFileError> {
    let wrong = |source| ReceiptFileError::Receipt { path: path.to_owned(), source };
    let bytes = read(path, limits.receipt)?;
    if keys.is_empty() {
        return Receipt::parse(&bytes, limits).map_err(wrong);
    }
    Receipt::verify(&bytes, &signature_of(path)?, keys, limits).map_err(wrong)
}

/// Reads an absence notice that one of `keys` signed, in the file beside it.
///
/// # Errors
/// Any [`ReceiptFileError`].
pub fn load_absence_notice(
    path: &Path,
    keys: &[PublicKey],
    limits: &Limits,
) -> Result<AbsenceNotice, ReceiptFileError> {
    let bytes = read(path, limits.absence)?;
    AbsenceNotice::verify(&bytes, &signature_of(path)?, keys, limits)
        .map_err(|source| ReceiptFileError::Absence { path: path.to_owned(), source })
}

fn signature_of(path: &Path) -> Result<SignatureBytes, ReceiptFileError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".sig");
    Ok(read_signature(Path::new(&beside))?)
}

/// At most one byte more than `limit`, so that what is too long is seen to be.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ReceiptFileError> {
    let failed = |source| ReceiptFileError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    bundle_os::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
