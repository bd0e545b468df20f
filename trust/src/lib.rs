//! Whose bundles a site accepts, and who signs: key files, signers, `trust.yaml`, the store that
//! `bundle trust` keeps, co-signatures and signed receipts.
//!
//! Start at [`load_trust`], which makes a policy of a key or a `trust.yaml`, and at [`TrustStore`].
//! What a policy then demands of a bundle is `bundle_format::TrustPolicy`.

mod countersignature;
mod key_file;
mod receipt_file;
mod signer;
mod trust_file;
mod trust_store;

pub use countersignature::{
    CountersignatureError, countersignature_path, read_countersignatures, read_signature,
    write_countersignature,
};
pub use key_file::{KeyFileError, generate, load_private, load_public};
pub use receipt_file::{ReceiptFileError, load_receipt};
pub use signer::{SignError, Signer};
pub use trust_file::{TrustFileError, load_trust};
pub use trust_store::{KeyScope, TrustStore, TrustStoreError};
