//! Key files: a private key that only its owner can read, its public half, and making a pair.
//! Takes paths and passphrases, gives keys; refuses a private key that others can read.

use crate::limits::Limits;
use std::path::{Path, PathBuf};

use bundle_format::{KeyError, PrivateKey, PublicKey};
use bundle_os::Access;
use zeroize::Zeroizing;

/// Why a key's file cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read.
    #[error("key {} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error("key {} cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is there already.
    #[error("{} exists already; a key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Others can read the private key.
    #[error("key {} can be read by others (mode {mode:04o})", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file has no usable key.
    #[error("key {}: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: KeyError,
    },
}

/// Reads a private key that only its owner can read. `passphrase` is asked, with the number of the
/// attempt, if the key is encrypted, until it gives up.
///
/// # Errors
/// Any [`KeyFileError`].
pub fn load_private(
    path: &Path,
    mut passphrase: impl FnMut(u32) -> Option<Zeroizing<String>>,
) -> Result<PrivateKey, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let wrong = |source| KeyFileError::Key { path: path.to_owned(), source };
    let file = bundle_os::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let bytes = Zeroizing::new(bundle_os::read_from(file, Limits::DEFAULT.key_file).map_err(failed)?);
    let pem = std::str::from_utf8(&bytes).map_err(|_| failed(std::io::ErrorKind::InvalidData.into()))?;
    // Everybody may read a public key; that it is the wrong one is the better message.
    let secret = !pem.contains("BEGIN PUBLIC KEY");
    // The owner of another user's file decides who reads it, as long as not everybody can: a secret that
    // Kubernetes mounts belongs to root, and the pod reads it as a group.
    let others = if bundle_os::is_mine(&metadata) { 0o077 } else { 0o007 };
    if secret && bundle_os::mode(&metadata) & others != 0 {
        return Err(KeyFileError::Open { path: path.to_owned(), mode: bundle_os::mode(&metadata) });
    }
    let mut attempt = 0;
    let mut result = PrivateKey::from_pem(pem, None);
    while let Err(error @ (KeyError::NeedsPassphrase | KeyError::WrongPassphrase)) = result {
        attempt += 1;
        let Some(passphrase) = passphrase(attempt) else {
            return Err(wrong(error));
        };
        result = PrivateKey::from_pem(pem, Some(&passphrase));
    }
    result.map_err(wrong)
}

/// Reads a public key.
///
/// # Errors
/// Any [`KeyFileError`].
pub fn load_public(path: &Path) -> Result<PublicKey, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    let pem = bundle_os::read_text(path, Limits::DEFAULT.key_file).map_err(failed)?;
    PublicKey::from_pem(&pem).map_err(|source| KeyFileError::Key { path: path.to_owned(), source })
}

/// Makes a key at `path`, readable for its owner only, and its public half at `path.pub`.
///
/// # Errors
/// Any [`KeyFileError`]; nothing is overwritten.
pub fn generate(path: &Path, passphrase: Option<&str>) -> Result<PublicKey, KeyFileError> {
    let mut public_path = path.as_os_str().to_owned();
    public_path.push(".pub");
    let public_path = PathBuf::from(public_path);
    for path in [path, &public_path] {
        if path.symlink_metadata().is_ok() {
            return Err(KeyFileError::Exists(path.to_owned()));
        }
    }
    let wrong = |source| KeyFileError::Key { path: path.to_owned(), source };
    let key = PrivateKey::generate().map_err(wrong)?;
    let public = key.public().to_pem().map_err(wrong)?;
    write_new(path, key.to_pem(passphrase).map_err(wrong)?.as_bytes(), Access::Owner)?;
    if let Err(error) = write_new(&public_path, public.as_bytes(), Access::Everyone) {
        // Half a pair would only be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    Ok(key.public())
}

fn write_new(path: &Path, bytes: &[u8], access: Access) -> Result<(), KeyFileError> {
    bundle_os::create_file(path, bytes, access).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => KeyFileError::Write { path: path.to_owned(), source },
    })
}
