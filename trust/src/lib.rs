//! The keys that a site trusts, and signing: key files, signers, `trust.yaml`, the store that `bundle trust`
//! keeps, co-signatures and signed receipts.
//!
//! Start at [`Effective`], which every reader of a bundle needs: it is a key or a `trust.yaml` with the
//! revocations of the [`TrustStore`]. Its demands on a bundle are `bundle_format::TrustPolicy`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod approval;
mod countersignature;
mod effective;
mod key_file;
mod limits;
mod receipt_file;
mod signature_file;
mod signer;
mod trust_file;
mod trust_store;

pub use approval::{
    ApprovalFileError, Approvals, NotApproved, SeenReport, SeenReportError, approval_path, write_approval,
};
pub use countersignature::{
    CountersignatureError, countersignature_path, read_countersignatures, read_known_countersignatures,
    write_countersignature,
};
pub use effective::{Effective, LoadKeysError, StoreLocation, StoreNotFound, load_keys};
pub use key_file::{KeyFileError, generate, load_private, load_public};
pub use receipt_file::{ReceiptFileError, load_absence_notice, load_receipt};
pub use signature_file::{SignatureFileError, read_signature};
pub use signer::{SignError, Signer};
pub use trust_file::{TrustFileError, trust_schema};
pub use trust_store::{KeyScope, TrustStore, TrustStoreError};
