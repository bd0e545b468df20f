//! Co-signatures: further signatures of one statement, in files beside the bundle
//! (docs/format.md §Countersignatures). Takes paths; gives raw signatures, whose signers a policy finds.

use crate::limits::Limits;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use bundle_format::{FileError, PublicKey, SignatureBytes, replace_file};

use crate::signature_file::{SignatureFileError, read_signature};

/// Countersignatures that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CountersignatureError {
    /// A directory that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// One of the files.
    #[error(transparent)]
    File(#[from] SignatureFileError),
    /// More than anybody makes.
    #[error("{} has more than {} co-signatures", .0.display(), Limits::DEFAULT.countersignatures)]
    TooMany(PathBuf),
}

/// Hexadecimal digits of the fingerprint in a countersignature's name.
const DIGITS: usize = 16;

/// Where `key`'s countersignature of a file lies (docs/format.md §Countersignatures): beside it, as
/// `NAME.<start of the key's fingerprint>.sig`.
pub fn countersignature_path(signed: &Path, key: &PublicKey) -> PathBuf {
    let mut path = signed.as_os_str().to_owned();
    path.push(format!(".{}.sig", &key.fingerprint().hex()[..DIGITS]));
    path.into()
}

/// Writes a countersignature beside what it signs.
///
/// # Errors
/// The file cannot be written.
pub fn write_countersignature(
    signed: &Path,
    key: &PublicKey,
    signature: &SignatureBytes,
) -> Result<PathBuf, FileError> {
    let path = countersignature_path(signed, key);
    replace_file(&path, signature.as_ref())?;
    Ok(path)
}

/// Reads all countersignatures that lie beside a file. A trust policy finds their signers.
///
/// # Errors
/// Any [`CountersignatureError`].
pub fn read_countersignatures(signed: &Path) -> Result<Vec<SignatureBytes>, CountersignatureError> {
    let Some(name) = signed.file_name() else { return Ok(Vec::new()) };
    let directory = match signed.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let failed = |source| CountersignatureError::Read { path: directory.to_owned(), source };
    let mut names: Vec<OsString> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let found = entry.map_err(failed)?.file_name();
        if is_countersignature(&found, name) {
            if names.len() == Limits::DEFAULT.countersignatures {
                return Err(CountersignatureError::TooMany(signed.to_owned()));
            }
            names.push(found);
        }
    }
    names.sort();
    names.into_iter().map(|name| Ok(read_signature(&directory.join(name))?)).collect()
}

/// Reads the countersignatures of these keys that lie beside a file, under the names that
/// [`countersignature_path`] gives them. Other files there are ignored: an account that can write beside a
/// bundle cannot make it unreadable.
pub fn read_known_countersignatures<'a>(
    signed: &Path,
    keys: impl IntoIterator<Item = &'a PublicKey>,
) -> Vec<SignatureBytes> {
    let beside = keys.into_iter().map(|key| countersignature_path(signed, key));
    beside.filter_map(|path| read_signature(&path).ok()).take(Limits::DEFAULT.countersignatures).collect()
}

fn is_countersignature(found: &OsStr, signed: &OsStr) -> bool {
    let middle = found
        .as_encoded_bytes()
        .strip_prefix(signed.as_encoded_bytes())
        .and_then(|rest| rest.strip_prefix(b"."))
        .and_then(|rest| rest.strip_suffix(b".sig"));
    middle.is_some_and(|hex| {
        hex.len() == DIGITS && hex.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;

    #[test]
    fn countersignatures_lie_beside_what_they_sign() {
        let directory = tempfile::tempdir().unwrap();
        let bundle = directory.path().join("b.tar");
        let keys = [1, 2].map(|seed| PrivateKey::from_seed(&[seed; 32]));
        for key in &keys {
            write_countersignature(&bundle, &key.public(), &key.sign(b"x")).unwrap();
        }
        for other in
            ["b.tar.sig", "b.tar.0123.sig", "c.tar.0123456789abcdef.sig", "b.tar.0123456789ABCDEF.sig"]
        {
            std::fs::write(directory.path().join(other), "").unwrap();
        }
        let found = read_countersignatures(&bundle).unwrap();
        assert_eq!(found.len(), 2);
        for key in &keys {
            assert!(found.contains(&key.sign(b"x")));
        }
        std::fs::write(directory.path().join("b.tar.0123456789abcdef.sig"), "short").unwrap();
        let known = [keys[0].public(), PrivateKey::from_seed(&[3; 32]).public()];
        assert_eq!(read_known_countersignatures(&bundle, &known), [keys[0].sign(b"x")]);
        assert!(matches!(
            read_countersignatures(&bundle),
            Err(CountersignatureError::File(SignatureFileError::Length(_)))
        ));
    }
}
