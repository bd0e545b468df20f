//! Whose bundles are accepted, countersignatures and receipts.

use bundle_format::KeyError;
use bundle_trust::ReceiptFileError;
use bundle_trust::{
    CountersignatureError, LoadKeysError, SignatureFileError, StoreNotFound, TrustFileError, TrustStoreError,
};

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
            ReceiptFileError::Signature(error) => signature_code(error),
            ReceiptFileError::Receipt { .. } => Code::NotTrusted,
        };
        let hint = match &error {
            ReceiptFileError::Signature(SignatureFileError::Read { .. }) => {
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
        CountersignatureError::File(error) => signature_code(error),
        CountersignatureError::TooMany(_) => Code::NotTrusted,
    }
}

fn signature_code(error: &SignatureFileError) -> Code {
    match error {
        SignatureFileError::Read { .. } => Code::Usage,
        SignatureFileError::Length(_) => Code::NotTrusted,
    }
}

impl From<SignatureFileError> for Failure {
    fn from(error: SignatureFileError) -> Self {
        Self::new(signature_code(&error), &error)
    }
}

impl From<StoreNotFound> for Failure {
    fn from(error: StoreNotFound) -> Self {
        Self::new(Code::Usage, &error).hint(
            "name it with --trust-store FILE or BUNDLE_TRUST_STORE; `none` accepts keys that were revoked",
        )
    }
}

impl From<LoadKeysError> for Failure {
    fn from(error: LoadKeysError) -> Self {
        match error {
            LoadKeysError::Key(error) => error.into(),
            LoadKeysError::Store(error) => error.into(),
            LoadKeysError::Revoked { .. } => Self::new(Code::NotTrusted, &error),
        }
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
            TrustStoreError::Missing(_) => Self::new(Code::Usage, &error).hint(
                "check the name; `bundle trust add KEY.pub --name NAME` makes a store, and --trust-store none does \
                 without one",
            ),
            TrustStoreError::NoKey(_) => Self::new(Code::Usage, &error)
                .hint("`bundle trust add KEY.pub --name NAME`, or --trust <PUBKEY|FILE>"),
            TrustStoreError::Rotation(_) => Self::new(Code::NotTrusted, &error),
            TrustStoreError::Known(_)
            | TrustStoreError::NameTaken(_)
            | TrustStoreError::Unknown { .. }
            | TrustStoreError::Key(_) => Self::new(Code::Usage, &error),
            TrustStoreError::Serialize(_) | TrustStoreError::Write(_) => Self::new(Code::Failed, &error),
        }
    }
}
