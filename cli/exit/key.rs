//! Private keys, and signing.

use bundle_format::KeyError;
use bundle_trust::{KeyFileError, SignError};

use super::{Code, Failure, chain};
use crate::output::name;

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let hint = match &error {
            KeyFileError::Open { path, .. } => Some(format!("chmod 600 {}", name(path))),
            KeyFileError::Key { source: KeyError::NeedsPassphrase | KeyError::WrongPassphrase, .. } => {
                Some("without a terminal, the passphrase is taken from BUNDLE_KEY_PASSPHRASE".to_owned())
            }
            KeyFileError::Key { path, source: KeyError::Encryption } => Some(format!(
                "encrypt it anew, with a current OpenSSL: openssl pkcs8 -topk8 -in {0} -out {0}.new",
                name(path)
            )),
            KeyFileError::Read { path, .. } if path.symlink_metadata().is_err() => {
                Some(format!("make a key with `bundle key generate {}`", name(path)))
            }
            _ => None,
        };
        let code = match &error {
            KeyFileError::Write { .. } => Code::Failed,
            KeyFileError::Read { .. }
            | KeyFileError::Exists(_)
            | KeyFileError::Open { .. }
            | KeyFileError::Key { .. } => Code::Usage,
        };
        Self { code, lines: vec![chain(&error)], hint }
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Self::new(Code::Failed, &error)
    }
}
