//! Whose bundles are accepted, countersignatures and receipts.

use bundle_format::KeyError;
use bundle_trust::ReceiptFileError;
use bundle_trust::{CountersignatureError, TrustFileError, TrustStoreError};

use super::{Code, Failure, chain};

impl From<TrustFileError> for Failure {
    fn from(error: TrustFileError) -> Self {
        let hint = match &error {
            TrustFileError::Key { source: KeyError::PrivateForPublic, .. } => {
                Some("use the .pub file; the private key stays on the connected side".to_owned())
            }
            _ => None,
        };
        Self { code: Code::Usage, lines: vec![chain(&error)], hint }
    }
}

impl From<ReceiptFileError> for Failure {
    fn from(error: ReceiptFileError) -> Self {
        use bundle_format::ReceiptError;
        let code = match &error {
            ReceiptFileError::Read { .. } => Code::Usage,
            ReceiptFileError::SignatureLength { .. } | ReceiptFileError::Receipt { .. } => Code::NotTrusted,
        };
        let hint = match &error {
            ReceiptFileError::Read { path, .. } if path.extension().is_some_and(|end| end == "sig") => {
                Some("bring the signature too: it is the file beside the receipt")
            }
            ReceiptFileError::Receipt { source: ReceiptError::Signature, .. } => {
                Some("compare `bundle key show` on both sides")
            }
            _ => None,
        };
        Self { code, lines: vec![chain(&error)], hint: hint.map(str::to_owned) }
    }
}

pub(super) fn countersignature_code(error: &CountersignatureError) -> Code {
    match error {
        CountersignatureError::Read { .. } => Code::Usage,
        CountersignatureError::Length(_) | CountersignatureError::TooMany(_) => Code::NotTrusted,
    }
}

impl From<CountersignatureError> for Failure {
    fn from(error: CountersignatureError) -> Self {
        Self::new(countersignature_code(&error), &error)
    }
}

impl From<TrustStoreError> for Failure {
    fn from(error: TrustStoreError) -> Self {
        match error {
            TrustStoreError::File(error) => error.into(),
            TrustStoreError::Open { ref path, .. } => {
                let hint = format!("chmod o-w {}, and look at what is in it", path.display());
                Self::new(Code::Usage, &error).hint(hint)
            }
            TrustStoreError::Rotation(_) => Self::new(Code::NotTrusted, &error),
            TrustStoreError::Known(_)
            | TrustStoreError::NameTaken(_)
            | TrustStoreError::Unknown { .. }
            | TrustStoreError::Key(_) => Self::new(Code::Usage, &error),
            TrustStoreError::Serialize(_) | TrustStoreError::Write(_) => Self::new(Code::Failed, &error),
        }
    }
}
