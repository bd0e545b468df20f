//! Private keys, and signing.
//! Takes the errors of key files and signers, gives identifiers and hints.

use std::path::Path;

use bundle_format::KeyError;
use bundle_trust::{KeyFileError, SignError};

use super::{Failure, Id, chain};
use crate::output::name;

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let hint = match &error {
            KeyFileError::Open { path, .. } => Some(format!("chmod 600 {}", name(path))),
            KeyFileError::Key { source: KeyError::NeedsPassphrase | KeyError::WrongPassphrase, .. } => {
                Some("without a terminal, the passphrase is taken from BUNDLE_KEY_PASSPHRASE".to_owned())
            }
            KeyFileError::Key { path, source: KeyError::Encryption } => Some(format!(
                "encrypt it again with a current OpenSSL: openssl pkcs8 -topk8 -in {0} -out {0}.new",
                name(path)
            )),
            KeyFileError::Key { source: KeyError::PublicForPrivate, .. } => {
                Some("name the private key: the file without .pub".to_owned())
            }
            KeyFileError::Write { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Some("create the directory first".to_owned())
            }
            KeyFileError::Read { path, .. } if path.symlink_metadata().is_err() => Some(missing(path)),
            _ => None,
        };
        let id = match &error {
            KeyFileError::Write { .. } => Id::FileSystem,
            KeyFileError::Read { .. } => Id::FileUnreadable,
            KeyFileError::Exists(_) => Id::OutputExists,
            KeyFileError::Open { .. } => Id::FileOpenToAll,
            KeyFileError::Key { source: KeyError::NeedsPassphrase | KeyError::WrongPassphrase, .. } => {
                Id::Passphrase
            }
            KeyFileError::Key { .. } => Id::KeyInvalid,
        };
        Self { id, lines: vec![chain(&error)], hint }
    }
}

/// What to do about a key that is not there. A new one is of no use where another is trusted.
fn missing(path: &Path) -> String {
    match path.extension().is_some_and(|extension| extension == "pub") {
        true => "is the name right? A public key comes from whoever has the private one".to_owned(),
        false => format!("is the name right? `bundle key generate {}` makes a new key", name(path)),
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Self::new(Id::CommandFailed, &error)
    }
}
