//! Trust, countersignatures and receipts.
//! Takes the errors of `trust`, gives identifiers and hints.

use bundle_format::{KeyError, ROTATION_VERSION, RotationError};
use bundle_trust::ReceiptFileError;
use bundle_trust::{
    CountersignatureError, LoadKeysError, NotApproved, SeenReportError, SignatureFileError, StoreNotFound,
    TrustFileError, TrustStoreError,
};

use bundle_input::InputError;

use super::import::{NEWER, version_id};
use super::{Failure, Id, chain};

impl From<TrustFileError> for Failure {
    fn from(error: TrustFileError) -> Self {
        let hint = match &error {
            TrustFileError::Key { source: KeyError::PrivateForPublic, .. } => {
                Some("use the .pub file; the private key stays on the connected side".to_owned())
            }
            // The bundle and the key change places easily.
            TrustFileError::Input(InputError::Text(_)) => Some(
                "--trust takes a public key or trust.yaml, and the bundle stands without an option"
                    .to_owned(),
            ),
            _ => None,
        };
        Self { id: Id::FileInvalid, lines: vec![chain(&error)], hint }
    }
}

impl From<ReceiptFileError> for Failure {
    fn from(error: ReceiptFileError) -> Self {
        use bundle_format::{RECEIPT_VERSION, ReceiptError};
        let id = match &error {
            ReceiptFileError::Read { .. } => Id::FileUnreadable,
            ReceiptFileError::Signature(error) => signature_id(error),
            ReceiptFileError::Receipt { source: ReceiptError::Version(version), .. } => {
                version_id(*version, RECEIPT_VERSION)
            }
            ReceiptFileError::Receipt { source: ReceiptError::Signature, .. } => Id::UnknownSigner,
            ReceiptFileError::Receipt { .. } | ReceiptFileError::Absence { .. } => Id::Damaged,
        };
        let hint = match &error {
            _ if id == Id::NewerVersion => Some(NEWER),
            ReceiptFileError::Signature(SignatureFileError::Read { .. }) => {
                Some("bring the signature too: it is the file beside the receipt")
            }
            ReceiptFileError::Receipt { source: ReceiptError::Signature, .. } => {
                Some("compare `bundle key show` on both sides")
            }
            _ => None,
        };
        Self { id, lines: vec![chain(&error)], hint: hint.map(str::to_owned) }
    }
}

pub(super) fn countersignature_id(error: &CountersignatureError) -> Id {
    match error {
        CountersignatureError::Read { .. } => Id::FileUnreadable,
        CountersignatureError::File(error) => signature_id(error),
        CountersignatureError::TooMany(_) => Id::NotTrusted,
    }
}

fn signature_id(error: &SignatureFileError) -> Id {
    match error {
        SignatureFileError::Read { .. } => Id::FileUnreadable,
        SignatureFileError::Length(_) => Id::Damaged,
    }
}

impl From<SignatureFileError> for Failure {
    fn from(error: SignatureFileError) -> Self {
        Self::new(signature_id(&error), &error)
    }
}

impl From<NotApproved> for Failure {
    fn from(error: NotApproved) -> Self {
        let hint = match error {
            NotApproved::NoReport => {
                "approvals lie beside the bundle, as NAME.*.approval.json with a .sig each: \
                                      bring them along, or approve it with `bundle sign --report`"
            }
            NotApproved::OtherReport { .. } => {
                "this is not the report that was approved: ask the person who signed"
            }
        };
        Self::new(Id::NotTrusted, &error).hint(hint)
    }
}

impl From<SeenReportError> for Failure {
    fn from(error: SeenReportError) -> Self {
        let id = match &error {
            SeenReportError::Read { .. } => Id::FileUnreadable,
            _ => Id::FileInvalid,
        };
        let failure = Self::new(id, &error);
        match &error {
            SeenReportError::OtherBundle { .. } => {
                failure.hint("make a report on this bundle with `bundle report`")
            }
            _ => failure,
        }
    }
}

impl From<StoreNotFound> for Failure {
    fn from(error: StoreNotFound) -> Self {
        Self::new(Id::NoTrustedKey, &error).hint(
            "name it with --trust-store FILE or BUNDLE_TRUST_STORE; `none` accepts keys that were revoked",
        )
    }
}

impl From<LoadKeysError> for Failure {
    fn from(error: LoadKeysError) -> Self {
        match error {
            LoadKeysError::Key(error) => error.into(),
            LoadKeysError::Store(error) => error.into(),
            LoadKeysError::Revoked { .. } => Self::new(Id::KeyRevoked, &error),
        }
    }
}

impl From<CountersignatureError> for Failure {
    fn from(error: CountersignatureError) -> Self {
        Self::new(countersignature_id(&error), &error)
    }
}

impl From<TrustStoreError> for Failure {
    fn from(error: TrustStoreError) -> Self {
        match error {
            TrustStoreError::File(error) => error.into(),
            TrustStoreError::Open { ref path, .. } => {
                let hint = format!("chmod o-w {}, and look at what is in it", path.display());
                Self::new(Id::FileOpenToAll, &error).hint(hint)
            }
            TrustStoreError::Missing(_) => Self::new(Id::NoTrustedKey, &error).hint(
                "check the name; `bundle trust add KEY.pub --name NAME` makes a store, and --trust-store none does \
                 without one",
            ),
            TrustStoreError::NoKey(_) => Self::new(Id::NoTrustedKey, &error)
                .hint("`bundle trust add KEY.pub --name NAME`, or --trust <PUBKEY|FILE>"),
            TrustStoreError::Rotation(RotationError::Version(version))
                if version > u64::from(ROTATION_VERSION) =>
            {
                Self::new(Id::NewerVersion, &error).hint(NEWER)
            }
            TrustStoreError::Rotation(_) => Self::new(Id::NotTrusted, &error),
            TrustStoreError::Known(_)
            | TrustStoreError::NameTaken(_)
            | TrustStoreError::Unknown { .. }
            | TrustStoreError::Key(_) => Self::new(Id::KeyInvalid, &error),
            TrustStoreError::Serialize(_) | TrustStoreError::Write(_) => Self::new(Id::FileSystem, &error),
        }
    }
}
